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

A *gap* is silence inside a stretch of speech. Silence that ends where a stretch begins is a pause: the
loop lists the positions where stretches begin, a flush begins one too.

Everything in this file is written by the callback alone, ``starts`` excepted.
"""

from collections import deque

from voice_agent.audio.edge import PA_OUTPUT_UNDERFLOW, Edge
from voice_agent.audio.pcm import fade_out, samples_in, silent_samples
from voice_agent.audio.ring import SampleRing
from voice_agent.formats import BYTES_PER_SAMPLE

MARKS = 512  # of 5 ms blocks: 2.5 s, more than any device's latency


class Playout(Edge):
    """Plays a ring: bit-exact, but for a fade of at most ``fade`` samples when it is flushed."""

    def __init__(self, ring: SampleRing, fade: int) -> None:
        super().__init__()
        self.starts: deque[int] = deque((0,))
        """Where stretches begin, ascending. The loop appends or replaces, the callback pops on the left."""
        self.played = 0
        self.flushed = 0
        self.faded = 0
        self.gaps = 0
        self.gap_samples = 0
        self.xruns = 0
        self._ring = ring
        self._fade = fade
        self._emitted = 0
        self._block_start = 0
        self._hole = 1  # samples of silence before the next block; the beginning counts as silence
        self._marks = [(0, 0, 0)] * MARKS
        self._marked = 0
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

    def interrupted(self) -> None:
        """Say that the next block will not be heard right after the last one. Only while no callback runs."""
        self._hole = max(self._hole, 1)

    def _exchange(self, _in_data: bytes | None, frame_count: int, status: int, /) -> bytes:
        if status & PA_OUTPUT_UNDERFLOW:
            self.xruns += 1
        if frame_count != len(self._block):
            self._resize(frame_count)
        ring, block, start, before = self._ring, self._block, self._emitted, self._ring.read
        # What was not sounding needs no fade: the first milliseconds of it would be a blip.
        faded = self._fade_flushed(start) if before < ring.floor and not self._hole else 0
        count = ring.read_into(block[faded:] if faded else block)
        position = ring.read - count
        content = faded + count
        skipped = position - before - faded
        if count or skipped:
            self._mark(start + faded, position, count)
            self.flushed += skipped
            self.played += count
            if count and self._hole:
                self._close_hole(position)
        self._emitted = start + frame_count
        self._block_start = start  # after the marks: who sees the start sees them
        if not content:
            self._hole += frame_count
            return self._silence
        self._hole = frame_count - content
        block[content:] = self._zeros[content:]
        return block.tobytes()

    def _resize(self, frame_count: int) -> None:
        self._block = silent_samples(frame_count)
        self._silence = bytes(frame_count * BYTES_PER_SAMPLE)
        self._zeros = samples_in(self._silence)

    def _fade_flushed(self, start: int) -> int:
        tail = self._block[: self._fade]
        position = self._ring.read
        count = self._ring.read_flushed(tail)
        fade_out(tail[:count])
        self._mark(start, position, count)
        self.played += count
        self.faded += count
        return count

    def _mark(self, start: int, position: int, count: int) -> None:
        self._marks[self._marked % MARKS] = (start, position, count)
        self._marked += 1

    def _close_hole(self, position: int) -> None:
        starts = self.starts
        while starts and starts[0] < position:
            starts.popleft()
        if not starts or starts[0] != position:
            self.gaps += 1
            self.gap_samples += self._hole
        self._hole = 0
