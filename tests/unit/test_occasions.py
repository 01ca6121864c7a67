"""When the daemon makes itself heard unasked: by a clock that the test holds."""

from itertools import pairwise

import pytest

from voice_agent.occasions import (
    NEWS_PAUSE_S,
    NOTICED_S,
    TICK_AFTER_S,
    TICK_EVERY_S,
    TICK_FOR_S,
    Absence,
    Change,
    Ticks,
)

LOOK_S = 0.25


def looks(seconds: float, begin_s: float = 0.0) -> list[float]:
    return [begin_s + LOOK_S * index for index in range(round(seconds / LOOK_S))]


def test_a_wait_ticks_after_a_second_and_a_half_then_sparsely_and_not_for_ever() -> None:
    ticks = Ticks()
    heard = [now for now in looks(200) if ticks.due(now, waiting=True)]
    assert heard[0] == TICK_AFTER_S == 1.5
    pauses = {after - before for before, after in pairwise(heard)}
    assert pauses == {TICK_EVERY_S}
    assert len(heard) == 15
    assert heard[-1] < TICK_FOR_S


def test_a_wait_that_ends_in_time_does_not_tick_and_the_next_one_begins_anew() -> None:
    ticks = Ticks()
    waits = [now for now in looks(30) if ticks.due(now, waiting=now % 1.5 != 0)]
    assert waits == []
    assert not ticks.due(99, waiting=False)
    assert [now for now in looks(3, 100) if ticks.due(now, waiting=True)] == [101.5]


def told(absence: Absence, now: float, *, present: bool, free: bool = True) -> Change | None:
    return absence.news(now, present=present, free=free)


def test_a_device_that_is_lost_is_news_once_and_so_is_its_return() -> None:
    absence = Absence()
    news = [(now, told(absence, now, present=not 10 <= now < 3600)) for now in looks(3700)]
    assert [each for each in news if each[1]] == [(10 + NOTICED_S, Change.LOST), (3600, Change.BACK)]


def test_a_device_that_is_reopened_is_no_news() -> None:
    absence = Absence()
    assert not any(told(absence, now, present=now % 3 < 1) for now in looks(600))


def test_a_loose_plug_is_told_of_seldom() -> None:
    absence = Absence()
    news = [told(absence, now, present=now % 20 < 10) for now in looks(2 * NEWS_PAUSE_S)]
    assert [each for each in news if each] == [Change.LOST, Change.BACK] * 2


@pytest.mark.parametrize("present", [True, False])
def test_news_waits_until_it_would_be_heard_and_talks_over_nobody(present: bool) -> None:
    absence = Absence()
    if present:
        assert [told(absence, now, present=False) for now in (0, 5)] == [None, Change.LOST]
    assert not any(told(absence, now, present=present, free=False) for now in looks(60, 10))
    assert told(absence, 100, present=present) is (Change.BACK if present else Change.LOST)


def test_what_was_back_before_anybody_could_be_told_is_no_news() -> None:
    absence = Absence()
    for now in looks(60):
        told(absence, now, present=False, free=False)
    assert told(absence, 60, present=True) is None
