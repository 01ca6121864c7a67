"""What the clocks show, and when a time of day comes.

Two clocks, for neither will do alone. The boot clock counts elapsed seconds, suspended ones too; nobody can
set it, and it ends with the boot. The wall clock tells people's time and outlives boots, but it jumps: a
device without a battery believes in some day long past until the network tells it better.
"""

from collections.abc import Collection
from datetime import date, datetime, time, timedelta, tzinfo
from os import urandom
from pathlib import Path
from time import CLOCK_BOOTTIME, clock_gettime
from time import time as wall_clock
from typing import NamedTuple

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

PLAUSIBLE_S = 1_735_689_600.0
"""The beginning of 2025, in Unix time: a wall clock that shows less has not been set yet."""

DAY = timedelta(days=1)


class Reading(NamedTuple):
    """What the clocks show. Seconds since 1970, and since the boot that is called ``boot``."""

    wall_s: float
    boot_s: float
    boot: str
    zone: tzinfo | None = None
    """``None``: the device's own, wherever it is now."""

    @property
    def is_plausible(self) -> bool:
        """Whether the wall clock may be right."""
        return self.wall_s >= PLAUSIBLE_S

    @property
    def local(self) -> datetime:
        """The time of day here."""
        return datetime.fromtimestamp(self.wall_s, self.zone)


class Clocks:
    """This machine's clocks. Made once for a process: the boot's name is read from a file."""

    def __init__(self) -> None:
        self._boot = _boot()

    def __call__(self) -> Reading:
        """What they show now."""
        return Reading(wall_clock(), clock_gettime(CLOCK_BOOTTIME), self._boot)


def _boot() -> str:
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return urandom(8).hex()  # as if each process were a boot: then the wall clock is all there is


def moment(day: date, at: str, zone: tzinfo | None) -> float:
    """When a day comes to a time of day ("07:00"), in Unix time.

    A time that the clocks pass over in spring comes as much later as they are set on; of one that comes
    twice in autumn, the first counts.
    """
    return datetime.combine(day, time.fromisoformat(at), zone).timestamp()


def first_after(since_s: float, at: str, weekdays: Collection[int], zone: tzinfo | None) -> float:
    """When a time of day comes next after a moment, on one of these days of the week (0 is Monday)."""
    day = datetime.fromtimestamp(since_s, zone).date()
    while day.weekday() not in weekdays or moment(day, at, zone) <= since_s:
        day += DAY
    return moment(day, at, zone)
