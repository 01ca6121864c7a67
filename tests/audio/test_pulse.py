"""A real sound server: the virtual card cannot answer for PulseAudio's buffering, nor for its death."""

import asyncio
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from tests.audio.harness import RATE, Samples, in_own_process, listening, loudspeaker, wait_until
from voice_agent.audio.devices import AudioDevices, Condition
from voice_agent.audio.microphone import Microphone
from voice_agent.audio.speaker import Speaker
from voice_agent.backoff import Backoff
from voice_agent.lab.pulse import PROGRAMS, PrivatePulse

installed = all(shutil.which(program) for program in PROGRAMS)
pytestmark = pytest.mark.skipif(not installed, reason="PulseAudio is not installed: " + ", ".join(PROGRAMS))


def noise(seconds: float, seed: int) -> Samples:
    """White noise: it correlates with nothing but itself, and with itself at one place only."""
    return np.random.default_rng(seed).integers(-8_000, 8_000, int(seconds * RATE), np.int16)


def found(needle: Samples, hay: Samples) -> float:
    """How much of ``needle`` stands in ``hay``, 0..1; by quarters, so that a gap costs only one of them."""
    return float(np.mean([correlation(quarter, hay) for quarter in np.array_split(needle, 4)]))


def correlation(needle: Samples, hay: Samples) -> float:
    """Normalised, at the place where it is largest."""
    size = len(hay) + len(needle)
    product = np.fft.irfft(np.fft.rfft(hay, size) * np.conj(np.fft.rfft(needle, size)), size)[: len(hay)]
    at = int(np.argmax(product))
    piece = hay[at : at + len(needle)].astype(float)
    return float(product[at] / (np.linalg.norm(piece) * np.linalg.norm(needle.astype(float)) + 1))


@in_own_process
async def test_a_sound_server_plays_what_we_say_and_lets_us_hear_the_room(tmp_path: Path) -> None:
    with PrivatePulse(tmp_path, rate=RATE) as pulse:
        os.environ.update(pulse.environment())
        speaker, microphone = Speaker(RATE), Microphone(RATE)
        answer, said = noise(1.5, seed=1), noise(1.5, seed=2)
        heard = b""
        with loudspeaker(speaker), listening(microphone):
            await wait_until(lambda: microphone.statistics().captured > RATE // 5, "the microphone")
            speaker.play(answer.tobytes(), starts=True)
            pulse.speak(said.tobytes())
            while len(heard) < 2 * 3 * RATE:
                heard += await microphone.frame()
            await wait_until(lambda: speaker.positions().played == len(answer), "the end of the answer")
        # A gap on a loaded machine is forgiven, a path that does not lead there is not.
        assert found(answer, pulse.played()) > 0.7
        assert found(said, np.frombuffer(heard, np.int16)) > 0.7
        assert found(said, pulse.played()) < 0.1


@in_own_process
async def test_a_sound_server_that_is_restarted_is_noticed_and_used_again(tmp_path: Path) -> None:
    with PrivatePulse(tmp_path, rate=RATE) as pulse:
        os.environ.update(pulse.environment())
        microphone = Microphone(RATE)
        devices = AudioDevices(
            Speaker(RATE), microphone, flat_after_s=0, backoff=lambda: Backoff(0.1, 0.5)
        )  # nobody speaks: silence is no fault

        def conditions() -> set[Condition]:
            return {devices.state().output.condition, devices.state().input.condition}

        async def works() -> None:
            await wait_until(lambda: conditions() == {Condition.OPEN}, "both open")
            captured = microphone.statistics().captured
            await wait_until(lambda: microphone.statistics().captured > captured + RATE // 5, "sound")

        running = asyncio.create_task(devices.run())
        await works()
        pulse.kill()
        killed = time.monotonic()
        await wait_until(lambda: Condition.OPEN not in conditions(), "noticing")
        noticed_s = time.monotonic() - killed
        pulse.start()
        await works()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        assert noticed_s < 2
