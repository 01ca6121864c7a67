"""What the daemon says about itself: log lines, one line of status, and sounds.

News once: the first failure of a kind is a warning (a refusal an error), repeats are whispered until a
session is live again. Sounds are for people in the room: nobody is woken at night because a router restarts.
Without a session the daemon answers whoever speaks to it, by a phrase of its own, and less and less often.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Protocol

from voice_agent.audio.helper import in_helper
from voice_agent.audio.speaker import Speaker
from voice_agent.dialogue import AnswerFailed, Fact, TurnStarted
from voice_agent.errors import Cause
from voice_agent.reconnect import Temper
from voice_agent.sessions import Exhausted, Live, Lost, News, Parked
from voice_agent.telemetry.counters import Counters
from voice_agent.telemetry.snapshot import State

log = logging.getLogger(__name__)

QUICK_S = 3.0
"""A session that is back within this time was not missed: no word about it."""

IN_CONVERSATION_S = 30.0
"""Somebody spoke this recently: a person may be waiting for an answer."""

FIRST_EXCUSE_PAUSE_S = 60.0
LAST_EXCUSE_PAUSE_S = 3600.0
"""A television in the room must not make the daemon excuse itself for ever: pauses double up to an hour."""

NOTABLE_S = 0.1
"""Of captured sound that is lost: the shortest word is longer."""

CUE_S = 5.0
"""A disk that takes longer to give a phrase away is broken."""

UNANSWERED = frozenset({"no_audio", "no_progress", "failed", "given up", "unheard"})
"""Ends of answers after which the user has heard nothing and should be told."""


class Cues(Protocol):
    """The daemon's own sounds."""

    def pcm(self, name: str, rate: int) -> bytes:
        """A sound as PCM16 at ``rate`` Hz; empty if there is none of that name."""


class Ends(Protocol):
    """What is used of the sound."""

    @property
    def speaker(self) -> Speaker:
        """Where sounds are played."""

    @property
    def lost_s(self) -> float:
        """Captured sound that never reached a server, in seconds since the start."""

    async def speech(self) -> int:
        """Wait until somebody speaks."""


class Herald:
    """Tells the log, the service manager and the room; ``run`` is a task for the latter."""

    def __init__(
        self, provider: str, ends: Ends, cues: Cues | None, counters: Counters, on_change: Callable[[], None]
    ) -> None:
        self.connection = "not connected yet"
        self.state: State = "connecting"
        self._provider = provider
        self._ends = ends
        self._cues = cues
        self._counters = counters
        self._on_change = on_change
        self._told: set[Cause] = set()
        self._spoken_at = float("-inf")
        self._lost_at: float | None = None
        self._lost_s = 0.0
        self._excuse: str | None = None
        self._excused = asyncio.Event()
        self._changed = asyncio.Event()
        self._wanted: asyncio.Queue[str] = asyncio.Queue(maxsize=2)

    # ------------------------------------------------------------------------------------ hearing

    def observe(self, fact: Fact) -> None:
        """Note who spoke; say so if an answer failed to come."""
        match fact:
            case TurnStarted():
                self._spoken_at = monotonic()
            case AnswerFailed(status=status) if status in UNANSWERED:
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
            case Exhausted():
                self._counters.exhausted()
                log.error("the day's allowance is used up: no session before tomorrow")
                self._say("exhausted", "the day's allowance is used up", "allowance")
                if monotonic() - self._spoken_at < IN_CONVERSATION_S:
                    self.play("allowance")

    def _live(self, after_s: float, *, renewed: bool) -> None:
        self._counters.live(after_s, renewed=renewed)
        what = "session renewed" if renewed else "session ready"
        log.info(what, extra={"provider": self._provider, "after_s": after_s})
        if self._excused.is_set():
            self.play("back")
        self._own_up()
        self._told.clear()
        self._lost_at = None
        self._say("live", f"in session with {self._provider}", None)

    def _own_up(self) -> None:
        """Say how much of what the microphone heard was dropped, because it could not be kept for so long."""
        lost_s, self._lost_s = self._ends.lost_s - self._lost_s, self._ends.lost_s
        if lost_s >= NOTABLE_S:
            log.warning("captured sound was lost: nobody could take it in time", extra={"lost_s": lost_s})

    def _lost(self, lost: Lost) -> None:
        cause, refused = lost.reason.cause, lost.retry.temper is Temper.REFUSED
        self._counters.lost(cause)
        loud = logging.ERROR if refused else logging.WARNING
        level = logging.DEBUG if cause in self._told else loud
        self._told.add(cause)
        fields = {"cause": cause.value, "reason": str(lost.reason), "retry_s": lost.retry.delay_s}
        log.log(level, "no session", extra=fields)
        if self._lost_at is None:
            self._lost_at = monotonic()
            if monotonic() - self._spoken_at < IN_CONVERSATION_S and lost.retry.delay_s > QUICK_S:
                self.play("lost")
        state: State = "refused" if refused else "waiting"
        self._say(state, f"no session: {lost.reason}", "refused" if refused else "offline")

    def _say(self, state: State, connection: str, excuse: str | None) -> None:
        self.state, self.connection = state, connection
        if excuse != self._excuse:
            self._excuse = excuse
            self._excused.clear()
            self._changed.set()
        self._on_change()

    # ----------------------------------------------------------------------------------- speaking

    def play(self, cue: str) -> None:
        """Let a cue sound soon, unless something else does."""
        if self._cues is not None and not self._wanted.full():
            self._wanted.put_nowait(cue)

    async def run(self) -> None:
        """Let cues sound; while there is no session, answer whoever speaks."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sound())
            while True:
                self._changed.clear()
                excuse = group.create_task(self._excuse_ourselves(self._excuse)) if self._excuse else None
                await self._changed.wait()
                if excuse:
                    excuse.cancel()

    async def _sound(self) -> None:
        """Cues are made beside the event loop: arithmetic over a phrase takes a tenth of a second."""
        while True:
            cue, speaker = await self._wanted.get(), self._ends.speaker
            try:
                pcm = await in_helper(partial(self._made, cue, speaker.rate), name="cue", deadline_s=CUE_S)
            except TimeoutError:
                log.warning("a cue took too long", extra={"cue": cue})
                continue
            queued, played = speaker.positions()
            if queued <= played:
                speaker.play(pcm, starts=True)

    def _made(self, cue: str, rate: int) -> bytes:
        return self._cues.pcm(cue, rate) if self._cues else b""

    async def _excuse_ourselves(self, phrase: str) -> None:
        await asyncio.sleep(QUICK_S)
        pause_s = FIRST_EXCUSE_PAUSE_S
        while True:
            await self._ends.speech()
            self.play(phrase)
            self._excused.set()
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LAST_EXCUSE_PAUSE_S)
