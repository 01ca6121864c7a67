"""The meter: how much echo there is, how much of it the canceller leaves, and what to expect of a frame.

All in dB, per frame, from three levels (``canceller.Levels``)::

    direct = what was played one delay ago + coupling      the canceller takes this away, but for the leak
    room   = the loudest direct, falling with the room     where the loudspeaker pauses, this is not taken
                                                           away; but it only falls

What is above that is something else: somebody speaks. Such frames teach nothing. Pure: no clock, no samples.
"""

from collections import deque
from enum import Enum
from math import log10

from voice_agent.audio.echo.canceller import Levels
from voice_agent.audio.echo.delay import LAGS, EchoDelay
from voice_agent.formats import FRAME_MS

FALL_DB = 1.2
"""A frame: a reverberation time of a second. Living rooms have 0.4 to 0.6."""
PAUSE_DB = 3.0
"""When the direct sound has fallen by more, what is heard may be the room, which is softer by as much."""
FAR_DB = 30.0
"""Below it, 60 dB under full scale, the loudspeaker is as good as silent."""
AUDIBLE_DB = 6.0
"""Above the noise; less of an echo is none."""

FIRST_COUPLING_DB = 0.0
"""As loud as it was played, which is more than any; what is heard brings it down soon."""
COUPLING_UP_DB, COUPLING_DOWN_DB = 0.1, 0.01
"""Steps by which the coupling follows: one frame in eleven is allowed to be louder. Slowly, as somebody may
speak who has not been noticed."""
LEAK_UP_DB, LEAK_DOWN_DB = 0.05, 0.0025
"""The same for the leak: one frame in twenty-one."""
HASTE_FRAMES, COUPLING_HASTE, LEAK_HASTE = 150, 30.0, 5.0
"""The first frames teach more."""
FIRST_LEAK_DB = -28.0
LEAK_MARGIN_DB = 8.0
LEAST_LEAK_DB, MOST_LEAK_DB = -22.0, -10.0
"""Bounds of what the canceller leaves, against the echo: nothing is better, or worth listening to."""
SCOLD_DB = 3.0
"""What was above and turned out to be nobody raises the expectation by so much."""
LOUDER_DB = 3.0
"""So much above the echo there is more than echo."""

SMOOTH = 0.02
"""Share of a frame in what is counted as echo and as residual: a second of sounding echo."""
LEARNING_FRAMES = 150
"""Of echo, before anything is said about the canceller: three seconds."""
GOOD_DB, POOR_DB = 14.0, 8.0
CLEAN_DB = 4.0
"""A residual so little above the noise is good, however weak the echo."""
DISTRUST_FRAMES = 250


class Health(Enum):
    """How the canceller is doing."""

    CONVERGING = "converging"
    """It has not heard enough echo yet."""
    GOOD = "good"
    DIVERGING = "diverging"
    """It leaves too much: it has lost its way, or the loudspeaker distorts."""
    NO_ECHO = "no echo"
    """What is played is not heard: headphones, or a loudspeaker that is off. A canceller that has never heard
    an echo takes the user for one: its output is of no use then."""


class EchoMeter:
    """Frames in; what to expect of them out."""

    def __init__(self) -> None:
        self._delay = EchoDelay()
        self._recent: deque[float] = deque([0.0] * LAGS, maxlen=LAGS)  # played; the newest first
        self._direct_db = self._room_db = 0.0
        self._coupling_db = FIRST_COUPLING_DB
        self._leak_db = FIRST_LEAK_DB
        self._frames = 0  # beside which something was played
        self._echo = self._residual = 0.0  # powers
        self._audible = False
        self._health = Health.CONVERGING
        self._distrust = 0

    @property
    def health(self) -> Health:
        """How the canceller is doing."""
        return self._health

    @property
    def erle_db(self) -> float:
        """Echo return loss enhancement over the last second of echo: how much softer it has become."""
        return _db(self._echo) - _db(self._residual)

    @property
    def delay_s(self) -> float | None:
        """How much later than it was played the echo comes, to a frame; ``None``: that cannot be told yet."""
        return None if self._delay.frames is None else self._delay.frames * FRAME_MS / 1000

    @property
    def audible(self) -> bool:
        """Whether an echo may be in the frame that ``expect`` was asked of, or come soon."""
        return self._audible

    @property
    def leak_db(self) -> float:
        """The most that is left of an echo of 0 dB."""
        return min(max(self._leak_db + LEAK_MARGIN_DB, LEAST_LEAK_DB), MOST_LEAK_DB)

    def expect(self, levels: Levels, noise_db: float) -> float:
        """The loudest residual to expect in this frame, in a room of ``noise_db``."""
        self._recent.appendleft(levels.far_db)
        self._direct_db = self._played_then_db() + self._coupling_db
        self._room_db = max(self._room_db - FALL_DB, self._direct_db)
        loudest_db = max(self._recent)
        self._audible = loudest_db > FAR_DB and loudest_db + self._coupling_db > noise_db + AUDIBLE_DB
        self._look_for_echo(levels, noise_db)
        if self._health is Health.NO_ECHO:
            return self._direct_db
        residual_db = self._direct_db + self.leak_db
        pauses = self._room_db > self._direct_db + PAUSE_DB
        return max(residual_db, self._room_db - PAUSE_DB) if pauses else residual_db

    def learn(self, levels: Levels, noise_db: float) -> None:
        """Nobody spoke in this frame, of which ``expect`` has been asked."""
        self._distrust = max(self._distrust - 1, 0)
        if self._played_then_db() <= FAR_DB:
            return
        self._follow_coupling(levels.near_db, noise_db)
        self._frames += 1
        if self._direct_db > noise_db + AUDIBLE_DB and levels.near_db < self._direct_db + LOUDER_DB:
            self._follow_leak(levels.clean_db)
            self._compare(levels, noise_db)
        self._judge(noise_db)

    def scold(self) -> None:
        """A residual was taken for somebody: expect more of it."""
        self._leak_db = max(self._leak_db, LEAST_LEAK_DB - LEAK_MARGIN_DB) + SCOLD_DB

    def distrust(self) -> None:
        """A residual was taken for somebody again and again: trust nothing for five seconds of echo."""
        self._distrust = DISTRUST_FRAMES
        self._health = Health.DIVERGING

    def _look_for_echo(self, levels: Levels, noise_db: float) -> None:
        if max(self._recent) <= FAR_DB:
            return
        self._delay.observe(levels.far_db, max(levels.near_db, noise_db))
        if self._health is Health.NO_ECHO and self._delay.frames is not None:
            self._frames = 0
            self._coupling_db = FIRST_COUPLING_DB
            self._health = Health.CONVERGING

    def _played_then_db(self) -> float:
        """The loudest that was played one delay ago, give or take a frame; of late, while that is unknown."""
        if self._delay.frames is None:
            return max(self._recent)
        first = max(self._delay.frames - 1, 0)
        return max(self._recent[lag] for lag in range(first, min(self._delay.frames + 2, LAGS)))

    def _follow_coupling(self, near_db: float, noise_db: float) -> None:
        expected_db = self._played_then_db() + self._coupling_db
        if max(near_db, expected_db) <= noise_db + AUDIBLE_DB:
            return  # neither heard nor expected: this says nothing
        step_db = COUPLING_UP_DB if near_db > expected_db else -COUPLING_DOWN_DB
        self._coupling_db += step_db * (COUPLING_HASTE if self._frames < HASTE_FRAMES else 1)

    def _follow_leak(self, clean_db: float) -> None:
        step_db = LEAK_UP_DB if clean_db - self._direct_db > self._leak_db else -LEAK_DOWN_DB
        self._leak_db += step_db * (LEAK_HASTE if self._frames < HASTE_FRAMES else 1)

    def _compare(self, levels: Levels, noise_db: float) -> None:
        if levels.near_db > noise_db + AUDIBLE_DB:
            self._echo += (_power(levels.near_db) - self._echo) * SMOOTH
            self._residual += (_power(levels.clean_db) - self._residual) * SMOOTH

    def _judge(self, noise_db: float) -> None:
        if self._frames <= LEARNING_FRAMES or self._distrust:
            return
        if self._delay.frames is None and not self._audible:
            self._health = Health.NO_ECHO
        elif self.erle_db >= GOOD_DB or _db(self._residual) <= noise_db + CLEAN_DB:
            self._health = Health.GOOD
        elif self.erle_db < POOR_DB:
            self._health = Health.DIVERGING


def _power(level_db: float) -> float:
    return float(10 ** (level_db / 10))


def _db(power: float) -> float:
    return 10 * log10(power + 1)
