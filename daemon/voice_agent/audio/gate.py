"""The voice gate: hears on this device, for next to nothing, that somebody has begun to speak.

Each frame becomes one number, its level in the band of speech. Three questions are asked of it::

    is it well above the noise?   a few times what the noise strays by; the noise is followed all the time
    for long enough?              frames above are counted up, others down: a click never comes far
    is it speech?                 a small neural network says it, if one is installed (extra ``vad``);
                                  else: does it move? A fan just switched on stands still, syllables do not

The network hears nothing but what the first two questions let through, so that a quiet room costs nothing.
Figures are in ADR 13.
"""

from collections import deque
from enum import Enum, auto
from math import log10
from operator import add, mul, sub
from typing import NamedTuple

from voice_agent.audio.pcm import Samples, samples_in
from voice_agent.audio.silero import Silero, silero

BAND_RATE = 8000
"""Speech is told from noise below 4 kHz; more samples only cost more."""
MOST_SLICES = 3
"""Samples that are added to one of that rate: enough against aliasing, and cheap at 48 kHz."""

SPAN_FRAMES = 25
SPANS = 4
"""No noise is below the least level of four half seconds: longer than anybody goes without a dip."""
QUIETEST_DB = 12.0
"""Nor below this, in dB above one step of the converter: what a muted microphone brings is no room."""
LEAST_STRAY_DB = 0.5
MARGIN = 4.0
"""A voice is so many times above the noise as the noise strays on the average: 5 sigma if that is normal."""
FOLLOW = 0.02
FAST = 0.1
"""Shares of a step by which the noise is followed: in a second; in a fifth when something loud has ended."""
FALL_STRAYS = 3.0
OUTLIER_STRAYS = 2.0
"""One frame adds no more than this to what the noise strays by: the end of a loud noise is no straying."""

SMOOTHED = 5
"""Frames of which the middle one counts: noise strays less, and a click of two frames is not there."""
SPEECH_FRAMES = 5
"""100 ms more of voice than of silence; the shortest word has 150."""
MOVING_DB = 3.0
"""From the quietest of so many frames to the loudest: steady noise has 1.5."""
HANG_DB = 1.0
HANG_FRAMES = 20
"""400 ms a little below the mark end speech: longer than the stops inside a word."""
MEMORY_FRAMES = 15
"""300 ms, which the second opinion hears first: a word begins before it is noticed."""


class _State(Enum):
    IDLE = auto()
    DOUBTFUL = auto()
    """Passed here; the second opinion listens."""
    OPEN = auto()


class GateStatistics(NamedTuple):
    """A snapshot of the counters."""

    opened: int
    """Times that somebody began to speak."""
    rejected: int
    """Times that something else passed, and the second opinion was against it."""
    noise_db: float
    """The level of the room, in dB above one step of the converter."""


class VoiceGate:
    """Frames of one rate in, onsets of speech out. ``confirm``: ask for a second opinion, if there is one."""

    def __init__(self, rate: int, *, confirm: bool = True) -> None:
        self._stride = max(1, round(rate / BAND_RATE))
        self._second: Silero | None = silero(rate) if confirm else None
        self._memory: deque[bytes] = deque(maxlen=MEMORY_FRAMES)
        self._levels: deque[float] = deque(maxlen=SMOOTHED)
        self._noise = Noise()
        self._state = _State.IDLE
        self._count = 0
        self._onset = 0
        self._quiet = 0
        self._opened = 0
        self._rejected = 0

    @property
    def is_open(self) -> bool:
        """Whether somebody speaks."""
        return self._state is _State.OPEN

    def feed(self, position: int, pcm: bytes) -> int | None:
        """Hear the frame (20 ms) at ``position``. When it opens the gate: where the speech began."""
        level_db = band_level_db(samples_in(pcm), self._stride)
        self._levels.append(level_db)
        above_db = self._noise.compare(sorted(self._levels)[len(self._levels) // 2])
        if self._second:
            self._memory.append(pcm)
        if self._state is _State.OPEN:
            self._stay(above_db)
            return None
        self._tally(position, above=above_db >= 0)
        return self._decide(pcm)

    def statistics(self) -> GateStatistics:
        """The counters as they are now."""
        return GateStatistics(self._opened, self._rejected, self._noise.level_db)

    def _tally(self, position: int, *, above: bool) -> None:
        if above and self._count == 0:
            self._onset = position
        # Bounded: a long noise that was doubtful is forgotten as soon as the end of speech is.
        self._count = min(self._count + 1, HANG_FRAMES) if above else max(self._count - 1, 0)

    def _decide(self, pcm: bytes) -> int | None:
        if self._state is _State.DOUBTFUL:
            return self._listen_on(pcm)
        if self._count < SPEECH_FRAMES:
            return None
        if self._second is None:
            return self._open() if max(self._levels) - min(self._levels) >= MOVING_DB else None
        self._state = _State.DOUBTFUL
        self._second.begin()
        return self._listen_on(b"".join(self._memory))

    def _listen_on(self, pcm: bytes) -> int | None:
        if self._second and self._second.hear(pcm):
            return self._open()
        if self._count == 0:
            self._state = _State.IDLE
            self._rejected += 1
        return None

    def _open(self) -> int:
        self._state, self._quiet = _State.OPEN, 0
        self._opened += 1
        return self._onset

    def _stay(self, above_db: float) -> None:
        self._quiet = 0 if above_db >= -HANG_DB else self._quiet + 1
        if self._quiet >= HANG_FRAMES:
            self._state, self._count = _State.IDLE, 0


class Noise:
    """What the room sounds like when nobody speaks: its level, and how far it strays from that."""

    def __init__(self) -> None:
        self._spans: deque[float] = deque(maxlen=SPANS - 1)
        self._least_db = 0.0
        self._frames = 0
        self._stray_db = LEAST_STRAY_DB
        self.level_db = 0.0

    def compare(self, level_db: float) -> float:
        """How far a level (dB) is above the mark that makes it a voice. What is below is noise."""
        if not self._frames and not self._spans:
            self.level_db = level_db
        above_db = level_db - self.level_db - MARGIN * self._stray_db
        if above_db < 0:
            self._follow(level_db - self.level_db)
        self.level_db = max(self.level_db, self._floor(level_db))
        return above_db

    def _follow(self, off_db: float) -> None:
        fast = off_db < -FALL_STRAYS * self._stray_db or not self._spans  # a first frame may be far off
        self.level_db += off_db * (FAST if fast else FOLLOW)
        strays_db = min(abs(off_db), OUTLIER_STRAYS * self._stray_db)
        self._stray_db = max(self._stray_db + (strays_db - self._stray_db) * FOLLOW, LEAST_STRAY_DB)

    def _floor(self, level_db: float) -> float:
        """The least level of the last two seconds, once there have been so many."""
        self._least_db = min(self._least_db, level_db) if self._frames else level_db
        self._frames += 1
        if self._frames == SPAN_FRAMES:
            self._spans.append(self._least_db)
            self._frames = 0
        least_db = min(self._least_db, *self._spans) if len(self._spans) == SPANS - 1 else QUIETEST_DB
        return max(least_db, QUIETEST_DB)


def band_level_db(samples: Samples, stride: int) -> float:
    """Level of a frame around 2 kHz, in dB above one step of the converter; deaf to a constant.

    Added in groups to some 8 kHz, then the difference to the sample after the next: a band-pass with zeros at
    0 and at 4 kHz for two operations a sample. Neither gain matters, as levels are only compared.
    """
    skip = -(-stride // MOST_SLICES)
    whole = len(samples) // stride * stride
    added = samples[:whole:stride].tolist()
    for offset in range(skip, stride, skip):
        added = list(map(add, added, samples[offset:whole:stride]))
    differences = list(map(sub, added[2:], added))
    slices = len(range(0, stride, skip))
    energy = sum(map(mul, differences, differences)) / max(1, len(differences) * slices * slices)
    return 10 * log10(energy + 1)
