"""The doctor's ears on real streams: what it finds is what the virtual room was built with."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.audio.harness import RATE, in_own_process, plugged_in
from voice_agent.doctor import devices, settings, sound
from voice_agent.doctor.case import Case
from voice_agent.doctor.findings import Finding, Level
from voice_agent.lab.card import VirtualCard

Check = Callable[[Case], Awaitable[Sequence[Finding]]]

HISS = 30
"""Samples of noise, root mean square: -61 dBFS."""


def _noise(seconds: float, level: float = HISS) -> bytes:
    hiss = np.random.default_rng(1).standard_normal(round(RATE * seconds)) * level
    return hiss.clip(-32768, 32767).round().astype("<i2").tobytes()


QUIET = (settings.config, devices.devices, sound.microphone)
ALL = (*QUIET, sound.loudspeaker)
ALOUD = (settings.config, devices.devices, sound.loudspeaker)


async def _examined(
    card: VirtualCard, checks: Sequence[Check], *, quick: bool = True, room: bytes = b""
) -> dict[str, Finding]:
    """What is found while ``room`` is to be heard.

    An elastic card's clock waits for a busy machine, as no crystal would: time is what it says.
    """
    config = card.directory / "config.toml"
    config.write_text('[metrics]\nenabled = false\n[control]\nsocket = ""\n')
    case = Case(config, quick=quick, clock=lambda: card.played_samples() / RATE)
    if room:
        card.speak(room)
    return {found.name: found for check in checks for found in await check(case)}


def _room(directory: Path, echo_db: float | None = None, echo_ms: float = 40.0) -> VirtualCard:
    return VirtualCard(directory / "room", elastic=True, echo_db=echo_db, echo_ms=echo_ms)


@in_own_process
async def test_delay_and_loss_are_those_of_the_room_and_no_recording_stays(tmp_path: Path) -> None:
    with plugged_in(_room(tmp_path, -20.0, 57.0)) as card:
        found = await _examined(card, ALL, room=_noise(8))
    assert {finding.level for finding in found.values()} == {Level.OK}, found
    assert found["latency"].figures["beyond_ms"] == pytest.approx(57.0, abs=2.0)
    assert found["echo"].figures["loss_db"] == pytest.approx(20.0, abs=1.0)
    assert found["microphone"].figures["noise_floor_dbfs"] == pytest.approx(-61.0, abs=2.0)
    assert _names(tmp_path) == ["room"]


def _names(directory: Path) -> list[str]:
    return [each.name for each in directory.iterdir()]


@in_own_process
async def test_a_late_echo_is_found_and_the_canceller_tried_on_it(tmp_path: Path) -> None:
    pytest.importorskip("pywebrtc_audio")
    with plugged_in(_room(tmp_path, -3.0, 180.0)) as card:
        found = await _examined(card, ALOUD, quick=False, room=_noise(12))
    assert found["latency"].figures["beyond_ms"] == pytest.approx(180.0, abs=2.0)
    assert "audio.output.latency_ms" in found["latency"].remedy
    assert float(found["canceller"].figures["erle_db"] or 0) > 12


@in_own_process
async def test_in_a_dead_room_the_loudspeaker_is_not_heard(tmp_path: Path) -> None:
    with plugged_in(_room(tmp_path)) as card:
        found = await _examined(card, ALOUD)
    assert (found["loudspeaker"].level, found["echo"].level) == (Level.OK, Level.WARN)
    assert "headphones" in found["echo"].remedy
    assert "latency" not in found


@in_own_process
async def test_a_microphone_that_is_turned_up_too_far_clips(tmp_path: Path) -> None:
    with plugged_in(_room(tmp_path)) as card:
        found = await _examined(card, QUIET, room=_noise(4, level=30_000))
    assert (found["microphone"].level, "clipped" in found["microphone"].seen) == (Level.FAIL, True)


@in_own_process
async def test_without_a_microphone_the_loudspeaker_is_tried_alone(tmp_path: Path) -> None:
    with plugged_in(_room(tmp_path)) as card:
        card.fault("mic-gone")
        found = await _examined(card, ALOUD)
    assert (found["input"].level, found["output"].level) == (Level.FAIL, Level.OK)
    assert found["loudspeaker"].level is Level.OK
    assert "echo" not in found


@in_own_process
async def test_devices_that_do_not_call_back_are_failures(tmp_path: Path) -> None:
    with plugged_in(_room(tmp_path)) as card:
        card.fault("mic-stall", "spk-stall")
        found = await _examined(card, ALL)
    for name in ("microphone", "loudspeaker"):
        assert (found[name].level, "no callbacks" in found[name].seen) == (Level.FAIL, True), found[name]
