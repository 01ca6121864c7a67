"""The sample ring: what the property tests do not say in words."""

from array import array

from voice_agent.audio.pcm import Samples, silent_samples
from voice_agent.audio.ring import SampleRing


def samples(*values: int) -> Samples:
    return memoryview(array("h", values))


def ones(count: int) -> Samples:
    return samples(*[1] * count)


class Watched:
    """Memory that notes where the ring's counters stand whenever it is copied into or out of."""

    def __init__(self, ring: SampleRing) -> None:
        self.ring = ring
        self.memory = silent_samples(ring.capacity)
        self.seen: list[tuple[int, int]] = []

    def __setitem__(self, key: slice, value: Samples) -> None:
        self.seen.append((self.ring.written, self.ring.read))
        self.memory[key] = value

    def __getitem__(self, key: slice) -> Samples:
        self.seen.append((self.ring.written, self.ring.read))
        return self.memory[key]


def watched(ring: SampleRing) -> list[tuple[int, int]]:
    """Put the ring on watched memory; what that sees."""
    memory = Watched(ring)
    ring._samples = memory  # type: ignore[assignment]
    return memory.seen


def test_a_position_is_published_after_the_copy() -> None:
    ring = SampleRing(8)
    ring.write(ones(6))
    ring.skip(6)
    seen = watched(ring)
    ring.write(ones(5))  # in two pieces, around the end
    assert set(seen) == {(6, 6)}
    seen.clear()
    ring.read_into(silent_samples(4))
    assert set(seen) == {(11, 6)}
    seen.clear()
    ring.flush()
    ring.read_flushed(silent_samples(4))
    assert set(seen) == {(11, 10)}


def test_a_full_ring_refuses_the_rest_and_keeps_what_it_has() -> None:
    ring = SampleRing(4)
    assert ring.write(samples(1, 2, 3)) == 3
    assert ring.write(samples(4, 5, 6)) == 1
    out = silent_samples(9)
    assert ring.read_into(out) == 4
    assert out[:4].tolist() == [1, 2, 3, 4]


def test_a_flush_gives_no_room_before_the_consumer_has_seen_it() -> None:
    ring = SampleRing(4)
    ring.write(ones(4))
    ring.flush()
    assert (ring.queued, ring.room) == (0, 0)
    ring.read_into(silent_samples(1))
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
    ring.write(samples(7, 8))
    out = silent_samples(8)
    assert out[: ring.read_into(out)].tolist() == [7, 8]


def test_what_was_played_can_be_looked_at_until_it_is_overwritten() -> None:
    ring = SampleRing(4)
    ring.write(samples(1, 2, 3))
    ring.read_into(samples(0, 0, 0))
    ring.write(samples(4, 5))
    assert [list(part) for part in ring.past(1, 4)] == [[2, 3, 4], [5]]
    assert [list(part) for part in ring.past(0, 3)] == [[2, 3], []]
    assert [list(part) for part in ring.past(3, 9)] == [[4], [5]]
    assert [list(part) for part in ring.past(7, 2)] == [[], []]
