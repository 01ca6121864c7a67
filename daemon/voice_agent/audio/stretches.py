"""Which samples are gone, and why nobody need be told twice."""

from collections import deque
from collections.abc import Iterator

STRETCHES = 64
"""Stretches remembered apart. A rewind reaches back over a few, and older ones will not be missed again."""


class Stretches:
    """What is gone, as stretches of positions: however often a stretch is told, it counts once."""

    def __init__(self) -> None:
        self.total = 0
        self._known: deque[tuple[int, int]] = deque(maxlen=STRETCHES)  # apart, and never touching

    def add(self, start: int, end: int) -> None:
        """Count what lies in ``start`` ... ``end`` and was not counted before."""
        if start >= end:
            return
        near = [(low, high) for low, high in self._known if low <= end and high >= start]
        self.total += end - start - sum(min(high, end) - max(low, start) for low, high in near)
        for stretch in near:
            self._known.remove(stretch)
        self._known.append((min([start, *(low for low, _ in near)]), max([end, *(high for _, high in near)])))

    def outside(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The parts of ``start`` ... ``end`` that are not known."""
        for low, high in sorted(self._known):
            if low >= end or high <= start:
                continue
            if start < low:
                yield start, low
            start = high
        if start < end:
            yield start, end
