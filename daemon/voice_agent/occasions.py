"""When the daemon should make itself heard although nobody asked: pure policies, with times passed in.

News is told once and seldom; a wait is filled with ticks, but not for ever.
"""

from enum import Enum
from math import inf

TICK_AFTER_S = 1.5
"""A pause that people do not notice in a conversation is shorter."""
TICK_EVERY_S = 3.0
TICK_FOR_S = 45.0
"""Whoever still waits then will have been told something else: answers that do not come are owned up to."""

NOTICED_S = 3.0
"""A device that is back within this time was not missed: devices are reopened in a second."""
NEWS_PAUSE_S = 600.0
"""A plug that has worked loose must not make the daemon talk all day."""


class Ticks:
    """Sparse ticks while the user waits for an answer and hears nothing."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._next = inf

    def due(self, now: float, *, waiting: bool) -> bool:
        """Whether it is time for one. Moments are monotonic seconds."""
        if not waiting:
            self._since = None
            return False
        if self._since is None:
            self._since, self._next = now, now + TICK_AFTER_S
        if now < self._next or now >= self._since + TICK_FOR_S:
            return False
        self._next = now + TICK_EVERY_S
        return True


class Change(Enum):
    """What is new about a device."""

    LOST = "lost"
    BACK = "back"


class Absence:
    """Whether a device is missed. ``retold``: its loss is told again only after so many seconds."""

    def __init__(self, retold_s: float = NEWS_PAUSE_S) -> None:
        self._retold_s = retold_s
        self._since: float | None = None
        self._told_at = -inf
        self._owed = False

    def news(self, now: float, *, present: bool, free: bool) -> Change | None:
        """What to tell now. ``free``: it would be heard, and nobody talked over; else it waits.

        The return of what was never told to be missing is no news.
        """
        if present:
            self._since = None
            if self._owed and free:
                self._owed = False
                return Change.BACK
            return None
        self._since = now if self._since is None else self._since
        missed = now >= self._since + NOTICED_S and now >= self._told_at + self._retold_s
        if missed and free and not self._owed:
            self._told_at, self._owed = now, True
            return Change.LOST
        return None
