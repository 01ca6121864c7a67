"""Answers that arrive at their own pace and too late, heard at the virtual loudspeaker.

The stream is real, its time is the card's: what is due is delivered right before the callback that finds it,
and the speaker's clock says when it was due. So a busy machine cannot be late, and a minute takes seconds.
"""

import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from pathlib import Path

import numpy as np

from tests.audio.harness import RATE, Samples, in_own_process, loudspeaker, plugged_in, sounding, until
from voice_agent.audio.speaker import Speaker
from voice_agent.lab.card import VirtualCard

SPEED = 8
HZ, LEVEL = 440, 8000
STEEPEST = LEVEL * 2 * np.pi * HZ / RATE
"""The tone's own greatest step from sample to sample."""
PAUSE_S = 0.3
GONE_S = 0.5

Delay = Callable[[float], float]
"""From when a piece is due to when it comes, in seconds."""


class Delivery:
    """Plays what is due before each callback. ``waits_ms``: of each answer, from the next callback on."""

    def __init__(self) -> None:
        self.speaker = Speaker(RATE, clock=self._clock)
        self.waits_ms: list[float] = []
        self.gaps: list[int] = []
        """After each answer, so far."""
        self._callback, self.speaker.callback = self.speaker.callback, self
        self._now = self._block_s = 0.0
        self._due: deque[tuple[float, bytes | None, bool]] = deque()
        self._first_s = 0.0
        self._end_s = PAUSE_S

    def answer(self, delay: Delay, *, delta_ms: int = 20, seconds: float = 2.0) -> None:
        """To come after all others: a tone in pieces, and the news that it is complete."""
        tone = a_tone(round(seconds * RATE))
        size = delta_ms * RATE // 1000
        nominal = [at / RATE for at in range(0, len(tone), size)]
        arrivals = list(accumulate((self._end_s + at + delay(at) for at in nominal), max))
        for number, arrival in enumerate(arrivals):
            piece = tone[number * size : (number + 1) * size]
            self._due.append((arrival, piece.tobytes(), number == 0))
        self._due.append((arrivals[-1] + 0.001, None, False))
        self._end_s = arrivals[-1] + seconds + PAUSE_S

    def play(self, directory: Path) -> Samples:
        """Everything; what left the card."""
        with plugged_in(VirtualCard(directory, elastic=True, speed=SPEED)) as card:
            with loudspeaker(self.speaker):
                until(lambda: self._block_s > self._end_s, "the end of the answers", timeout_s=45)
            assert self.speaker.statistics().callback_errors == 0
            return sounding(card.played())

    def __call__(
        self, in_data: bytes | None, frame_count: int, time: Mapping[str, float], status: int, /
    ) -> tuple[bytes | None, int]:
        while self._due and self._due[0][0] <= self._block_s:
            self._now, piece, starts = self._due.popleft()
            if starts:
                self._first_s, self._sounded = self._block_s, self.speaker.statistics().played
                self.gaps.append(self.speaker.statistics().gaps)
            if piece is None:
                self.speaker.finish()
            else:
                self.speaker.play(piece, starts=starts)
        self._now = self._block_s
        block, flag = self._callback(in_data, frame_count, time, status)
        if self._first_s and self.speaker.statistics().played > self._sounded:
            self.waits_ms.append(round((self._block_s - self._first_s) * 1000, 3))
            self._first_s = 0.0
        self._block_s += frame_count / RATE
        return block, flag

    def _clock(self) -> float:
        return self._now


def a_tone(count: int) -> Samples:
    """It begins and ends without a step."""
    tone = LEVEL * np.sin(2 * np.pi * HZ * np.arange(count) / RATE)
    edge = np.minimum(1, np.minimum(np.arange(count), np.arange(count)[::-1]) / (RATE / 100))
    return (tone * edge).astype(np.int16)


def late_by(seconds: float) -> Delay:
    return lambda _: seconds


in_time = late_by(0)


def at_once(due: float) -> float:
    return -due


def jitter(seed: int, most_s: float = 0.08) -> Delay:
    draw = random.Random(seed)
    return lambda _: draw.uniform(0, most_s)


def stall(at_s: float) -> Delay:
    """Half a second in which nothing comes, and then all of it."""
    return lambda due: max(at_s + GONE_S - due, 0.0) if due > at_s else 0.0


def heard(directory: Path, answers: Iterable[Delay], *, delta_ms: int = 20) -> tuple[Delivery, Samples]:
    """Let the answers be heard; nothing may click."""
    delivery = Delivery()
    for delay in answers:
        delivery.answer(delay, delta_ms=delta_ms)
    played = delivery.play(directory)
    assert np.abs(np.diff(played.astype(int))).max() <= 1.1 * STEEPEST
    assert delivery.speaker.statistics().played == delivery.speaker.positions().queued
    return delivery, played


@in_own_process
def test_undisturbed_answers_wait_for_at_most_20_ms(tmp_path: Path) -> None:
    delivery = Delivery()
    phase = random.Random(4)
    for number in range(30):
        delivery.answer(late_by(phase.uniform(0, 0.01)), delta_ms=(20, 100)[number % 2], seconds=0.2)
    delivery.play(tmp_path)
    waits = delivery.waits_ms
    assert len(waits) == 30
    assert np.median(waits) <= 20
    assert np.percentile(waits, 95) <= 20
    assert delivery.speaker.statistics().gaps == 0


@in_own_process
def test_answers_that_come_at_once_wait_for_nothing_and_are_bit_exact(tmp_path: Path) -> None:
    delivery, played = heard(tmp_path, [at_once] * 3, delta_ms=100)
    assert delivery.waits_ms == [0.0] * 3
    tone = a_tone(2 * RATE)
    assert np.array_equal(sounding(played[: len(tone)]), sounding(tone)[: len(tone) - 1])
    assert delivery.speaker.statistics().gaps == 0


@in_own_process
def test_after_one_answer_jitter_of_80_ms_tears_no_small_pieces(tmp_path: Path) -> None:
    delivery, _ = heard(tmp_path, [jitter(seed) for seed in range(6)])
    assert delivery.gaps[1] <= 2, "nothing could be known before"
    assert delivery.speaker.statistics().gaps == delivery.gaps[1]
    assert max(delivery.waits_ms) <= 100


@in_own_process
def test_after_one_answer_jitter_of_80_ms_tears_no_large_pieces(tmp_path: Path) -> None:
    delivery, _ = heard(tmp_path, [jitter(seed) for seed in range(6)], delta_ms=100)
    assert delivery.gaps[1] <= 2
    assert delivery.speaker.statistics().gaps == delivery.gaps[1]
    assert max(delivery.waits_ms) <= 110


@in_own_process
def test_a_stall_of_half_a_second_is_one_concealed_gap_of_its_length(tmp_path: Path) -> None:
    delivery, _ = heard(tmp_path, [in_time, stall(0.8), in_time, in_time])
    counted = delivery.speaker.statistics()
    assert counted.gaps == 1
    assert 0.4 * RATE <= counted.gap_samples <= 0.52 * RATE
    assert max(delivery.waits_ms) <= 30, "one stall is not what is to be expected"
