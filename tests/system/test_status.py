"""The real process says how it is: over HTTP, at its socket, and to the command line."""

import asyncio
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.system.harness import Daemon, conversation, daemon, loud, scene, until_streaming
from voice_agent.controls.client import ask
from voice_agent.embedded import Turn
from voice_agent.telemetry.report import Health, Readiness, Report

pytestmark = [pytest.mark.system, pytest.mark.audio]

HELLO = Turn(heard="the secret word", say="Good day.", ms=300)
NOBODY = "ws://127.0.0.1:9/v1/realtime?model=hunter2"


def settings(directory: Path, more: str = "") -> str:
    return f'[control]\nsocket = "{directory}/control"\n{more}'


def page(voice: Daemon, path: str) -> tuple[int, bytes]:
    """Status and body at the port of the metrics."""
    (port,) = re.findall(r"metrics are served host=127.0.0.1 port=(\d+)", voice.log)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


async def report(voice: Daemon) -> Report:
    return msgspec.json.decode((await asyncio.to_thread(page, voice, "/status"))[1], type=Report)


async def until(voice: Daemon, condition: Callable[[Report], bool]) -> Report:
    """The first report of which this is true; the port must be served."""
    await voice.until_logged("metrics are served")
    async with asyncio.timeout(15):
        while not condition(now := await report(voice)):
            await asyncio.sleep(0.1)
    return now


async def cli(directory: Path, *words: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "voice_agent", "status", *words, "--socket", str(directory / "control")]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout + done.stderr


@scene
async def test_in_session_muted_and_parked_it_can_converse(tmp_path: Path) -> None:
    more = "[session]\npark_after_s = 4\n"
    async with conversation(tmp_path, HELLO, settings=settings(tmp_path, more)) as (server, voice):
        await until_streaming(server)
        live = await until(voice, lambda now: now.ready)
        assert (live.state, live.healthy, live.problems) == ("live", True, ())
        assert live.microphone.condition == live.loudspeaker.condition == "open"
        assert live.loudspeaker.level_db == -90.3
        voice.card.speak(loud(600))
        await until(voice, lambda now: (now.microphone.level_db or -90.3) > -20)
        told = await until(voice, lambda now: bool(now.conversation.turns))
        assert told.conversation.turns_begun == told.conversation.answers == 1
        assert await asyncio.to_thread(page, voice, "/readyz") == (200, b'{"ready":true,"problems":[]}\n')
        assert await asyncio.to_thread(page, voice, "/healthz") == (200, b'{"healthy":true,"problems":[]}\n')
        await asyncio.to_thread(ask, "POST", "mute", tmp_path / "control")
        muted = await until(voice, lambda now: now.microphone.condition == "muted")
        assert (muted.ready, muted.controls.muted, muted.microphone.level_db) == (True, True, None)
        assert (await until(voice, lambda now: now.state == "parked")).ready
        code, text = await cli(tmp_path)
        assert code == os.EX_OK, text
        assert "ready, but the microphone is muted" in text.splitlines()[0]
        code, text = await cli(tmp_path, "--json")
        assert json.loads(text)["state"] == "parked"
        whole = (await asyncio.to_thread(page, voice, "/status"))[1]
        assert b"secret" not in whole
        assert b"AQVN" not in whole, "nor the key"


@scene
async def test_without_a_server_it_says_so_and_no_restart_is_called_for(tmp_path: Path) -> None:
    with daemon(tmp_path, NOBODY, settings=settings(tmp_path)) as voice:
        now = await until(voice, lambda now: now.state == "waiting" and now.loudspeaker.condition == "open")
        assert [each.part for each in now.problems if each.part != "microphone"] == ["session"]
        assert now.session.last_disconnect == "connection_refused"
        assert now.session.retry_s is not None
        assert now.faults[0].kind == "session connection_refused"
        status, body = await asyncio.to_thread(page, voice, "/readyz")
        assert (status, msgspec.json.decode(body, type=Readiness).ready) == (503, False)
        status, body = await asyncio.to_thread(page, voice, "/healthz")
        assert (status, msgspec.json.decode(body, type=Health).healthy) == (200, True)
        code, text = await cli(tmp_path)
        assert code == 1, text
        assert text.splitlines()[0].endswith("NOT READY")
        assert "  session: no session: cannot connect" in text
        assert b"hunter2" not in (await asyncio.to_thread(page, voice, "/status"))[1]


@scene
async def test_without_a_microphone_it_cannot_converse(tmp_path: Path) -> None:
    with daemon(tmp_path, NOBODY, settings=settings(tmp_path), card=False) as voice:
        now = await until(voice, lambda now: now.microphone.condition == "absent")
        assert not now.ready
        assert {"microphone", "session"} <= {each.part for each in now.problems}
        assert now.healthy, "no restart brings a microphone"


@scene
async def test_it_is_watched_until_it_is_left(tmp_path: Path) -> None:
    with daemon(tmp_path, NOBODY, settings=settings(tmp_path)) as voice:
        await voice.until_logged("controls are served")
        options = ["--watch", "0.2", "--json", "--socket", str(tmp_path / "control")]
        command = [sys.executable, "-m", "voice_agent", "status", *options]
        watch = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        try:
            assert watch.stdout is not None
            async with asyncio.timeout(15):
                first, second = [json.loads(await watch.stdout.readline()) for _ in range(2)]
            assert second["uptime_s"] > first["uptime_s"]
        finally:
            watch.kill()
            await watch.wait()


def test_where_no_daemon_answers_the_command_ends_with_69(tmp_path: Path) -> None:
    code, text = asyncio.run(cli(tmp_path))
    assert code == os.EX_UNAVAILABLE
    assert "no daemon is listening" in text
