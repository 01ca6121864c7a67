"""The reference: for each frame of the microphone the samples that were played beside it.

The loudspeaker's tap is a ring of everything that was given to the device. Microphone and loudspeaker call
back on threads of their own, in blocks of their own; so each callback of the microphone notes how far the tap
had come (``Moment.beside``). What counts is the difference of the two positions, the *offset*::

    captured   0 ........................ 960 = end of a frame      offset = 1100 - 960 = 140
    played     0 ..... [ its reference ]<--- lag --->1100           reference ends at 960 + 140 - lag

It is constant as long as both streams run, but callbacks come late, by a block or by any time. So a mean is
followed. Two crystals are never equal: then it wanders, and single samples are slipped. After a jump it is
taken up anew.

The echo of a sample comes later than the sample: what a device is given now sounds two blocks later at the
soonest: 20 ms. A canceller must know it before (measured: 2 ms ahead are enough, 10 ms late cost 20 dB).
``LAG_MS`` gives away the most of that, as a loudspeaker's callback may come late.
"""

from collections import deque
from typing import TYPE_CHECKING

from voice_agent.audio.microphone import Moment
from voice_agent.audio.pcm import silent_samples
from voice_agent.audio.ring import SampleRing
from voice_agent.formats import ms_to_samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LAG_MS = 15.0
KEEP_MS = 100.0
"""What was played is kept so long behind the last frame: the offset may jump back."""


class Reference:
    """What belongs beside frames at ``rate``, from a ``tap`` at ``tap_rate``. For one task."""

    def __init__(self, tap: SampleRing, tap_rate: int, rate: int) -> None:
        self.offset = Offset(rate)
        self._tap = tap
        self._rates = tap_rate, rate
        self._ratio = rate / tap_rate
        self._lag = ms_to_samples(LAG_MS, rate)
        self._keep = ms_to_samples(KEEP_MS, rate)
        self._read = silent_samples(tap.capacity)
        self._begin()

    def skip(self, moment: Moment) -> None:
        """Let a frame pass without a reference: none of what was played can be heard in it."""
        self.offset.observe(moment.beside * self._ratio - moment.captured)
        self._torn |= self._tap.skip(self._tap.capacity) > 0

    def take(self, count: int, position: int, moment: Moment) -> "NDArray[np.int16]":
        """``count`` samples beside the frame that ends at ``position``; silence for what there is not."""
        import numpy as np

        self.offset.observe(moment.beside * self._ratio - moment.captured)
        if self._torn:
            self._begin()
        self._draw()
        begin = position + self.offset.samples - self._lag - count
        frame = np.zeros(count, np.int16)
        first = begin - self._end + len(self._played)
        found = self._played[max(first, 0) : max(first + count, 0)]
        at = max(-first, 0)
        frame[at : at + len(found)] = found
        self._forget(begin - self._keep)
        return frame

    def _begin(self) -> None:
        import numpy as np

        from voice_agent.audio.rates import Resampler

        self._resampler = Resampler(*self._rates)
        self._played: NDArray[np.int16] = np.zeros(0, np.int16)  # at ``rate``
        self._end = round(self._tap.read * self._ratio)  # position behind the last of them
        self._torn = False

    def _draw(self) -> None:
        """Take what was played since; the tap itself must not fill up."""
        import numpy as np

        count = self._tap.read_into(self._read)
        if count:
            more = self._resampler.process(np.frombuffer(self._read[:count], np.int16))
            self._played = np.concatenate((self._played, more))
            self._end += len(more)

    def _forget(self, before: int) -> None:
        self._played = self._played[max(len(self._played) - max(self._end - before, 0), 0) :]


JUMP_MS = 20.0
"""Off by more, there is no lag left, or twice of it: a stream was reopened, or had an xrun."""
RECENT_FRAMES = 51
"""Whether it jumped is told by the median of a second: single callbacks come late by any time."""
SMOOTH = 0.005
"""Share of a frame in the mean: four seconds. Which of two callbacks comes first changes with the load, and
is worth a block; of that the mean keeps the middle."""
LOOSE_MS = 5.0
"""The mean may be off so much. Every slip is a small change of the room, which the canceller must learn."""


class Offset:
    """Follows the difference of two positions that callbacks of two threads have noted."""

    def __init__(self, rate: int) -> None:
        self.samples = 0
        """The offset that holds now."""
        self.jumps = 0
        """Times that it was taken up anew."""
        self.slipped = 0
        """Single samples by which it was moved."""
        self._jump = ms_to_samples(JUMP_MS, rate)
        self._loose = ms_to_samples(LOOSE_MS, rate)
        self._recent: deque[float] = deque(maxlen=RECENT_FRAMES)
        self._mean = 0.0
        self._settled = False

    def observe(self, difference: float) -> None:
        """One callback's note."""
        self._recent.append(difference)
        median = sorted(self._recent)[len(self._recent) // 2]
        if not self._settled:
            self._set(median)
            self._settled = len(self._recent) == RECENT_FRAMES
        elif abs(median - self.samples) > self._jump:
            self._set(median)
            self.jumps += 1
        else:
            self._follow(difference)

    def _set(self, difference: float) -> None:
        self.samples = round(difference)
        self._mean = difference

    def _follow(self, difference: float) -> None:
        bounded = max(min(difference, self.samples + self._jump), self.samples - self._jump)
        self._mean += (bounded - self._mean) * SMOOTH
        if abs(self._mean - self.samples) > self._loose:
            self.samples += 1 if self._mean > self.samples else -1
            self.slipped += 1
