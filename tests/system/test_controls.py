"""The real process and the people who press its buttons: mute, push-to-talk, volume, and the voice gate."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from tests.system.harness import RATE, Daemon, conversation, daemon, loud, scene, until_streaming
from voice_agent.audio.volume import gain_of
from voice_agent.controls.client import ask
from voice_agent.embedded import Script, Server, ServerOptions, Turn, running
from voice_agent.embedded.connection import Connection
from voice_agent.embedded.programs import english_voice
from voice_agent.realtime.events import AppendAudio

pytestmark = [pytest.mark.system, pytest.mark.audio]

HELLO = Turn(heard="hello", say="Good day.", ms=300)


def settings(directory: Path, more: str = "") -> str:
    return f'[control]\nsocket = "{directory}/control"\n{more}'


async def cli(directory: Path, *words: str) -> str:
    """One command to the daemon, to its end."""
    command = [sys.executable, "-m", "voice_agent", *words, "--socket", str(directory / "control")]
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == os.EX_OK, done.stderr
    return done.stdout.strip()


def sent(connection: Connection) -> bytes:
    """All the sound that the server got."""
    return b"".join(event.audio for event in connection.received if isinstance(event, AppendAudio))


async def until_connected(server: Server) -> Connection:
    await server.watch.until(lambda: bool(server.connections), 15)
    await server.watch.until(lambda: "session.updated" in server.connections[0].outbox.sent, 15)
    return server.connections[0]


async def metric(voice: Daemon, name: str) -> float:
    (port,) = re.findall(r"metrics are served host=127.0.0.1 port=(\d+)", voice.log)
    with await asyncio.to_thread(urllib.request.urlopen, f"http://127.0.0.1:{port}/metrics") as page:
        (value,) = re.findall(rf"^voice_agent_{name} (\S+)$", page.read().decode(), re.MULTILINE)
    return float(value)


def post(voice: Daemon, deed: str) -> int:
    """The volume after a request at the port of the metrics."""
    (port,) = re.findall(r"metrics are served host=127.0.0.1 port=(\d+)", voice.log)
    url = f"http://127.0.0.1:{port}/control/{deed}"
    request = urllib.request.Request(url, method="POST", headers={"X-Voice-Agent": "test"})
    with urllib.request.urlopen(request) as answer:
        return int(json.load(answer)["volume"])


@scene
async def test_a_muted_device_hears_nothing_even_after_a_restart_until_it_is_unmuted(tmp_path: Path) -> None:
    async with running(ServerOptions(script=Script(turns=(HELLO,), shared=True))) as server:
        with daemon(tmp_path, server.url, settings=settings(tmp_path)) as voice:
            await until_streaming(server)
            await cli(tmp_path, "mute")
            await voice.until_logged("sound device muted")
            assert await metric(voice, "microphone_muted") == 1
            assert '{"muted":true,"volume":null}' in (tmp_path / "controls.json").read_text()
        with daemon(tmp_path, server.url, settings=settings(tmp_path)) as voice:
            await voice.until_logged("the microphone is muted, as it was left")
            await voice.until_logged("session ready")
            voice.card.speak(loud(600))
            await asyncio.sleep(1.0)  # it would have been heard by now
            assert sent(server.connections[-1]) == b""
            await asyncio.to_thread(ask, "POST", "unmute", tmp_path / "control")
            await voice.until_logged("sound device open direction=input")
            voice.card.speak(loud(600))
            await voice.until_logged("agent said")


@scene
async def test_what_was_said_before_the_device_was_muted_is_answered(tmp_path: Path) -> None:
    async with conversation(tmp_path, HELLO, settings=settings(tmp_path)) as (server, voice):
        await until_streaming(server)
        voice.card.speak(loud(5000))
        await voice.until_logged("user speaks")
        await asyncio.to_thread(ask, "POST", "mute", tmp_path / "control")
        await voice.until_logged("agent said")
        assert "stuck" not in voice.log


@scene
async def test_a_voice_gate_sends_whole_utterances_and_little_else(tmp_path: Path) -> None:
    more = '[audio.input]\nbuffer_s = 2\n[gate]\nmode = "voice"\n'
    async with conversation(tmp_path, HELLO, settings=settings(tmp_path, more)) as (server, voice):
        connection = await until_connected(server)
        await asyncio.sleep(1)  # the gate learns what the room sounds like
        assert sent(connection) == b""
        speech = english_voice().speak("Good morning. What is the weather like?", RATE)
        voice.card.speak(speech)
        await voice.until_logged("agent said", timeout_s=15)
        spoken = np.trim_zeros(np.frombuffer(speech, "<i2")).tobytes()
        await voice.until(lambda: spoken in sent(connection))  # from its first sample to its last
        async with asyncio.timeout(15):
            while await metric(voice, 'capture_withheld_seconds_total{reason="quiet"}') < 2:
                await asyncio.sleep(0.1)
        seconds = len(sent(connection)) / 2 / RATE
        assert seconds < len(speech) / 2 / RATE + 4
        assert await metric(voice, "capture_lost_seconds_total") == 0


@scene
async def test_push_to_talk_sends_what_is_said_while_the_button_is_down(tmp_path: Path) -> None:
    more = '[gate]\nmode = "push-to-talk"\n'
    turns = (Turn(heard="one", say="One.", ms=20_000), Turn(heard="two", say="Two.", ms=300))
    async with conversation(tmp_path, *turns, settings=settings(tmp_path, more)) as (server, voice):
        connection = await until_connected(server)
        voice.card.speak(loud(400))
        await asyncio.sleep(1.0)
        assert sent(connection) == b""
        voice.process.send_signal(signal.SIGUSR1)
        await voice.until(lambda: bool(sent(connection)))
        voice.card.speak(loud(400))
        await voice.until_logged("user speaks")
        voice.process.send_signal(signal.SIGUSR1)
        await voice.until_logged("answering")
        await voice.until(lambda: int(np.count_nonzero(voice.card.played()[-RATE // 2 :])) > RATE // 4)
        await cli(tmp_path, "talk", "press")
        await voice.until(lambda: not voice.card.played()[-RATE // 10 :].any())
        voice.card.speak(loud(400))
        await voice.until_logged("user speaks", times=2)
        await asyncio.to_thread(ask, "POST", "talk/release", tmp_path / "control")
        await voice.until_logged("agent said", times=2)
        assert "stuck" not in voice.log


@scene
async def test_the_volume_is_set_from_outside_and_kept(tmp_path: Path) -> None:
    answer = Turn(heard="hello", say="Good day.", ms=700, wave="counter")
    async with running(ServerOptions(script=Script(turns=(answer,)))) as server:
        with daemon(tmp_path, server.url, settings=settings(tmp_path)) as voice:
            await voice.until_logged("session ready")
            assert await cli(tmp_path, "volume", "70") == "70"
            assert await cli(tmp_path, "volume", "-10") == "60"
            assert await asyncio.to_thread(voice.stop) is not None
        with daemon(tmp_path, server.url, settings=settings(tmp_path) + "http = true\n") as voice:
            await until_streaming(server, connection=2)
            voice.card.speak(loud(600))
            await voice.until_logged("agent said")
            peak = int(voice.card.played().max())
            assert abs(peak - gain_of(60) * RATE * 700 // 1000) < 20
            assert await metric(voice, "volume_level") == 60
            assert await asyncio.to_thread(post, voice, "volume?by=-5") == 55


@scene
async def test_stop_silences_an_answer_for_good(tmp_path: Path) -> None:
    story = Turn(heard="a story", say="Once upon a time", ms=20_000)
    async with conversation(tmp_path, story, settings=settings(tmp_path)) as (server, voice):
        connection = await until_streaming(server)
        voice.card.speak(loud(600))
        await voice.until(lambda: int(np.count_nonzero(voice.card.played()[-RATE // 2 :])) > RATE // 4)
        await asyncio.to_thread(ask, "POST", "stop", tmp_path / "control")
        await server.watch.until(lambda: "conversation.item.truncated" in connection.outbox.sent)
        await voice.until(lambda: not voice.card.played()[-RATE // 2 :].any())
