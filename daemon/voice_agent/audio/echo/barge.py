"""Barge-in: whether somebody speaks while the loudspeaker sounds, heard on this device.

Of each frame it is told how far it is above all that can be explained without a speaker: the room's noise and
what the canceller may leave of the echo. Frames above count up, others down, as in the voice gate (ADR 13)::

    QUIET --two above--> SUSPECTED --five, that move like syllables and sound like speech--> CONFIRMED
      ^------------------- none left, or half a second of nothing above -------------------------'

What is suspected may be helped by ducking the playout; what is confirmed silences it. Pure.
"""

from collections import deque
from enum import Enum, auto

SUSPECT_FRAMES = 2
CONFIRM_FRAMES = 4
"""80 ms. A click in the room has 60, with its echoes."""
MOST_FRAMES = 12
FORGET = 1 / 3
"""Of a frame for each that is not above: the canceller eats holes into what is said over an echo."""
MOVING_DB = 3.0
"""From the softest of five frames to the loudest: a fan that is switched on has 1.5."""
SPEECH = 0.6
"""Resemblance to speech, of 1. It rises to that within 100 ms of a voice."""
HANG_FRAMES = 25
"""500 ms of nothing end the speech: longer than any stop inside a word."""


class Stage(Enum):
    """How sure it is."""

    QUIET = auto()
    SUSPECTED = auto()
    CONFIRMED = auto()


class BargeIn:
    """Frames in, a stage out."""

    def __init__(self) -> None:
        self.stage = Stage.QUIET
        self.onset = 0
        """Position of the first frame of what is suspected or confirmed."""
        self._levels: deque[float] = deque(maxlen=CONFIRM_FRAMES)
        self._count = 0.0
        self._quiet = 0

    @property
    def doubtful(self) -> bool:
        """Whether something is above, that may be somebody."""
        return self._count > 0

    def feed(self, position: int, level_db: float, above_db: float, speech: float) -> Stage:
        """Hear the frame at ``position``; ``above_db``: its level over what needs no speaker."""
        self._levels.append(level_db)
        above = above_db > 0
        if self.stage is Stage.CONFIRMED:
            self._stay(above=above)
            return self.stage
        if above and self._count == 0:
            self.onset = position
        self._count = min(self._count + 1, MOST_FRAMES) if above else max(self._count - FORGET, 0)
        if self._count == 0:
            self.stage = Stage.QUIET
        elif self._count >= CONFIRM_FRAMES and speech >= SPEECH and self._moves():
            self.stage, self._quiet = Stage.CONFIRMED, 0
        elif self._count >= SUSPECT_FRAMES:
            self.stage = Stage.SUSPECTED
        return self.stage

    def drop(self) -> None:
        """It was nobody."""
        self.stage, self._count = Stage.QUIET, 0

    def _moves(self) -> bool:
        return max(self._levels) - min(self._levels) >= MOVING_DB

    def _stay(self, *, above: bool) -> None:
        self._quiet = 0 if above else self._quiet + 1
        if self._quiet >= HANG_FRAMES:
            self.drop()
