"""Is it growing? A straight line through what was measured, by least squares, and how sure it is."""

from collections.abc import Iterable
from math import sqrt
from statistics import fmean

SURE = 3.0
"""Standard errors: beyond them a slope is not noise."""


class Trend:
    """Points (x, y) and their slope."""

    def __init__(self, points: Iterable[tuple[float, float]] = ()) -> None:
        self._points = list(points)

    def __len__(self) -> int:
        return len(self._points)

    def add(self, x: float, y: float) -> None:
        """One more measurement."""
        self._points.append((x, y))

    def after(self, x: float) -> "Trend":
        """The part beyond ``x``."""
        return Trend(point for point in self._points if point[0] >= x)

    def latter(self, share: float) -> "Trend":
        """The last ``share`` of the points."""
        return Trend(self._points[round(len(self._points) * (1 - share)) :])

    def blocks(self, count: int) -> "Trend":
        """Means of ``count`` neighbouring groups."""
        size = max(1, len(self._points) // count)
        groups = (self._points[at : at + size] for at in range(0, len(self._points), size))
        return Trend((fmean(x for x, _ in group), fmean(y for _, y in group)) for group in groups)

    @property
    def span(self) -> float:
        """From the first x to the last."""
        return self._points[-1][0] - self._points[0][0] if self._points else 0.0

    @property
    def first(self) -> float:
        """The first y; 0 if there is none."""
        return self._points[0][1] if self._points else 0.0

    @property
    def last(self) -> float:
        """The last y; 0 if there is none."""
        return self._points[-1][1] if self._points else 0.0

    @property
    def slope(self) -> float:
        """Growth of y with each x."""
        spread = self._spread()
        if not spread:
            return 0.0
        x0, y0 = self._middle()
        return sum((x - x0) * (y - y0) for x, y in self._points) / spread

    @property
    def error(self) -> float:
        """The slope's standard error."""
        spread, slope, (x0, y0) = self._spread(), self.slope, self._middle()
        if not spread or len(self._points) < 3:
            return float("inf")
        left = sum((y - y0 - slope * (x - x0)) ** 2 for x, y in self._points)
        return sqrt(left / (len(self._points) - 2) / spread)

    def surely_above(self, limit: float) -> bool:
        """Whether the slope is above ``limit``, and above zero beyond noise."""
        return self.slope > limit and self.slope > SURE * self.error

    def __str__(self) -> str:
        return f"{self.slope:.2f} +- {self.error:.2f}"

    def _middle(self) -> tuple[float, float]:
        xs, ys = zip(*self._points, strict=True) if self._points else ((0.0,), (0.0,))
        return fmean(xs), fmean(ys)

    def _spread(self) -> float:
        x0, _ = self._middle()
        return sum((x - x0) ** 2 for x, _ in self._points)
