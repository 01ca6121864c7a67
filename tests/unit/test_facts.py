"""The conversation as log lines: what is written, and above all what is not."""

import logging

import pytest

from voice_agent import repeats
from voice_agent.dialogue import (
    AgentSaid,
    AnswerDropped,
    AnswerFailed,
    Fact,
    FirstSound,
    Restored,
    ServerFault,
    Silenced,
    Stuck,
    TokensUsed,
    ToolAnswered,
    ToolCalled,
    TurnStarted,
    UserSaid,
    UserStopped,
)
from voice_agent.repeats import MAX_KINDS
from voice_agent.telemetry.facts import MAX_CHARS, SETTLED_S, FactLog

PRIVATE = "my secret plans"
FACTS: tuple[Fact, ...] = (
    TurnStarted(1, interrupts=False),
    UserStopped(1),
    UserSaid(1, PRIVATE),
    FirstSound(1, 0.5, 0.4),
    AgentSaid(1, "item", PRIVATE, 100, 200),
    Silenced(2, 1, 100),
    ToolCalled(1, "get_weather", f'{{"city":"{PRIVATE}"}}', here=True),
    ToolAnswered(1, "get_weather", outcome="ok", seconds=0.1),
    AnswerDropped(1, 0.02),
    AnswerFailed(1, "failed", "overloaded"),
    Stuck(1, "no_response", "asked"),
    Restored(3, 400),
    TokensUsed(1, 10, 20, 5, 30, 40),
    ServerFault("complaint", "invalid_value", "no such voice"),
)


def told(caplog: pytest.LogCaptureFixture, log: FactLog, *facts: Fact) -> list[logging.LogRecord]:
    caplog.clear()
    with caplog.at_level(logging.DEBUG, logger="voice_agent.telemetry.facts"):
        for fact in facts:
            log(fact)
    return caplog.records


def test_every_fact_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    assert len(told(caplog, FactLog(), *FACTS)) == len(FACTS)


def test_what_was_said_is_not_written(caplog: pytest.LogCaptureFixture) -> None:
    for record in told(caplog, FactLog(), *FACTS):
        assert PRIVATE not in str(record.__dict__)


def test_what_was_said_is_written_when_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    records = told(caplog, FactLog(transcripts=True), UserSaid(1, PRIVATE), AgentSaid(1, "i", PRIVATE, 1, 2))
    assert [record.__dict__["text"] for record in records] == [PRIVATE, PRIVATE]


def test_a_fault_is_news_once(caplog: pytest.LogCaptureFixture) -> None:
    fault, other = ServerFault("complaint", "a", "x"), ServerFault("complaint", "b", "x")
    levels = [record.levelno for record in told(caplog, FactLog(), fault, fault, other)]
    assert levels == [logging.WARNING, logging.DEBUG, logging.WARNING]


def test_an_answer_that_fails_again_and_again_is_news_once(caplog: pytest.LogCaptureFixture) -> None:
    failed, stuck = AnswerFailed(1, "failed", "x" * 10_000), Stuck(1, "no_audio", "asked_again")
    records = told(caplog, FactLog(), failed, stuck, failed, stuck, AnswerFailed(2, "incomplete", "x"))
    levels = [record.levelno for record in records]
    assert levels == [logging.WARNING, logging.WARNING, logging.DEBUG, logging.DEBUG, logging.WARNING]
    assert len(records[0].__dict__["reason"]) == MAX_CHARS


def test_failures_are_counted_up_when_answers_are_heard_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(repeats, "monotonic", lambda: now)
    log, failed = FactLog(), AnswerFailed(1, "failed", "x")
    told(caplog, log, failed, failed, FirstSound(2, 0.5, 0.4))
    now = SETTLED_S
    levels = [record.levelno for record in told(caplog, log, failed)]
    assert levels == [logging.INFO, logging.WARNING], "the sum, and then it is news again"


def test_a_benign_fault_is_whispered(caplog: pytest.LogCaptureFixture) -> None:
    (record,) = told(caplog, FactLog(), ServerFault("benign", "response_cancel_not_active", "x"))
    assert record.levelno == logging.DEBUG


def test_a_server_cannot_fill_memory_or_the_log_with_new_kinds_of_faults(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = FactLog()
    records = told(caplog, log, *(ServerFault("unrecognised", str(n), "") for n in range(1000)))
    assert len([record for record in records if record.levelno >= logging.WARNING]) == MAX_KINDS
    (record,) = told(caplog, log, ServerFault("complaint", "z", "x" * 10_000))
    assert len(record.__dict__["reason"]) == MAX_CHARS
