"""One live session after another, for ever.

    open -> ready -> live -----------------> over -> wait (the reconnect policy) -> open
                      |  quiet, limit near           ^
                      |--> successor opens --> it goes live, the old one is closed
                      |  quiet for long, or the user took leave
                      '--> parked: closed; the voice gate listens --> speech --> open

Sessions come and go; sound, memory and what is owed to the user are handed on. Every end becomes a
``SessionError`` with a cause, and the cause decides how long to wait: nothing here gives up, and nothing here
retries in a tight loop. What happens is told as ``News``; nobody has to listen.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, suppress
from dataclasses import dataclass, replace
from math import inf
from time import monotonic
from typing import Protocol

from voice_agent.dialogue import Carried
from voice_agent.errors import Cause, ConnectionLost, SessionError, Unauthorized
from voice_agent.lifetime import Lifetime, Step
from voice_agent.reconnect import Reconnect, Retry
from voice_agent.seams import Connection
from voice_agent.session import Session

LOOK_S = 0.5
"""How often a live session is looked at: renewal, parking and the allowance are not in a hurry."""

OPENING_S = 60.0
"""Name look-up, upgrade, confirmation and goodbye have limits of their own, which are shorter together."""

HEIR_PAUSE_S = 15.0
"""A successor that could not be opened is not tried again sooner: the quota may be the reason."""


# -------------------------------------------------------------------------------------------- news


@dataclass(frozen=True, slots=True)
class Live:
    """A session hears and speaks. ``after_s``: since the last one ended, or since the start."""

    after_s: float
    renewed: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """There is no session; the next attempt follows after the pause."""

    reason: SessionError
    retry: Retry


@dataclass(frozen=True, slots=True)
class Parked:
    """Nobody has spoken for long: the session is closed until somebody does."""


@dataclass(frozen=True, slots=True)
class Exhausted:
    """The day's allowance is used up: no session before tomorrow."""


@dataclass(frozen=True, slots=True)
class Unprepared:
    """The successor of a live session could not be opened; it is tried again."""

    reason: SessionError


News = Live | Lost | Parked | Exhausted | Unprepared


class Sound(Protocol):
    """The captured sound between sessions."""

    def park(self) -> None:
        """Nobody is meant to get what is captured until ``resume``."""

    def resume(self, position: int | None) -> None:
        """Let the next session hear from ``position`` on; ``None``: from wherever the last one stopped."""

    async def speech(self) -> int:
        """Wait until somebody speaks; the position from which to listen to it."""


class Allowance(Protocol):
    """What may be used in a day."""

    def account(self, session: Session) -> None:
        """Note what a session has used so far."""

    @property
    def exhausted(self) -> bool:
        """Nothing is left for today."""


_OURS = frozenset({Cause.RENEWED, Cause.ALLOWANCE})
"""Ends that we wanted: no failure, and no pause."""

Connect = Callable[[], AbstractAsyncContextManager[Connection]]
Make = Callable[[Connection], Session]


class Line:
    """One connection and its session, from the first packet to the last. ``made_by``: marks the settings."""

    def __init__(self, connect: Connect, make: Make, group: asyncio.TaskGroup, *, made_by: object) -> None:
        self.made_by = made_by
        self.reason: SessionError | None = None
        self.ready_at: float | None = None
        self._session: Session | None = None
        self._settled = asyncio.Event()
        self._task = group.create_task(self._hold(connect, make))

    @property
    def is_open(self) -> bool:
        """Confirmed by the server, and not over."""
        return self.ready_at is not None and not self._task.done()

    @property
    def is_over(self) -> bool:
        """It has ended, or never began."""
        return self._task.done()

    @property
    def age_s(self) -> float:
        """Seconds since the server confirmed the session."""
        return 0.0 if self.ready_at is None else monotonic() - self.ready_at

    async def ready(self) -> Session:
        """The session, once the server has confirmed it; raises why it did not."""
        await self._settled.wait()
        if self._session is None or self.ready_at is None:
            raise self.reason or ConnectionLost("closed before it began")
        return self._session

    async def over(self, within_s: float) -> None:
        """Wait for its end, but not longer than this."""
        await asyncio.wait({self._task}, timeout=within_s)

    def close(self) -> None:
        """Say goodbye, in the background."""
        self._task.cancel()

    async def _hold(self, connect: Connect, make: Make) -> None:
        try:
            async with connect() as connection:
                self._session = make(connection)
                self._session.on_ready = self._on_ready
                await self._session.run()
        except* SessionError as tree:
            given_up = self._session.given_up if self._session else None
            self.reason = given_up or most_telling(tree)
        finally:
            self._settled.set()

    def _on_ready(self) -> None:
        self.ready_at = monotonic()
        self._settled.set()


class Sessions:
    """Keeps one session live; ``run`` until cancelled."""

    def __init__(
        self,
        connect: Connect,
        make: Make,
        sound: Sound,
        allowance: Allowance,
        *,
        reconnect: Reconnect,
        lifetime: Lifetime,
        tell: Callable[[News], None],
        spread_s: float = 0.0,
        overlap: bool = True,
        watch: Callable[[Session], AbstractContextManager[None]],
        look_s: float = LOOK_S,
    ) -> None:
        self._connect = connect
        self._make = make
        self._sound = sound
        self._allowance = allowance
        self._reconnect = reconnect
        self._lifetime = lifetime
        self._tell = tell
        self._spread_s = spread_s
        self._overlap = overlap
        self._watching = watch
        self._look_s = look_s
        self._group = asyncio.TaskGroup()
        self._live: tuple[Line, Session] | None = None
        self._carried: Carried | None = None
        self._heir: Line | None = None
        self._heir_not_before = 0.0
        self._ended_at = monotonic()
        self._stirs_by = inf
        self._farewell_in: int | None = None  # the turn in which the user took leave
        self._newest = object()  # what lines are made by now
        self._hurried = asyncio.Event()

    @property
    def live(self) -> Session | None:
        """The session that hears and speaks now, if there is one."""
        return self._live[1] if self._live else None

    @property
    def age_s(self) -> float | None:
        """Seconds since the server confirmed the live session, if there is one."""
        return self._live[0].age_s if self._live else None

    @property
    def overdue_s(self) -> float:
        """For how long nothing has happened here that should have, in seconds."""
        return max(monotonic() - self._stirs_by, 0.0)

    @property
    def limit_s(self) -> float | None:
        """The age at which the server is expected to end a session, in seconds, if that is known."""
        return self._lifetime.limit_s

    def park(self) -> bool:
        """Park once it is quiet after this turn, unless the user speaks again; whether there is a session."""
        live = self.live
        self._farewell_in = live.dialogue.turn if live else None
        return live is not None

    def hurry(self, reconnect: Reconnect) -> None:
        """A new policy, with new patience: who waits for the next attempt waits no more."""
        self._reconnect = reconnect
        self._hurried.set()

    def renew(self, lifetime: Lifetime, *, overlap: bool) -> None:
        """What connections are made of has changed: hand over in a quiet moment."""
        self._lifetime, self._overlap = lifetime, overlap
        self._newest = object()
        self._heir_not_before = 0.0
        self._disinherit()

    async def run(self) -> None:
        """Hold sessions, for ever."""
        async with self._group:
            await self._sleep(self._reconnect.start_delay(self._spread_s))
            reason: SessionError | None = None
            while True:
                await self._allowed()
                reason = await self._one(renewed=reason is not None and reason.cause is Cause.RENEWED)

    # --------------------------------------------------------------------------- one after another

    async def _one(self, *, renewed: bool) -> SessionError:
        """One session from its opening to its end, and the pause after it; why it ended."""
        began = monotonic()
        try:
            line = await self._opened()
            began = monotonic()
            reason = await self._serve(line, renewed=renewed)
        except SessionError as error:
            reason, began = error, monotonic()
        if reason.cause is Cause.PARKED:
            await self._park()
        elif reason.cause not in _OURS and not (self._heir and self._heir.is_open):
            retry = self._reconnect.ended(reason, lived_s=monotonic() - began)
            self._tell(Lost(reason, retry))
            await self._sleep(retry.delay_s)
        return reason

    async def _sleep(self, seconds: float) -> None:
        self._stirs_by = monotonic() + seconds
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurried.wait()
        self._hurried.clear()

    async def _allowed(self) -> None:
        """Wait until something may be used."""
        if self._allowance.exhausted:
            self._disinherit()
            self._sound.park()
            self._carried = Carried(turn=self._carried.turn if self._carried else 0)
            self._tell(Exhausted())
        while self._allowance.exhausted:
            await self._sleep(self._look_s)
            self._ended_at = monotonic()

    async def _park(self) -> None:
        self._farewell_in = None
        self._disinherit()
        self._sound.park()
        self._tell(Parked())
        self._stirs_by = inf
        position = await self._sound.speech()
        self._sound.resume(position)  # from now on what cannot be kept is a loss
        self._ended_at = monotonic()
        self._carried = replace(self._carried or Carried(), resend_from=position)

    # ------------------------------------------------------------------------------- the live one

    async def _serve(self, line: Line, *, renewed: bool) -> SessionError:
        """Let a session hear and speak until it ends or should; why it did."""
        session = await line.ready()
        carried, self._carried = self._carried, None
        self._sound.resume(carried.resend_from if carried else None)
        session.go_live(carried)
        self._live = line, session
        self._hurried.clear()
        self._tell(Live(monotonic() - self._ended_at, renewed))
        healthy = False
        try:
            with self._watching(session):
                reason = await self._watch(line, session)
            healthy = not line.is_over
            return reason
        finally:
            self._live = None
            self._ended_at = monotonic()
            self._carried = session.leave(healthy=healthy)
            self._allowance.account(session)
            line.close()

    async def _watch(self, line: Line, session: Session) -> SessionError:
        while True:
            self._stirs_by = monotonic() + self._look_s
            await line.over(self._look_s)
            self._allowance.account(session)
            if line.is_over:
                reason = line.reason or ConnectionLost("the session ended without a reason")
                self._lifetime.ended(reason.cause, line.age_s)
                return reason
            if self._allowance.exhausted:
                return ConnectionLost("the day's allowance is used up", cause=Cause.ALLOWANCE)
            if wish := self._wish(line, session):
                return wish

    def _wish(self, line: Line, session: Session) -> SessionError | None:
        """Why a healthy session should end now, if it should."""
        quiet_since = session.dialogue.quiet_since
        quiet_s = None if quiet_since is None else monotonic() - quiet_since
        farewell = self._farewell_in == session.dialogue.turn
        outdated = line.made_by is not self._newest
        step = self._lifetime.step(line.age_s, quiet_s, farewell=farewell, outdated=outdated)
        if step is Step.PARK:
            return ConnectionLost("nobody speaks", cause=Cause.PARKED)
        if step is Step.RENEW and (not self._overlap or (self._heir and self._heir.is_open)):
            return ConnectionLost("renewed before its limit", cause=Cause.RENEWED)
        if step is not Step.SERVE and self._overlap:
            self._prepare()
        return None

    # ------------------------------------------------------------------------------------ opening

    async def _opened(self) -> Line:
        """The successor that stands by, or a new line."""
        heir, self._heir = self._heir, None
        self._stirs_by = monotonic() + OPENING_S
        line = heir if heir and not heir.is_over else self._line()
        await line.ready()
        return line

    def _prepare(self) -> None:
        if self._heir and self._heir.is_over:
            self._tell(Unprepared(self._heir.reason or ConnectionLost("closed before it began")))
            self._heir, self._heir_not_before = None, monotonic() + HEIR_PAUSE_S
        if self._heir is None and monotonic() >= self._heir_not_before:
            self._heir = self._line()

    def _line(self) -> Line:
        return Line(self._connect, self._make, self._group, made_by=self._newest)

    def _disinherit(self) -> None:
        if self._heir:
            self._heir.close()
            self._heir = None


def most_telling(tree: BaseExceptionGroup[SessionError]) -> SessionError:
    """One error of a tree: a refusal explains more than the loss that followed."""
    found = [most_telling(each) if isinstance(each, BaseExceptionGroup) else each for each in tree.exceptions]
    return min(found, key=lambda error: not isinstance(error, Unauthorized))
