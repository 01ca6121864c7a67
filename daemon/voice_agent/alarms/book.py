"""All timers and alarms that are set, and what becomes of them as clocks turn, jump, and boots end. Pure.

    set ---- in time ---> due -----> settled   it has rung; one that repeats is set for its next time
     ^ '---- too late ------------> missed     nobody could hear it; told once
     '------ the clock goes back -----'

* A timer does not care about the wall clock: it counts what has really passed. Only one that was set in an
  earlier boot is judged by both clocks, as nobody knows for how long the device was off.
* An alarm is due at a time of day, as the wall clock has it. One that has rung does not ring again because
  the clock was corrected by a little; what was missed as the clock ran ahead is set again when that is
  put right.
* Nothing leaves the book unheard and untold.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import date
from typing import NamedTuple, TypeVar

from msgspec.structs import replace

from voice_agent.alarms.clock import DAY, Reading
from voice_agent.alarms.entries import Alarm, Entry, Kept, Timer
from voice_agent.alarms.names import meant, tidy, unused
from voice_agent.errors import ToolError

MOST = 50
LONGEST_TIMER_S = 7 * 86_400.0
FARTHEST_ALARM = 366 * DAY
YEARS = range(2000, 9000)
"""Of days that the file may hold."""

LATE_S = 900.0
"""What is late by more would puzzle whoever hears it: it is missed."""

SET_BACK_S = 7200.0
"""A clock that goes back by less was corrected, and what has rung today does not ring again."""
BELIEVED_S = 600.0
"""By more, it is believed after this time: a device without a battery begins in the past at each boot."""


T = TypeVar("T", Timer, Alarm)


class Look(NamedTuple):
    """What a look at the clocks brought to light."""

    due: tuple[Entry, ...]
    missed: tuple[Entry, ...]
    """Those that are missed since the last look."""


class Book:
    """What is set. ``kept``: what an earlier process has left."""

    def __init__(self, kept: Kept, now: Reading) -> None:
        self._entries = list(_read(kept.entries, kept, now))[:MOST]
        self._missed = list(_read(kept.missed, kept, now))[-MOST:]
        self._behind_since_s: float | None = None

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All that are set."""
        return tuple(self._entries)

    @property
    def missed(self) -> tuple[Entry, ...]:
        """Those that nobody could hear, and nobody was told of."""
        return tuple(self._missed)

    def kept(self, now: Reading) -> Kept:
        """What to write down, so that a later process can read it."""
        entries = (entry.anchored(now) if isinstance(entry, Timer) else entry for entry in self._entries)
        return Kept(now.boot, now.boot_s, tuple(entries), tuple(self._missed))

    # ------------------------------------------------------------------------------------ setting

    def set_timer(self, seconds: float, name: str, now: Reading) -> Timer:
        """A new timer; a ``ToolError`` says what is wrong with it."""
        if not 1 <= seconds <= LONGEST_TIMER_S:
            raise ToolError("a timer takes from 1 second to 7 days")
        timer = Timer(self._name(name, "timer"), seconds, now.boot_s + seconds)
        return self._add(timer.anchored(now))

    def set_alarm(self, at: str, day: date | None, repeat: Iterable[int], name: str, now: Reading) -> Alarm:
        """A new alarm, for the next time that the clock comes there if no day is given."""
        if not now.is_plausible:
            raise ToolError("the device does not know what time it is yet; a timer works without that")
        weekdays = tuple(sorted(set(repeat)))
        if day and weekdays:
            raise ToolError("give either a date or the days on which it repeats")
        alarm = Alarm(self._name(name, "alarm"), at, day or now.local.date(), weekdays, now.wall_s)
        if weekdays:
            return self._add(replace(alarm, day=alarm.due_at(now).date()))
        if alarm.late_s(now) >= 0:
            if day:
                raise ToolError(f"that has passed: it is {now.local:%Y-%m-%d %H:%M} now")
            alarm = replace(alarm, day=alarm.day + DAY)
        if alarm.day - now.local.date() > FARTHEST_ALARM:
            raise ToolError("an alarm is set for at most a year ahead")
        return self._add(alarm)

    def _name(self, name: str, kind: str) -> str:
        if len(self._entries) >= MOST:
            raise ToolError(f"there are {MOST} timers and alarms already: cancel some first")
        return unused(tidy(name), kind, [entry.name for entry in self._entries])

    def _add(self, entry: T) -> T:
        self._entries.append(entry)
        return entry

    # ----------------------------------------------------------------------------------- removing

    def find(self, said: str) -> Entry:
        """The one that is meant; a ``ToolError`` if that is none, or could be several."""
        return meant(said, self._entries)

    def cancel(self, entries: Collection[Entry]) -> None:
        """Forget them."""
        self._entries = [entry for entry in self._entries if entry not in entries]

    def settle(self, entries: Collection[Entry], now: Reading) -> None:
        """They have rung: one that repeats is set for its next time, the others are done."""
        for entry in [each for each in self._entries if each in entries]:
            if isinstance(entry, Alarm) and entry.repeat:
                self._become(entry, replace(entry, rang_s=entry.next_s(now)))
            else:
                self._entries.remove(entry)

    def tell_missed(self) -> tuple[Entry, ...]:
        """Those that were missed; somebody is told now, and they are forgotten."""
        told, self._missed = tuple(self._missed), []
        return told

    # ------------------------------------------------------------------------------------ looking

    def look(self, now: Reading, ringing: Collection[Entry] = ()) -> Look:
        """What is due now. What rings already stays due, however late it becomes and the clock jumps."""
        self._take_back(now)
        self._follow_back(now)
        missed = [entry for entry in self._entries if entry not in ringing and entry.late_s(now) > LATE_S]
        for entry in missed:
            self._miss(entry, now)
        due = (entry for entry in self._entries if entry in ringing or entry.late_s(now) >= 0)
        return Look(tuple(due), tuple(missed))

    def _miss(self, entry: Entry, now: Reading) -> None:
        if isinstance(entry, Alarm) and entry.repeat:
            # Times before are missed as well, and not worth a word each; one that is not late yet will ring.
            self._become(entry, replace(entry, since_s=now.wall_s - LATE_S))
            self._missed = [each for each in self._missed if each.name != entry.name]
            entry = replace(entry, since_s=entry.next_s(now) - 1)
        else:
            self._entries.remove(entry)
        self._missed = [*self._missed, entry][-MOST:]

    def _take_back(self, now: Reading) -> None:
        """What was missed only because the clock was ahead is set again."""
        for entry in [each for each in self._missed if each.late_s(now) < 0]:
            self._missed.remove(entry)
            if isinstance(entry, Alarm) and entry.repeat:
                for alarm in [each for each in self._repeating if each.name == entry.name]:
                    self._become(alarm, replace(alarm, since_s=entry.since_s))
            elif len(self._entries) < MOST:
                names = [each.name for each in self._entries]
                self._entries.append(replace(entry, name=unused(entry.name, entry.kind, names)))

    def _follow_back(self, now: Reading) -> None:
        """Believe a clock that was set back by much, after a while: what it comes to again rings again."""
        ahead = [alarm for alarm in self._repeating if alarm.done_s - now.wall_s > SET_BACK_S]
        if not ahead or not now.is_plausible:
            self._behind_since_s = None
        elif self._behind_since_s is None:
            self._behind_since_s = now.boot_s
        elif now.boot_s - self._behind_since_s > BELIEVED_S:
            for alarm in ahead:
                self._become(alarm, replace(alarm, since_s=now.wall_s, rang_s=now.wall_s))

    def _become(self, old: Entry, new: Entry) -> None:
        self._entries[self._entries.index(old)] = new

    @property
    def _repeating(self) -> list[Alarm]:
        return [entry for entry in self._entries if isinstance(entry, Alarm) and entry.repeat]


def _read(entries: Iterable[Entry], kept: Kept, now: Reading) -> Iterator[Entry]:
    """What another process has written, in terms of this boot."""
    same_boot = kept.boot == now.boot and kept.boot_s <= now.boot_s
    for entry in entries:
        match entry:
            case Timer(ends_boot_s=ends_boot_s) if not same_boot:
                left_s = ends_boot_s - kept.boot_s
                yield replace(entry, ends_boot_s=now.boot_s + left_s, carried=True)
            case Alarm(day=day) if day.year not in YEARS:
                pass  # no calendar goes there
            case _:
                yield entry
