"""How much later than its reference the echo comes, in frames, from the rise and fall of levels.

Speech gets louder and softer ten times a second, and its echo does so likewise, later. The change of the
microphone's level is multiplied with the changes of what was played so many frames ago; the lag at which the
products gather is the delay. What somebody says meanwhile goes up and down by itself, and averages out.
"""

from collections import deque
from math import sqrt

LAGS = 25
"""Half a second: Bluetooth loudspeakers."""
FORGET = 0.995
"""Of what was gathered, a frame: four seconds of sound count."""
MOST_DB = 12.0
"""A change beyond says no more."""
SURE = 0.4
"""Correlation. What somebody else says stays below that, an echo under a softer voice is above."""
LEAST_FRAMES = 100
"""Two seconds, to say anything at all."""


class EchoDelay:
    """Levels in; ``frames`` out, or nothing while that cannot be told."""

    def __init__(self) -> None:
        self.frames: int | None = None
        self._rises: deque[float] = deque([0.0] * LAGS, maxlen=LAGS)
        self._scores = [0.0] * LAGS
        self._far = self._near = 0.0  # energies of the changes
        self._frames = 0
        self._far_db = self._near_db = 0.0

    def observe(self, far_db: float, near_db: float) -> None:
        """A frame in which something was played or may be heard."""
        self._rises.appendleft(_bounded(far_db - self._far_db))
        rise = _bounded(near_db - self._near_db)
        self._far_db, self._near_db = far_db, near_db
        pairs = zip(self._scores, self._rises, strict=True)
        self._scores = [score * FORGET + earlier * rise for score, earlier in pairs]
        self._far = self._far * FORGET + self._rises[0] ** 2
        self._near = self._near * FORGET + rise**2
        best = max(range(LAGS), key=self._scores.__getitem__)
        self._frames += 1
        if self._frames >= LEAST_FRAMES and self._scores[best] > SURE * sqrt(self._far * self._near):
            self.frames = best


def _bounded(change_db: float) -> float:
    return max(-MOST_DB, min(MOST_DB, change_db))
