"""When a beginning may sound: what is learned from the arrival of the pieces."""

import random
from collections.abc import Callable, Iterator
from itertools import accumulate, pairwise

from voice_agent.audio.jitter import LEAST_S, MOST_S, Jitter

RATE = 1000
BLOCK_S = 0.01
Delay = Callable[[float], float]
"""From when a piece is due to when it comes."""


class Listener:
    """Takes pieces of ``piece_ms``, and plays them as the loudspeaker does: in blocks, from the start on."""

    def __init__(self, piece_ms: int = 20, seed: int = 1) -> None:
        self.jitter = Jitter(RATE)
        self.draw = random.Random(seed)
        self.piece = piece_ms
        self.gaps_ms: list[float] = []
        self.waited_ms = 0.0
        self._now = 100.0
        self._position = 0

    def hear(self, delay: Delay, *, seconds: float = 4.0) -> None:
        """One answer, whose pieces come in order."""
        due_s = [index * self.piece / RATE for index in range(round(seconds * RATE / self.piece))]
        arrivals = list(accumulate((self._now + due + delay(due) for due in due_s), max))
        heard = list(self._sounding(arrivals))
        self.waited_ms = (heard[0][0] - arrivals[0]) * 1000
        self.gaps_ms = [(began - ended) * 1000 for (_, ended), (began, _) in pairwise(heard)]
        self.jitter.rest()
        self._now = arrivals[-1] + 5

    def _sounding(self, arrivals: list[float]) -> Iterator[tuple[float, float]]:
        """From when to when sound came without a gap."""
        at, until, not_before = arrivals[0] + self.draw.uniform(0, BLOCK_S), self._position, 0.0
        written, began, waiting = self._position, None, list(arrivals)
        while waiting or until < written:
            while waiting and waiting[0] <= at:
                starts, dry = len(waiting) == len(arrivals), until == written
                not_before = self.jitter.arrived(waiting.pop(0), written, starts=starts, dry=dry)
                written += self.piece
            if began is None and until < written and at >= not_before:
                began = at
            if began is not None:
                if until == written:
                    yield began, at
                    began = None
                until = min(until + round(BLOCK_S * RATE), written)
            at += BLOCK_S
        self._position = written
        if began is not None:
            yield began, at


def at_once(due_s: float) -> float:
    return 0.0005 - due_s


def in_time(_due_s: float) -> float:
    return 0.0


def uniform(listener: Listener, most_s: float) -> Delay:
    return lambda _: listener.draw.uniform(0, most_s)


def test_undisturbed_delivery_at_its_own_pace_waits_for_no_more_than_20_ms() -> None:
    for piece_ms in (20, 100):
        listener = Listener(piece_ms)
        for _ in range(5):
            listener.hear(in_time)
            assert listener.gaps_ms == []
            assert listener.waited_ms <= LEAST_S * 1000 + 10
        assert listener.jitter.lateness_s == 0
        assert listener.jitter.hold_s <= 0.02


def test_what_comes_at_once_is_not_held_back() -> None:
    listener = Listener(100)
    for _ in range(5):
        listener.hear(at_once)
        assert listener.waited_ms <= 10, "the next block"
    assert listener.jitter.hold_s == 0


def test_what_comes_faster_than_real_time_is_not_held_back_once_that_is_known() -> None:
    listener = Listener(100)
    listener.hear(lambda due: -due * 2 / 3)
    for _ in range(5):
        listener.hear(lambda due: -due * 2 / 3)
        assert (listener.gaps_ms, listener.waited_ms <= 10) == ([], True)


def test_after_one_answer_jitter_of_80_ms_tears_nothing() -> None:
    torn = late = 0
    for seed in range(40):
        for piece_ms in (20, 100):
            listener = Listener(piece_ms, seed)
            listener.hear(uniform(listener, 0.08))
            assert len(listener.gaps_ms) <= 2
            torn += len(listener.gaps_ms)
            for _ in range(4):
                listener.hear(uniform(listener, 0.08))
                late += len(listener.gaps_ms)
                assert listener.waited_ms <= 100
    assert torn <= 88, "about one gap in an answer of which nothing could be known"
    assert late <= 2


def test_the_hold_shrinks_slowly_when_the_weather_is_better() -> None:
    listener = Listener()
    listener.hear(uniform(listener, 0.08), seconds=20)
    before = listener.jitter.hold_s
    listener.hear(in_time)
    assert before - 0.02 <= listener.jitter.hold_s <= before
    listener.hear(in_time, seconds=40)
    assert listener.jitter.hold_s == LEAST_S


def test_one_stall_of_half_a_second_is_one_gap_and_soon_forgotten() -> None:
    listener = Listener()
    listener.hear(in_time)
    listener.hear(lambda due: max(2.5 - due, 0) if due > 2 else 0)
    assert len(listener.gaps_ms) == 1
    assert 400 <= listener.gaps_ms[0] <= 540
    listener.hear(in_time)
    assert listener.gaps_ms == []
    assert listener.jitter.hold_s <= 0.02


def test_a_server_that_takes_a_break_and_goes_on_in_time_is_held_back_again_once() -> None:
    listener = Listener()
    listener.hear(lambda due: 0.5 if due > 2 else 0)
    assert len(listener.gaps_ms) == 1


def test_a_server_that_is_too_slow_is_heard_in_pieces_that_are_as_long_as_possible() -> None:
    listener = Listener()
    for _ in range(3):
        listener.hear(lambda due: due / 4)  # 80 % of real time
        assert len(listener.gaps_ms) <= 5, "of 4 s"
        assert max(listener.gaps_ms) <= MOST_S * 1000 + 30


def test_a_fast_server_with_a_shaky_start_is_given_the_time_it_needed() -> None:
    listener = Listener(20)
    shaky = 0
    for _ in range(8):
        listener.hear(lambda due: -due * 2 / 3 + (0.05 if 0 < due < 0.1 else 0))
        shaky += len(listener.gaps_ms)
    assert shaky <= 2
    assert listener.waited_ms <= 60


def test_a_break_of_a_server_that_is_ahead_is_not_lateness() -> None:
    listener = Listener(100)
    listener.hear(lambda due: -due * 2 / 3 + (1.5 if due > 3 else 0), seconds=8)
    assert listener.gaps_ms == []
    assert listener.jitter.lateness_s == 0


def test_nothing_ever_waits_longer_than_the_most() -> None:
    listener = Listener()
    for _ in range(3):
        listener.hear(uniform(listener, 5.0))
        assert listener.waited_ms <= MOST_S * 1000 + 10
    assert listener.jitter.hold_s == MOST_S


def test_a_pause_between_answers_says_nothing() -> None:
    jitter = Jitter(RATE)
    for number in range(50):
        jitter.arrived(100.0 + 7 * number, 20 * number, starts=False, dry=True)
        jitter.rest()
    assert jitter.lateness_s == 0
