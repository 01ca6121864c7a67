"""The reference: for each frame of the microphone the samples that were played beside it.

The loudspeaker's tap is a ring of everything that was given to the device. Microphone and loudspeaker call
back on threads of their own, in blocks of their own; so each callback of the microphone notes how far the tap
had come (``Moment.beside``), and the reference keeps behind those notes::

    played  .....[ next frame ]<--- lag --->|note at the end of the frame

Frame by frame it goes on by as many samples as the frame has, so callbacks may jitter as they like. Two
crystals are never equal: single samples are slipped so that the lag stays. After a jump it is taken up anew.

The echo of a sample comes later than the sample: what a device is given now sounds two blocks later at the
soonest. A canceller must know it before (measured: 2 ms ahead are enough, 10 ms late cost 20 dB). ``LAG_MS``
gives away half of that certainty, for callbacks that come late.
"""

from collections import deque
from math import copysign
from typing import TYPE_CHECKING

from voice_agent.audio.microphone import Moment
from voice_agent.audio.pcm import silent_samples
from voice_agent.audio.ring import SampleRing
from voice_agent.formats import ms_to_samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LAG_MS = 10.0
JUMP_MS = 40.0
"""Further off than callbacks jitter: a stream was reopened, or had an xrun."""
RECENT_FRAMES = 51
"""The lag is the median of a second: a callback may come late by any time, and none comes early."""
LOOSE_MS = 5.0
"""It may be off so much. Every slip is a small change of the room, which the canceller must learn."""
FOLLOW_FRAMES = 50
"""Frames in which what is beyond would be made up: 500 ppm of drift hold it 12 samples beyond."""


class Reference:
    """What belongs beside frames at ``rate``, from a ``tap`` at ``tap_rate``. For one task."""

    def __init__(self, tap: SampleRing, tap_rate: int, rate: int) -> None:
        self.jumps = 0
        """Times that it was taken up anew."""
        self.slipped = 0
        """Single samples left out or taken twice."""
        self._tap = tap
        self._rates = tap_rate, rate
        self._ratio = rate / tap_rate
        self._lag = ms_to_samples(LAG_MS, rate)
        self._jump = ms_to_samples(JUMP_MS, rate)
        self._loose = ms_to_samples(LOOSE_MS, rate)
        self._read = silent_samples(tap.capacity)
        self._lost = True
        self._begin()

    def skip(self) -> None:
        """Forget what was played so far: none of it can be heard any more."""
        if self._tap.skip(self._tap.capacity) or not self._lost:
            self._begin()
        self._lost = True

    def take(self, count: int, position: int, moment: Moment) -> "NDArray[np.int16]":
        """``count`` samples beside the frame that ends at ``position``; silence for what there is not."""
        import numpy as np

        self._draw()
        self._follow(moment.beside * self._ratio - (moment.captured - position) - self._lag, count)
        frame = np.zeros(count, np.int16)
        first = self._next - self._base
        found = self._played[max(first, 0) : max(first + count, 0)]
        at = max(-first, 0)
        frame[at : at + len(found)] = found
        self._next += count
        self._forget(self._next - self._jump - count)
        return frame

    def _begin(self) -> None:
        import numpy as np

        from voice_agent.audio.rates import Resampler

        self._resampler = Resampler(*self._rates)
        self._played: NDArray[np.int16] = np.zeros(0, np.int16)  # at ``rate``
        self._base = round(self._tap.read * self._ratio)  # position of the first of them
        self._next = self._base
        self._offs: deque[float] = deque(maxlen=RECENT_FRAMES)  # samples by which the lag was too long
        self._owed = 0.0  # samples to be taken beyond what the frames have

    def _draw(self) -> None:
        """Take what was played since; the tap itself must not fill up."""
        import numpy as np

        count = self._tap.read_into(self._read)
        if count:
            more = self._resampler.process(np.frombuffer(self._read[:count], np.int16))
            self._played = np.concatenate((self._played, more))

    def _follow(self, end: float, count: int) -> None:
        """Keep to ``end``, the position where this frame should end."""
        self._offs.append(end - (self._next + count))
        off = sorted(self._offs)[len(self._offs) // 2]
        if self._lost or abs(off) > self._jump:
            self._move(round(off))
            self.jumps += not self._lost
            self._lost = False
            return
        self._owed += copysign(max(abs(off) - self._loose, 0.0), off) / FOLLOW_FRAMES
        slip = int(self._owed)
        self._owed -= slip
        if slip:
            self._move(slip)
            self.slipped += abs(slip)

    def _move(self, samples: int) -> None:
        self._next += samples
        self._offs = deque((off - samples for off in self._offs), maxlen=RECENT_FRAMES)

    def _forget(self, before: int) -> None:
        excess = before - self._base
        if excess > 0:
            self._played = self._played[excess:]
            self._base += min(excess, len(self._played) + excess)
