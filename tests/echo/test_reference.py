"""The reference: what was played beside each frame, however callbacks and crystals behave."""

import numpy as np
import pytest
from numpy.typing import NDArray

from voice_agent.audio.echo.reference import LAG_MS, Reference
from voice_agent.audio.microphone import Moment
from voice_agent.audio.ring import SampleRing

RATE = 24_000
FRAME = RATE // 50
BLOCK = RATE // 100
LAG = round(RATE * LAG_MS / 1000)


class Pair:
    """A loudspeaker that plays a slow counter, and a microphone, on clocks of their own."""

    def __init__(self, tap_rate: int = RATE) -> None:
        self.tap_rate = tap_rate
        self.tap = SampleRing(2 * tap_rate)
        self.reference = Reference(self.tap, tap_rate, RATE)
        self.position = 0

    def play(self, samples: int) -> None:
        first = self.tap.written
        values = np.arange(first, first + samples) // 4 % 30_000
        assert self.tap.write(memoryview(values.astype(np.int16).tobytes()).cast("h")) == samples

    def frame(self, *, beside: int | None = None) -> NDArray[np.int16]:
        self.position += FRAME
        moment = Moment(self.position, 0.0, self.tap.written if beside is None else beside)
        return self.reference.take(FRAME, self.position, moment)

    def run(self, frames: int) -> NDArray[np.int16]:
        last = np.zeros(0, np.int16)
        for _ in range(frames):
            self.play(FRAME * self.tap_rate // RATE)
            last = self.frame()
        return last

    def ends_at(self, frame: NDArray[np.int16]) -> int:
        """Position in the tap, in steps of four samples."""
        return (int(frame[-1]) + 1) * 4


def test_a_frame_ends_one_lag_before_what_was_played_when_it_ended() -> None:
    pair = Pair()
    last = pair.run(60)
    assert pair.ends_at(last) == pytest.approx(pair.tap.written - LAG, abs=4)
    assert np.diff(last.astype(int)).max() <= 1


def test_frames_follow_each_other_without_a_seam() -> None:
    pair = Pair()
    pair.run(5)
    frames = [pair.run(1) for _ in range(40)]
    steps = np.diff(np.concatenate(frames).astype(int))
    assert set(steps) <= {0, 1}
    assert pair.reference.offset.slipped == 0


def test_callbacks_that_come_late_move_nothing() -> None:
    pair = Pair()
    pair.run(60)
    frame = pair.run(1)
    for late in (0, 3, 0, 5, 1, 0, 0, 8, 0, 0):
        pair.play(FRAME)
        frame = pair.frame(beside=pair.tap.written + late * BLOCK)
    assert pair.ends_at(frame) == pytest.approx(pair.tap.written - LAG, abs=4)
    assert pair.reference.offset.jumps == 0


def test_frames_that_waited_for_the_loop_get_what_was_played_then() -> None:
    pair = Pair()
    pair.run(60)
    moments = []
    for _ in range(40):
        pair.play(FRAME)
        pair.position += FRAME
        moments.append(Moment(pair.position, 0.0, pair.tap.written))
    for moment in moments:
        frame = pair.reference.take(FRAME, moment.captured, moment)
        assert pair.ends_at(frame) == pytest.approx(moment.beside - LAG, abs=4)


@pytest.mark.parametrize("ppm", [-500, 200, 500])
def test_crystals_that_differ_are_followed_by_single_samples(ppm: int) -> None:
    pair = Pair()
    frame, owed = pair.run(1), 0.0
    for _ in range(6000):
        owed += FRAME * (1 + ppm * 1e-6)
        pair.play(int(owed))
        owed -= int(owed)
        frame = pair.frame()
    assert pair.ends_at(frame) == pytest.approx((pair.tap.written - LAG) % 120_000, abs=RATE // 100)
    assert pair.reference.offset.jumps == 0
    assert pair.reference.offset.slipped == pytest.approx(6000 * FRAME * abs(ppm) * 1e-6, abs=RATE // 100)


def test_a_loudspeaker_that_stood_still_is_taken_up_anew() -> None:
    pair = Pair()
    pair.run(60)
    for _ in range(100):
        pair.frame()  # nothing is played
    assert pair.reference.offset.jumps >= 1
    last = pair.run(60)
    assert pair.ends_at(last) == pytest.approx(pair.tap.written - LAG, abs=RATE // 100)


def test_what_was_skipped_is_not_heard_again() -> None:
    pair = Pair()
    pair.run(10)
    pair.play(RATE)
    pair.reference.skip(Moment(pair.position, 0.0, pair.tap.written - RATE))
    last = pair.run(30)
    assert pair.ends_at(last) == pytest.approx(pair.tap.written - LAG, abs=4)


def test_another_rate_is_converted() -> None:
    pair = Pair(tap_rate=48_000)
    last = pair.run(60)
    assert pair.ends_at(last) == pytest.approx(pair.tap.written - 2 * LAG, abs=12)
