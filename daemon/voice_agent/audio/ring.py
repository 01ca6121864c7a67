"""The sample ring: one producer thread, one consumer thread, no lock.

DESIGN

A position is the number of a sample since the ring was made. Positions never wrap; only the index into
the array does (``position % capacity``). Three counters say everything, and each has one writer::

         read            floor          written
          |                |               |
    ......|################|===============|......     # flushed, waits for the consumer to skip it
          |                |               |           = to be played
       consumer         producer        producer       . free: room = capacity - (written - read)

* ``written`` (producer) is stored after the samples were copied in: whoever sees it sees them.
* ``floor`` (producer) is where audio still counts: a flush is the one store ``floor = written``.
* ``read`` (consumer) is stored after the samples were copied out. The producer counts its room from
  ``read``, not from ``floor``: flushed audio stays intact until the consumer lets go of it, which is
  what allows its first milliseconds to be faded instead of cut.

A consumer reads ``written`` before ``floor``. A flush that slips in between then only makes it see less
audio, never flushed audio in front of newer audio.

A full ring refuses the rest. It never overwrites and never clears: what to do then is the producer's choice.
CPython stores an attribute in one step, and no step here depends on two stores being seen together.
"""

from voice_agent.audio.pcm import Samples, silent_samples


class SampleRing:
    """A ring of ``capacity`` PCM16 samples between one producer and one consumer thread."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.written = 0
        """Samples accepted since the beginning. Writer: producer."""
        self.floor = 0
        """Position below which audio was flushed. Writer: producer."""
        self.read = 0
        """Samples the consumer has taken or skipped. Writer: consumer."""
        self._samples = silent_samples(capacity)

    @property
    def room(self) -> int:
        """Samples that ``write`` would accept now."""
        return self.capacity - (self.written - self.read)

    @property
    def queued(self) -> int:
        """Samples that the consumer would still deliver."""
        return self.written - max(self.read, self.floor)

    # ------------------------------------------------------------------------------------ producer

    def write(self, samples: Samples) -> int:
        """Append as much of ``samples`` as there is room for; return how many were accepted."""
        written = self.written
        count = min(len(samples), self.capacity - (written - self.read))
        at = written % self.capacity
        first = min(count, self.capacity - at)
        self._samples[at : at + first] = samples[:first]
        if first < count:
            self._samples[: count - first] = samples[first:count]
        self.written = written + count
        return count

    def flush(self) -> None:
        """Give up everything written so far that has not been read."""
        self.floor = self.written

    def past(self, position: int, count: int) -> tuple[Samples, Samples]:
        """What was written there and is not overwritten yet, in two parts, not copied."""
        end = min(position + count, self.written)
        position = max(position, self.written - self.capacity)
        count, at = max(0, end - position), position % self.capacity
        first = min(count, self.capacity - at)
        return self._samples[at : at + first], self._samples[: count - first]

    # ------------------------------------------------------------------------------------ consumer

    def read_into(self, out: Samples) -> int:
        """Fill the head of ``out`` with the oldest audio that still counts; return how many samples.

        Flushed audio is skipped. The first sample delivered had the position ``read - count``.
        """
        written = self.written
        read = max(self.read, self.floor)
        count = min(len(out), written - read)
        if count <= 0:
            self.read = read
            return 0
        self._copy(read, out[:count])
        self.read = read + count
        return count

    def read_flushed(self, out: Samples) -> int:
        """Fill the head of ``out`` with the oldest flushed audio; return how many samples."""
        read = self.read
        count = max(0, min(len(out), self.floor - read))
        self._copy(read, out[:count])
        self.read = read + count
        return count

    def skip(self, count: int) -> int:
        """Drop up to ``count`` of the oldest samples that still count; return how many were dropped."""
        written = self.written
        read = max(self.read, self.floor)
        count = max(0, min(count, written - read))
        self.read = read + count
        return count

    def _copy(self, position: int, out: Samples) -> None:
        at = position % self.capacity
        first = min(len(out), self.capacity - at)
        out[:first] = self._samples[at : at + first]
        if first < len(out):
            out[first:] = self._samples[: len(out) - first]
