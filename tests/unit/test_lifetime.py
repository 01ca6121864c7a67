"""When a session is renewed, parked or left alone, and how an unknown limit is learned."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_agent.errors import Cause
from voice_agent.lifetime import Lifetime, Step

HOUR = 3600.0
QUIET = 5.0


def test_a_young_session_serves() -> None:
    assert Lifetime(HOUR).step(100, QUIET) is Step.SERVE


def test_a_session_is_renewed_two_minutes_before_an_hour_in_a_quiet_moment() -> None:
    lifetime = Lifetime(HOUR)
    assert lifetime.step(HOUR - 121, QUIET) is Step.SERVE
    assert lifetime.step(HOUR - 119, QUIET) is Step.RENEW


@pytest.mark.parametrize("quiet_s", [None, 0.0, 1.9])
def test_a_conversation_is_not_disturbed_but_a_successor_stands_by_in_the_end(quiet_s: float | None) -> None:
    lifetime = Lifetime(HOUR)
    assert lifetime.step(HOUR - 100, quiet_s) is Step.SERVE
    assert lifetime.step(HOUR - 20, quiet_s) is Step.PREPARE
    assert lifetime.step(HOUR + 5, quiet_s) is Step.PREPARE


def test_the_margin_of_a_short_limit_is_a_tenth_of_it() -> None:
    lifetime = Lifetime(300)
    assert lifetime.step(269, QUIET) is Step.SERVE
    assert lifetime.step(271, QUIET) is Step.RENEW


def test_without_a_limit_a_session_serves_for_ever() -> None:
    assert Lifetime(None).step(1e6, QUIET) is Step.SERVE


def test_an_expired_session_teaches_the_limit_at_once() -> None:
    lifetime = Lifetime(None)
    lifetime.ended(Cause.EXPIRED, 300)
    assert lifetime.limit_s == 300
    assert lifetime.step(280, QUIET) is Step.RENEW


@pytest.mark.parametrize("cause", [Cause.CLOSED, Cause.GOING_AWAY, Cause.DROPPED])
def test_two_sessions_closed_at_the_same_age_teach_a_limit(cause: Cause) -> None:
    lifetime = Lifetime(None)
    lifetime.ended(cause, 601)
    assert lifetime.limit_s is None, "one closing proves nothing"
    lifetime.ended(cause, 600)
    assert lifetime.limit_s == 600


def test_closings_at_different_ages_teach_nothing() -> None:
    lifetime = Lifetime(None)
    for age in (600, 700, 600, 500):
        lifetime.ended(Cause.GOING_AWAY, age)
    assert lifetime.limit_s is None


@pytest.mark.parametrize("cause", [Cause.SILENT, Cause.POLICY, Cause.STUCK, Cause.RENEWED, Cause.INTERNAL])
def test_other_ends_teach_nothing(cause: Cause) -> None:
    lifetime = Lifetime(None)
    lifetime.ended(cause, 600)
    lifetime.ended(cause, 600)
    assert lifetime.limit_s is None


def test_sessions_that_end_young_teach_nothing() -> None:
    lifetime = Lifetime(None)
    lifetime.ended(Cause.EXPIRED, 5)
    lifetime.ended(Cause.DROPPED, 5)
    lifetime.ended(Cause.DROPPED, 5)
    assert lifetime.limit_s is None


def test_a_session_that_outlives_what_was_learned_refutes_it() -> None:
    lifetime = Lifetime(None)
    lifetime.ended(Cause.EXPIRED, 300)
    lifetime.step(320, None)
    assert lifetime.limit_s == 300
    lifetime.step(331, None)
    assert lifetime.limit_s is None


def test_a_stated_limit_is_not_refuted_and_the_shorter_one_counts() -> None:
    lifetime = Lifetime(HOUR)
    lifetime.step(2 * HOUR, None)
    assert lifetime.limit_s == HOUR
    lifetime.ended(Cause.EXPIRED, 900)
    assert lifetime.limit_s == 900


def test_a_stated_limit_of_zero_means_never_renew() -> None:
    lifetime = Lifetime(0)
    lifetime.ended(Cause.EXPIRED, 300)
    assert lifetime.limit_s is None
    assert lifetime.step(299, QUIET) is Step.SERVE


def test_a_session_in_which_nobody_speaks_is_parked_when_that_is_wanted() -> None:
    lifetime = Lifetime(None, park_after_s=60)
    assert lifetime.step(1000, 59.9) is Step.SERVE
    assert lifetime.step(1000, None) is Step.SERVE
    assert lifetime.step(1000, 60.0) is Step.PARK
    assert Lifetime(None).step(1000, 1e6) is Step.SERVE


@given(st.floats(1, 1e5), st.one_of(st.none(), st.floats(0, 1e5)))
def test_a_busy_session_is_never_renewed_or_parked(limit_s: float, quiet_s: float | None) -> None:
    lifetime = Lifetime(limit_s, park_after_s=30)
    for age in (0.0, limit_s / 2, limit_s, limit_s * 3):
        step = lifetime.step(age, quiet_s)
        if quiet_s is None or quiet_s < 2:
            assert step in (Step.SERVE, Step.PREPARE)


def test_after_a_farewell_the_session_rests_as_soon_as_it_is_quiet() -> None:
    lifetime = Lifetime(HOUR)
    assert lifetime.step(100, 1.9, farewell=True) is Step.SERVE
    assert lifetime.step(100, None, farewell=True) is Step.SERVE
    assert lifetime.step(100, 2.0, farewell=True) is Step.PARK
    assert lifetime.step(HOUR - 60, 2.0, farewell=True) is Step.PARK, "a successor would not be needed"
