"""The reconnect policy: how soon, how often, and what a fleet of it does to a provider."""

from random import Random

import pytest

from tests.fakes.fleet import Pause, Rush, rush
from voice_agent.errors import Cause, ConnectFailed, ConnectionLost, SessionError, Unauthorized
from voice_agent.reconnect import Reconnect, Temper


def _at_worst(first_s: float = 0.25, cap_s: float = 60.0) -> Reconnect:
    """Draws the ceiling every time."""
    return Reconnect(first_s, cap_s, draw=lambda: 1.0)


def _at_best() -> Reconnect:
    """Draws the floor every time."""
    return Reconnect(draw=lambda: 0.0)


def _lost(cause: Cause, retry_after_s: float | None = None) -> SessionError:
    return ConnectionLost("lost", cause=cause, retry_after_s=retry_after_s)


def _ceilings(cause: Cause, times: int, *, lived_s: float = 0.0) -> list[float]:
    policy = _at_worst()
    return [policy.ended(_lost(cause), lived_s=lived_s).delay_s for _ in range(times)]


# ------------------------------------------------------------------------------------------ tempers

ROUTINE = {
    *(Cause.CLOSED, Cause.GOING_AWAY, Cause.RESTARTING, Cause.EXPIRED),
    *(Cause.RENEWED, Cause.PARKED, Cause.ALLOWANCE),
}
OFFLINE = {Cause.DNS, Cause.UNREACHABLE, Cause.TIMEOUT}
OBSTRUCTED = {Cause.TLS, Cause.PORTAL, Cause.REFUSED}
BUSY = {Cause.RATE_LIMITED, Cause.TRY_LATER, Cause.OVERLOADED}
REFUSED = {
    *(Cause.BAD_REQUEST, Cause.UNAUTHORIZED, Cause.FORBIDDEN, Cause.NOT_FOUND, Cause.POLICY),
    *(Cause.BAD_KEY, Cause.BAD_INTENT, Cause.QUOTA, Cause.KEY, Cause.SETTINGS),
}
WEATHER = {
    *(Cause.SERVER_ERROR, Cause.REJECTED, Cause.TOO_BIG, Cause.INTERNAL, Cause.CLOSED_OTHERWISE),
    *(
        Cause.DROPPED,
        Cause.SILENT,
        Cause.STALLED,
        Cause.STUCK,
        Cause.HANDSHAKE,
        Cause.PROTOCOL,
        Cause.UNKNOWN,
    ),
}


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_its_temper(cause: Cause) -> None:
    table = {
        Temper.ROUTINE: ROUTINE,
        Temper.OFFLINE: OFFLINE,
        Temper.OBSTRUCTED: OBSTRUCTED,
        Temper.BUSY: BUSY,
        Temper.REFUSED: REFUSED,
        Temper.WEATHER: WEATHER,
    }
    [expected] = [temper for temper, causes in table.items() if cause in causes]
    assert _at_worst().ended(_lost(cause), lived_s=100.0).temper is expected


def test_whatever_only_people_can_cure_is_a_refusal() -> None:
    assert _at_worst().ended(Unauthorized("no"), lived_s=0.0).temper is Temper.REFUSED


# ------------------------------------------------------------------------------------------- delays


@pytest.mark.parametrize("cause", sorted(ROUTINE))
def test_a_session_that_ended_as_sessions_do_is_replaced_at_once_and_is_no_failure(cause: Cause) -> None:
    policy = _at_worst()
    for _ in range(5):
        retry = policy.ended(_lost(cause), lived_s=60.0)
        assert (retry.delay_s, retry.failures) == (0.25, 0)


@pytest.mark.parametrize("cause", sorted(ROUTINE | WEATHER))
def test_a_server_that_closes_at_once_never_sees_a_tight_loop(cause: Cause) -> None:
    assert _ceilings(cause, 10, lived_s=0.01) == pytest.approx(
        [0.25, 0.5, 1, 2, 4, 8, 16, 32, 60, 60], rel=0.02
    )


def test_weather_doubles_up_to_the_cap() -> None:
    assert _ceilings(Cause.DROPPED, 10) == [0.25, 0.5, 1, 2, 4, 8, 16, 32, 60, 60]


def test_years_of_weather_do_not_overflow() -> None:
    assert _ceilings(Cause.DROPPED, 5000)[-1] == 60
    assert _ceilings(Cause.UNAUTHORIZED, 5000)[-1] == 600


@pytest.mark.parametrize("cause", sorted(OFFLINE))
def test_without_a_network_the_pause_never_grows_beyond_a_second(cause: Cause) -> None:
    assert max(_ceilings(cause, 1000)) <= 1.0


def test_a_night_without_a_network_does_not_count_against_the_provider() -> None:
    policy = _at_worst()
    for _ in range(1000):
        policy.ended(_lost(Cause.UNREACHABLE), lived_s=0.0)
    assert policy.ended(_lost(Cause.DROPPED), lived_s=0.0).delay_s == 0.25


@pytest.mark.parametrize("cause", sorted(OBSTRUCTED))
def test_an_obstacle_is_tried_again_every_few_seconds(cause: Cause) -> None:
    assert _ceilings(cause, 8) == [0.25, 0.5, 1, 2, 4, 8, 10, 10]


def test_the_wish_of_a_busy_server_is_obeyed_and_then_some() -> None:
    busy = _lost(Cause.RATE_LIMITED, retry_after_s=30.0)
    assert _at_best().ended(busy, lived_s=0.0).delay_s == 30.0
    policy = _at_worst()
    assert [policy.ended(busy, lived_s=0.0).delay_s for _ in range(5)] == [38, 46, 62, 90, 90]


def test_a_bad_line_is_no_reason_to_let_a_busy_server_wait_longer() -> None:
    policy = Reconnect(draw=lambda: 1.0)
    for _ in range(5):
        policy.ended(_lost(Cause.DROPPED), lived_s=0.0)
    assert policy.ended(_lost(Cause.RATE_LIMITED, retry_after_s=1.0), lived_s=0.0).delay_s == 9.0


def test_a_busy_server_without_a_wish_gets_a_longer_pause_than_weather() -> None:
    assert _ceilings(Cause.TRY_LATER, 5) == [8, 16, 32, 60, 60]


@pytest.mark.parametrize("cause", [Cause.SERVER_ERROR, Cause.RATE_LIMITED, Cause.REJECTED])
def test_whoever_asks_for_patience_is_busy(cause: Cause) -> None:
    retry = _at_best().ended(_lost(cause, retry_after_s=5.0), lived_s=0.0)
    assert (retry.temper, retry.delay_s) == (Temper.BUSY, 5.0)


def test_a_refusal_is_retried_after_minutes_and_for_ever() -> None:
    assert _ceilings(Cause.UNAUTHORIZED, 5) == [120, 240, 480, 600, 600]
    policy = _at_best()
    floors = [policy.ended(_lost(Cause.QUOTA), lived_s=0.0).delay_s for _ in range(5)]
    assert floors == [60, 120, 240, 300, 300]


def test_a_refusal_with_a_wish_is_obeyed_too() -> None:
    refused = Unauthorized("no", cause=Cause.FORBIDDEN, retry_after_s=1000.0)
    assert _at_best().ended(refused, lived_s=0.0).delay_s == 1000.0


def test_a_quota_that_lets_sessions_open_and_then_refuses_is_not_forgiven() -> None:
    assert _ceilings(Cause.QUOTA, 4, lived_s=2.0) == [120, 240, 480, 600]


# ---------------------------------------------------------------------------------------- forgiving


def _worn(policy: Reconnect) -> Reconnect:
    for _ in range(20):
        policy.ended(_lost(Cause.DROPPED), lived_s=0.0)
    return policy


def test_a_minute_of_service_forgives_everything() -> None:
    policy = _worn(_at_worst())
    retry = policy.ended(_lost(Cause.DROPPED), lived_s=60.0)
    assert (retry.delay_s, retry.failures) == (0.25, 1)
    assert policy.ended(_lost(Cause.DROPPED), lived_s=0.0).delay_s == 0.5


def test_less_than_a_minute_of_service_is_retried_at_once_but_not_forgotten() -> None:
    policy = _worn(_at_worst())
    retry = policy.ended(_lost(Cause.DROPPED), lived_s=10.0)
    assert (retry.delay_s, retry.failures) == (0.25, 21)
    assert policy.ended(_lost(Cause.DROPPED), lived_s=0.0).delay_s > 16


def test_an_unlucky_line_that_serves_in_between_is_never_punished() -> None:
    assert set(_ceilings(Cause.DROPPED, 100, lived_s=5.0)) == {0.25}


def test_a_minute_of_service_forgives_refusals() -> None:
    policy = _at_worst()
    for _ in range(5):
        policy.ended(_lost(Cause.KEY), lived_s=0.0)
    assert policy.ended(_lost(Cause.KEY), lived_s=60.0).delay_s == 120


def test_a_first_ceiling_above_the_cap_is_the_cap() -> None:
    assert _at_worst(60.0, 5.0).ended(_lost(Cause.DROPPED), lived_s=60.0).delay_s == 5.0


def test_jitter_is_full() -> None:
    policy = Reconnect(draw=Random(1).random)
    delays = [policy.ended(_lost(Cause.DROPPED), lived_s=60.0).delay_s for _ in range(1000)]
    assert min(delays) < 0.01
    assert max(delays) > 0.24


def test_a_process_starts_somewhere_within_the_spread() -> None:
    assert Reconnect(draw=lambda: 0.5).start_delay(8.0) == 4.0


# ------------------------------------------------------------------------------- the network is back


def test_a_device_is_back_within_a_second_of_its_network() -> None:
    policy, random = Reconnect(draw=Random(7).random), Random(8)
    waits = []
    for _ in range(2000):
        back, now = random.uniform(5, 60), 0.0
        while now < back:
            now += policy.ended(_lost(Cause.UNREACHABLE), lived_s=0.0).delay_s
        waits.append(now - back)
    assert sorted(waits)[1900] < 1.0  # p95


# -------------------------------------------------------------------------------------------- fleet

DEVICES = 1000


def _ours(*, spread_s: float, retry_after_s: float | None) -> Rush:
    def device(number: int) -> tuple[float, Pause]:
        policy = Reconnect(draw=Random(number).random)

        def pause(asked_s: float | None) -> float:
            error = ConnectFailed("429", cause=Cause.RATE_LIMITED, retry_after_s=asked_s)
            return policy.ended(error, lived_s=0.0).delay_s

        return policy.start_delay(spread_s), pause

    return rush([device(number) for number in range(DEVICES)], retry_after_s=retry_after_s)


def _naive(*, retry_after_s: float | None) -> Rush:
    """Every second, or as told: what a loop with a sleep does."""
    return rush([(0.0, lambda asked_s: asked_s or 1.0)] * DEVICES, retry_after_s=retry_after_s)


def _polite(seen: Rush) -> bool:
    """The ideal is one request each, ten in each second, all over in 100 s."""
    return seen.busiest_second < 200 and seen.requests < 10 * DEVICES and seen.all_in_s < 600


@pytest.mark.parametrize("retry_after_s", [None, 1.0, 5.0])
@pytest.mark.parametrize("spread_s", [0.0, 5.0])
def test_a_fleet_that_restarts_at_once_does_not_stampede(
    spread_s: float, retry_after_s: float | None
) -> None:
    seen = _ours(spread_s=spread_s, retry_after_s=retry_after_s)
    print(f"spread {spread_s:g} s, Retry-After {retry_after_s}: {seen}")
    assert _polite(seen)


@pytest.mark.parametrize("retry_after_s", [None, 1.0, 5.0])
def test_the_bounds_for_the_fleet_would_catch_a_naive_client(retry_after_s: float | None) -> None:
    seen = _naive(retry_after_s=retry_after_s)
    print(f"naive, Retry-After {retry_after_s}: {seen}")
    assert not _polite(seen)


def test_a_refusal_after_service_is_a_new_one() -> None:
    policy = Reconnect(draw=lambda: 0.0)
    refused = Unauthorized("no", cause=Cause.FORBIDDEN)
    assert [policy.ended(refused, lived_s=0.0).delay_s for _ in range(3)] == [60, 120, 240]
    policy.ended(_lost(Cause.DROPPED), lived_s=6.0)
    assert policy.ended(refused, lived_s=0.0).delay_s == 60
