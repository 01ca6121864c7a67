"""MCP servers that are really there: sites and programs made with the SDK, and programs that misbehave."""

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.fakes.tool_server import House, site_of
from voice_agent import cli
from voice_agent.backoff import Backoff
from voice_agent.config import McpServer
from voice_agent.credentials import Secret
from voice_agent.errors import ConfigError, ToolError, ToolTimeout
from voice_agent.tools import mcp
from voice_agent.tools.base import Arguments, Tool
from voice_agent.tools.mcp import keeper, session, site
from voice_agent.tools.mcp.child import Child, running
from voice_agent.tools.mcp.connection import Found, Hold, missing
from voice_agent.tools.mcp.gathering import discover
from voice_agent.tools.mcp.keeper import Keeper
from voice_agent.tools.mcp.limits import MAX_MESSAGE_BYTES, Lost
from voice_agent.tools.mcp.offers import Offer
from voice_agent.tools.mcp.settings import Program, ServerSettings, Site

FAKES = Path(__file__).parents[1] / "fakes"
HOUSE = Program((sys.executable, str(FAKES / "tool_server.py")))
GENERATIONS = pytest.mark.parametrize("modern", [True, False], ids=["2026", "2025"])


def pipe(*ways: str) -> Program:
    return Program((sys.executable, str(FAKES / "pipe_server.py"), *ways))


class Home:
    """A keeper, and the tools that it has put."""

    def __init__(self, settings: ServerSettings, **more: float) -> None:
        self.tools: dict[str, Tool] = {}
        self.puts = 0
        self.keeper = Keeper(settings, self._put, backoff=Backoff(draw=lambda: 0.0), **more)

    def _put(self, server: str, tools: Iterable[Tool]) -> None:
        assert server == "MCP server home"
        self.puts += 1
        self.tools = {tool.name: tool for tool in tools}

    async def call(self, name: str, **arguments: object) -> Mapping[str, object]:
        return await asked(self.tools[f"home_{name}"], arguments)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(15):
            while not condition():
                await asyncio.sleep(0.01)

    async def until_connected(self, times: int = 1) -> None:
        await self.until(lambda: self.keeper.state().connected and self.keeper.state().connections >= times)

    async def until_lost(self) -> str:
        await self.until(lambda: not self.keeper.state().connected and self.keeper.decided.is_set())
        return self.keeper.state().reason


@asynccontextmanager
async def home(settings: ServerSettings, **more: float) -> AsyncIterator[Home]:
    found = Home(settings, **more)
    task = asyncio.create_task(found.keeper.run())
    try:
        yield found
    finally:
        begun = asyncio.get_running_loop().time()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert asyncio.get_running_loop().time() - begun < 3


def house(
    place: Program | Site, *, timeout_s: float = 5, start_timeout_s: float = 10, allow: tuple[str, ...] = ()
) -> ServerSettings:
    return ServerSettings("home", place, allow=allow, timeout_s=timeout_s, start_timeout_s=start_timeout_s)


def play(scene: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(40):
            await scene()

    asyncio.run(within())


# --------------------------------------------------------------------------------------------- sites


@GENERATIONS
def test_tools_of_a_site_are_called_under_the_name_of_the_server(modern: bool) -> None:
    async def scene() -> None:
        async with site_of(House(modern=modern)) as url, home(house(Site(url))) as here:
            await here.until_connected()
            assert {"home_lights", "home_temperature", "home_hang"} <= set(here.tools)
            assert here.tools["home_temperature"].manners.cancellable
            answer = await here.call("lights", room="kitchen")
            assert answer == {"room": "kitchen", "on": True, "pid": os.getpid()}
            assert await here.call("temperature") == {"result": "21 degrees"}
            with pytest.raises(ToolError, match="the lamp is broken"):
                await here.call("fail")
            assert here.keeper.state().connections == 1

    play(scene)


def test_only_what_can_be_told_in_words_comes_back() -> None:
    async def scene() -> None:
        async with site_of(House()) as url, home(house(Site(url), allow=("pict*",))) as here:
            await here.until_connected()
            assert list(here.tools) == ["home_picture"]
            answer = await here.call("picture")
            assert answer == {"text": "the garden\n[an image that cannot be told in words]"}

    play(scene)


@GENERATIONS
def test_a_changed_list_of_tools_is_read_again(modern: bool) -> None:
    async def scene() -> None:
        async with site_of(House(modern=modern)) as url, home(house(Site(url))) as here:
            await here.until_connected()
            await here.call("extend")
            await here.until(lambda: "home_bell" in here.tools)
            assert await here.call("bell") == {"text": "ring"}
            await here.call("shrink")
            await here.until(lambda: "home_bell" not in here.tools)
            assert here.puts == 3

    play(scene)


@GENERATIONS
def test_a_call_that_takes_too_long_is_cancelled_at_the_server(modern: bool) -> None:
    async def scene() -> None:
        there = House(modern=modern)
        async with site_of(there) as url, home(house(Site(url), timeout_s=0.5)) as here:
            await here.until_connected()
            with pytest.raises(ToolTimeout, match=r"home gave no answer within 0\.5 s"):
                await here.call("hang")
            await here.until(lambda: there.cancelled == 1)
            assert await here.call("temperature") == {"result": "21 degrees"}
            assert here.keeper.state().connections == 1

    play(scene)


@GENERATIONS
def test_a_call_that_is_given_up_is_cancelled_at_the_server(modern: bool) -> None:
    async def scene() -> None:
        there = House(modern=modern)
        async with site_of(there) as url, home(house(Site(url))) as here:
            await here.until_connected()
            call = asyncio.create_task(here.call("hang"))
            await here.until(lambda: there.called == 1)
            call.cancel()
            await here.until(lambda: there.cancelled == 1 and call.cancelled())

    play(scene)


@GENERATIONS
def test_a_server_that_asks_the_user_something_is_declined(modern: bool) -> None:
    async def scene() -> None:
        async with site_of(House(modern=modern)) as url, home(house(Site(url))) as here:
            await here.until_connected()
            with pytest.raises(ToolError):
                await here.call("ask")
            assert await here.call("temperature") == {"result": "21 degrees"}

    play(scene)


@GENERATIONS
def test_a_site_that_comes_back_is_used_again_and_calls_wait_for_it(modern: bool) -> None:
    async def scene() -> None:
        async with site_of(House(modern=modern)) as url:
            pass
        async with home(house(Site(url)), grace_s=0.5) as here:
            assert "ConnectError" in await here.until_lost()
            async with site_of(House(modern=modern), port_of(url)):
                await here.until_connected()
                assert await here.call("temperature") == {"result": "21 degrees"}
            with suppress(ToolError):  # nobody looks as often as that: a call finds out
                await here.call("temperature")
            await here.until_lost()
            call = asyncio.create_task(here.call("temperature"))
            async with site_of(House(modern=modern), port_of(url)):
                assert await call == {"result": "21 degrees"}
            assert (here.puts, here.keeper.state().connections) == (1, 2)

    play(scene)


def test_a_key_that_is_refused_is_named_as_the_reason_and_a_new_one_is_taken(tmp_path: Path) -> None:
    seen: list[str | None] = []

    async def guard(request: web.Request) -> web.Response:
        seen.append(request.headers.get("X-Key"))
        return web.Response(status=401)

    async def scene() -> None:
        file = tmp_path / "key"
        file.write_text("old")
        place = Site(await_url, key_header="X-Key", key_scheme="Token")
        settings = replace(house(place), key=lambda: Secret(file.read_text()))
        async with home(settings) as here:
            assert "HTTP 401" in await here.until_lost()
            assert "old" not in here.keeper.state().reason
            file.write_text("new")
            await here.until(lambda: "Token new" in seen)

    await_url = ""

    async def within() -> None:
        nonlocal await_url
        async with web_site(guard) as url:
            await_url = url
            await scene()

    play(within)


def test_a_redirect_to_another_place_gets_neither_question_nor_key() -> None:
    async def scene() -> None:
        seen: list[str] = []

        async def elsewhere(request: web.Request) -> web.Response:
            seen.append(request.method)
            return web.Response()

        async with web_site(elsewhere) as far:

            async def near(_request: web.Request) -> web.Response:
                return web.Response(status=307, headers={"Location": far})

            async with web_site(near) as url:
                settings = replace(house(Site(url)), key=lambda: Secret("secret"))
                async with home(settings) as here:
                    assert "not followed" in await here.until_lost()
        assert seen == []

    play(scene)


@pytest.mark.parametrize("packed", [False, True])
def test_a_reply_that_is_too_long_or_packed_fails_the_call_alone(packed: bool) -> None:
    async def reply(request: web.Request) -> web.StreamResponse:
        message = json.loads(await request.text())
        if message["method"] != "tools/call":
            return rpc(message)
        response = web.json_response(
            body(
                message,
                {"content": [{"type": "text", "text": "x" * (1000 if packed else MAX_MESSAGE_BYTES)}]},
            )
        )
        if packed:
            response.enable_compression(web.ContentCoding.gzip)
        return response

    async def scene() -> None:
        async with web_site(reply) as url, home(house(Site(url))) as here:
            await here.until_connected()
            with pytest.raises(ToolError, match="packed" if packed else "more than"):
                await here.call("who")
            assert here.keeper.state().connections == 1

    play(scene)


def test_a_reply_that_does_not_come_fails_the_call_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "SPARE_S", -0.3)  # the reply is given up before the call
    silence = asyncio.Event()

    async def reply(request: web.Request) -> web.StreamResponse:
        message = json.loads(await request.text())
        if message["method"] == "tools/call":
            await silence.wait()
        return rpc(message)

    async def scene() -> None:
        async with web_site(reply) as url, home(house(Site(url), timeout_s=0.6)) as here:
            await here.until_connected()
            with pytest.raises(ToolError, match="home refused"):
                await here.call("who")
            silence.set()
            assert await here.call("who") == {"text": "me"}
            assert here.keeper.state().connections == 1

    play(scene)


def test_a_forgotten_session_is_begun_anew() -> None:
    sessions: list[str] = []

    async def reply(request: web.Request) -> web.StreamResponse:
        message = json.loads(await request.text())
        if message["method"] == "initialize":
            sessions.append(f"s{len(sessions)}")
            return rpc(message, headers={"Mcp-Session-Id": sessions[-1]})
        if request.headers.get("Mcp-Session-Id") == "s0" and message["method"] in ("tools/call", "ping"):
            return web.Response(status=404)
        return rpc(message)

    async def scene() -> None:
        async with web_site(reply) as url, home(house(Site(url))) as here:
            await here.until_connected()
            with pytest.raises(ToolError, match="refused"):
                await here.call("who")
            await here.until_connected(2)
            assert await here.call("who") == {"text": "me"}

    play(scene)


# ------------------------------------------------------------------------------------------ programs


@pytest.mark.slow
def test_a_program_that_is_killed_is_begun_again_and_its_tools_stay(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        async with home(house(HOUSE)) as here:
            await here.until_connected()
            first = await here.call("lights", room="kitchen")
            os.kill(int(str(first["pid"])), signal.SIGKILL)
            await here.until_lost()
            second = await here.call("lights", room="kitchen")
            assert second["pid"] != first["pid"]
            assert here.puts == 1
        assert not alive(int(str(second["pid"])))

    with caplog.at_level(logging.INFO):
        play(scene)
    assert "signal 9" in str([record.__dict__.get("reason") for record in caplog.records])


def test_tools_of_a_lost_server_stay_for_a_grace_and_are_then_withdrawn() -> None:
    async def scene() -> None:
        async with home(house(pipe()), grace_s=0.4, patience_s=0.05) as here:
            await here.until_connected()
            tool = here.tools["home_who"]
            here.keeper._settings = house(Program(("/nonexistent",)))
            os.kill(await pid(here), signal.SIGKILL)
            await here.until_lost()
            with pytest.raises(ToolError, match="home is not connected"):
                await asked(tool, {})
            assert "home_who" in here.tools
            await here.until(lambda: here.tools == {})
            assert here.keeper.state().tools == 0

    play(scene)


def test_tools_of_a_server_that_is_back_in_time_are_not_withdrawn() -> None:
    async def scene() -> None:
        async with home(house(pipe()), grace_s=1.0) as here:
            await here.until_connected()
            os.kill(await pid(here), signal.SIGKILL)
            await here.until_connected(2)
            assert here.keeper._withdrawal is None
            assert here.puts == 1

    play(scene)


def test_a_call_during_which_the_server_dies_fails_at_once() -> None:
    async def scene() -> None:
        async with home(house(pipe("long"), timeout_s=20)) as here:
            await here.until_connected()
            with pytest.raises(ToolError, match="lost during the call"):
                await here.call("who")
            await here.until_connected(2)

    play(scene)


def test_a_program_may_greet() -> None:
    async def scene() -> None:
        async with home(house(pipe("greeting"))) as here:
            await here.until_connected()
            assert "text" in await here.call("who")

    play(scene)


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (pipe("rubbish"), "something that is not MCP"),
        (pipe("silent"), "did not say within 0.6 s"),
        (pipe("vague"), "its list of tools is no MCP, at tools.1.inputSchema.type: Field required"),
        (Program(("/bin/sh", "-c", "printf no >&2; sleep 0.1; echo ' lamp' >&2; exit 3")), "code 3: no lamp"),
        (Program(("/bin/sh", "-c", "exec >&-; sleep 60")), "closed its standard output"),
        (Program(("/nonexistent/house",)), "/nonexistent/house"),
        (Program(("/bin/true",), directory="/nonexistent"), "No such file or directory (/nonexistent)"),
    ],
    ids=["rubbish", "silent", "vague", "failing", "mute", "missing", "nowhere"],
)
def test_the_reason_why_a_program_cannot_be_used_is_told_once(
    place: Program, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        limit_s = 0.6 if "silent" in place.argv else 10
        async with home(house(place, start_timeout_s=limit_s)) as here:
            assert reason in await here.until_lost()
            await here.until(lambda: len(caplog.records) > 1)

    with caplog.at_level(logging.DEBUG, "voice_agent.tools.mcp.keeper"):
        play(scene)
    assert [record.levelname for record in caplog.records[:2]] == ["WARNING", "DEBUG"]


def test_a_program_that_gives_no_sign_of_life_is_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "LOOK_S", 0.05)

    async def scene() -> None:
        async with home(house(pipe("deaf"), start_timeout_s=1.0)) as here:
            await here.until_connected(2)

    play(scene)


def test_a_program_sees_its_own_key_and_none_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICE_AGENT_API_KEY", "ours")

    async def scene() -> None:
        place = replace(pipe(), environment={"ROOM": "hall"}, key_variable="TOKEN")
        async with home(replace(house(place), key=lambda: Secret("theirs"))) as here:
            await here.until_connected()
            _, environment = json.loads(str((await here.call("who"))["text"]))
            assert (environment["ROOM"], environment["TOKEN"]) == ("hall", "theirs")
            assert "ours" not in environment.values()

    play(scene)


def test_a_key_that_is_missing_is_the_reason() -> None:
    def none() -> Secret | None:
        raise ConfigError("credential house", "there is none")

    async def scene() -> None:
        async with home(replace(house(pipe()), key=none)) as here:
            assert await here.until_lost() == "credential house: there is none"

    play(scene)


def test_a_stubborn_program_is_ended_with_what_it_has_begun() -> None:
    async def scene() -> None:
        async with running(pipe("stubborn"), None) as child:
            await asyncio.wait_for(asyncio.create_task(until(lambda: "child" in child.complaint)), 10)
            grandchild = int(child.complaint.split()[1])
            process = child._process.pid
            begun = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - begun < 1.5
        await until(lambda: not alive(grandchild))
        assert not alive(process)

    play(scene)


@pytest.mark.parametrize("turns_of_the_loop", range(1, 6))
def test_a_program_that_is_given_up_while_it_begins_is_ended_with_what_it_has_begun(
    turns_of_the_loop: int, tmp_path: Path
) -> None:
    """Both hold the pipes open."""
    told = tmp_path / "grandchild"
    script = f"sleep 600 & echo $! > {told}.new; mv {told}.new {told}; wait"

    async def begin() -> None:
        async with running(Program(("/bin/sh", "-c", script)), None):
            await asyncio.get_running_loop().create_future()

    async def scene() -> None:
        beginning = asyncio.create_task(begin())
        for _ in range(turns_of_the_loop):
            await asyncio.sleep(0)
        for _ in range(1500):  # the loop may not turn meanwhile
            if told.exists():
                break
            time.sleep(0.01)  # noqa: ASYNC251 — that is why
        begun = asyncio.get_running_loop().time()
        beginning.cancel()
        await asyncio.wait([beginning], timeout=5)
        assert beginning.done()
        assert asyncio.get_running_loop().time() - begun < 1.5
        await until(lambda: not alive(int(told.read_text())))

    play(scene)


def test_a_program_does_not_outlive_a_daemon_that_is_killed() -> None:
    code = (
        "import asyncio\n"
        "from voice_agent.tools.mcp.child import running\n"
        "from voice_agent.tools.mcp.settings import Program\n"
        "async def main():\n"
        "    async with running(Program(('/bin/sleep', '600')), None) as child:\n"
        "        print(child._process.pid, flush=True)\n"
        "        await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as daemon:
        assert daemon.stdout is not None
        sleeper = int(daemon.stdout.readline())
        play(lambda: until(lambda: Path(f"/proc/{sleeper}/comm").read_text() == "sleep\n"))
        daemon.kill()
    play(lambda: until(lambda: not alive(sleeper)))


# ---------------------------------------------------------------------------------- the SDK misbehaves


def keeping(hold: Hold, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keepers get this instead of the SDK."""

    async def loaded(_place: object) -> Hold:
        return hold

    monkeypatch.setattr(keeper, "loaded", loaded)


def test_an_sdk_that_does_not_end_when_it_is_cancelled_is_left_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[Child | None] = []
    ending = asyncio.Event()

    async def hold(_: ServerSettings, child: Child | None, _key: Secret | None, _found: Found) -> None:
        begun.append(child)
        while not ending.is_set():
            with suppress(asyncio.CancelledError):
                await ending.wait()

    async def scene() -> None:
        async with home(house(pipe(), start_timeout_s=0.2)) as here:
            assert "did not say" in await here.until_lost()
            await here.until(lambda: len(begun) > 1)
        child = begun[0]
        assert child is not None
        assert not alive(child._process.pid)
        ending.set()

    keeping(hold, monkeypatch)
    play(scene)


def test_what_the_sdk_raises_ends_a_connection_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def hold(_: ServerSettings, _child: Child | None, _key: Secret | None, _found: Found) -> None:
        inner = BaseExceptionGroup("inner", [SystemExit(3), ZeroDivisionError("bug")])
        raise BaseExceptionGroup("outer", [RuntimeError("noise"), inner])

    async def scene() -> None:
        async with home(house(Site("http://127.0.0.1:1/mcp"))) as here:
            assert await here.until_lost() == "RuntimeError: noise"
            await here.until(lambda: len(caplog.records) > 1)

    keeping(hold, monkeypatch)
    with caplog.at_level(logging.DEBUG):
        play(scene)


def test_a_server_that_comes_and_goes_is_whispered_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def hold(_: ServerSettings, _child: Child | None, _key: Secret | None, found: Found) -> None:
        async def nothing(_tool: str, _arguments: Arguments) -> Mapping[str, object]:
            return {}

        found([Offer("who", "", {"type": "object"})], nothing)
        raise Lost("gone")

    async def scene() -> None:
        async with home(house(Site("http://127.0.0.1:1/mcp"))) as here:
            await here.until(lambda: here.keeper.state().connections > 3)
            assert here.puts == 1

    keeping(hold, monkeypatch)
    with caplog.at_level(logging.DEBUG, keeper.__name__):
        play(scene)
    assert [record.levelname for record in caplog.records[:6]] == ["INFO", "WARNING", *["DEBUG"] * 4]


# --------------------------------------------------------------------------------------- all together


def test_a_check_tells_what_will_keep_a_server_from_being_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.toml"
    head = '[provider]\nkind = "local"\n'
    broken = '[[tools.mcp]]\nname = "broken"\nargv = ["/nonexistent"]\nkey_from = "nowhere"\n'
    unused = '[[tools.mcp]]\nname = "unused"\nargv = ["/nonexistent"]\nenabled = false\n'
    monkeypatch.setitem(sys.modules, "mcp", None)
    file.write_text(head + broken + unused)
    assert cli.main(["check", str(file)]) == 0
    told = capsys.readouterr().err
    assert "voice-agent[mcp]" in told
    assert "MCP server broken: /nonexistent is no program" in told
    assert "MCP server broken: credential nowhere: there is none" in told
    assert "unused" not in told
    file.write_text(head + unused)
    assert cli.main(["check", str(file)]) == 0
    assert capsys.readouterr().err == ""


def test_servers_are_asked_once_what_they_offer() -> None:
    async def scene() -> None:
        servers = [
            McpServer(name="home", argv=pipe().argv),
            McpServer(name="broken", argv=("/bin/false",)),
            McpServer(name="unused", argv=("/bin/false",), enabled=False),
        ]
        found = await discover(servers, 10)
        assert [tool.name for tool in found["home"].tools] == ["home_who"]
        assert "unused" not in found
        assert found["broken"] == ((), "it ended with exit code 1")

    play(scene)


def test_a_missing_sdk_is_told_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, session.__name__)
    monkeypatch.delattr(mcp, "session")
    for name in ("mcp", "mcp.client", "mcp_types"):
        monkeypatch.setitem(sys.modules, name, None)

    async def scene() -> None:
        async with home(house(pipe())) as here:
            assert "pip install 'voice-agent[mcp]'" in await here.until_lost()

    assert missing()
    play(scene)


def test_nothing_of_the_sdk_is_imported_before_there_is_a_server() -> None:
    code = "import sys, voice_agent.tools.mcp.gathering; sys.exit(bool({'mcp', 'anyio'} & {*sys.modules}))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


# ------------------------------------------------------------------------------------------- helpers


async def asked(tool: Tool, arguments: Mapping[str, object]) -> Mapping[str, object]:
    answer = tool.handler(arguments)
    assert isinstance(answer, Awaitable)
    found: Mapping[str, object] = await answer
    return found


def port_of(url: str) -> int:
    return int(url.split(":")[2].partition("/")[0])


async def pid(here: Home) -> int:
    return int(json.loads(str((await here.call("who"))["text"]))[0])


def alive(process: int) -> bool:
    """Not even a zombie is left, but for one that somebody else has to reap."""
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.01)


Reply = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def web_site(reply: Reply) -> AsyncIterator[str]:
    """A site without the SDK, for what no honest server does."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return await reply(request) if request.method == "POST" else web.Response(status=405)

    app = web.Application()
    app.router.add_route("*", "/mcp", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/mcp"
    finally:
        await runner.cleanup()


def body(message: Mapping[str, Any], result: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


def rpc(message: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> web.Response:
    """What a server of the older protocol answers."""
    if "id" not in message:
        return web.Response(status=202)
    results: dict[str, object] = {
        "initialize": {
            "protocolVersion": "2025-06-18",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "site", "version": "1"},
        },
        "tools/list": {"tools": [{"name": "who", "inputSchema": {"type": "object"}}]},
        "tools/call": {"content": [{"type": "text", "text": "me"}]},
        "ping": {},
    }
    if message["method"] not in results:
        error = {"code": -32601, "message": "no such method"}
        return web.json_response({"jsonrpc": "2.0", "id": message["id"], "error": error})
    return web.json_response(body(message, results[message["method"]]), headers=headers)
