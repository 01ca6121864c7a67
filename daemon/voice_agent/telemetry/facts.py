"""The conversation's facts as log lines: one fact, one line, and never what was said unless asked for."""

import logging

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
    ToolsRefused,
    TurnStarted,
    UserSaid,
    UserStopped,
)

log = logging.getLogger(__name__)


class FactLog:
    """An observer that writes to the log. ``transcripts``: write down words, too (personal data)."""

    def __init__(self, *, transcripts: bool = False) -> None:
        self._transcripts = transcripts
        self._faults_told: set[tuple[str, str]] = set()
        self._refused_told: set[str] = set()

    def __call__(self, fact: Fact) -> None:
        """Write one line, or none."""
        match fact:
            case TurnStarted(turn, interrupts):
                log.debug("user speaks", extra={"turn": turn, "interrupts": interrupts})
            case UserStopped(turn):
                log.debug("user stopped", extra={"turn": turn})
            case FirstSound(turn, seconds, model_s):
                log.info("answering", extra={"turn": turn, "after_s": seconds, "model_s": model_s})
            case Silenced(turn, items, heard_ms):
                log.info("interrupted", extra={"turn": turn, "items": items, "heard_ms": heard_ms})
            case UserSaid(turn, text):
                log.info("user said", extra={"turn": turn, **self._words(text)})
            case AgentSaid(turn, _, text, heard_ms, sent_ms):
                extra = {"turn": turn, "heard_ms": heard_ms, "sent_ms": sent_ms, **self._words(text)}
                log.info("agent said", extra=extra)
            case _:
                self._work(fact)

    def _work(self, fact: Fact) -> None:
        match fact:
            case ToolCalled(turn, name, _, here):
                log.info("tool called", extra={"turn": turn, "tool": name, "here": here})
            case ToolAnswered(turn, name, outcome, seconds):
                log.info(
                    "tool answered", extra={"turn": turn, "tool": name, "outcome": outcome, "took_s": seconds}
                )
            case AnswerDropped(turn, samples):
                log.debug("late audio dropped", extra={"turn": turn, "samples": samples})
            case AnswerFailed(turn, status, reason):
                log.warning("no answer", extra={"turn": turn, "status": status, "reason": reason})
            case Stuck(turn, kind, remedy):
                log.warning("stuck", extra={"turn": turn, "kind": kind, "remedy": remedy})
            case Restored(turns, chars):
                log.info("context restored", extra={"turns": turns, "chars": chars})
            case TokensUsed(turn):
                log.debug("tokens used", extra={"turn": turn, "tokens": fact.total})
            case ToolsRefused():
                self._refused(fact)
            case ServerFault():
                self._fault(fact)

    def _fault(self, fault: ServerFault) -> None:
        """News once: the first of a kind is a warning, repeats are whispered."""
        kind = (fault.kind, fault.code)
        news = kind not in self._faults_told and len(self._faults_told) < MAX_KINDS
        if news:
            self._faults_told.add(kind)
        level = logging.WARNING if news and fault.kind != "benign" else logging.DEBUG
        extra = {"kind": fault.kind, "code": fault.code, "reason": fault.message[:MAX_CHARS]}
        log.log(level, "the server complains", extra=extra)

    def _refused(self, fact: ToolsRefused) -> None:
        news = not self._refused_told.issuperset(fact.names)
        self._refused_told.update(fact.names)
        extra = {"tools": ", ".join(fact.names), "reason": fact.reason[:MAX_CHARS]}
        log.log(logging.WARNING if news else logging.DEBUG, "the server refuses tools", extra=extra)

    def _words(self, text: str) -> dict[str, str | int]:
        return {"text": text} if self._transcripts else {"chars": len(text)}


MAX_KINDS = 100
"""A server that invents a new kind of fault each time must not fill our memory or the log."""

MAX_CHARS = 300
"""A server's message may quote a whole event."""
