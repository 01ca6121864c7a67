"""Back-off: how long to wait, without waiting."""

import pytest

from voice_agent.backoff import Backoff


def test_the_ceiling_doubles_up_to_the_cap() -> None:
    backoff = Backoff(0.5, 4.0, draw=lambda: 1.0)
    assert [backoff.next_delay() for _ in range(6)] == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]
    assert backoff.failures == 6


def test_success_makes_the_next_delay_small_again() -> None:
    backoff = Backoff(0.5, 4.0, draw=lambda: 1.0)
    for _ in range(5):
        backoff.next_delay()
    backoff.succeeded()
    assert (backoff.failures, backoff.next_delay()) == (0, 0.5)


@pytest.mark.parametrize("drawn", [0.0, 0.25, 0.999])
def test_the_jitter_is_full(drawn: float) -> None:
    assert Backoff(2.0, 60.0, draw=lambda: drawn).next_delay() == 2.0 * drawn


def test_a_refusal_may_demand_a_longer_pause() -> None:
    assert Backoff(0.5, 60.0, draw=lambda: 1.0).next_delay(at_least_s=60.0) == 60.0
