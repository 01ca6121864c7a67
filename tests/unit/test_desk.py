"""Tools from outside of a conversation: at the daemon's socket, and without a daemon from the shell."""

import asyncio
import json
import logging
import os
import re
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from pathlib import Path

import pytest

from voice_agent.cli import main
from voice_agent.controls.client import Absent, NotDone, NotRunning, ask_for
from voice_agent.controls.desk import Called, Desk, Inventory
from voice_agent.controls.tools import Daemon, Here
from voice_agent.dialogue import Manners, Reply
from voice_agent.telemetry import http
from voice_agent.telemetry.http import HttpServer
from voice_agent.telemetry.local import UnixServer
from voice_agent.telemetry.site import Site
from voice_agent.tools.base import Arguments, Tool, Toolbox

ECHO = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "description": "What to say."},
        "times": {"type": "integer", "minimum": 1, "maximum": 9},
        "tone": {"enum": ["soft", "loud"]},
    },
    "required": ["text"],
}


async def echo(arguments: Arguments) -> Mapping[str, object]:
    return {"said": arguments["text"]}


async def slow(_: Arguments) -> Mapping[str, object]:
    await asyncio.sleep(0.3)
    return {}


def box() -> Toolbox:
    manners = Manners(parallel=False, reply=Reply.NEVER, cancellable=False, timeout_s=4)
    tools = Toolbox([Tool("echo", "Say something.", ECHO, echo)])
    tools.put("home", [Tool("home_wait", "Wait.", {"type": "object"}, slow, manners)])
    return tools


def render(_: str) -> tuple[str, bytes]:
    return "text/plain", b""


def act(_path: str, _query: Mapping[str, str]) -> tuple[HTTPStatus, bytes]:
    return HTTPStatus.NOT_FOUND, b'{"error": "no such control"}'


@asynccontextmanager
async def daemon(path: Path) -> AsyncIterator[Path]:
    task = asyncio.create_task(UnixServer(path, Site(render, act=act), Desk(box())).run())
    async with asyncio.timeout(10):
        while not task.done() and not await asyncio.to_thread(path.exists):
            await asyncio.sleep(0)
    yield path
    task.cancel()
    await asyncio.wait([task])


def test_the_daemon_lists_its_tools_with_their_manners_and_where_they_come_from(tmp_path: Path) -> None:
    async def scene() -> Inventory:
        async with daemon(tmp_path / "control") as path:
            return await asyncio.to_thread(Daemon(path).inventory)

    first, second = asyncio.run(scene()).tools
    assert (first.name, first.source, first.parameters) == ("echo", "device", ECHO)
    assert (second.source, second.reply, second.timeout_s) == ("home", "never", 4)
    assert (second.parallel, second.cancellable) == (False, False)


def test_the_daemon_runs_a_tool_however_its_arguments_look(tmp_path: Path) -> None:
    text = "привет & ?#" * 1000

    async def scene() -> tuple[Called, Called, Called]:
        async with daemon(tmp_path / "control") as path:
            there = Daemon(path)
            given = json.dumps({"text": text}, ensure_ascii=False)
            return (
                await asyncio.to_thread(there.call, "echo", given),
                await asyncio.to_thread(there.call, "echo", "{}"),
                await asyncio.to_thread(there.call, "no such/tool?&", "{}"),
            )

    right, wrong, unknown = asyncio.run(scene())
    assert right.outcome == "ok"
    assert "привет & ?#" in right.output
    assert (wrong.outcome, unknown.outcome) == ("invalid", "unknown")
    assert "no such/tool?&" in unknown.output


def test_a_tool_may_take_longer_than_a_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "REQUEST_S", 0.1)

    async def scene() -> Called:
        async with daemon(tmp_path / "control") as path:
            return await asyncio.to_thread(Daemon(path).call, "home_wait", "{}")

    called = asyncio.run(scene())
    assert called.outcome == "ok"
    assert called.seconds >= 0.3


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("POST /control/tools/call?name=echo HTTP/1.1\r\nHost: localhost", 403),
        ("GET /control/tools HTTP/1.1\r\nHost: localhost\r\nX-Voice-Agent: 1\r\nOrigin: http://x.org", 403),
        (f"POST /control/tools/call?name=echo HTTP/1.1\r\n{'{ours}'}\r\nContent-Length: 70000", 413),
        (f"POST /control/tools/call?name=echo HTTP/1.1\r\n{'{ours}'}\r\nContent-Length: -1", 413),
        ("GET /control/tools/call?name=echo HTTP/1.1\r\n{ours}", 405),
    ],
)
def test_a_call_that_is_not_ours_or_too_long_is_refused(tmp_path: Path, head: str, status: int) -> None:
    async def scene() -> bytes:
        async with daemon(tmp_path / "control") as path:
            reader, writer = await asyncio.open_unix_connection(path)
            text = head.replace("{ours}", "Host: localhost\r\nX-Voice-Agent: 1")
            writer.write(f"{text}\r\n\r\n".encode())
            answer = await reader.read()
            writer.close()
            return answer

    assert f" {status} ".encode() in asyncio.run(scene()).splitlines()[0]


def test_arguments_that_are_too_long_are_called_that(tmp_path: Path) -> None:
    async def scene() -> None:
        async with daemon(tmp_path / "control") as path:
            with pytest.raises(NotDone, match="64 KiB"):
                await asyncio.to_thread(
                    ask_for, Called, "POST", "tools/call?name=echo", path, body=b"x" * 70_000
                )

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", NotDone, "64 KiB"),
        (b"", NotRunning, "does not answer"),
    ],
)
def test_who_is_not_listened_to_any_more_hears_why_if_it_was_said(
    tmp_path: Path, answer: bytes, error: type[Exception], said: str
) -> None:
    path = tmp_path / "control"

    def hear_little() -> None:
        talker, _ = listener.accept()
        with talker:
            talker.recv(10)
            talker.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listener, ThreadPoolExecutor() as beside:
        listener.bind(str(path))
        listener.listen()
        hearing = beside.submit(hear_little)
        with pytest.raises(error, match=said):
            ask_for(Called, "POST", "tools/call?name=echo", path, body=b"x" * 5_000_000)
        hearing.result()


def test_the_port_of_the_metrics_runs_no_tools_even_where_it_takes_controls() -> None:
    async def scene() -> bytes:
        server = HttpServer("127.0.0.1", 0, Site(render, act=act))
        task = asyncio.create_task(server.run())
        while server.address is None:
            await asyncio.sleep(0)
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(
            b"POST /control/tools/call?name=echo HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Voice-Agent: 1\r\n\r\n"
        )
        answer = await reader.read()
        writer.close()
        task.cancel()
        await asyncio.wait([task])
        return answer

    assert b"404" in asyncio.run(scene()).splitlines()[0]


def test_only_a_daemon_that_was_never_reached_counts_as_absent(tmp_path: Path) -> None:
    """Else a call that it may have carried out would be made again."""
    with pytest.raises(Absent):
        ask_for(Inventory, "GET", "tools", tmp_path / "control")
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / "mute"))
        mute.listen()
        with pytest.raises(NotRunning) as error:
            ask_for(Inventory, "GET", "tools", tmp_path / "mute", patience_s=0.05)
    assert not isinstance(error.value, Absent)


# ------------------------------------------------------------------------------------------- the shell


@pytest.fixture
def config(tmp_path: Path) -> Iterator[str]:
    """A file with two tools; the log is afterwards as it was."""
    ours, root = logging.getLogger("voice_agent"), logging.getLogger()
    level, handlers = ours.level, root.handlers[:]
    path = tmp_path / "config.toml"
    path.write_text('[tools]\nplugins = []\nenabled = ["get_time", "set_volume"]\n')
    yield str(path)
    ours.setLevel(level)
    root.handlers[:] = handlers


def test_the_tools_of_a_configuration_are_listed_for_people(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tools", "--config", config]) == os.EX_OK
    listed = capsys.readouterr().out
    assert re.search(r"^get_time: \w+", listed, re.MULTILINE)
    assert re.search(r"^    place \(string\): \w+", listed, re.MULTILINE)
    assert re.search(r"^    level \(integer 0 to 100\): \w+", listed, re.MULTILINE)
    assert "    (from: device; spoken about; at most 10 s" in listed
    assert "get_weather" not in listed


def test_a_description_does_not_command_the_terminal(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["[[tools.command]]", 'name = "lamp"', r'description = "A \u001b[31mred\u009b lamp."']
    with Path(config).open("a") as file:
        file.write("\n".join([*lines, 'argv = ["/bin/true"]']))
    assert main(["tools", "--config", config]) == os.EX_OK
    assert "lamp: A ?[31mred? lamp." in capsys.readouterr().out


def test_and_for_programs_with_their_schemas(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tools", "--config", config, "--json"]) == os.EX_OK
    listed = json.loads(capsys.readouterr().out)
    assert [tool["name"] for tool in listed["tools"]] == ["get_time", "set_volume"]
    assert listed["tools"][0]["parameters"]["properties"]["place"]["type"] == "string"


@pytest.mark.parametrize(
    ("words", "code", "printed"),
    [
        (["get_time"], os.EX_OK, '"time":'),
        (["get_time", '{"place": "Tokyo"}'], os.EX_OK, '"Tokyo"'),
        (["get_time", '{"place": 3}'], os.EX_DATAERR, "place: 3 is not of type"),
        (["get_time", "Tokyo"], os.EX_DATAERR, "not a JSON object"),
        (["get_time", '{"place": "Atlantis"}'], 1, "Atlantis"),
        (["set_volume", '{"level": 3}'], 1, "only inside the running daemon"),
        (["get_weather"], os.EX_UNAVAILABLE, "known: get_time, set_volume"),
    ],
)
def test_a_tool_is_called_from_the_shell_and_the_exit_code_says_how_it_went(
    config: str, capsys: pytest.CaptureFixture[str], words: list[str], code: int, printed: str
) -> None:
    assert main(["tools", "call", *words, "--config", config]) == code
    output = capsys.readouterr().out
    assert printed in output
    json.loads(output)


def test_how_long_it_took_is_said_beside_the_answer(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["tools", "--config", config, "call", "get_time", "-v"])
    assert "get_time: ok after 0." in capsys.readouterr().err


def test_without_daemon_and_configuration_it_is_said_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("voice_agent.cli.CONFIG_PATH", tmp_path / "none.toml")
    monkeypatch.setattr("voice_agent.controls.client.SERVICE_SOCKET", tmp_path / "none")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert main(["tools"]) == os.EX_UNAVAILABLE
    assert "name a configuration with --config" in capsys.readouterr().err


def test_without_a_daemon_the_usual_configuration_is_taken_and_that_is_said(
    tmp_path: Path, config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("voice_agent.cli.CONFIG_PATH", Path(config))
    monkeypatch.setattr("voice_agent.controls.client.SERVICE_SOCKET", tmp_path / "none")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert main(["tools", "call", "get_time"]) == os.EX_OK
    assert "no daemon is running" in capsys.readouterr().err


def test_a_tool_that_will_not_end_does_not_hold_up_the_command(config: str) -> None:
    async def work() -> str:
        task = asyncio.get_running_loop().create_task(deaf(), name="deaf")
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio would rightly complain
        await asyncio.sleep(0)
        return "done"

    assert Here(Path(config))._run(work()) == "done"


def test_what_a_tool_prints_is_no_part_of_the_answer(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    async def work() -> None:
        print("noise")

    Here(Path(config))._run(work())
    assert tuple(capsys.readouterr()) == ("", "noise\n")


async def deaf() -> None:
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
