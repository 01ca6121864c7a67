"""Figures with their spread."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median, quantiles
from typing import NamedTuple


@dataclass(frozen=True)
class Ratio:
    """One quantity measured in turns with its baseline; round by round, in the same unit."""

    values: Sequence[float]
    baselines: Sequence[float]

    @cached_property
    def rounds(self) -> list[float]:
        """The ratio of each round."""
        return [value / base for value, base in zip(self.values, self.baselines, strict=True)]

    @property
    def median(self) -> float:
        return median(self.rounds)


class Spread(NamedTuple):
    """A distribution in three numbers."""

    p50: float
    p95: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of at least two values."""
        return cls(median(values), quantiles(values, n=20, method="inclusive")[-1], max(values))

    def minus(self, other: "Spread") -> "Spread":
        """How much later, quantile by quantile."""
        return Spread(self.p50 - other.p50, self.p95 - other.p95, self.max - other.max)
