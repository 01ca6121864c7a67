"""Devices that cannot do the session's rate or cannot do mono, through real streams: what a sine becomes."""

from pathlib import Path

import numpy as np
import pytest

from tests.audio.harness import RATE, Samples, in_own_process, plugged_in, sounding, wait_until
from tests.fakes.sines import AMPLITUDE, sine, thd_n_db, worst_step
from voice_agent.audio.microphone import Microphone
from voice_agent.audio.names import Direction
from voice_agent.audio.portaudio import PortAudio, Shape, Stream
from voice_agent.audio.speaker import Speaker
from voice_agent.errors import DeviceUnavailable
from voice_agent.lab.card import VirtualCard

SHAPES = [Shape(rate, channels) for rate in (16_000, 24_000, 44_100, 48_000) for channels in (1, 2)]
FREQUENCY = 997.0
TONE_S = 1.0
GOOD_DB = -80.0


def opened(sound: PortAudio, end: Speaker | Microphone, channel: int = 0) -> Stream:
    output = isinstance(end, Speaker)
    direction, per_second = (Direction.OUTPUT, 100) if output else (Direction.INPUT, 50)
    block = end.rate // per_second
    return sound.open(
        direction, "default", rate=end.rate, frames_per_block=block, callback=end.callback, channel=channel
    )


def card_of(directory: Path, shape: Shape) -> VirtualCard:
    """A card that can do nothing else."""
    place = directory / f"{shape.rate}-{shape.channels}"
    return VirtualCard(place, elastic=True, speed=8, only_rate=shape.rate, only_channels=shape.channels)


def judged(recording: Samples, rate: int) -> None:
    """All of the tone, clean, and no step in it."""
    tone = sounding(recording)
    assert len(tone) == pytest.approx(rate * TONE_S, abs=rate // 400)
    inner = tone[rate // 20 : -rate // 20]
    assert thd_n_db(inner, FREQUENCY, rate) < GOOD_DB
    assert worst_step(inner, FREQUENCY, rate) < 3
    assert np.abs(inner).max() == pytest.approx(AMPLITUDE, rel=0.002)


@in_own_process
async def test_every_kind_of_loudspeaker_plays_the_same_tone(tmp_path: Path) -> None:
    for shape in SHAPES:
        card = card_of(tmp_path, shape)
        with plugged_in(card):
            speaker, sound = Speaker(RATE), PortAudio()
            stream = opened(sound, speaker)
            assert stream.shape == shape
            speaker.play(sine(FREQUENCY, RATE, TONE_S).tobytes(), starts=True)
            speaker.finish()
            speaker.set_latency(round(stream.latency_s * RATE))
            stream.start()
            await wait_until(lambda: speaker.positions().played == RATE * TONE_S, "the tone's end")  # noqa: B023
            stream.close()
            sound.terminate()
            assert stream.adaptor_errors == speaker.statistics().callback_errors == 0
            judged(card.played(), shape.rate)


@in_own_process
async def test_every_kind_of_microphone_brings_the_same_tone(tmp_path: Path) -> None:
    for shape in SHAPES:
        card = card_of(tmp_path, shape)
        with plugged_in(card):
            microphone, sound = Microphone(RATE), PortAudio()
            stream = opened(sound, microphone)
            assert stream.shape == shape
            stream.start()
            said = card.speak(sine(FREQUENCY, shape.rate, TONE_S).tobytes())
            frames = [await microphone.frame() for _ in range(10)]
            while not said.done() or any(frames[-1]):
                frames.append(await microphone.frame())
            stream.close()
            sound.terminate()
            assert stream.adaptor_errors == microphone.statistics().callback_errors == 0
            judged(np.frombuffer(b"".join(frames), np.int16), RATE)


@in_own_process
def test_a_channel_that_a_microphone_has_not_is_refused_with_what_it_has(tmp_path: Path) -> None:
    with plugged_in(VirtualCard(tmp_path)):
        sound = PortAudio()
        stream = opened(sound, Microphone(RATE), channel=2)
        assert stream.shape == Shape(RATE, 2)
        stream.close()
        with pytest.raises(DeviceUnavailable, match="2 channels: there is no channel 3"):
            opened(sound, Microphone(RATE), channel=3)
        sound.terminate()
