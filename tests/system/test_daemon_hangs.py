"""The whole daemon with one part that hangs or ends: it heals, or ends and says why; it is never deaf.

The part is replaced from outside, before the daemon starts: Python imports ``sitecustomize`` by itself.
"""

import asyncio
import os
import re
import socket
from pathlib import Path

import pytest

from tests.system.harness import Daemon, daemon, loud, scene, until_streaming
from voice_agent.embedded import Script, ScriptedCall, ServerOptions, Turn, running

pytestmark = [pytest.mark.system, pytest.mark.audio]

EAR_RETURNS = """
from voice_agent.audio.ear import Ear
async def run(self): pass
Ear.run = run
"""
EAR_IS_DEAF = """
import asyncio
from voice_agent.audio.ear import Ear
async def run(self): await asyncio.Event().wait()
Ear.run = run
"""
TOOL_BLOCKS_THE_LOOP = """
import time
from functools import partial
from voice_agent import handle, supervision
supervision.LoopGuard = partial(supervision.LoopGuard, 2.5, look_s=0.1)
handle.Handle.set_volume = lambda self, level: time.sleep(600)
"""
METRICS_DIE = """
from voice_agent.telemetry import http
async def run(self): raise KeyError("a bug in telemetry")
http.HttpServer.run = run
"""

PORT_IS_TAKEN = """
from voice_agent.telemetry.http import HttpServer
begin = HttpServer.__init__
HttpServer.__init__ = lambda self, host, port, *rest: begin(self, host, PORT, *rest)
"""


def plug(directory: Path, program: str) -> dict[str, str]:
    """The environment of a process that runs ``program`` before anything else."""
    place = directory / "plug"
    place.mkdir()
    (place / "sitecustomize.py").write_text(program)
    return {"PYTHONPATH": os.pathsep.join([str(place), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)}


async def end(voice: Daemon) -> tuple[int, str]:
    """Exit code and log."""
    return await asyncio.to_thread(voice.process.wait, 20), voice.log


async def scrape(voice: Daemon) -> dict[str, float]:
    """The daemon's metrics by name and labels, as they stand on the page."""
    await voice.until_logged("metrics are served")
    (port,) = re.findall(r"metrics are served host=127.0.0.1 port=(\d+)", voice.log)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
    writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
    page = (await reader.read()).decode().partition("\r\n\r\n")[2]
    writer.close()
    samples = [line.rpartition(" ") for line in page.splitlines() if not line.startswith("#")]
    return {name.removeprefix("voice_agent_"): float(value) for name, _, value in samples}


@scene
async def test_an_ear_that_ends_ends_the_daemon(tmp_path: Path) -> None:
    async with running(ServerOptions(script=Script())) as server:
        with daemon(tmp_path, server.url, environ=plug(tmp_path, EAR_RETURNS)) as voice:
            code, log = await end(voice)
    assert code == os.EX_SOFTWARE
    assert "ear ended, though nobody had asked it to" in log


@pytest.mark.slow
@scene
async def test_an_ear_that_takes_nothing_from_the_microphone_ends_the_daemon(tmp_path: Path) -> None:
    async with running(ServerOptions(script=Script())) as server:
        with daemon(tmp_path, server.url, environ=plug(tmp_path, EAR_IS_DEAF)) as voice:
            code, log = await end(voice)
    assert code == os.EX_SOFTWARE
    assert "component=ear" in log
    assert "beyond cure" in log


@pytest.mark.slow
@scene
async def test_a_tool_that_blocks_the_event_loop_ends_the_daemon_with_its_stack(tmp_path: Path) -> None:
    turn = Turn(heard="softer", calls=(ScriptedCall("set_volume", {"level": 20}),))
    async with running(ServerOptions(script=Script(turns=(turn,)))) as server:
        with daemon(tmp_path, server.url, environ=plug(tmp_path, TOOL_BLOCKS_THE_LOOP)) as voice:
            await until_streaming(server)
            voice.card.speak(loud(400))
            code, log = await end(voice)
    assert code == os.EX_TEMPFAIL
    assert "the event loop has not turned for 2.5 s" in log
    assert "volume.py" in log.partition("has not turned")[2]


@pytest.mark.slow
@scene
async def test_a_conversation_does_not_notice_that_metrics_die_again_and_again(tmp_path: Path) -> None:
    answer = Turn(heard="hello", say="Good day.", ms=300)
    async with running(ServerOptions(script=Script(turns=(answer,)))) as server:
        with daemon(tmp_path, server.url, environ=plug(tmp_path, METRICS_DIE)) as voice:
            await until_streaming(server)
            await voice.until_logged("component down component=telemetry", times=2)
            voice.card.speak(loud(400))
            await voice.until_logged("agent said.*heard_ms=300")
            assert voice.log.count("WARNING supervision: component down") == 1, "news once"
            assert voice.log.count("a bug in telemetry") > 1
            assert len(server.connections) == 1


@scene
async def test_metrics_of_the_real_daemon_tell_what_has_happened(tmp_path: Path) -> None:
    asked = Turn(heard="when", calls=(ScriptedCall("get_time", {"place": "Tokyo"}),))
    answer = Turn(say="Now.", ms=300)
    async with running(ServerOptions(script=Script(turns=(asked, answer)))) as server:
        with daemon(tmp_path, server.url) as voice:
            await until_streaming(server)
            voice.card.speak(loud(400))
            await voice.until_logged("agent said.*heard_ms=300")
            now = await scrape(voice)
    assert now['session_state{state="live"}'] == 1
    assert now["turns_total"] == now["answers_total"] == now["sessions_total"] == 1
    assert now['tool_calls_total{tool="get_time",outcome="ok"}'] == 1
    assert now["capture_seconds_total"] > 0.4
    assert now["capture_sent_seconds_total"] > 0.4
    assert now["answer_heard_seconds_total"] == 0.3
    assert now['device_open{direction="input"}'] == now['device_open{direction="output"}'] == 1
    down = [name for name, value in now.items() if name.startswith("component_up") and not value]
    assert down == []
    components = {name for name in now if name.startswith("component_up")}
    assert {f'component_up{{component="{name}"}}' for name in ("ear", "devices", "uplink")} <= components
    assert now["process_resident_memory_bytes"] > 10_000_000


@scene
async def test_a_port_that_is_taken_is_told_once_and_the_daemon_talks(tmp_path: Path) -> None:
    answer = Turn(heard="hello", say="Good day.", ms=300)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        program = PORT_IS_TAKEN.replace("PORT", str(port))
        async with running(ServerOptions(script=Script(turns=(answer,)))) as server:
            with daemon(tmp_path, server.url, environ=plug(tmp_path, program)) as voice:
                await until_streaming(server)
                await voice.until_logged(f"cannot serve metrics on 127.0.0.1:{port}: Address already in use")
                voice.card.speak(loud(400))
                await voice.until_logged("agent said.*heard_ms=300")
