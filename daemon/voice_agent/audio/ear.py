"""The ear: captured sound on its way to the server, kept so that it can be sent again.

One task takes frames from the microphone and lines them up; a reader, which is a session's uplink, takes
them from a cursor. Positions count every sample captured since the start: what was dropped on the way
shows as a jump. ::

      oldest            cursor               now
        |                 |                   |
    ....|=================|###################|     # to be taken       = taken; ``rewind`` makes it # again
        '----- at most ``keep_s`` in all -----'

Frames leave at the left. Whoever was to get them and did not is told: they are lost, each sample once.

Some are *withheld*: marked with the reason why nobody is meant to get them (the valve is shut, or the ear
is parked). The cursor passes over them, and they are kept like all others: an opening valve may let flow the
last of them, which are the pre-roll. When they leave they are withheld for good, and no loss. Whatever was
flowing when the valve shut is ended by digital silence, so that the server's endpointing ends, too.

Everything in this file runs on, and is written by, the event loop.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from voice_agent.audio.microphone import Microphone
from voice_agent.audio.pcm import Samples, level_db, samples_in
from voice_agent.audio.stretches import Stretches
from voice_agent.audio.valve import Flow, Heard, Open, Shut, Verdict, Withheld
from voice_agent.distribution import Distribution
from voice_agent.formats import BYTES_PER_SAMPLE, FRAME_MS, frame_bytes, ms_to_samples

CHUNK_FRAMES = 10
"""A backlog goes up in pieces of at most 200 ms: a tenth of the messages, and still no burst to speak of."""

DELAY_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""A frame is taken within a millisecond or two, a backlog after seconds."""


class Chunk(NamedTuple):
    """Unbroken audio and where it begins."""

    position: int
    pcm: bytes

    @property
    def end(self) -> int:
        """Position behind the last sample."""
        return self.position + len(self.pcm) // BYTES_PER_SAMPLE


@dataclass(slots=True)
class _Kept:
    """A frame in the line. ``why`` nobody is meant to get it; ``None``: it flows. ``sent``: taken once."""

    chunk: Chunk
    why: Withheld | None
    sent: bool = False


Stage = Callable[[int, bytes], Heard]
"""Cleans a frame of echo. Positions, the onset's too, are those of the present microphone."""

Judge = Callable[[Chunk, Verdict, int | None], Flow]
"""The valve: a clean frame, the echo guard's verdict and the onset of the voice that it confirms."""


def _everything(_chunk: Chunk, _verdict: Verdict, _onset: int | None) -> Flow:
    """No valve."""
    return Open()


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
    """The line of frames between one microphone at a time and one reader at a time.

    ``silence_ms``: how much digital silence ends what was flowing when the valve shuts.
    """

    def __init__(self, microphone: Microphone, *, keep_s: float, silence_ms: float = 0.0) -> None:
        self.stage: Stage | None = None
        self.judge: Judge = _everything
        self.on_frame: Callable[[Chunk], None] | None = None
        """Sees each frame as it comes, withheld or not: where a voice gate listens."""
        self._microphone = microphone
        self._kept_frames = max(1, int(keep_s * 1000) // FRAME_MS)
        self.end_by(silence_ms)
        self._base = 0  # position of this microphone's first sample, but for silence put in since
        self._frames: deque[_Kept] = deque()
        self._next = 0  # index of the first frame not taken; it is never one that is withheld
        self._position = 0
        self._now = 0
        self._parked = False
        self._shut: Withheld | None = None
        self._unended = False  # something has flowed that no silence has ended yet
        self._lost = Stretches()
        self._gone = Stretches()  # withheld for good
        self._withheld: Counter[Withheld] = Counter()
        self._resent = 0
        self._delays = Distribution(DELAY_S)
        self._reader: Reader | None = None

    async def run(self) -> None:
        """Take frames from the present microphone, for ever. The only consumer that it has."""
        while True:
            self._gather()
            await self._microphone.wait()

    def end_by(self, silence_ms: float) -> None:
        """From now on, so much silence ends what was flowing."""
        self._silence_frames = -(-int(silence_ms) // FRAME_MS)
        self._limit = self._kept_frames + self._silence_frames

    # ------------------------------------------------------------------------------------- the reader

    def listen(self) -> "Reader":
        """Make the one reader; an earlier one gets nothing more, so that no frame goes to two sessions."""
        if self._reader:
            self._reader.retire()
        self._reader = Reader(self)
        return self._reader

    def take(self) -> Chunk | None:
        """The next 20 ms at the cursor, of a backlog up to 200; nothing if all was taken. For the reader."""
        if not self.has_more:
            return None
        is_new = not self._frames[self._next].sent
        taken = [self._take_one()]
        while len(taken) < CHUNK_FRAMES and self._goes_on_from(taken[-1].end):
            taken.append(self._take_one())
        self._position = taken[-1].end
        self._pass_withheld()
        if is_new:
            self._delays.add(self._microphone.age_s(taken[-1].end - self._base))
        return Chunk(taken[0].position, b"".join(chunk.pcm for chunk in taken))

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

    def level_db(self) -> float:
        """The peak of the second captured last, dBFS, as the server would get it: less echo."""
        return level_db(self._last(self.rate))

    @property
    def rate(self) -> int:
        """Samples a second of what is captured now."""
        return self._microphone.rate

    def rewind(self, position: int) -> int:
        """Take again from the frame that holds ``position``, or from as far back as is kept; where that is.

        What is not kept any more is lost, unless it was withheld. A position ahead of the cursor changes
        nothing. Ends parking: what came since ``position`` flows, if the valve was open.
        """
        self._parked = False
        for kept in self._frames:
            if kept.why is Withheld.PARKED and kept.chunk.end > position:
                kept.why = None
        if position < self._position:
            self._move_back(max(position, 0))
            self._wake()
        return self._position

    def skip_to_now(self) -> None:
        """Do not send what was captured until now; it is no loss."""
        self._parked = False
        for index in range(self._next, len(self._frames)):
            kept = self._frames[index]
            kept.why = kept.why or (None if kept.sent else Withheld.PARKED)
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

    def shut(self, why: Withheld) -> None:
        """Withhold what comes until the valve opens, and end what was flowing, though no frame comes."""
        self._shut = why
        self._end()

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

    @property
    def withheld(self) -> Mapping[Withheld, int]:
        """Samples that were kept from the server on purpose, once they have left the line."""
        return self._withheld

    @property
    def delays_s(self) -> Distribution:
        """From the capture of a piece's end until it was taken, of what was taken for the first time."""
        return self._delays.copy()

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
            position = microphone.position
            frame = microphone.frame_nowait()
            if frame is None:
                return
            self._hear(position, frame)

    def _hear(self, position: int, frame: bytes) -> None:
        heard = self.stage(position, frame) if self.stage else Heard(frame)
        chunk = Chunk(self._base + position, heard.pcm)
        onset = None if heard.onset is None else self._base + heard.onset
        match self.judge(chunk, heard.verdict, onset):
            case Open(since):
                self._shut = None
                if since is not None:
                    self._let_go(since)
                self._append(chunk)
                self._unended = True
            case Shut(why):
                self._shut = why
                self._append(chunk)
                self._end()
        if self.on_frame:
            self.on_frame(chunk)

    def _append(self, chunk: Chunk) -> None:
        if chunk.position != self._now:
            self._pass_hole(chunk.position)
        self._frames.append(_Kept(chunk, self._shut or self._flowing))
        self._now = chunk.end
        if len(self._frames) > self._limit:
            self._drop_oldest()
        self._pass_withheld()
        if self.has_more:
            self._wake()

    @property
    def _flowing(self) -> Withheld | None:
        """The mark of what the valve lets through."""
        return Withheld.PARKED if self._parked else None

    def _end(self) -> None:
        """End what was flowing by silence. Positions count it as captured: what follows stands behind it."""
        if not self._unended:
            return
        self._unended = False
        shut, self._shut = self._shut, None
        pcm = bytes(frame_bytes(self.rate))
        for _ in range(self._silence_frames):
            self._append(Chunk(self._now, pcm))
            self._base += len(pcm) // BYTES_PER_SAMPLE
        self._shut = shut

    def _let_go(self, since: int) -> None:
        """Let flow what the valve withheld last, from ``since`` on: nothing of it was sent before."""
        first = len(self._frames)
        while first and self._frames[first - 1].chunk.end > since and _is_pre_roll(self._frames[first - 1]):
            first -= 1
        following = self._now
        for index in range(len(self._frames) - 1, first - 1, -1):
            kept = self._frames[index]
            kept.why = self._flowing
            if not self._parked:
                self._lose(kept.chunk.end, following)
            following = kept.chunk.position
        if first < self._next:
            self._next, self._position = first, following

    def _pass_withheld(self) -> None:
        """Bring the cursor to the next frame that somebody is meant to get."""
        before = self._next
        while self._next < len(self._frames) and self._frames[self._next].why:
            self._next += 1
        if self._next != before:
            self._position = self._begins()

    def _pass_hole(self, end: int) -> None:
        if self._shut is None and not self._parked:
            self._lose(self._now, end)
        if self._next == len(self._frames):
            self._position = end
        self._now = end

    def _drop_oldest(self) -> None:
        gone = self._frames.popleft()
        if gone.why:
            self._withhold(gone.chunk, gone.why)
        if self._next:
            self._next -= 1
            return
        self._lose(gone.chunk.position, gone.chunk.end)
        self._position = self._begins()

    def _drop_all(self) -> None:
        for kept in self._frames:
            if kept.why:
                self._withhold(kept.chunk, kept.why)
        self._lose(self._position, self._now if self._shut or self._parked else self._base)
        self._frames.clear()
        self._next = 0
        self._now = self._position = self._base

    def _withhold(self, chunk: Chunk, why: Withheld) -> None:
        self._withheld[why] += chunk.end - chunk.position
        self._gone.add(chunk.position, chunk.end)

    def _lose(self, start: int, end: int) -> None:
        """Count as lost what somebody was meant to get."""
        for low, high in self._gone.outside(start, end):
            self._lost.add(low, high)

    def _move_back(self, position: int) -> None:
        begins = self._begins()
        while self._next and self._frames[self._next - 1].chunk.end > position:
            self._next -= 1
            self._lose(self._frames[self._next].chunk.end, begins)
            begins = self._begins()
        self._lose(position, begins)
        self._position = begins
        self._pass_withheld()

    def _begins(self) -> int:
        """Where the first frame not taken begins, or will."""
        return self._frames[self._next].chunk.position if self.has_more else self._now

    def _last(self, count: int) -> Iterator[Samples]:
        """The newest ``count`` samples in the line, backwards by frames."""
        for kept in reversed(self._frames):
            if kept.chunk.end <= self._now - count:
                return
            yield samples_in(kept.chunk.pcm)

    def _take_one(self) -> Chunk:
        kept = self._frames[self._next]
        self._resent += kept.sent * (kept.chunk.end - kept.chunk.position)
        kept.sent = True
        self._next += 1
        return kept.chunk

    def _goes_on_from(self, end: int) -> bool:
        """Whether there is a next frame, which flows and follows without a hole."""
        if self._next == len(self._frames):
            return False
        following = self._frames[self._next]
        return following.why is None and following.chunk.position == end

    def _wake(self) -> None:
        if self._reader:
            self._reader.wake()


def _is_pre_roll(kept: _Kept) -> bool:
    """Whether an opening valve may let it flow: it was shut out, and nobody had asked for privacy."""
    return kept.why not in (None, Withheld.PARKED, Withheld.MUTED)


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
