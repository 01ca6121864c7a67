"""How soon the loudspeaker falls silent when it is told to: from the order to the last sample of sound.

The callback says when it last gave the device any sound, and how far into the block. That is final once the
device has asked twice since the order: a callback may have been under way when it came, the next one fades
out, and after it there is silence. Sound that begins anew before that makes the order unmeasurable.

Pure: times (monotonic seconds) and counts are passed in.
"""

from enum import StrEnum
from typing import NamedTuple

from voice_agent.distribution import Distribution

QUIET_S = (0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0)
"""A block and a fade are 15 ms."""

ASKED_TWICE = 2


class Order(StrEnum):
    """Why it is told to."""

    FLUSH = "flush"
    """What is queued is given up: the server heard the user, or somebody wants silence."""
    HOLD = "hold"
    """The echo guard is sure that somebody speaks."""


class _Pending(NamedTuple):
    order: Order
    since: float
    callbacks: int


class Quiet:
    """The measured times by order, and the order that is not measured yet."""

    def __init__(self) -> None:
        self.times = {order: Distribution(QUIET_S) for order in Order}
        self._pending: _Pending | None = None

    def ordered(self, order: Order, now: float, callbacks: int) -> None:
        """Something sounds, and is told not to; the device has asked for so many blocks."""
        self._pending = _Pending(order, now, callbacks)

    def settle(self, callbacks: int, ended_at: float) -> None:
        """Measure, if that can be done by now. ``ended_at``: when the last sample of sound was given."""
        pending = self._pending
        if pending is None or callbacks < pending.callbacks + ASKED_TWICE:
            return
        self._pending = None
        if ended_at > pending.since:
            self.times[pending.order].add(ended_at - pending.since)

    def forget(self) -> None:
        """Sound begins again."""
        self._pending = None
