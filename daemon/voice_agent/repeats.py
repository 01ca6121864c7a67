"""News once, then counted: a fault that comes again and again is two lines in the log and a number.

    WARNING herald: no session cause=dns reason="cannot find example.org" retry_s=1.2
    INFO herald: "no session" came 37 more times in 12 min cause=dns ...

The first of a kind is told, repeats are whispered (DEBUG). When it is over, or every hour while it lasts, one
line says how often it came meanwhile. It is over when its owner says so, or when it has not come for long;
whoever calls ``look`` now and then lets that be noticed. Some tell from threads of
theirs, while the loop looks.
"""

import logging
import threading
from collections.abc import Hashable, Mapping
from time import monotonic
from typing import ClassVar
from weakref import WeakSet

HOUR_S = 3600.0
FORGET_S = 900.0
"""Longer than any pause between two attempts at the same thing."""

MAX_KINDS = 100
"""A peer that invents a new kind of fault each time must not fill our memory or the log."""

Extra = Mapping[str, object]


class _Series:
    """One kind of fault, until it is over. ``more``: times since it was last told."""

    def __init__(self) -> None:
        self.more = 0
        self.told_at = self.last_at = self.over_at = 0.0
        self.text = ""
        self.extra: Extra = {}

    def note(self, text: str, extra: Extra, now: float) -> None:
        """It happens, once more."""
        self.text, self.extra = text, extra
        self.last_at, self.over_at = now, now + FORGET_S


class Repeats:
    """The faults that one log tells of, ``most`` kinds at a time. ``now``: monotonic seconds."""

    _all: ClassVar["WeakSet[Repeats]"] = WeakSet()
    _begins: ClassVar = threading.Lock()

    def __init__(self, log: logging.Logger, most: int = MAX_KINDS) -> None:
        self._log = log
        self._most = most
        self._series: dict[Hashable, _Series] = {}
        with self._begins:
            self._all.add(self)

    def tell(
        self,
        kind: Hashable,
        text: str,
        extra: Extra,
        *,
        level: int = logging.WARNING,
        again: int = logging.DEBUG,
        error: BaseException | None = None,
        now: float | None = None,
    ) -> bool:
        """It happens (again): ``text`` says what, ``extra`` the details of this time. Whether it is news.

        ``again``: how loud it is if it is none.
        """
        now = monotonic() if now is None else now
        self.look(now)
        series = self._series.get(kind)
        news = series is None and len(self._series) < self._most
        self._log.log(level if news else again, text, extra=extra, exc_info=error, stacklevel=2)
        if news:
            series = self._series[kind] = _Series()
            series.told_at = now
        elif series is None:
            return False
        else:
            series.more += 1
        series.note(text, extra, now)
        if now - series.told_at >= HOUR_S:
            self._sum_up(series, level)
        return news

    def over(self, *kinds: Hashable, within_s: float = 0.0, now: float | None = None) -> None:
        """They (without any: all) are over, unless they come again within that time."""
        now = monotonic() if now is None else now
        for kind in kinds or (*self._series,):
            if series := self._series.get(kind):
                series.over_at = min(series.over_at, now + within_s)
        if not within_s:
            self.look(now)

    def look(self, now: float) -> None:
        """Sum up what is over."""
        for kind, series in (*self._series.items(),):
            if now >= series.over_at:
                is_ours = self._series.pop(kind, None) is series  # else another thread has looked meanwhile
                if is_ours and series.more:
                    self._sum_up(series, logging.INFO)

    def _sum_up(self, series: _Series, level: int) -> None:
        span_s = series.last_at - series.told_at
        counted = {**series.extra, "again": series.more, "within_s": span_s}
        times = "once more" if series.more == 1 else f"{series.more} more times"
        self._log.log(level, '"%s" came %s in %s', series.text, times, _for_people(span_s), extra=counted)
        series.more, series.told_at = 0, series.last_at

    @classmethod
    def look_everywhere(cls) -> None:
        """Sum up what is over, in every log."""
        now = monotonic()
        with cls._begins:
            everybody = [*cls._all]
        for each in everybody:
            each.look(now)


def _for_people(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
