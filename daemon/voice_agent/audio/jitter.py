"""How long the beginning of a stretch of speech is held back, so that what arrives late is still in time.

Sound that begins at position ``p`` plays at its own pace, so each piece that arrives has a *delay*: when it
arrived, less where it stands. The least delay is the server's pace without disturbance, and what another
piece has more is its *lateness*. A stretch that starts a time T after its least delay never waits for a piece
that is late by less than T::

    delay   |   x              x          latest: what T must cover
            | x     x  x    x     x  x
            |    x        x                 least: the pace
            '---------------------------- position

A server that sends faster than real time lowers the least delay with every piece: the start moves into the
past, and nothing is held back. Nobody waits for another piece to come: the start is a moment in time.

T is what nearly all lateness stayed below; many answers and sessions count, recent pieces more (the idea of
WebRTC's NetEq). A stretch that runs dry is held back again, each time twice as long as T says.
Pure: times (monotonic seconds) and positions (samples) are passed in.
"""

from collections import deque

LEAST_S = 0.01
"""One block of the loudspeaker: the event loop is late now and then, too."""

MOST_S = 0.32
"""Longer than this, nobody waits for a beginning; who is later tears a hole."""

STEP_S = 0.01
"""Lateness is told apart by blocks."""

LATE_PART = 0.02
"""Of the pieces, this many may come later than the target."""

KEPT = 0.998
"""Of a piece's weight, when another one comes: after 350 pieces, half of it is left."""

AHEAD_S = 0.1
"""A server that got this far ahead of its beginning sends faster than real time."""

STRETCHES = 5
"""So many recent ones have to show it, and to show how much of a start their first pieces needed."""


class Jitter:
    """What is known of how sound of ``rate`` samples a second arrives. It outlives answers and sessions."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._weights = [0.0] * (round(MOST_S / STEP_S) + 1)
        self._recent: deque[_Stretch] = deque(maxlen=STRETCHES)
        self._stretch: _Stretch | None = None

    def arrived(self, now: float, position: int, *, starts: bool, dry: bool) -> float:
        """A piece that begins at ``position`` arrived; the moment before which it must not be played.

        ``starts``: a stretch begins with it. ``dry``: nothing was left to play before it.
        """
        delay, stretch = now - position / self.rate, self._stretch
        if starts or stretch is None:
            self.rest()
            stretch = self._stretch = _Stretch(delay, position)
        else:
            self._learn(delay - stretch.pace)
            stretch.grow(delay, position, dry=dry)
        hold_s = min(self.hold_s * (1 << stretch.tears), MOST_S)
        return stretch.pace + hold_s + stretch.begin / self.rate

    def rest(self) -> None:
        """The stretch has ended: when the next piece comes says nothing."""
        stretch, self._stretch = self._stretch, None
        if stretch is not None and stretch.pieces > 1:
            self._recent.append(stretch)

    @property
    def lateness_s(self) -> float:
        """Nearly all pieces were late by less."""
        total, late = sum(self._weights), 0.0
        for index in reversed(range(len(self._weights))):
            late += self._weights[index]
            if late > total * LATE_PART:
                return (index + 1) * STEP_S if index else 0.0
        return 0.0

    @property
    def hold_s(self) -> float:
        """For how long a beginning waits, unless what follows proves it needless."""
        hold_s = min(LEAST_S + self.lateness_s, MOST_S)
        if self._recent and all(stretch.lead >= max(AHEAD_S, 2 * hold_s) for stretch in self._recent):
            return min(max(stretch.shortfall for stretch in self._recent), MOST_S)
        return hold_s

    def _learn(self, late_s: float) -> None:
        self._weights = [weight * KEPT for weight in self._weights]
        self._weights[min(max(int(late_s / STEP_S), 0), len(self._weights) - 1)] += 1.0


class _Stretch:
    """The delays of its first piece, and of the earliest and the latest one.

    ``pace``: the least delay, as long as nothing tears it; then, from ``begin`` on, the least one since.
    ``tears``: how often it ran dry.
    """

    def __init__(self, delay: float, begin: int) -> None:
        self.first = self.least = self.most = delay
        self.pieces, self.tears = 0, -1
        self.grow(delay, begin, dry=True)

    def grow(self, delay: float, position: int, *, dry: bool) -> None:
        """Another piece has come. Further ahead than ``MOST_S`` is no better."""
        self.pieces += 1
        self.least, self.most = min(self.least, delay), max(self.most, delay)
        if dry:
            self.tears += 1
            self.pace, self.begin, self._floor = delay, position, delay - MOST_S
        self.pace = max(min(self.pace, delay), self._floor)

    @property
    def lead(self) -> float:
        """How far the server got ahead of its first piece."""
        return self.first - self.least

    @property
    def shortfall(self) -> float:
        """How long its first piece should have waited."""
        return self.most - self.first
