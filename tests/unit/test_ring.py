"""The sample ring: what the property tests do not say in words."""

import numpy as np

from voice_agent.audio.pcm import Samples
from voice_agent.audio.ring import SampleRing


def ones(count: int) -> np.ndarray:
    return np.ones(count, np.int16)


class Watched(np.ndarray):
    """Memory that notes where the ring's counters stand whenever it is copied into or out of."""

    ring: SampleRing
    seen: list[tuple[int, int]]

    def __setitem__(self, key: slice, value: Samples) -> None:  # type: ignore[override]
        self.seen.append((self.ring.written, self.ring.read))
        super().__setitem__(key, value)

    def __getitem__(self, key: slice) -> Samples:  # type: ignore[override]
        self.seen.append((self.ring.written, self.ring.read))
        return self.view(np.ndarray)[key]


def watched(ring: SampleRing) -> list[tuple[int, int]]:
    """Put the ring on watched memory; what that sees."""
    memory = np.zeros(ring.capacity, np.int16).view(Watched)
    memory.ring, memory.seen = ring, []
    ring._samples = memory
    return memory.seen


def test_a_position_is_published_after_the_copy() -> None:
    ring = SampleRing(8)
    ring.write(ones(6))
    ring.skip(6)
    seen = watched(ring)
    ring.write(ones(5))  # in two pieces, around the end
    assert set(seen) == {(6, 6)}
    seen.clear()
    ring.read_into(np.zeros(4, np.int16))
    assert set(seen) == {(11, 6)}
    seen.clear()
    ring.flush()
    ring.read_flushed(np.zeros(4, np.int16))
    assert set(seen) == {(11, 10)}


def test_a_full_ring_refuses_the_rest_and_keeps_what_it_has() -> None:
    ring = SampleRing(4)
    assert ring.write(np.array([1, 2, 3], np.int16)) == 3
    assert ring.write(np.array([4, 5, 6], np.int16)) == 1
    out = np.zeros(9, np.int16)
    assert ring.read_into(out) == 4
    assert out[:4].tolist() == [1, 2, 3, 4]


def test_a_flush_gives_no_room_before_the_consumer_has_seen_it() -> None:
    ring = SampleRing(4)
    ring.write(ones(4))
    ring.flush()
    assert (ring.queued, ring.room) == (0, 0)
    ring.read_into(np.zeros(1, np.int16))
    assert ring.room == 4


def test_positions_never_wrap() -> None:
    ring = SampleRing(3)
    for _ in range(100):
        ring.write(ones(2))
        ring.skip(2)
    assert (ring.written, ring.read) == (200, 200)


def test_audio_written_after_a_flush_is_delivered_first() -> None:
    ring = SampleRing(8)
    ring.write(ones(3))
    ring.flush()
    ring.write(np.array([7, 8], np.int16))
    out = np.zeros(8, np.int16)
    assert out[: ring.read_into(out)].tolist() == [7, 8]
