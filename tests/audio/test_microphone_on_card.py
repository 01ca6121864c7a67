"""The microphone's whole path: what is said in the room -> ALSA -> callback -> ring -> frames."""

import asyncio
from pathlib import Path

import numpy as np

from tests.audio.harness import (
    RATE,
    Samples,
    counter,
    hold_the_gil,
    in_own_process,
    listening,
    loudspeaker,
    plugged_in,
    sounding,
    wait_until,
)
from voice_agent.audio.microphone import Microphone
from voice_agent.audio.speaker import Speaker
from voice_agent.formats import frame_bytes
from voice_agent.lab.card import VirtualCard


async def hear(microphone: Microphone, samples: int) -> Samples:
    """The microphone's next frames, until ``samples`` sound in them."""
    heard = b""
    sound = 0
    while sound < samples:
        frame = await microphone.frame()
        assert len(frame) == frame_bytes(RATE)
        sound += int(np.count_nonzero(np.frombuffer(frame, np.int16)))
        heard += frame
    return np.frombuffer(heard, np.int16)


@in_own_process
async def test_what_is_said_arrives_in_frames_sample_by_sample(tmp_path: Path) -> None:
    with plugged_in(VirtualCard(tmp_path, elastic=True, speed=10)) as card:
        microphone = Microphone(RATE)
        said = counter(10 * RATE)
        with listening(microphone):
            spoken = asyncio.wrap_future(card.speak(said.tobytes()))
            heard = await hear(microphone, len(said))
            span = await spoken
        assert np.array_equal(sounding(heard), said)
        assert np.array_equal(card.captured()[span.begin : span.end], said)
        assert (microphone.statistics().lost_samples, microphone.statistics().overflows) == (0, 0)


@in_own_process
async def test_an_interpreter_that_stands_still_for_150_ms_loses_no_sample(tmp_path: Path) -> None:
    with plugged_in(VirtualCard(tmp_path, elastic=True)) as card:
        microphone = Microphone(RATE)
        said = counter(RATE)
        with listening(microphone):
            card.speak(said.tobytes())
            hearing = asyncio.create_task(hear(microphone, len(said)))
            for fifth in range(5):
                reached = fifth * RATE // 5
                await wait_until(lambda: microphone.statistics().captured > reached, "a fifth")  # noqa: B023
                hold_the_gil(150)
            heard = await hearing
        assert np.array_equal(sounding(heard), said)
        assert microphone.statistics().overflows == 0
        assert card.events()[-1].held_ms > 5 * 100


@in_own_process
async def test_both_directions_at_once_stay_exact(tmp_path: Path) -> None:
    with plugged_in(VirtualCard(tmp_path, elastic=True, speed=10)) as card:
        microphone, speaker = Microphone(RATE), Speaker(RATE)
        said, answer = counter(5 * RATE), counter(5 * RATE)[::-1]
        with listening(microphone), loudspeaker(speaker):
            speaker.play(answer.tobytes(), starts=True)
            speaker.finish()
            card.speak(said.tobytes())
            heard = await hear(microphone, len(said))
            await wait_until(lambda: speaker.positions().played == len(answer), "the answer's end")
        assert np.array_equal(sounding(heard), said)
        assert np.array_equal(sounding(card.played()), answer)


@in_own_process
async def test_the_echo_of_our_own_voice_arrives_when_the_room_says_so(tmp_path: Path) -> None:
    with plugged_in(VirtualCard(tmp_path, elastic=True, speed=10, echo_db=0, echo_ms=60)) as card:
        microphone, speaker = Microphone(RATE), Speaker(RATE)
        answer = counter(2 * RATE)
        with listening(microphone), loudspeaker(speaker):
            speaker.play(answer.tobytes(), starts=True)
            speaker.finish()
            heard = await hear(microphone, len(answer))
        assert np.array_equal(sounding(heard), answer)
        delay = np.flatnonzero(card.captured())[0] - np.flatnonzero(card.played())[0]
        assert delay == RATE * 60 // 1000


@in_own_process
async def test_a_loop_that_looks_away_for_long_keeps_the_newest_audio(tmp_path: Path) -> None:
    with plugged_in(VirtualCard(tmp_path, elastic=True, speed=10)) as card:
        microphone = Microphone(RATE, capacity_s=2)
        with listening(microphone):
            await microphone.frame()
            spoken = asyncio.wrap_future(card.speak(counter(6 * RATE).tobytes()))
            span = await spoken
            await wait_until(lambda: microphone.statistics().captured > span.end + RATE // 10, "the end")
            frames = []
            while frame := microphone.frame_nowait():
                frames.append(frame)
        heard = np.frombuffer(b"".join(frames), np.int16)
        (at,) = np.nonzero(heard)
        assert RATE < len(heard) <= 3 * RATE
        assert np.array_equal(heard[at[0] : at[-1] + 1], counter(6 * RATE)[-(at[-1] - at[0] + 1) :])
        assert microphone.statistics().lost_samples >= 4 * RATE
