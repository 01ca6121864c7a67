"""Exponential back-off with full jitter, as a value that is asked and told, not a loop that sleeps.

Full jitter (a uniform draw between zero and the ceiling) keeps a fleet that lost the same server from
coming back at the same instant.
"""

from collections.abc import Callable
from random import random


class Backoff:
    """Delays for consecutive failures: ``next_delay`` after each one, ``succeeded`` when it works again."""

    def __init__(
        self, first_s: float = 0.5, cap_s: float = 60.0, *, draw: Callable[[], float] = random
    ) -> None:
        self._first_s = first_s
        self._cap_s = cap_s
        self._draw = draw
        self._ceiling_s = first_s
        self.failures = 0

    def next_delay(self, at_least_s: float = 0.0) -> float:
        """Seconds to wait before the next try; the ceiling doubles up to the cap."""
        delay = self._ceiling_s * self._draw()
        self._ceiling_s = min(self._ceiling_s * 2, self._cap_s)
        self.failures += 1
        return max(delay, at_least_s)

    def succeeded(self) -> None:
        """Forget the failures: the next delay starts small again."""
        self._ceiling_s = self._first_s
        self.failures = 0
