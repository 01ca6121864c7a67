"""The metrics' web server: what it answers, and what clients that mean no good can have of it."""

import asyncio
import json
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

import pytest

from voice_agent.controls.client import NotDone, NotRunning, candidates
from voice_agent.controls.client import ask as command
from voice_agent.controls.desk import Desk
from voice_agent.telemetry import http
from voice_agent.telemetry.exchange import Answer
from voice_agent.telemetry.http import MAX_CONNECTIONS, MAX_REQUEST_BYTES, CannotListen, HttpServer
from voice_agent.telemetry.local import UnixServer
from voice_agent.telemetry.site import Act, Page, Render, Site
from voice_agent.tools.base import Toolbox

HTML = "text/html; charset=utf-8"
PAGES: Mapping[str, Page] = {
    "/healthz": lambda: Answer(HTTPStatus.OK, b'{"healthy": true}'),
    "/readyz": lambda: Answer(HTTPStatus.SERVICE_UNAVAILABLE, b'{"ready": false}'),
    "/": lambda: Answer(HTTPStatus.OK, b"<p>", HTML, {"Content-Security-Policy": "default-src 'none'"}),
}


def render(accept: str) -> tuple[str, bytes]:
    return "text/plain", f"accept={accept}\n".encode()


@asynccontextmanager
async def serving(page: Render = render) -> AsyncIterator[int]:
    """A server's port."""
    server = HttpServer("127.0.0.1", 0, Site(page, PAGES))
    task = asyncio.create_task(server.run())
    while server.address is None:
        await asyncio.sleep(0)
    try:
        yield server.address[1]
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled(), task.exception()


async def ask(port: int, request: str) -> tuple[str, str]:
    """Head and body of the answer; empty if there is none."""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(request.encode())
            answer = (await reader.read()).decode()
        except ConnectionError:
            answer = ""
        finally:
            writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    return head, body


def play(scene: Callable[[int], Awaitable[None]], page: Render = render) -> None:
    async def run() -> None:
        async with serving(page) as port:
            await scene(port)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("request_text", "status", "body"),
    [
        ("GET /metrics HTTP/1.1\r\nHost: x\r\naccept: text/plain\r\n\r\n", "200 OK", "accept=text/plain\n"),
        ("GET /metrics?x=1 HTTP/1.0\r\n\r\n", "200 OK", "accept=\n"),
        ("HEAD /metrics HTTP/1.1\r\n\r\n", "200 OK", ""),
        ("GET /healthz HTTP/1.1\r\n\r\n", "200 OK", '{"healthy": true}'),
        ("HEAD /readyz HTTP/1.1\r\nHost: localhost:9477\r\n\r\n", "503 Service Unavailable", ""),
        ("GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "503 Service Unavailable", '{"ready": false}'),
        ("GET /readyz HTTP/1.1\r\nHost: evil.example\r\n\r\n", "403 Forbidden", "Forbidden\n"),
        ("GET /status HTTP/1.1\r\n\r\n", "404 Not Found", "Not Found\n"),
        ("GET /readyz HTTP/1.1\r\nHost: [\r\n\r\n", "403 Forbidden", "Forbidden\n"),
        ("GET /readyz HTTP/1.1\r\nHost: [::1]:9\r\n\r\n", "503 Service Unavailable", '{"ready": false}'),
        ("GET /readyz HTTP/1.1\r\nHost: 192.0.2.7\r\n\r\n", "503 Service Unavailable", '{"ready": false}'),
        ("GET / HTTP/1.1\r\n\r\n", "200 OK", "<p>"),
        ("GET /events HTTP/1.1\r\n\r\n", "404 Not Found", "Not Found\n"),
        (
            "POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
            "405 Method Not Allowed",
            "Method Not Allowed\n",
        ),
        ("hello\r\n\r\n", "400 Bad Request", "Bad Request\n"),
        ("GET /metrics SMTP\r\n\r\n", "400 Bad Request", "Bad Request\n"),
    ],
)
def test_a_request_gets_its_answer(request_text: str, status: str, body: str) -> None:
    async def scene(port: int) -> None:
        head, told = await ask(port, request_text)
        assert head.startswith(f"HTTP/1.1 {status}\r\n")
        assert "Connection: close" in head
        assert told == body

    play(scene)


def test_the_head_alone_states_the_length_that_the_whole_has() -> None:
    async def scene(port: int) -> None:
        whole, body = await ask(port, "GET /metrics HTTP/1.1\r\n\r\n")
        head, nothing = await ask(port, "HEAD /metrics HTTP/1.1\r\n\r\n")
        assert head == whole
        assert f"Content-Length: {len(body)}" in whole
        assert nothing == ""

    play(scene)


@pytest.mark.parametrize(
    "request_text", ["GET /metrics HTTP/1.1\r\n" + "x" * (2 * MAX_REQUEST_BYTES), "GET /"]
)
def test_a_client_that_says_too_much_or_too_little_is_left(
    monkeypatch: pytest.MonkeyPatch, request_text: str
) -> None:
    monkeypatch.setattr(http, "REQUEST_S", 0.1)

    async def scene(port: int) -> None:
        assert await ask(port, request_text) == ("", "")
        head, _ = await ask(port, "GET /healthz HTTP/1.1\r\n\r\n")
        assert "200 OK" in head

    play(scene)


def test_silent_clients_hold_others_up_only_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "REQUEST_S", 0.5)
    monkeypatch.setattr(http, "PACE_S", 0.001)

    async def scene(port: int) -> None:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MAX_CONNECTIONS)]
        began = asyncio.get_running_loop().time()
        head, _ = await ask(port, "GET /healthz HTTP/1.1\r\n\r\n")
        assert "200 OK" in head
        assert asyncio.get_running_loop().time() - began > 0.1, "they had all the places there are"
        for _, writer in silent:
            writer.close()

    play(scene)


def test_a_client_that_does_not_read_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "REQUEST_S", 0.2)

    async def scene(port: int) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket() as lazy:
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            lazy.setblocking(False)
            await loop.sock_connect(lazy, ("127.0.0.1", port))
            await loop.sock_sendall(lazy, b"GET /metrics HTTP/1.1\r\n\r\n")
            async with asyncio.timeout(10):
                while not (clients := _clients()):
                    await asyncio.sleep(0)
                await asyncio.wait(clients)

    play(scene, lambda _: ("text/plain", b"x" * 50_000_000))


def _clients() -> set[asyncio.Task[None]]:
    return {task for task in asyncio.all_tasks() if task.get_name() == "http-client"}


def test_a_flood_of_connections_is_taken_at_our_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "PACE_S", 0.02)
    pages: list[str] = []

    def page(accept: str) -> tuple[str, bytes]:
        pages.append(accept)
        return "text/plain", b"page"

    async def scene(port: int) -> None:
        async def hammer() -> None:
            while True:
                await ask(port, "GET /metrics HTTP/1.1\r\n\r\n")

        flood = [asyncio.create_task(hammer()) for _ in range(20)]
        await asyncio.sleep(0.5)
        for task in flood:
            task.cancel()
        await asyncio.wait(flood)

    play(scene, page)
    assert 1 <= len(pages) <= 30


def test_a_port_that_is_taken_is_named() -> None:
    async def run() -> None:
        async with serving() as port:
            with pytest.raises(CannotListen, match=f"127.0.0.1:{port}: Address already in use"):
                await HttpServer("127.0.0.1", port, Site(render)).run()

    asyncio.run(run())


def test_it_listens_on_the_other_loopback_too() -> None:
    async def run() -> None:
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("there is no IPv6 here")
        server = HttpServer("::1", 0, Site(render))
        task = asyncio.create_task(server.run())
        while server.address is None:
            await asyncio.sleep(0)
        assert server.address[0] == "::1"
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(run())


def test_a_bug_in_the_page_ends_the_server_and_is_no_secret() -> None:
    def broken(_: str) -> tuple[str, bytes]:
        raise KeyError("a bug")

    async def run() -> None:
        server = HttpServer("127.0.0.1", 0, Site(broken))
        task = asyncio.create_task(server.run())
        while server.address is None:
            await asyncio.sleep(0)
        await ask(server.address[1], "GET /metrics HTTP/1.1\r\n\r\n")
        await asyncio.wait([task], timeout=5)
        error = task.exception()
        assert isinstance(error, ExceptionGroup)
        assert error.subgroup(KeyError)

    asyncio.run(run())


# ------------------------------------------------------------------------------------------ controls


STATUS = {"muted": False, "volume": 90, "mode": "always", "talking": False, "connection": "in session"}


class Deeds:
    """Notes what is asked for; knows no deed called ``dance``."""

    def __init__(self) -> None:
        self.done: list[tuple[str, dict[str, str]]] = []

    def act(self, path: str, query: Mapping[str, str]) -> tuple[HTTPStatus, bytes]:
        if path == "dance":
            return HTTPStatus.CONFLICT, b'{"error": "no music"}'
        self.done.append((path, dict(query)))
        return HTTPStatus.OK, json.dumps(STATUS).encode()


async def asked(deeds: Deeds, request: str) -> str:
    """Head of the answer of a TCP server that takes control requests."""
    server = HttpServer("127.0.0.1", 0, Site(render, act=deeds.act))
    task = asyncio.create_task(server.run())
    while server.address is None:
        await asyncio.sleep(0)
    try:
        return (await ask(server.address[1], request))[0]
    finally:
        task.cancel()
        await asyncio.wait([task])


OURS = "Host: 127.0.0.1:9477\r\nX-Voice-Agent: 1\r\n"


def test_a_control_request_of_a_program_here_is_obeyed() -> None:
    deeds = Deeds()
    head = asyncio.run(asked(deeds, f"POST /control/volume?by=+5 HTTP/1.1\r\n{OURS}\r\n"))
    assert head.startswith("HTTP/1.1 200 OK\r\n")
    assert deeds.done == [("volume", {"by": "+5"})]


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        ("POST /control/mute HTTP/1.1\r\nHost: 127.0.0.1:9477\r\n\r\n", 403),
        (f"POST /control/mute HTTP/1.1\r\n{OURS}Origin: https://evil.example\r\n\r\n", 403),
        (f"POST /control/mute HTTP/1.1\r\n{OURS}Referer: https://evil.example/x\r\n\r\n", 403),
        ("POST /control/mute HTTP/1.1\r\nHost: evil.example:9477\r\nX-Voice-Agent: 1\r\n\r\n", 403),
        ("POST /control/mute HTTP/1.1\r\nX-Voice-Agent: 1\r\n\r\n", 403),
        (f"GET /control/mute HTTP/1.1\r\n{OURS}\r\n", 405),
        (f"POST /control HTTP/1.1\r\n{OURS}\r\n", 405),
        (f"OPTIONS /control/mute HTTP/1.1\r\n{OURS}\r\n", 405),
        (f"POST /controls HTTP/1.1\r\n{OURS}\r\n", 405),
    ],
)
def test_what_a_web_page_could_send_is_refused(request_text: str, status: int) -> None:
    deeds = Deeds()
    assert f" {status} " in asyncio.run(asked(deeds, request_text)).splitlines()[0]
    assert deeds.done == []


def test_without_permission_there_are_no_controls_at_the_port_of_the_metrics() -> None:
    async def scene(port: int) -> None:
        head, _ = await ask(port, f"POST /control/mute HTTP/1.1\r\n{OURS}\r\n")
        assert head.startswith("HTTP/1.1 405 ")

    play(scene)


@asynccontextmanager
async def controlled(path: Path, act: Act) -> AsyncIterator[None]:
    task = asyncio.create_task(UnixServer(path, Site(render, act=act), Desk(Toolbox())).run())
    async with asyncio.timeout(10):
        while not (task.done() or await asyncio.to_thread(answers, path)):
            await asyncio.sleep(0)
    yield
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled(), task.exception()


def test_the_command_line_asks_at_a_socket_that_is_for_user_and_group(tmp_path: Path) -> None:
    deeds, path = Deeds(), tmp_path / "run" / "control"

    async def run() -> None:
        async with controlled(path, deeds.act):
            status = await asyncio.to_thread(command, "POST", "volume?to=40", path)
            assert (status.volume, status.connection) == (90, "in session")
            await asyncio.to_thread(command, "GET", "", path)
            with pytest.raises(NotDone, match="no music"):
                await asyncio.to_thread(command, "POST", "dance", path)
            assert stat.S_IMODE(path.stat().st_mode) == 0o660

    asyncio.run(run())
    assert [deed for deed in deeds.done if deed[0]] == [("volume", {"to": "40"})]


def test_a_socket_that_a_dead_daemon_left_is_taken_over_and_a_living_one_s_is_not(tmp_path: Path) -> None:
    path = tmp_path / "control"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    async def run() -> None:
        async with controlled(path, Deeds().act):
            with pytest.raises(CannotListen, match="another voice-agent"):
                await UnixServer(path, Site(render, act=Deeds().act), Desk(Toolbox())).run()

    asyncio.run(run())


def answers(path: Path) -> bool:
    try:
        return command("GET", "", path).volume == 90
    except NotRunning:
        return False


def test_a_file_in_place_of_the_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "control"
    path.write_text("precious")
    with pytest.raises(CannotListen, match="Address already in use"):
        asyncio.run(UnixServer(path, Site(render, act=Deeds().act), Desk(Toolbox())).run())
    assert path.read_text() == "precious"


def test_where_nobody_listens_the_command_line_says_what_to_look_at(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match="systemctl status voice-agent"):
        command("POST", "mute", tmp_path / "control")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead"))
    with pytest.raises(NotRunning, match="--socket"):
        command("POST", "mute", tmp_path / "dead")


def test_an_own_daemon_comes_before_the_system_s(tmp_path: Path) -> None:
    own = tmp_path / "voice-agent" / "control"
    system = [Path("/run/voice-agent/control")]
    assert list(candidates({})) == list(candidates({"XDG_RUNTIME_DIR": str(tmp_path)})) == system
    own.parent.mkdir()
    own.touch()
    assert list(candidates({"XDG_RUNTIME_DIR": str(tmp_path)})) == [own, *system]
