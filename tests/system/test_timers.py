"""Timers and alarms on the real process: heard in the room, whatever is broken, until somebody stops them."""

import json
import re
import signal
from pathlib import Path
from time import CLOCK_BOOTTIME, clock_gettime

import msgspec
import numpy as np
import pytest

from tests.system.harness import RATE, Daemon, conversation, daemon, loud, scene, until_streaming
from tests.system.test_controls import cli
from tests.system.test_cues import found
from voice_agent.alarms.clock import BOOT_ID
from voice_agent.alarms.clockwork import FILE
from voice_agent.alarms.entries import Entry, Kept, Timer
from voice_agent.audio.cues import TONES, tones
from voice_agent.embedded import Turn
from voice_agent.embedded.programs import english_voice
from voice_agent.embedded.script import ScriptedCall

pytestmark = [pytest.mark.system, pytest.mark.audio]

GROUP = np.frombuffer(tones(TONES["timer"], RATE), "<i2")
NOWHERE = "ws://127.0.0.1:9/realtime"


def settings(directory: Path, more: str = "") -> str:
    return f'[control]\nsocket = "{directory}/control"\n{more}'


def groups(voice: Daemon) -> list[int]:
    """Where the tones of a timer have sounded."""
    return found(GROUP, voice.card.played())


def set_before(directory: Path, **due_in_s: float) -> None:
    """Timers as an earlier process of this boot has left them."""
    boot, now_s = BOOT_ID.read_text().strip(), clock_gettime(CLOCK_BOOTTIME)
    timers = tuple(Timer(name, 60.0, now_s + seconds) for name, seconds in due_in_s.items())
    (directory / FILE).write_bytes(msgspec.json.encode(Kept(boot, now_s, timers)))


def kept(directory: Path) -> tuple[Entry, ...]:
    """What outlives the process."""
    return msgspec.json.decode((directory / FILE).read_bytes(), type=Kept).entries


async def until_rung(voice: Daemon, times: int = 1) -> None:
    await voice.until(lambda: len(groups(voice)) >= times, 15)


async def until_quiet(voice: Daemon, why: str) -> None:
    """The ring has ended, and half a second of silence has been played since."""
    await voice.until_logged(f"ringing has ended.* why={why}")
    await voice.until(lambda: not voice.card.played()[-RATE // 2 :].any())


@scene
async def test_a_timer_rings_without_a_network_again_and_again_until_it_is_cancelled(tmp_path: Path) -> None:
    set_before(tmp_path, eggs=1.0, roast=3600.0)
    with daemon(tmp_path, NOWHERE, settings=settings(tmp_path)) as voice:
        await until_rung(voice, times=2)
        first, second = groups(voice)
        assert 3.5 < voice.card.played_at(second) - voice.card.played_at(first) < 4.6
        eggs, roast = (await cli(tmp_path, "timers")).splitlines()
        assert re.fullmatch(r"eggs +timer +rings", eggs)
        assert re.fullmatch(r"roast +timer +in 0:59:\d\d, at \d\d:\d\d", roast)
        left = json.loads(await cli(tmp_path, "timers", "cancel", "the", "egg", "timer", "--json"))
        assert [each["name"] for each in left["timers"]] == ["roast"]
        await until_quiet(voice, "cancelled")
        assert "eggs" not in voice.log
    assert [entry.name for entry in kept(tmp_path)] == ["roast"]


@scene
async def test_a_muted_device_that_crashes_while_it_rings_rings_again_until_its_button_is_pressed(
    tmp_path: Path,
) -> None:
    set_before(tmp_path, eggs=1.0)
    (tmp_path / "controls.json").write_text('{"muted":true}')
    with daemon(tmp_path, NOWHERE, settings=settings(tmp_path)) as voice:
        await until_rung(voice)
        voice.process.kill()
    with daemon(tmp_path, NOWHERE, settings=settings(tmp_path)) as voice:
        await until_rung(voice)
        voice.process.send_signal(signal.SIGUSR1)
        await until_quiet(voice, "stopped")
    assert kept(tmp_path) == ()


@scene
async def test_without_a_session_any_voice_ends_a_ring_and_is_not_told_that_there_is_no_network(
    tmp_path: Path,
) -> None:
    set_before(tmp_path, eggs=1.0)
    with daemon(tmp_path, NOWHERE, settings=settings(tmp_path)) as voice:
        await until_rung(voice)
        voice.card.speak(english_voice().speak("Please stop that, it is enough.", RATE))
        await until_quiet(voice, "voice")
        ended = len(voice.card.played())
        await voice.until(lambda: len(voice.card.played()) > ended + 3 * RATE)
        assert not voice.card.played()[ended:].any()


@scene
async def test_a_timer_that_the_model_sets_rings_and_the_model_stops_it_when_it_is_told_to(
    tmp_path: Path,
) -> None:
    turns = (
        Turn(heard="one second", calls=(ScriptedCall("set_timer", {"seconds": 1, "name": "eggs"}),)),
        Turn(say="Done.", ms=200),
        Turn(heard="stop", calls=(ScriptedCall("stop"),)),
    )
    async with conversation(tmp_path, *turns, settings=settings(tmp_path)) as (server, voice):
        connection = await until_streaming(server)
        voice.card.speak(loud(400))
        await until_rung(voice)
        await voice.until_logged("agent said")
        voice.card.speak(loud(400))
        await until_quiet(voice, "stopped")
        await server.watch.until(lambda: connection.outbox.sent.count("response.done") == 3)
        await voice.until(lambda: kept(tmp_path) == ())
