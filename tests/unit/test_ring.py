"""The sample ring: what the property tests do not say in words."""

import numpy as np

from voice_agent.audio.ring import SampleRing


def ones(count: int) -> np.ndarray:
    return np.ones(count, np.int16)


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
