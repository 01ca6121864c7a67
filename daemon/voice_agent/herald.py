"""What the daemon says about itself: log lines, one line of status, and what should be heard in the room.

News once: the first failure of a kind is a warning (a refusal an error), repeats are whispered and counted
until a session has been live for a minute. Sounds are for people in the room: ``announcer`` sees to it that
they disturb nobody.
"""

import logging
from collections.abc import Callable
from time import monotonic
from typing import Protocol

from voice_agent import concern
from voice_agent.announcer import QUICK_S, Announcer, Cues, Room
from voice_agent.dialogue import AnswerFailed, Fact, FirstSound, State, TurnStarted
from voice_agent.errors import Cause, SessionError
from voice_agent.reconnect import Temper
from voice_agent.repeats import Repeats
from voice_agent.sessions import Exhausted, Live, Lost, News, Parked, Unprepared
from voice_agent.telemetry import snapshot as figures
from voice_agent.telemetry.counters import Counters

log = logging.getLogger(__name__)

IN_CONVERSATION_S = 30.0
"""Somebody spoke this recently: a person may be waiting for an answer."""

SETTLED_S = 60.0
"""A session that has lived so long has ended the trouble before it."""

NOTABLE_S = 0.1
"""Of captured sound that is lost: the shortest word is longer."""

UNANSWERED = frozenset({"no_audio", "no_progress", "failed", "given up", "unheard"})
"""Ends of answers after which the user has heard nothing and should be told."""


ANSWERED = frozenset(
    {
        Cause.RATE_LIMITED,
        Cause.SERVER_ERROR,
        Cause.REJECTED,
        Cause.CLOSED,
        Cause.GOING_AWAY,
        Cause.TOO_BIG,
        Cause.INTERNAL,
        Cause.RESTARTING,
        Cause.TRY_LATER,
        Cause.CLOSED_OTHERWISE,
        Cause.EXPIRED,
        Cause.OVERLOADED,
        Cause.STUCK,
        Cause.HANDSHAKE,
        Cause.PROTOCOL,
    }
)
"""With these the network is well: it was the server that said no, or nonsense."""


class Ends(Room, Protocol):
    """What is used of the sound."""

    @property
    def lost_s(self) -> float:
        """Captured sound that never reached a server, in seconds since the start."""


class Herald:
    """Tells the log, the service manager and the room; ``run`` is a task for the latter.

    ``doing``: what the conversation is at, or ``None`` without a session.
    """

    def __init__(
        self,
        provider: str,
        ends: Ends,
        cues: Cues,
        counters: Counters,
        on_change: Callable[[], None],
        *,
        doing: Callable[[], State | None] = lambda: None,
    ) -> None:
        self.connection = "not connected yet"
        self.state: figures.State = "connecting"
        self.provider = provider
        self._ends = ends
        self._counters = counters
        self._on_change = on_change
        self._announcer = Announcer(ends, cues, doing)
        self._faults = Repeats(log)
        self._spoken_at = float("-inf")
        self._waiting = False
        self._lost_at: float | None = None
        self._lost_s = 0.0
        self._ever_live = False

    # ------------------------------------------------------------------------------------ hearing

    def observe(self, fact: Fact) -> None:
        """Note who spoke and waits for an answer; say so if it failed to come."""
        match fact:
            case TurnStarted():
                self._spoken_at, self._waiting = monotonic(), True
            case FirstSound():
                self._waiting = False
            case AnswerFailed(status=status) if status in UNANSWERED:
                self._waiting = False
                self.play("no_answer")

    def news(self, news: News) -> None:
        """Tell what became of the session."""
        match news:
            case Live(after_s, renewed):
                self._live(after_s, renewed=renewed)
            case Lost():
                self._lost(news)
            case Parked():
                self._counters.parked()
                log.info("parked until somebody speaks")
                self._say("parked", "parked: waiting for speech", None)
            case Unprepared(reason):
                self._unprepared(reason)
            case Exhausted():
                self._counters.exhausted()
                log.error("the day's allowance is used up: no session before tomorrow")
                self._say("exhausted", "the day's allowance is used up", "allowance")
                if self._in_conversation():
                    self.play("allowance")
        if isinstance(news, Lost | Parked | Exhausted):
            concern.prevail(None)

    def _live(self, after_s: float, *, renewed: bool) -> None:
        self._counters.live(after_s if self._ever_live else None, renewed=renewed)
        what = "session renewed" if renewed else "session ready"
        session = concern.present().session or "nameless"
        log.info(what, extra={"provider": self.provider, "session": session, "after_s": after_s})
        self._greet(renewed=renewed)
        self._own_up()
        self._faults.over(within_s=SETTLED_S)
        self._lost_at = None
        self._say("live", f"in session with {self.provider}", None)

    def _greet(self, *, renewed: bool) -> None:
        """Whoever was told that there is no session is told that there is one; else the first one is news."""
        first, self._ever_live = not self._ever_live, True
        if self._announcer.forgive():
            self.play("back")
        elif first:
            self.play("ready")
        elif self.state == "parked" and not renewed:
            self._announcer.woken()

    def _own_up(self) -> None:
        """Say how much of what the microphone heard was dropped, because it could not be kept for so long."""
        lost_s, self._lost_s = self._ends.lost_s - self._lost_s, self._ends.lost_s
        if lost_s >= NOTABLE_S:
            text = "captured sound was lost: nobody could take it in time"
            self._faults.tell("lost sound", text, {"lost_s": lost_s})

    def _lost(self, lost: Lost) -> None:
        cause, refused = lost.reason.cause, lost.retry.temper is Temper.REFUSED
        self._counters.lost(cause)
        level = logging.ERROR if refused else logging.WARNING
        again = logging.INFO if self._lost_at is None else logging.DEBUG  # it was told that there is one
        fields = {"cause": cause.value, "reason": str(lost.reason), "retry_s": lost.retry.delay_s}
        self._faults.tell(cause, "no session", fields, level=level, again=again)
        if self._lost_at is None:
            self._lost_at = monotonic()
            if self._in_conversation() and lost.retry.delay_s > QUICK_S:
                self.play("lost")
        asked = self.state == "parked" or (self._waiting and self._in_conversation())
        state: figures.State = "refused" if refused else "waiting"
        self._say(state, f"no session: {lost.reason}", excuse_for(lost), asked=asked)

    def _unprepared(self, reason: SessionError) -> None:
        """It harms nobody before the old session ends; but after a change of settings people wait for it."""
        self._counters.unprepared(reason.cause)
        text = "the next session cannot be opened; the present one goes on"
        extra = {"cause": reason.cause.value, "reason": str(reason)}
        self._faults.tell(("next", reason.cause), text, extra)

    def _in_conversation(self) -> bool:
        return monotonic() - self._spoken_at < IN_CONVERSATION_S

    def _say(self, state: figures.State, connection: str, excuse: str | None, *, asked: bool = False) -> None:
        self.state, self.connection = state, connection
        self._announcer.excuse(excuse, asked=asked)
        self._on_change()

    # ----------------------------------------------------------------------------------- speaking

    def use(self, cues: Cues) -> None:
        """Let these sounds be heard from now on; they have been reviewed."""
        self._announcer.use(cues)

    def play(self, cue: str) -> None:
        """Let a cue sound soon, unless somebody speaks."""
        self._announcer.play(cue)

    async def ring(self, cue: str) -> float:
        """Let a timer or an alarm sound now, unless somebody speaks; for how long it does, in seconds."""
        return await self._announcer.ring(cue)

    def hush(self) -> None:
        """Let a sound of the daemon's own end at once."""
        self._announcer.hush()

    async def run(self) -> None:
        """Let cues sound; while there is no session, answer whoever speaks."""
        await self._announcer.run()


def excuse_for(lost: Lost) -> str:
    """What to say to whoever speaks: whom the cure is up to, his network, the provider or the operator."""
    if lost.retry.temper is Temper.REFUSED:
        return "refused"
    return "trouble" if lost.reason.cause in ANSWERED else "offline"
