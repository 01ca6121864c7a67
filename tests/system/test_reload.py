"""The real daemon reloads, and stops: the service manager is told, and the room is not startled."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.system.harness import RATE, Daemon, conversation, daemon, loud, received, scene, until_streaming
from tests.system.manager import manager
from voice_agent.embedded import Script, ServerOptions, Turn, running
from voice_agent.embedded.connection import Connection
from voice_agent.realtime.events import SessionUpdate

pytestmark = [pytest.mark.system, pytest.mark.audio]


def edit(directory: Path, old: str, new: str) -> None:
    file = directory / "config.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def hang_up(voice: Daemon) -> None:
    voice.process.send_signal(signal.SIGHUP)


async def ask_to_reload(directory: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "voice_agent", "reload", "--socket", str(directory / "control")]
    return await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=30, check=False
    )


def instructions(connection: Connection) -> str:
    update = received(connection, SessionUpdate)[0]
    assert isinstance(update, SessionUpdate)
    return str(update.session.instructions)


@scene
async def test_a_reload_in_mid_answer_tears_nothing_and_the_next_session_is_told(tmp_path: Path) -> None:
    answer = Turn(heard="a story", say="Once upon a time.", ms=2500, wave="counter")
    with manager(tmp_path) as systemd:
        settings = '[session]\ninstructions = "Be brief."\n'
        talk = conversation(tmp_path, answer, shared=True, settings=settings, environ=systemd.environ)
        async with talk as (server, voice):
            first = await until_streaming(server)
            voice.card.speak(loud(600))
            await voice.until_logged("answering")
            edit(tmp_path, "Be brief.", "Be kind.")
            hang_up(voice)
            await voice.until_logged("configuration taken changed=session.instructions")
            await voice.until_logged("agent said")
            second = await until_streaming(server, connection=2)
            await voice.until_logged("session renewed")
            assert (instructions(first), instructions(second)) == ("Be brief.", "Be kind.")
            played = voice.card.played()
            (start,) = np.flatnonzero(played == 1)[:1]
            expected = 1 + np.arange(RATE * 5 // 2) % 32767
            assert np.array_equal(played[start : start + len(expected)], expected)
            assert "no session" not in voice.log
            await voice.until(lambda: systemd.has_heard("READY=1", times=2))
    reload = next(each for each in systemd.told if each.startswith("RELOADING=1"))
    moment = int(reload.removeprefix("RELOADING=1\nMONOTONIC_USEC=")) / 1e6
    assert 0 < time.monotonic() - moment < 60
    assert systemd.told.index(reload) > systemd.told.index("READY=1")


@scene
async def test_a_bad_file_changes_nothing_and_is_told_until_a_good_one_comes(tmp_path: Path) -> None:
    settings = '[session]\ninstructions = "Be brief."\n'
    with manager(tmp_path) as systemd:
        talk = conversation(tmp_path, settings=settings, environ=systemd.environ)
        async with talk as (server, voice):
            await until_streaming(server)
            edit(tmp_path, 'instructions = "Be brief."', 'instructons = "Be kind."\nspeed = 9')
            hang_up(voice)
            await voice.until(lambda: "ERROR" in voice.log)
            assert "session.instructons: is not a setting" in voice.log
            assert "session.speed" in voice.log
            not_taken = "configuration not taken: 2 problems (session.instructons"
            await voice.until(lambda: systemd.has_heard("READY=1", times=2))
            assert any(not_taken in each for each in systemd.told if each.startswith("STATUS="))
            edit(tmp_path, 'instructons = "Be kind."\nspeed = 9', 'instructions = "Be kind."')
            hang_up(voice)
            second = await until_streaming(server, connection=2)
            assert instructions(second) == "Be kind."
            await voice.until(lambda: systemd.has_heard("READY=1", times=3))
    assert "not taken" not in [each for each in systemd.told if each.startswith("STATUS=")][-1]


@scene
async def test_what_takes_a_restart_is_named_once_and_nothing_of_it_is_taken(tmp_path: Path) -> None:
    with manager(tmp_path) as systemd:
        settings = f'[control]\nsocket = "{tmp_path}/control"\n'
        async with conversation(tmp_path, settings=settings, environ=systemd.environ) as (server, voice):
            await until_streaming(server)
            edit(tmp_path, "[audio.input]\n", '[audio.input]\ndevice = "none such"\n')
            edit(tmp_path, 'level = "debug"', 'level = "loud"')
            done = await ask_to_reload(tmp_path)
            assert done.returncode == os.EX_CONFIG
            assert "log.level" in done.stderr
            assert systemd.has_heard("READY=1", times=2), "it is over when the command is"
            edit(tmp_path, 'level = "loud"', 'level = "info"')
            done = await ask_to_reload(tmp_path)
            assert (done.returncode, done.stderr) == (0, "")
            assert done.stdout == "takes a restart: audio.input.device\n"
            await voice.until_logged("WARNING.*takes a restart: audio.input.device")
            assert "configuration taken changed=log.level" in voice.log
            await voice.until(lambda: systemd.has_heard("STATUS=in session with custom; takes a restart"))
            await voice.until(lambda: systemd.has_heard("READY=1", times=3))
            assert len(server.connections) == 1, "nothing that a server is told has changed"


@scene
async def test_a_new_key_ends_the_pause_after_a_refusal(tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text("AQVN-first")
    key_file.chmod(0o600)
    async with running(ServerOptions(script=Script(refuse=(401,)))) as server:
        with daemon(tmp_path, server.url, key_file=key_file) as voice:
            await voice.until_logged("ERROR.*no session")  # and the next attempt is minutes away
            key_file.write_text("AQVN-second")
            hang_up(voice)
            await until_streaming(server)
            assert server.headers[-1]["Authorization"] == "Bearer AQVN-second"
            key_file.write_text("AQVN-third")
            hang_up(voice)
            await until_streaming(server, connection=2)
            assert server.headers[-1]["Authorization"] == "Bearer AQVN-third"
            assert "AQVN" not in voice.log


@scene
async def test_hang_ups_early_twice_and_late_harm_nobody(tmp_path: Path) -> None:
    with manager(tmp_path) as systemd:
        async with conversation(tmp_path, environ=systemd.environ) as (server, voice):
            ignored = 1 << (signal.SIGHUP - 1)
            await voice.until(lambda: bool(_signals(voice.process.pid, "SigIgn") & ignored))
            hang_up(voice)  # before it listens
            await until_streaming(server)
            for _ in range(2):
                hang_up(voice)
            await voice.until_logged("configuration taken changed=nothing")
            voice.process.send_signal(signal.SIGTERM)
            while voice.process.poll() is None:
                hang_up(voice)
                await asyncio.sleep(0.001)
            assert voice.process.returncode == 0
    after = systemd.told[systemd.told.index("STOPPING=1") :]
    assert not [each for each in after if each.startswith(("READY", "RELOADING"))]


def _signals(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1], 16)


@scene
async def test_a_stop_in_mid_answer_fades_and_does_not_tear(tmp_path: Path) -> None:
    async with conversation(tmp_path, Turn(heard="a story", say="Once", ms=20_000)) as (server, voice):
        await until_streaming(server)
        voice.card.speak(loud(600))
        await voice.until_logged("answering")
        before = voice.card.played_samples()
        await voice.until(lambda: voice.card.played_samples() > before + RATE // 2)
        code, seconds = await asyncio.to_thread(voice.stop)
        sound = voice.card.played().astype(int)
    assert (code, seconds < 3) == (0, True)
    end = int(np.flatnonzero(sound)[-1]) + 1
    loudest = int(np.abs(sound).max())
    steepest = int(np.abs(np.diff(sound[before : end - RATE // 4])).max())
    window = RATE // 100
    ending = sound[end - 14 * window : end].reshape(14, window)
    levels = [int(each) for each in np.abs(ending).max(axis=1)]
    assert levels[0] > loudest * 0.99, "it sounded until a moment ago"
    assert all(after <= one * 1.01 for one, after in pairwise(levels)), levels
    assert levels[-1] < loudest / 16, levels
    assert np.abs(np.diff(sound[end - RATE // 4 : end + 1])).max() <= steepest, "no click"
