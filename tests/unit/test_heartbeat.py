"""The heartbeat in virtual time: who is found dead, how soon, and who is left alone."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_agent.heartbeat import PING_S, Dead, Heartbeat, Ping, Probe

HOUR_S = 3600.0
Answers = Callable[[float], bool]


def always(_now: float) -> bool:
    return True


def never(_now: float) -> bool:
    return False


def until(end: float) -> Answers:
    return lambda now: now < end


def after(begin: float) -> Answers:
    return lambda now: now >= begin


@dataclass
class World:
    """A server that may answer pings and probes, and may speak by itself, after ``delay_s``."""

    pings: Answers = never
    probes: Answers = never
    speaks_every_s: float = inf
    speaks: Answers = never
    delay_s: float = 0.05
    sent: list[tuple[float, str]] = field(default_factory=list)
    died_at: float | None = None

    def live(self, heart: Heartbeat, end: float, now: float = 0.0) -> "World":
        """Until ``end`` or the verdict."""
        arrivals: list[tuple[float, bytes | None]] = []
        speech = now + self.speaks_every_s
        while self.died_at is None and now < end:
            arrival = min(arrivals, default=(inf, None))
            now = min(heart.deadline, arrival[0], speech, end)
            if now == speech:
                speech += self.speaks_every_s
                if self.speaks(now):
                    heart.inbound(now)
            elif now == arrival[0]:
                arrivals.remove(arrival)
                self._arrive(heart, arrival[1], now)
            for deed in heart.wake(now):
                match deed:
                    case Ping(payload):
                        heart.pinged(payload, now)
                        self.sent.append((now, "ping"))
                        arrivals += [(now + self.delay_s, payload)] if self.pings(now) else []
                    case Probe():
                        self.sent.append((now, "probe"))
                        arrivals += [(now + self.delay_s, None)] if self.probes(now) else []
                    case Dead():
                        self.died_at = now
        return self

    def _arrive(self, heart: Heartbeat, payload: bytes | None, now: float) -> None:
        if payload is None:
            heart.inbound(now)
        else:
            heart.pong(payload, now)

    def count(self, kind: str) -> int:
        return sum(sent == kind for _, sent in self.sent)


# ---------------------------------------------------------------------------------------- left alone


@pytest.mark.parametrize(
    ("ping_s", "pings", "probes"),
    [(PING_S, always, always), (PING_S, always, never), (PING_S, never, always), (None, never, always)],
)
def test_an_idle_healthy_connection_lives_for_hours(
    ping_s: float | None, pings: Answers, probes: Answers
) -> None:
    assert World(pings, probes).live(Heartbeat(now=0.0, ping_s=ping_s), 10 * HOUR_S).died_at is None


def test_a_server_that_answers_pings_is_not_bothered_with_probes() -> None:
    assert World(always, always).live(Heartbeat(now=0.0), HOUR_S).count("probe") == 0


def test_an_idle_server_that_never_answers_pings_is_probed_every_half_minute() -> None:
    world = World(never, always).live(Heartbeat(now=0.0), HOUR_S)
    assert 119 <= world.count("probe") <= 120


def test_a_server_that_speaks_is_not_probed() -> None:
    world = World(never, never, speaks_every_s=15.0, speaks=always)
    assert world.live(Heartbeat(now=0.0), HOUR_S).count("probe") == 0
    assert world.died_at is None


def test_a_server_that_stops_answering_pings_but_answers_a_probe_lives() -> None:
    heart = Heartbeat(now=0.0)
    world = World(until(60.0), always).live(heart, HOUR_S)
    assert world.died_at is None
    assert heart.statistics().answers_pings is False
    assert world.count("probe") <= HOUR_S / 30


def test_a_server_that_speaks_on_without_answering_pings_is_left_alone() -> None:
    world = World(until(60.0), never, speaks_every_s=4.0, speaks=always).live(Heartbeat(now=0.0), HOUR_S)
    assert (world.died_at, world.count("probe")) == (None, 0)


def test_a_server_that_answers_pings_again_is_believed_again() -> None:
    heart = Heartbeat(now=0.0)
    World(lambda now: not 60 < now < 120, always).live(heart, 200.0)
    assert heart.statistics().answers_pings is True


def test_an_answer_to_a_probe_just_before_the_limit_counts() -> None:
    assert World(never, always, delay_s=9.9).live(Heartbeat(now=0.0), HOUR_S).died_at is None


def test_a_wake_before_the_deadline_does_nothing() -> None:
    heart = Heartbeat(now=0.0)
    assert heart.wake(heart.deadline - 0.01) == []


def test_a_stopped_process_does_not_blame_the_server() -> None:
    heart = Heartbeat(now=0.0)
    World(always).live(heart, 60.0)
    now = 60.0 + HOUR_S  # SIGSTOP, a laptop's lid: nobody was here to listen
    assert not any(isinstance(deed, Dead) for deed in heart.wake(now))
    assert World(always).live(heart, now + 60.0, now).died_at is None


def test_a_stopped_process_does_not_let_the_dead_live() -> None:
    heart = Heartbeat(now=0.0)
    World(always).live(heart, 60.0)
    now = 60.0 + HOUR_S
    heart.wake(now)
    died_at = World().live(heart, now + 60.0, now).died_at
    assert died_at is not None
    assert died_at - now <= 13.0


# --------------------------------------------------------------------------------------- found dead


@pytest.mark.parametrize("death", [60.0, 60.5, 61.0, 62.0, 62.99])
def test_a_server_that_answered_pings_is_found_dead_within_thirteen_seconds(death: float) -> None:
    died_at = World(until(death), until(death)).live(Heartbeat(now=0.0), HOUR_S).died_at
    assert died_at is not None
    assert 10.0 <= died_at - death <= 13.0


def test_the_dead_are_asked_twice_before_the_verdict() -> None:
    world = World(until(60.0), until(60.0)).live(Heartbeat(now=0.0), HOUR_S)
    assert world.died_at is not None
    last = [kind for at, kind in world.sent if 60.0 <= at < world.died_at]
    assert last.count("ping") >= 2
    assert last.count("probe") == 1


@pytest.mark.parametrize("ping_s", [PING_S, None])
def test_a_server_that_never_answered_pings_is_found_dead_by_a_probe(ping_s: float | None) -> None:
    heart = Heartbeat(now=0.0, ping_s=ping_s)
    died_at = World(never, never, 1.0, until(100.5)).live(heart, HOUR_S).died_at
    assert died_at == pytest.approx(130.0)  # heard at 100, probed at 120


def test_an_idle_server_that_answered_probes_is_found_dead_at_the_next_one() -> None:
    died_at = World(never, until(105.0)).live(Heartbeat(now=0.0), HOUR_S).died_at
    assert died_at == pytest.approx(120.0)  # probed at 20, 50, 80, 110


def test_the_verdict_is_given_once_and_in_words() -> None:
    heart = Heartbeat(now=0.0, ping_s=None)
    heart.wake(heart.deadline)
    [verdict] = heart.wake(heart.deadline)
    assert isinstance(verdict, Dead)
    assert "no sign of life for 30 s" in verdict.text
    assert heart.deadline == inf
    assert heart.wake(1e9) == []


# --------------------------------------------------------------------------------------- measured


def _pinged(heart: Heartbeat) -> tuple[bytes, float]:
    now = heart.deadline
    [ping] = heart.wake(now)
    assert isinstance(ping, Ping)
    heart.pinged(ping.payload, now)
    return ping.payload, now


def test_the_round_trip_is_measured_and_smoothed() -> None:
    heart = Heartbeat(now=0.0)
    for rtt_s in (0.2, 0.1, 0.3):
        payload, now = _pinged(heart)
        heart.pong(payload, now + rtt_s)
    counted = heart.statistics()
    assert (counted.rtt_s, counted.rtt_min_s) == (pytest.approx(0.3), pytest.approx(0.1))
    assert counted.rtt_smoothed_s == pytest.approx(0.2 + (0.1 - 0.2) / 8 + (0.3 - 0.1875) / 8)
    assert (counted.pings, counted.pongs, counted.answers_pings) == (3, 3, True)


def test_a_pong_answers_the_pings_before_it() -> None:
    heart = Heartbeat(now=0.0)
    _pinged(heart)
    payload, now = _pinged(heart)
    heart.pong(payload, now)
    assert heart.deadline == now + PING_S  # the next ping: none is missing


def test_a_pong_that_nobody_asked_for_is_a_sign_of_life_and_nothing_more() -> None:
    heart = Heartbeat(now=0.0)
    _, now = _pinged(heart)
    heart.pong(b"never sent", now + 1.0)
    counted = heart.statistics()
    assert (counted.pongs, counted.rtt_s, counted.answers_pings) == (0, None, None)
    assert counted.heard_at == now + 1.0


def test_a_ping_that_did_not_go_out_is_not_missed() -> None:
    heart = Heartbeat(now=0.0)
    payload, now = _pinged(heart)
    heart.pong(payload, now)
    for _ in range(4):
        [ping] = heart.wake(heart.deadline)
        assert isinstance(ping, Ping)
    assert heart.statistics().pings == 1


def test_nobody_knows_at_first_whether_pings_are_answered_and_then_one_does() -> None:
    heart = Heartbeat(now=0.0)
    assert heart.statistics().answers_pings is None
    World(never, always).live(heart, 15.0)
    assert heart.statistics().answers_pings is False


def test_unanswered_pings_are_not_remembered_for_ever() -> None:
    heart = Heartbeat(now=0.0)
    World(never, always).live(heart, HOUR_S)
    assert len(heart._sent) <= 8


@given(
    ping_s=st.sampled_from([PING_S, None]),
    steps=st.lists(
        st.tuples(st.sampled_from(["wake", "wake", "inbound", "pong", "late"]), st.floats(0, 1)), max_size=60
    ),
)
def test_between_two_wakes_the_deadline_only_moves_away(
    ping_s: float | None, steps: list[tuple[str, float]]
) -> None:
    heart, now, sent = Heartbeat(now=0.0, ping_s=ping_s), 0.0, [b""]
    for step, share in steps:
        before = heart.deadline
        if before == inf:
            return
        now += share * max(before - now, 0.0)
        match step:
            case "inbound":
                heart.inbound(now)
            case "pong":
                heart.pong(sent[int(share * (len(sent) - 1))], now)
            case _:
                now = max(now, before) + (100.0 if step == "late" else 0.0)
                for deed in heart.wake(now):
                    if isinstance(deed, Ping) and share < 0.9:
                        heart.pinged(deed.payload, now)
                        sent.append(deed.payload)
                assert heart.deadline > now
                continue
        assert heart.deadline >= before
