"""A simulated device: plays films one after another, so that counters go on and gauges live. Pure.

It is told the time, seconds since the simulation began; what it does when is drawn from its number alone.

    fate     quiet | talking | quiet | troubled | ...     one film each, then the next
    process  restarted now and then: counters begin again, a new start time, nobody answers meanwhile
    line     out now and then: it runs on and counts, but cannot be reached
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

import numpy as np

from tests.fleetsim.film import BUILD, STARTED, Reel, Values


@dataclass(frozen=True)
class Life:
    """How a fleet lives. ``fates``: weights of films. An hour has so many restarts and outages a device."""

    fates: Mapping[str, float] = field(
        default_factory=lambda: {"quiet": 0.75, "talking": 0.2, "troubled": 0.05}
    )
    restarts_an_hour: float = 0.25
    down_s: float = 10.0
    outages_an_hour: float = 1.0
    outage_s: tuple[float, float] = (30.0, 180.0)
    updated: float = 0.05
    """The share of devices that get another version ..."""
    update_at_s: float = 120.0
    """... then; they restart for it, and some of their series are others."""


class Device:
    """The ``number``th of a fleet; ``epoch``: what the wall clock said when the simulation began."""

    def __init__(self, number: int, reel: Reel, life: Life, epoch: float) -> None:
        self._reel = reel
        self._life = life
        self._epoch = epoch
        self._draw = Random(number)
        self._version = 0
        self._build, self._started = reel.column(BUILD), reel.column(STARTED)
        self._grows = reel.grows
        self._film = reel.films[self._fate()]
        self._since_s = -self._draw.random() * self._film.length_s  # not all in step
        self._updates = self._draw.random() < life.updated
        self._restart_at_s = self._next(0.0, life.restarts_an_hour)
        self._out_at_s = self._next(0.0, life.outages_an_hour)
        self._out_until_s = 0.0
        self._begin(-3600.0 * self._draw.random())
        self._total: Values = self._film.grown * self._draw.randrange(500)  # it has run for a while

    def page(self, now_s: float) -> str | None:
        """Its metrics, or None while nobody answers. Time never goes backwards."""
        self._live(now_s)
        if now_s < self._begun_s or self._is_out(now_s):
            return None
        values = self._values(now_s)
        openings = [column.opening for column in self._reel.columns]
        openings[self._build] = openings[self._build].replace('version="', f'version="{self._version}.')
        known = np.flatnonzero(~np.isnan(values)).tolist()
        figures = values.tolist()
        return "".join([f"{openings[at]}{figures[at]!r}\n" for at in known])

    def _values(self, now_s: float) -> Values:
        film = self._film
        frame = film.frames[int((now_s - self._since_s) / film.step_s)]
        grown = self._total + np.nan_to_num(frame) - np.nan_to_num(film.frames[0])
        self._seen |= ~np.isnan(frame) & self._grows
        values = np.asarray(np.where(self._seen, grown, frame))
        values[self._started] = self._epoch + self._begun_s
        return values

    def _live(self, now_s: float) -> None:
        """Go through all that has happened until now."""
        if self._updates and now_s >= self._life.update_at_s:
            self._updates, self._version = False, 1
            self._begin(self._life.update_at_s + self._life.down_s)
        while now_s >= self._restart_at_s:
            self._begin(self._restart_at_s + self._life.down_s)
            self._restart_at_s = self._next(self._restart_at_s, self._life.restarts_an_hour)
        while now_s - self._since_s >= self._film.length_s:
            self._total = self._total + self._film.grown
            self._since_s += self._film.length_s
            self._film = self._reel.films[self._fate()]

    def _begin(self, at_s: float) -> None:
        """A new process: nothing has been counted."""
        self._begun_s = at_s
        self._total = np.zeros(len(self._reel.columns))
        self._seen = np.zeros(len(self._reel.columns), np.bool_)

    def _is_out(self, now_s: float) -> bool:
        if now_s >= self._out_at_s:
            self._out_until_s = self._out_at_s + self._draw.uniform(*self._life.outage_s)
            self._out_at_s = self._next(self._out_until_s, self._life.outages_an_hour)
        return now_s < self._out_until_s

    def _fate(self) -> str:
        fates = self._life.fates
        return self._draw.choices([*fates], [*fates.values()])[0]

    def _next(self, after_s: float, an_hour: float) -> float:
        return after_s + self._draw.expovariate(an_hour / 3600) if an_hour else float("inf")
