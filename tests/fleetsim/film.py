"""What a real daemon's page of metrics looked like from moment to moment: pure, and kept as JSON.

A film is one fate (quiet, talking, troubled). All films together have one table of columns, a column being a
series; a frame is a row of values, NaN where the page had no such series at that moment.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voice_agent.telemetry.row import PREFIX

Values = NDArray[np.float64]

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
GROWS = ("_total", "_bucket", "_count", "_sum")
"""How the names of series end that only grow. What a histogram consists of does, too."""
STARTED = "process_start_time_seconds"
BUILD = PREFIX + "build_info"


class Column(NamedTuple):
    """A series. ``opening``: the comments above it if it begins a family, and its name and labels."""

    series: str
    opening: str
    grows: bool


@dataclass(frozen=True)
class Film:
    """Frames by column, ``step_s`` seconds apart."""

    fate: str
    step_s: float
    frames: Values

    @property
    def length_s(self) -> float:
        """From the first frame to the last."""
        return self.step_s * (len(self.frames) - 1)

    @property
    def grown(self) -> Values:
        """What each column has grown by from its beginning to its end; meaningless for gauges."""
        return np.asarray(np.nan_to_num(self.frames[-1]) - np.nan_to_num(self.frames[0]))


@dataclass(frozen=True)
class Reel:
    """All films and the columns of their frames."""

    columns: tuple[Column, ...]
    films: Mapping[str, Film]

    @property
    def grows(self) -> NDArray[np.bool_]:
        """Which columns are counters."""
        return np.array([column.grows for column in self.columns])

    def column(self, name: str) -> int:
        """The first column of that metric."""
        return next(at for at, each in enumerate(self.columns) if metric(each.series) == name)


def metric(series: str) -> str:
    """The name before the labels."""
    found = NAME.match(series)
    return found.group() if found else ""


def samples(page: str) -> dict[str, float]:
    """Values by series, in the page's order."""
    lines = (line.rpartition(" ") for line in page.splitlines() if line and not line.startswith("#"))
    return {series: float(value) for series, _, value in lines}


def developed(pages: Mapping[str, Sequence[str]], step_s: float) -> Reel:
    """Films by fate from pages that were taken ``step_s`` apart; each needs two of them at least."""
    columns = tuple(_columns([*chain.from_iterable(pages.values())]))
    at = {column.series: place for place, column in enumerate(columns)}
    films = {fate: Film(fate, step_s, _frames(taken, at)) for fate, taken in pages.items()}
    return Reel(columns, films)


def _frames(pages: Sequence[str], at: Mapping[str, int]) -> Values:
    frames = np.full((len(pages), len(at)), np.nan)
    for frame, page in zip(frames, pages, strict=True):
        for series, value in samples(page).items():
            frame[at[series]] = value
    return frames


def _columns(pages: Sequence[str]) -> Iterator[Column]:
    """Families stay together, as the format wants them, whichever page a series first came in."""
    comments: dict[str, list[str]] = {}
    families: dict[str, dict[str, None]] = {}
    for page in pages:
        family = ""
        for line in page.splitlines():
            if line.startswith("#"):
                family = line.split()[2]
                known = comments.setdefault(family, [])
                known += [line] if line not in known else []
                families.setdefault(family, {})
            elif line:
                families.setdefault(family, {})[line.rpartition(" ")[0]] = None
    for family, series in families.items():
        above = "".join(f"{line}\n" for line in comments.get(family, []))
        for each in series:
            yield Column(each, f"{above}{each} ", metric(each).endswith(GROWS))
            above = ""


def per_metric(series: Iterable[str]) -> dict[str, int]:
    """How many series each family costs, the dearest first; a histogram's parts count as one."""
    counts: dict[str, int] = {}
    for each in series:
        name = re.sub("_(bucket|count|sum)$", "", metric(each))
        counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))
