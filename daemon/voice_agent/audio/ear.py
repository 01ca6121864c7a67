"""The ear: captured sound on its way to the server, kept so that it can be sent again.

One task takes frames from the microphone and lines them up; a reader, which is a session's uplink, takes
them from a cursor. Positions count every sample captured since the start: what was dropped on the way
shows as a jump. ::

      oldest            cursor               now
        |                 |                   |
    ....|=================|###################|     # to be taken       = taken; ``rewind`` makes it # again
        '----- at most ``keep_s`` in all -----'

Frames leave at the left. Whoever was to get them and did not is told: they are lost, each sample once. While
the ear is parked nobody is meant to get them: the cursor stays at ``now``, and the line is the pre-roll.

Everything in this file runs on, and is written by, the event loop.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from voice_agent.audio.microphone import Microphone
from voice_agent.formats import BYTES_PER_SAMPLE, FRAME_MS, ms_to_samples

CHUNK_FRAMES = 10
"""A backlog goes up in pieces of at most 200 ms: a tenth of the messages, and still no burst to speak of."""

STRETCHES = 64
"""Losses remembered apart. A rewind reaches back over a few, and older ones will not be missed again."""


class Chunk(NamedTuple):
    """Unbroken audio and where it begins."""

    position: int
    pcm: bytes

    @property
    def end(self) -> int:
        """Position behind the last sample."""
        return self.position + len(self.pcm) // BYTES_PER_SAMPLE


class EarStatistics(NamedTuple):
    """A snapshot, in samples at the rate of their time."""

    captured: int
    """Position of the newest sample in the line: all that came, and the holes between."""
    lost: int
    """Meant for a server and gone before one got it, holes that the microphone left included."""
    kept: int
    """In the line, taken or not."""
    backlog: int
    """In the line and not taken yet."""
    resent: int
    """Taken more than once."""


class Ear:
    """The line of frames between one microphone at a time and one reader at a time."""

    def __init__(self, microphone: Microphone, *, keep_s: float) -> None:
        self.on_frame: Callable[[Chunk], None] | None = None
        """Sees each frame as it comes: where a voice gate listens."""
        self._microphone = microphone
        self._limit = max(1, int(keep_s * 1000) // FRAME_MS)
        self._base = 0  # position of this microphone's first sample
        self._frames: deque[Chunk] = deque()
        self._next = 0  # index of the first frame not taken
        self._position = 0
        self._now = 0
        self._reached = 0  # end of the furthest chunk ever taken
        self._parked = False
        self._lost = Stretches()
        self._resent = 0
        self._reader: Reader | None = None

    async def run(self) -> None:
        """Take frames from the present microphone, for ever. The only consumer that it has."""
        while True:
            self._gather()
            await self._microphone.wait()

    # ------------------------------------------------------------------------------------- the reader

    def listen(self) -> "Reader":
        """Make the one reader; an earlier one gets nothing more, so that no frame goes to two sessions."""
        if self._reader:
            self._reader.retire()
        self._reader = Reader(self)
        return self._reader

    def take(self) -> Chunk | None:
        """The next 20 ms at the cursor, of a backlog up to 200; nothing if all was taken. For the reader."""
        if self._next == len(self._frames):
            return None
        chunk = self._frames[self._next]
        self._next += 1
        if self._next < len(self._frames):
            chunk = self._join(chunk)
        if chunk.position < self._reached:
            self._resent += min(chunk.end, self._reached) - chunk.position
        self._position = chunk.end
        self._reached = max(self._reached, chunk.end)
        return chunk

    @property
    def position(self) -> int:
        """The cursor: end of what was taken, or where it was rewound to."""
        return self._position

    @property
    def now(self) -> int:
        """End of what was captured."""
        return self._now

    @property
    def has_more(self) -> bool:
        """Whether ``take`` would give something."""
        return self._next < len(self._frames)

    @property
    def rate(self) -> int:
        """Samples a second of what is captured now."""
        return self._microphone.rate

    def rewind(self, position: int) -> int:
        """Take again from the frame that holds ``position``, or from as far back as is kept; where that is.

        What is not kept any more is lost. A position ahead of the cursor changes nothing.
        """
        self._parked = False
        if position < self._position:
            self._move_back(max(position, 0))
            self._wake()
        return self._position

    def skip_to_now(self) -> None:
        """Do not send what was captured until now; it is no loss."""
        self._parked = False
        self._next = len(self._frames)
        self._position = self._now

    def park(self) -> None:
        """Nobody is meant to get what comes, until ``rewind`` or ``skip_to_now``; the line keeps it."""
        self.skip_to_now()
        self._parked = True

    @property
    def parked(self) -> bool:
        """Whether nobody is meant to get what comes."""
        return self._parked

    # --------------------------------------------------------------------------------- the microphone

    def use(self, microphone: Microphone) -> None:
        """Listen to another microphone; audio at another rate than its is dropped."""
        old = self._microphone
        if microphone is old:
            return
        self._gather()
        self._microphone = microphone
        self._base += old.statistics().captured
        if microphone.rate != old.rate:
            self._drop_all()
        old.release()

    def statistics(self) -> EarStatistics:
        """The counters as they are now."""
        frame = ms_to_samples(FRAME_MS, self.rate)
        return EarStatistics(
            captured=self._now,
            lost=self._lost.total,
            kept=len(self._frames) * frame,
            backlog=(len(self._frames) - self._next) * frame,
            resent=self._resent,
        )

    # ---------------------------------------------------------------------------------------- the line

    def _gather(self) -> None:
        microphone = self._microphone
        while True:
            position = self._base + microphone.position
            frame = microphone.frame_nowait()
            if frame is None:
                return
            self._append(Chunk(position, frame))

    def _append(self, chunk: Chunk) -> None:
        if chunk.position != self._now:
            self._pass_hole(chunk.position)
        self._frames.append(chunk)
        self._now = chunk.end
        if len(self._frames) > self._limit:
            self._drop_oldest()
        if self._parked:
            self._next = len(self._frames)
            self._position = self._now
        else:
            self._wake()
        if self.on_frame:
            self.on_frame(chunk)

    def _pass_hole(self, end: int) -> None:
        if not self._parked:
            self._lost.add(self._now, end)
        if self._next == len(self._frames):
            self._position = end
        self._now = end

    def _drop_oldest(self) -> None:
        gone = self._frames.popleft()
        if self._next:
            self._next -= 1
        else:
            self._lost.add(gone.position, gone.end)
            self._position = self._frames[0].position

    def _drop_all(self) -> None:
        if not self._parked:
            self._lost.add(self._position, self._base)
        self._frames.clear()
        self._next = 0
        self._now = self._position = self._base

    def _move_back(self, position: int) -> None:
        begins = self._begins()
        while self._next and self._frames[self._next - 1].end > position:
            self._next -= 1
            self._lost.add(self._frames[self._next].end, begins)
            begins = self._begins()
        self._lost.add(position, begins)
        self._position = begins

    def _begins(self) -> int:
        """Where the first frame not taken begins, or will."""
        return self._frames[self._next].position if self._next < len(self._frames) else self._now

    def _join(self, first: Chunk) -> Chunk:
        """``first`` and what follows it without a hole."""
        parts, end = [first.pcm], first.end
        while self._next < len(self._frames) and len(parts) < CHUNK_FRAMES:
            chunk = self._frames[self._next]
            if chunk.position != end:
                break
            parts.append(chunk.pcm)
            end = chunk.end
            self._next += 1
        return Chunk(first.position, b"".join(parts))

    def _wake(self) -> None:
        if self._reader:
            self._reader.wake()


class Reader:
    """The right to take from an ear, until the ear gives it to the next."""

    def __init__(self, ear: Ear) -> None:
        self._ear: Ear | None = ear
        self._waiter: asyncio.Future[None] | None = None

    def take(self) -> Chunk | None:
        """The next piece, 20 to 200 ms; nothing if there is none yet, or the right has gone."""
        return self._ear.take() if self._ear else None

    async def wait(self) -> None:
        """Until there is something to take; for ever if the right has gone."""
        while not (self._ear and self._ear.has_more):
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def wake(self) -> None:
        """There may be something to take."""
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    def retire(self) -> None:
        """Lose the right."""
        self._ear = None


class Stretches:
    """What was lost, as stretches of positions: however often a stretch is missed, it counts once."""

    def __init__(self) -> None:
        self.total = 0
        self._known: deque[tuple[int, int]] = deque(maxlen=STRETCHES)  # apart, and never touching

    def add(self, start: int, end: int) -> None:
        """Count what lies in ``start`` ... ``end`` and was not counted before."""
        if start >= end:
            return
        near = [(low, high) for low, high in self._known if low <= end and high >= start]
        self.total += end - start - sum(min(high, end) - max(low, start) for low, high in near)
        for stretch in near:
            self._known.remove(stretch)
        self._known.append((min([start, *(low for low, _ in near)]), max([end, *(high for _, high in near)])))
