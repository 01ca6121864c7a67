"""Counters and metrics: what is counted, under which few labels, and how it reads for Prometheus."""

import pytest

from voice_agent.dialogue import (
    AgentSaid,
    AnswerDropped,
    AnswerFailed,
    Fact,
    FirstSound,
    ServerFault,
    Silenced,
    ToolAnswered,
    ToolCalled,
    TurnStarted,
    UserSaid,
)
from voice_agent.errors import Cause
from voice_agent.telemetry.counters import FIRST_AUDIO_S, MAX_LABELS, OTHER, Counters, Counts, Distribution


def counted(*facts: Fact) -> Counts:
    counters = Counters(("get_time",))
    for fact in facts:
        counters(fact)
    return counters.statistics()


# ---------------------------------------------------------------------------------------- counters


def test_turns_answers_and_interruptions_are_counted() -> None:
    counts = counted(
        TurnStarted(1, interrupts=False),
        FirstSound(1, 0.8, 0.7),
        AgentSaid(1, "item", "Good day.", heard_ms=400, sent_ms=1000),
        TurnStarted(2, interrupts=True),
        Silenced(1, items=1, heard_ms=400),
        AnswerDropped(1, samples=480),
    )
    assert (counts.turns, counts.answers, counts.interruptions) == (2, 1, 1)
    assert (counts.heard_ms, counts.unheard_ms, counts.late_samples) == (400, 600, 480)
    assert (counts.first_audio.total, sum(counts.first_audio.counts)) == (0.8, 1)


def test_failures_are_counted_by_what_they_are() -> None:
    counts = counted(
        AnswerFailed(1, "incomplete", "max_output_tokens"),
        AnswerFailed(2, "incomplete", "content_filter"),
        ServerFault("malformed", "response.done", "no response"),
    )
    assert counts.answers_failed == {"incomplete": 2}
    assert counts.faults == {"malformed": 1}


def test_tools_are_counted_by_name_and_outcome_and_an_invented_name_as_other() -> None:
    counts = counted(
        ToolCalled(1, "get_time", "{}", here=True),
        ToolAnswered(1, "get_time", ok=True, seconds=0.5),
        ToolAnswered(1, "launch_rocket", ok=False, seconds=0.25),
        ToolCalled(1, "web_search", "{}", here=False),
    )
    assert counts.tool_calls == {
        ("get_time", "ok"): 1,
        ("get_time", "failed"): 0,
        (OTHER, "failed"): 1,
        ("web_search", "remote"): 1,
    }
    assert counts.tool_s == 0.75


def test_a_server_that_invents_kinds_cannot_fill_memory() -> None:
    counts = counted(*(ServerFault(f"kind {n}", "", "") for n in range(1000)))
    assert len(counts.faults) == MAX_LABELS + 1
    assert counts.faults[OTHER] == 1000 - MAX_LABELS


def test_a_fact_that_nobody_counts_passes() -> None:
    assert counted(UserSaid(1, "a secret")) == Counters(("get_time",)).statistics()


def test_sessions_are_counted_with_how_long_there_was_none() -> None:
    counters = Counters()
    counters.live(None, renewed=False)
    counters.lost(Cause.DROPPED)
    counters.live(0.3, renewed=False)
    counters.live(0.0, renewed=True)
    counters.parked()
    counters.exhausted()
    counts = counters.statistics()
    assert (counts.sessions, counts.renewals, counts.parkings, counts.exhaustions) == (3, 1, 1, 1)
    assert (sum(counts.reconnect.counts), counts.reconnect.total) == (1, 0.3), (
        "neither the first session nor a renewal ends an outage"
    )
    assert counts.disconnects["dropped"] == 1
    assert counts.disconnects["dns"] == 0, "a cause is there from the start, so that its increase is seen"


@pytest.mark.parametrize(("seconds", "bucket"), [(0.0, 0), (0.25, 0), (0.26, 1), (20.0, 9), (20.1, 10)])
def test_a_value_at_a_bound_belongs_below_it(seconds: float, bucket: int) -> None:
    distribution = Distribution(FIRST_AUDIO_S)
    distribution.add(seconds)
    assert distribution.counts.index(1) == bucket


def test_a_snapshot_does_not_change_any_more() -> None:
    counters = Counters()
    before = counters.statistics()
    counters.lost(Cause.DNS)
    counters.live(1.0, renewed=False)
    assert before == Counters().statistics()
