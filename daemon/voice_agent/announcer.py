"""Sounds of the daemon's own: which, when, and never while anybody speaks.

    asked for -------.
    ticks            |                              nobody speaks, it is still true
    devices gone ----+--> wanted --> made, off the loop --> chime --> loudspeaker
    excuses ---------'

A cue has no claim: what cannot sound now is dropped, and news that matters waits where it arises. So does the
bell of timers and alarms, which asks again until it may ring. The speaker itself sees to it that a cue gives
way to an answer at once. Nobody is woken at night: without a session the daemon answers whoever speaks to it
by a phrase, and less and less often; a lost microphone is told once.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Protocol, TypeVar

from voice_agent.audio.helper import in_helper
from voice_agent.audio.speaker import Speaker
from voice_agent.dialogue import State
from voice_agent.formats import BYTES_PER_SAMPLE, samples_to_s
from voice_agent.occasions import Absence, Change, Ticks

T = TypeVar("T")

log = logging.getLogger(__name__)

QUICK_S = 3.0
"""A session that is back within this time was not missed: no word about it."""

FIRST_EXCUSE_PAUSE_S = 60.0
LAST_EXCUSE_PAUSE_S = 3600.0
"""A television in the room must not make the daemon excuse itself for ever: pauses double up to an hour."""

CUE_S = 5.0
"""A disk that takes longer to give a phrase away is broken."""

LOOK_S = 0.2
"""How often the waiting user and the devices are looked at."""

LISTENING_AFTER_S = 0.7
"""Who woke the daemon goes on speaking, most often, and is heard at once: then there is nothing to tell."""

STALE_S = 3.0
"""So long a cue waits for a loudspeaker that is being opened: at the start, sessions are quicker."""

RINGING_S = 8.0
"""So long after a sound of a ring, whoever speaks means the ring and asks for no excuse."""

TALK_S = 60.0
"""Whoever speaks for longer without a pause is a television, and an alarm rings over it."""

BY_HAND = frozenset({"muted", "unmuted"})
"""They answer a hand, which says that nobody is to be heard now."""


class Cues(Protocol):
    """The daemon's own sounds."""

    def pcm(self, name: str, rate: int) -> bytes:
        """A sound as PCM16 at ``rate`` Hz; empty if there is none of that name."""

    def review(self) -> None:
        """Tell the log about those that will not be heard."""


class Room(Protocol):
    """What is used of the sound."""

    @property
    def speaker(self) -> Speaker:
        """Where sounds are played."""

    @property
    def audible(self) -> bool:
        """Whether there is a loudspeaker that plays."""

    @property
    def hearing(self) -> bool:
        """Whether there is a microphone, or it was closed on purpose."""

    async def utterance(self) -> None:
        """Wait until somebody has spoken, and paused."""


class Announcer:
    """Lets cues sound; ``run`` is a task. ``doing``: what the conversation is at, if there is a session."""

    def __init__(self, room: Room, cues: Cues, doing: Callable[[], State | None]) -> None:
        self._room = room
        self._cues = cues
        self._doing = doing
        self._wanted: asyncio.Queue[str] = asyncio.Queue(maxsize=2)
        self._excuse: str | None = None
        self._asked = False
        self._excuses: dict[str, tuple[float, float]] = {}
        self._changed = asyncio.Event()
        self._ticks = Ticks()
        self._microphone = Absence()
        self._loudspeaker = Absence()
        self._listening_at: float | None = None
        self._rang_until = float("-inf")
        self._talk_since: float | None = None

    # ------------------------------------------------------------------------------------ what is asked

    def use(self, cues: Cues) -> None:
        """Let these sound from now on; they have been reviewed."""
        self._cues = cues

    def play(self, cue: str) -> None:
        """Let a cue sound soon, unless something else does."""
        if not self._wanted.full():
            self._wanted.put_nowait(cue)

    def excuse(self, phrase: str | None, *, asked: bool = False) -> None:
        """From now on, whoever speaks is told this; ``None``: nothing. ``asked``: somebody waits already."""
        self._asked = phrase is not None and (asked or self._asked)
        if phrase != self._excuse:
            self._excuse = phrase
            self._changed.set()

    def forgive(self) -> bool:
        """Forget who was told what; whether anybody was."""
        told, self._excuses = bool(self._excuses), {}
        return told

    def woken(self) -> None:
        """A voice has reopened the session: say that we listen, if it stays at that."""
        if not self._rings:  # that was what it was woken by
            self._listening_at = monotonic() + LISTENING_AFTER_S

    async def ring(self, cue: str) -> float:
        """Let a timer or an alarm sound now, unless somebody speaks; for how long it does, in seconds."""
        if not self._may_ring():
            return 0.0
        speaker = self._room.speaker
        pcm = await self._aside(cue, partial(self._cues.pcm, cue, speaker.rate))
        if not pcm or not self._may_ring() or speaker is not self._room.speaker or not speaker.chime(pcm):
            return 0.0
        took_s = samples_to_s(len(pcm) // BYTES_PER_SAMPLE, speaker.rate)
        self._rang_until = monotonic() + took_s
        return took_s

    def hush(self) -> None:
        """Let a sound of the daemon's own end at once."""
        if self._room.speaker.chimes:
            self._room.speaker.silence()

    # -------------------------------------------------------------------------------------- what is done

    async def run(self) -> None:
        """Let cues sound; while there is an excuse, answer whoever speaks."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sound())
            group.create_task(self._look())
            while True:
                self._changed.clear()
                excusing = group.create_task(self._excusing(self._excuse)) if self._excuse else None
                await self._changed.wait()
                if excusing:
                    excusing.cancel()

    async def _sound(self) -> None:
        """Cues are made beside the event loop: arithmetic over a phrase takes a tenth of a second."""
        await self._aside("review", self._cues.review)
        while True:
            cue, speaker = await self._wanted.get(), self._room.speaker
            pcm = await self._aside(cue, partial(self._cues.pcm, cue, speaker.rate))
            if pcm and await self._opens() and self._fits(cue) and speaker is self._room.speaker:
                speaker.chime(pcm)

    async def _aside(self, what: str, work: Callable[[], T]) -> T | None:
        try:
            return await in_helper(work, name="cue", deadline_s=CUE_S)
        except TimeoutError:
            log.warning("a cue took too long", extra={"cue": what})
            return None

    async def _opens(self) -> bool:
        """Wait a little for a loudspeaker: what one that comes later would play is no news any more."""
        for _ in range(round(STALE_S / LOOK_S)):
            if self._room.audible:
                return True
            await asyncio.sleep(LOOK_S)
        return False

    def _fits(self, cue: str) -> bool:
        """Whether it is still true, and talks over nobody. The speaker knows best whether it is silent."""
        match cue:
            case "thinking":
                return self._doing() is State.THINKING
            case "listening":
                return self._doing() in (None, State.IDLE)
            case _:
                return cue in BY_HAND or self._nobody_speaks()

    def _may_ring(self) -> bool:
        doing = self._doing()
        talked_s = 0.0 if self._talk_since is None else monotonic() - self._talk_since
        free = doing in (None, State.IDLE) or (doing is State.LISTENING and talked_s > TALK_S)
        return self._room.audible and free and self._silent()

    @property
    def _rings(self) -> bool:
        return monotonic() - self._rang_until < RINGING_S

    def _nobody_speaks(self) -> bool:
        return self._doing() not in (State.LISTENING, State.SPEAKING)

    def _silent(self) -> bool:
        queued, played = self._room.speaker.positions()
        return queued <= played

    # ------------------------------------------------------------------------------------ occasions

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            now, doing = monotonic(), self._doing()
            self._talk_since = (self._talk_since or now) if doing is State.LISTENING else None
            if self._ticks.due(now, waiting=doing is State.THINKING):
                self.play("thinking")
            if self._listening_at is not None and now >= self._listening_at:
                self._listening_at = None
                if doing is State.IDLE:
                    self.play("listening")
            self._look_at_devices(now)

    def _look_at_devices(self, now: float) -> None:
        room = self._room
        free = room.audible and self._nobody_speaks() and self._silent()
        # Missed from when that could be heard: both ends of one device need not come back together.
        match self._microphone.news(now, present=room.hearing or not room.audible, free=free):
            case Change.LOST:
                self.play("no_microphone")
            case Change.BACK:
                self.play("microphone_back")
        # That it has gone cannot be told by it, but is not to be told later, either.
        if self._loudspeaker.news(now, present=room.audible, free=free or not room.audible) is Change.BACK:
            self.play("loudspeaker_back")

    # -------------------------------------------------------------------------------------- excuses

    async def _excusing(self, phrase: str) -> None:
        await asyncio.sleep(QUICK_S)
        while True:
            not_before, pause_s = self._excuses.get(phrase, (0.0, FIRST_EXCUSE_PAUSE_S))
            await asyncio.sleep(not_before - monotonic())
            if not self._asked or self._excuses:
                await self._room.utterance()
            if self._rings:
                self._asked = False
                continue
            await self._end_of_playout()
            self.play(phrase)
            self._excuses[phrase] = monotonic() + pause_s, min(pause_s * 2, LAST_EXCUSE_PAUSE_S)

    async def _end_of_playout(self) -> None:
        """What had arrived of an answer plays on without a session."""
        while True:
            if self._silent():
                return
            await asyncio.sleep(LOOK_S)
