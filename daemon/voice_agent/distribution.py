"""How values are distributed: a few counts by size, in plain numbers."""

from bisect import bisect_left
from dataclasses import dataclass, field


@dataclass(slots=True)
class Distribution:
    """How often a value fell below each of the ``bounds`` (and above the one before), in seconds."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = self.counts or [0] * (len(self.bounds) + 1)

    def add(self, seconds: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds

    def copy(self) -> "Distribution":
        """As it is now."""
        return Distribution(self.bounds, self.counts.copy(), self.total)
