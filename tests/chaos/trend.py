"""Is it growing? A straight line through what was measured, by least squares, and how sure it is."""

from math import sqrt
from statistics import fmean

SURE = 3.0
"""Standard errors: beyond them a slope is not noise."""


class Trend:
    """Points (x, y) and their slope."""

    def __init__(self) -> None:
        self._points: list[tuple[float, float]] = []

    def __len__(self) -> int:
        return len(self._points)

    def add(self, x: float, y: float) -> None:
        """One more measurement."""
        self._points.append((x, y))

    def after(self, x: float) -> "Trend":
        """The part beyond ``x``."""
        part = Trend()
        part._points = [point for point in self._points if point[0] >= x]
        return part

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
