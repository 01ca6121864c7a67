"""The playout: what PortAudio calls for the next block, and the clock that follows from it.

Two timelines meet here. *Emitted* counts every sample given to the device, silence included; *position*
counts content, as in the ring. Each block that carries content leaves a mark that ties them::

    emitted    0         480        960        1440       1920 = start of the newest block
    block      [content ][content  ][con|      ][          ][ ...
    position   0         480        960  1100                         newest start - latency
    marks      (0,0,480) (480,480,480) (960,960,140)                  is being heard now

The first sample of a block is heard one device latency after the callback that asked for it. So the
sample being heard at a callback is the one ``latency`` samples back on the emitted timeline, and the
mark it falls on turns it into a position: no wall clock, and still exact across underruns and flushes.
Silence needs no mark; after a mark's content the position rests.

A block is put together from three parts, any of which may be empty::

    [ head: the rest of a tail, or flushed sound that fades ][ content ][ tail, then silence ]

Content that stops where no stretch ends is followed by a *tail*: its last milliseconds backwards, fading.
It takes nothing from the content, and no sample must be kept in hand for it. Content that returns fades in.
Where a stretch begins or ends (a *seam*; the loop lists them) content is bit-exact, and silence is a pause
and not a *gap*. A flush makes a seam, too. While ``held``, or after silence before the moment ``not_before``,
nothing is taken from the ring; held time is no gap.

Everything in this file is written by the callback alone, but for ``seams``, ``held``, ``not_before``,
``faint_until``, ``tap`` and the wanted gain.
"""

from collections import deque
from collections.abc import Callable, Iterator
from time import monotonic

from voice_agent.audio.edge import PA_OUTPUT_UNDERFLOW, Edge
from voice_agent.audio.gain import Gain
from voice_agent.audio.pcm import fade_out, reflect, samples_in, silent_samples
from voice_agent.audio.ring import SampleRing
from voice_agent.formats import BYTES_PER_SAMPLE

MARKS = 512  # of 5 ms blocks: 2.5 s, more than any device's latency


class Playout(Edge):
    """Plays a ring: bit-exact at a gain of one, but for ``fade`` samples where sound is cut or torn."""

    def __init__(
        self, ring: SampleRing, fade: int, ramp: int, *, clock: Callable[[], float] = monotonic
    ) -> None:
        super().__init__(clock=clock)
        self.seams: deque[int] = deque((0,))
        """Where stretches begin and end, ascending. The loop appends or replaces, the callback pops."""
        self.held = False
        self.not_before = 0.0
        self.faint_until = 0
        """Position up to which what plays is too faint to be heard as an echo. Writer: the loop."""
        self.tap: SampleRing | None = None
        self.gain = Gain(ramp)
        self.played = 0
        self.flushed = 0
        self.faded = 0
        self.gaps = 0
        self.gap_samples = 0
        self.xruns = 0
        self.untapped = 0
        self.sounding_at = 0.0
        self.ended = (0.0, 0)
        """When the device was last given any sound, and how many samples of that block were."""
        self._ring = ring
        self._fade = fade
        self._emitted = 0
        self._block_start = 0
        self._silent = True  # before the next block; the beginning counts as silence
        self._hole = 0  # samples of silence since content stopped, held ones left out
        self._tail = silent_samples(fade)
        self._tail_rest = self._tail[:0]
        self._marks = [(0, 0, 0)] * MARKS
        self._times = [0.0] * MARKS  # of the callbacks that left them
        self._marked = 0
        self._block = silent_samples(0)
        self._resize(0)

    def heard(self, latency: int) -> int:
        """The position now leaving a loudspeaker that is ``latency`` samples behind. For the loop."""
        at = self._block_start - latency
        marked = self._marked
        for index in range(marked - 1, max(marked - MARKS, 0) - 1, -1):
            start, position, count = self._marks[index % MARKS]
            if start <= at:
                return position + min(count, at - start)
        return 0

    def given(self, last: int) -> Iterator[tuple[int, int]]:
        """Position and count of content among the ``last`` samples given to the device. For the loop."""
        since, marked = self._emitted - last, self._marked
        for index in range(marked - 1, max(marked - MARKS, 0) - 1, -1):
            start, position, count = self._marks[index % MARKS]
            if start < since:
                return
            yield position, count

    def given_at(self, position: int) -> tuple[float, int] | None:
        """When a piece was given to the device, and where it began: the one that holds ``position``.

        If no mark of that is left, the oldest one behind it; ``None``: it was not given yet. For the loop.
        """
        found, marked = None, self._marked
        for index in range(marked - 1, max(marked - MARKS, 0) - 1, -1):
            _, begin, count = self._marks[index % MARKS]
            if begin + count <= position:
                break
            found = self._times[index % MARKS], begin
            if begin <= position:
                break
        return found

    def interrupted(self) -> None:
        """Say that the next block will not be heard right after the last one. Only while no callback runs."""
        self._silent = True
        self._hole = max(self._hole, 1)
        self._tail_rest = self._tail[:0]

    def _exchange(self, _in_data: bytes | None, frame_count: int, status: int, /) -> bytes:
        if status & PA_OUTPUT_UNDERFLOW:
            self.xruns += 1
        if frame_count != len(self._block):
            self._resize(frame_count)
        start, silent, held = self._emitted, self._silent, self.held
        self.gain.follow(silent=silent)
        head = self._give_tail(0) if silent else self._fade_flushed(start)
        waits = held or (silent and self.not_before > self.last_callback)
        count = self._take(start + head, head, head if waits else frame_count)
        content = head + count
        self._silent = content < frame_count or not count
        if count:
            self._hole = frame_count - content
        elif not held:
            self._hole += frame_count if silent else frame_count - head
        sounded = count or not (silent or head)
        if sounded and self._silent and not self._at_seam(self._ring.read):
            self._begin_tail(content, silent=silent)
        sound = content + self._give_tail(content)
        self._emitted = start + frame_count
        self._block_start = start  # after the marks: who sees the start sees them
        return self._give(sound)

    def _resize(self, frame_count: int) -> None:
        before, self._block = self._block, silent_samples(frame_count)
        kept = min(len(before), frame_count)  # a tail may need it
        self._block[frame_count - kept :] = before[len(before) - kept :]
        self._silence = bytes(frame_count * BYTES_PER_SAMPLE)
        self._zeros = samples_in(self._silence)

    def _fade_flushed(self, start: int) -> int:
        # What was not sounding needs no fade: the first milliseconds of it would be a blip.
        position = self._ring.read
        if position >= self._ring.floor:
            return 0
        tail = self._block[: self._fade]
        count = self._ring.read_flushed(tail)
        self.gain.apply(tail[:count])
        fade_out(tail[:count])
        self._mark(start, position, count)
        self.played += count
        self.faded += count
        return count

    def _take(self, start: int, begin: int, end: int) -> int:
        """Content into that part of the block; how many samples."""
        ring, room = self._ring, self._block[begin:end]
        before = ring.read
        count = ring.read_into(room)
        position = ring.read - count
        skipped = position - before
        if count or skipped:
            self._mark(start, position, count)
            self.flushed += skipped
            self.played += count
        if count:
            if self._silent:
                self._end_silence(position, begin)
            self.gain.apply(room[:count])
        return count

    def _mark(self, start: int, position: int, count: int) -> None:
        self._marks[self._marked % MARKS] = (start, position, count)
        self._times[self._marked % MARKS] = self.last_callback
        self._marked += 1

    def _at_seam(self, position: int) -> bool:
        seams = self.seams
        while seams and seams[0] < position:
            seams.popleft()
        return bool(seams) and seams[0] == position

    def _end_silence(self, position: int, tail: int) -> None:
        if self._at_seam(position):
            self.gain.settle()
            return
        self.gain.rise(self._fade)
        if self._hole:
            self.gaps += 1
            self.gap_samples += self._hole + tail

    def _begin_tail(self, content: int, *, silent: bool) -> None:
        """Reflect what was given last; what stands in the block behind ``content`` is of the block before."""
        block, tail = self._block, self._tail
        count = reflect(block[:content], tail)
        if not silent:
            count += reflect(block[content:], tail[count:])
        fade_out(tail[:count])
        self._tail_rest = tail[:count]

    def _give_tail(self, at: int) -> int:
        rest = self._tail_rest
        if not rest:
            return 0
        count = min(len(rest), len(self._block) - at)
        self._block[at : at + count] = rest[:count]
        self._tail_rest = rest[count:]
        return count

    def _give(self, sound: int) -> bytes:
        """The block, of which so many samples are no silence."""
        block = self._block if sound else self._zeros
        if sound:
            block[sound:] = self._zeros[sound:]
            self.ended = self.last_callback, sound
            if self._ring.read > self.faint_until:
                self.sounding_at = self.last_callback
        if (tap := self.tap) is not None:
            self.untapped += len(block) - tap.write(block)
        return block.tobytes() if sound else self._silence
