"""When something left the virtual loudspeaker, on the clock that also stamps what was sent (CLOCK_MONOTONIC).

The card's clock is real time, moved in ticks. A line of ``events.log`` is written up to a tick after the
virtual time that it states, never before: the least difference of the two clocks is the true one.
"""

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tests.bench.failures import MeasurementFailed
from voice_agent.lab.card import VirtualCard
from voice_agent.lab.events import CardEvent


class Loudspeaker:
    """A finished recording and its place in time. ``anchor``: the speaker's last set-up.

    ``xruns_s``: when the application was too late for the card, and silence came out instead.
    """

    def __init__(
        self, samples: NDArray[np.int16], anchor: CardEvent, zero_ns: int, xruns_s: Sequence[float]
    ) -> None:
        self.xruns_s = xruns_s
        self._samples = samples
        self._sounding = np.flatnonzero(samples)
        self._anchor = anchor
        self._zero_ns = zero_ns

    @classmethod
    def of(cls, card: VirtualCard) -> Self:
        """What ``card`` has played so far."""
        events = card.events()
        # Lines from before the first set-up state a virtual zero that had not begun yet.
        first = next((k for k, event in enumerate(events) if event.event == "setup"), len(events))
        setups = [each for each in events if each.event == "setup" and each.direction == "speaker"]
        if not setups:
            raise MeasurementFailed("nobody opened the virtual loudspeaker")
        zero_ns = min(each.monotonic_ns - each.virtual_ns for each in events[first:])
        xruns = [each for each in events if each.event == "xrun" and each.direction == "speaker"]
        return cls(card.played(), setups[-1], zero_ns, [each.monotonic_ns / 1e9 for each in xruns])

    def position(self, moment_s: float) -> int:
        """The sample that was leaving at ``moment_s``."""
        since_ns = moment_s * 1e9 - self._zero_ns - self._anchor.virtual_ns
        return self._anchor.position + round(since_ns * self._anchor.rate / 1e9)

    def moment_s(self, position: int) -> float:
        """When the sample at ``position`` left."""
        since_ns = (position - self._anchor.position) * 1e9 / self._anchor.rate
        return (self._zero_ns + self._anchor.virtual_ns + since_ns) / 1e9

    def began_s(self, after_s: float, before_s: float) -> float:
        """When it began to sound in that span; it has to be silent at first."""
        found = self._between(after_s, before_s)
        if not len(found):
            raise MeasurementFailed("a sound was sent and none came out of the loudspeaker")
        if found[0] == self.position(after_s):
            raise MeasurementFailed("the loudspeaker sounded before it was sent a sound")
        return self.moment_s(int(found[0]))

    def ended_s(self, after_s: float, before_s: float) -> float:
        """When the last sound of that span had left; there has to be one, and silence in the end."""
        found = self._between(after_s, before_s)
        if not len(found):
            raise MeasurementFailed("the loudspeaker was silent before it was silenced")
        if found[-1] == self.position(before_s) - 1:
            raise MeasurementFailed("the loudspeaker did not fall silent")
        return self.moment_s(int(found[-1]) + 1)

    def starved(self, after_s: float, before_s: float) -> bool:
        """Whether there was an xrun in that span."""
        return any(after_s <= xrun_s <= before_s for xrun_s in self.xruns_s)

    def sounding_part(self, after_s: float, before_s: float) -> float:
        """The part of that span that is not silence, 0 to 1."""
        span = self.position(before_s) - self.position(after_s)
        return len(self._between(after_s, before_s)) / span

    def _between(self, after_s: float, before_s: float) -> NDArray[np.intp]:
        ends = [self.position(after_s), self.position(before_s)]
        if ends[1] > len(self._samples):
            raise MeasurementFailed("the recording ends too early")
        first, last = np.searchsorted(self._sounding, ends)
        return self._sounding[first:last]
