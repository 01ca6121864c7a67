"""A timer and an alarm as values, and what the file holds."""

from datetime import date, datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from voice_agent.alarms.clock import Reading, first_after, moment

Kind = Literal["timer", "alarm"]
KINDS: tuple[Kind, ...] = ("timer", "alarm")
Seconds = Annotated[float, Meta(ge=-1e10, le=1e10)]
"""A file may hold nonsense, but none that no calendar reaches."""
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Timer(Struct, frozen=True, tag_field="kind", tag="timer"):
    """Rings when an amount of time has passed."""

    name: str
    seconds: Seconds
    """As it was set."""
    ends_boot_s: Seconds
    """When it is due, by the clock of the boot in which it was set, or in which it was last read."""
    ends_wall_s: Seconds | None = None
    """The same in Unix time; ``None``: nobody knew the time."""
    carried: bool = False
    """Set in an earlier boot. The boot clock then says when it is due at the latest, as if no time had passed
    between both boots, and the wall clock, which may not be right yet, when it really is."""

    @property
    def kind(self) -> Kind:
        """What it is."""
        return "timer"

    def late_s(self, now: Reading) -> float:
        """For how long it has been due; negative: how long it will still take."""
        late_s = now.boot_s - self.ends_boot_s
        if self.carried and self.ends_wall_s is not None:
            return max(late_s, now.wall_s - self.ends_wall_s)
        return late_s

    def due_at(self, now: Reading) -> datetime:
        """When it is or was due, in people's time."""
        return datetime.fromtimestamp(now.wall_s - self.late_s(now), now.zone)

    def anchored(self, now: Reading) -> "Timer":
        """With its end in people's time as the clocks stand now."""
        if self.carried:
            return self
        ends_wall_s = now.wall_s + self.ends_boot_s - now.boot_s if now.is_plausible else None
        return replace(self, ends_wall_s=ends_wall_s)


class Alarm(Struct, frozen=True, tag_field="kind", tag="alarm"):
    """Rings at a time of day: once, on ``day``, or again and again, on days of the week."""

    name: str
    at: Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
    day: date
    """Of one that repeats, the first."""
    repeat: tuple[Annotated[int, Meta(ge=0, le=6)], ...] = ()
    """0 is Monday; empty: once."""
    since_s: Seconds = 0.0
    """Of one that repeats: times later than this, in Unix time, are still to come,"""
    rang_s: Seconds = 0.0
    """unless it has rung at that time or a later one."""

    @property
    def kind(self) -> Kind:
        """What it is."""
        return "alarm"

    @property
    def done_s(self) -> float:
        """Of one that repeats: it has nothing more to do with times up to this one."""
        return max(self.since_s, self.rang_s)

    def next_s(self, now: Reading) -> float:
        """When it is due, in Unix time."""
        if self.repeat:
            return first_after(self.done_s, self.at, self.repeat, now.zone)
        return moment(self.day, self.at, now.zone)

    def late_s(self, now: Reading) -> float:
        """For how long it has been due; negative: how long it will still take."""
        return now.wall_s - self.next_s(now)

    def due_at(self, now: Reading) -> datetime:
        """When it is or was due, in people's time."""
        return datetime.fromtimestamp(self.next_s(now), now.zone)


Entry = Timer | Alarm


class Kept(Struct, frozen=True):
    """What outlives the process; what the file holds."""

    boot: str = ""
    boot_s: Seconds = 0.0
    """When it was written, by the clock of that boot."""
    entries: tuple[Entry, ...] = ()
    missed: tuple[Entry, ...] = ()
    """Those that nobody could hear, and nobody was told of."""


def weekday_names(repeat: tuple[int, ...]) -> list[str]:
    """Days of the week in words."""
    return [WEEKDAYS[day] for day in repeat]
