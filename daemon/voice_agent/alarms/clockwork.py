"""The book of timers and alarms, kept on disk and asked at the present time.

Every change is written at once. A disk that is full or read-only takes nothing from this process: what is set
still rings, the log is told once, and whoever sets a timer is told that a restart would forget it.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from datetime import date
from math import ceil, inf
from time import monotonic, tzset
from typing import NamedTuple

from msgspec import Struct

from voice_agent.alarms.book import Book
from voice_agent.alarms.clock import Clocks, Reading
from voice_agent.alarms.entries import KINDS, Alarm, Entry, Kept, Kind, Timer, weekday_names
from voice_agent.storage import Excuses, Store

log = logging.getLogger(__name__)

FILE = "timers.json"
EXIT_S = 1.0  # a disk that hangs must not hold up the exit
KEEPING_S = 0.5
"""A disk that takes longer holds up nobody who sets a timer; it is told as one that fails."""

LOOK_S = 1.0
"""How often the clocks are looked at: they may jump, and the device may have been asleep."""
ZONE_S = 15.0
"""How often it is looked up whether the device is in another time zone now."""
JUMP_S = 2.0
"""By so much the clocks must come apart before it is worth a write."""

EXCUSES = Excuses(
    reading="cannot read which timers and alarms were set; none is",
    writing="cannot keep timers and alarms; they ring, but a restart forgets them",
)


class Listed(Struct, frozen=True, omit_defaults=True):
    """A timer or an alarm in plain words, for the model and for the command line."""

    name: str
    kind: Kind
    seconds_left: int | None = None
    ends_at: str | None = None
    time: str | None = None
    date: str | None = None
    repeat: list[str] | None = None
    ringing: bool | None = None


class Listing(Struct, frozen=True, omit_defaults=True):
    """All that are set, and those that were due when nobody could hear them."""

    timers: list[Listed]
    missed: list[Listed] = []


class AlarmStatistics(NamedTuple):
    """By kind: how many are set now, and what became of others since the start."""

    set: Mapping[str, int]
    rung: Mapping[str, int]
    unanswered: Mapping[str, int]
    missed: Mapping[str, int]


class Clockwork:
    """Timers and alarms now. Belongs to the event loop; only the file is written beside it.

    ``names_in_log``: names are words that somebody said. No ``store``: nothing survives.
    """

    def __init__(
        self,
        store: Store[Kept] | None,
        *,
        clocks: Callable[[], Reading] | None = None,
        names_in_log: bool = False,
    ) -> None:
        self.ringing: tuple[Entry, ...] = ()
        """What sounds now."""
        self._changed = asyncio.Event()
        self._looked_at = monotonic()
        self._store = store
        self._clocks = clocks or Clocks()
        self.names_in_log = names_in_log
        now = self._clocks()
        self._book = Book((store and store.read()) or Kept(), now)
        self._offset_s = now.wall_s - now.boot_s
        self._rung: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
        self._unanswered, self._missed = self._rung.copy(), self._rung.copy()

    # ------------------------------------------------------------------------------ what can be done

    def now(self) -> Reading:
        """What the clocks show."""
        return self._clocks()

    def set_timer(self, seconds: float, name: str = "") -> Timer:
        """A new timer; a ``ToolError`` says what is wrong with it."""
        timer = self._book.set_timer(seconds, name, now := self._clocks())
        self._keep(now)
        return timer

    def set_alarm(self, at: str, day: date | None, repeat: Iterable[int], name: str = "") -> Alarm:
        """A new alarm; a ``ToolError`` says what is wrong with it."""
        alarm = self._book.set_alarm(at, day, repeat, name, now := self._clocks())
        self._keep(now)
        return alarm

    def find(self, said: str) -> Entry:
        """The one that is meant; a ``ToolError`` if that is none, or could be several."""
        return self._book.find(said)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All that are set."""
        return self._book.entries

    def cancel(self, entries: Collection[Entry]) -> None:
        """Forget them; those that ring fall silent."""
        self._book.cancel(entries)
        self._fall_silent(entries, "cancelled")
        self._keep(self._clocks())

    def listing(self) -> Listing:
        """All that are set, and those that were missed."""
        now = self._clocks()
        listed = [self._listed(entry, now) for entry in self._book.entries]
        return Listing(listed, [_when(entry, now) for entry in self._book.missed])

    def tell_missed(self) -> None:
        """Somebody is told now of those that were missed."""
        if self._book.tell_missed():
            self._keep(self._clocks())

    async def is_kept(self) -> bool:
        """Whether what is set now would survive a restart."""
        return self._store is not None and await asyncio.to_thread(self._store.settle, KEEPING_S)

    # ----------------------------------------------------------------------------------- for the bell

    def look(self) -> tuple[Entry, ...]:
        """What is due now."""
        now = self._clocks()
        self._looked_at = monotonic()
        before = self._book.entries, self._book.missed
        found = self._book.look(now, self.ringing)
        if found.missed:
            self._missed.update(entry.kind for entry in found.missed)
            log.warning("missed: nobody could hear it in time", extra=self._fields(found.missed))
        after = self._book.entries, self._book.missed
        jumped = abs(now.wall_s - now.boot_s - self._offset_s) > JUMP_S
        if after != before or (jumped and self._book.entries):
            self._keep(now)
        return found.due

    def rings(self, entries: tuple[Entry, ...]) -> bool:
        """They sound; whether one of them did not before."""
        new = [entry for entry in entries if entry not in self.ringing]
        self.ringing = entries
        if new:
            self._rung.update(entry.kind for entry in new)
            log.info("ringing", extra=self._fields(new))
        return bool(new)

    def settle(self, entries: Collection[Entry], why: str) -> None:
        """They have rung, and ended for a reason: ``stopped``, ``voice`` or ``unanswered``."""
        if why == "unanswered":
            self._unanswered.update(entry.kind for entry in entries)
        now = self._clocks()
        self._book.settle(entries, now)
        self._fall_silent(entries, why)
        self._keep(now)

    @property
    def idle_s(self) -> float:
        """Seconds since the clocks were looked at."""
        return monotonic() - self._looked_at

    async def due(self) -> None:
        """Wait until something is due."""
        zone_at_s = -inf
        while not self.look():
            now = self._clocks()
            if now.boot_s >= zone_at_s:
                await asyncio.to_thread(tzset)  # looks at a file
                zone_at_s = now.boot_s + ZONE_S
            soonest_s = min((-entry.late_s(now) for entry in self._book.entries), default=LOOK_S)
            await self.change(min(max(soonest_s, 0.0), LOOK_S))

    async def change(self, within_s: float) -> None:
        """Wait until something is set or cancelled, or has rung, but not longer than this."""
        self._changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):  # wait_for may swallow that the daemon ends
                await self._changed.wait()

    def statistics(self) -> AlarmStatistics:
        """The figures as they are now."""
        standing: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
        standing.update(entry.kind for entry in self._book.entries)
        return AlarmStatistics(standing, self._rung, self._unanswered, self._missed)

    def close(self) -> None:
        """At the end of the process: wait a little for what is still being saved."""
        if self._store:
            self._store.settle(EXIT_S)

    # ------------------------------------------------------------------------------------- behind it

    def _fall_silent(self, entries: Collection[Entry], why: str) -> None:
        if silenced := [entry for entry in self.ringing if entry in entries]:
            log.info("ringing has ended", extra=self._fields(silenced) | {"why": why})
        self.ringing = tuple(entry for entry in self.ringing if entry not in entries)

    def _keep(self, now: Reading) -> None:
        self._offset_s = now.wall_s - now.boot_s
        self._changed.set()
        if self._store:
            self._store.write(self._book.kept(now))

    def _listed(self, entry: Entry, now: Reading) -> Listed:
        ringing = True if entry in self.ringing else None
        match entry:
            case Timer():
                left_s = max(ceil(-entry.late_s(now)), 0)
                ends_at = f"{entry.due_at(now):%H:%M}" if now.is_plausible else None
                return Listed(entry.name, entry.kind, left_s, ends_at, ringing=ringing)
            case Alarm(repeat=()):
                return Listed(entry.name, entry.kind, time=entry.at, date=str(entry.day), ringing=ringing)
            case Alarm(repeat=repeat):
                days = weekday_names(repeat)
                return Listed(entry.name, entry.kind, time=entry.at, repeat=days, ringing=ringing)

    def _fields(self, entries: Collection[Entry]) -> dict[str, object]:
        """For the log: how many, and only on demand, which."""
        kinds = Counter(entry.kind for entry in entries)
        fields: dict[str, object] = {f"{kind}s": kinds[kind] for kind in KINDS}
        return fields | {"names": [entry.name for entry in entries]} if self.names_in_log else fields


def _when(entry: Entry, now: Reading) -> Listed:
    """When it was due."""
    due = entry.due_at(now)
    if isinstance(entry, Alarm) and entry.repeat:  # as it is kept, it is due a second after what it waits for
        return Listed(entry.name, entry.kind, time=entry.at, date=f"{due:%Y-%m-%d}")
    return Listed(entry.name, entry.kind, time=f"{due:%H:%M}", date=f"{due:%Y-%m-%d}")
