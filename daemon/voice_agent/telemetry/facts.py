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
from voice_agent.repeats import Repeats

log = logging.getLogger(__name__)


SETTLED_S = 60.0
"""Once answers have been heard for so long without a failure, the next failure is news."""


class FactLog:
    """An observer that writes to the log. ``transcripts``: write down words, too (personal data)."""

    def __init__(self, *, transcripts: bool = False) -> None:
        self._transcripts = transcripts
        self._failures = Repeats(log)
        self._complaints = Repeats(log)

    def __call__(self, fact: Fact) -> None:
        """Write one line, or none."""
        match fact:
            case TurnStarted(turn, interrupts):
                log.debug("user speaks", extra={"turn": turn, "interrupts": interrupts})
            case UserStopped(turn):
                log.debug("user stopped", extra={"turn": turn})
            case FirstSound(turn, seconds, model_s):
                spent = {"after_s": seconds, "model_s": model_s, "own_s": fact.own_s}
                log.info("answering", extra={"turn": turn, **spent})
                self._failures.over(within_s=SETTLED_S)
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
            case AnswerDropped(turn, seconds):
                log.debug("late audio dropped", extra={"turn": turn, "late_s": seconds})
            case AnswerFailed(turn, status, reason):
                extra = {"turn": turn, "status": status, "reason": reason[:MAX_CHARS]}
                self._failures.tell(status, "no answer", extra)
            case Stuck(turn, kind, remedy):
                extra = {"turn": turn, "kind": kind, "remedy": remedy}
                self._failures.tell((kind, remedy), "stuck", extra)
            case Restored(turns, chars):
                log.info("context restored", extra={"turns": turns, "chars": chars})
            case TokensUsed(turn):
                log.debug("tokens used", extra={"turn": turn, "tokens": fact.total})
            case ToolsRefused():
                self._refused(fact)
            case ServerFault():
                self._fault(fact)

    def _fault(self, fault: ServerFault) -> None:
        extra = {"kind": fault.kind, "code": fault.code[:MAX_CHARS], "reason": fault.message[:MAX_CHARS]}
        if fault.kind == "benign":
            log.debug("the server complains", extra=extra)
        else:
            self._complaints.tell((fault.kind, fault.code), "the server complains", extra)

    def _refused(self, fact: ToolsRefused) -> None:
        extra = {"tools": ", ".join(fact.names), "reason": fact.reason[:MAX_CHARS]}
        self._complaints.tell(fact.names, "the server refuses tools", extra)

    def _words(self, text: str) -> dict[str, str | int]:
        return {"text": text} if self._transcripts else {"chars": len(text)}


MAX_CHARS = 300
"""A server's message may quote a whole event."""
