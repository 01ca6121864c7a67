"""The sample ring against a plain list, and two real threads against a counter played as audio."""

import random
import sys
import threading
import time
from array import array

from hypothesis import given
from hypothesis import strategies as st

from voice_agent.audio.pcm import Samples, silent_samples
from voice_agent.audio.ring import SampleRing

COUNT = st.integers(0, 12)
STEPS = st.lists(
    st.tuples(st.sampled_from(["write", "flush", "read", "read_flushed", "skip"]), COUNT), max_size=60
)


def counter(position: int, count: int) -> Samples:
    """Audio that says where it stands."""
    return memoryview(
        array("h", ((at + 0x8000) % 0x10000 - 0x8000 for at in range(position, position + count)))
    )


class ListRing:
    """The same contract, written without any cleverness: everything ever accepted, and two numbers."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.accepted: list[int] = []
        self.read = self.floor = 0

    def write(self, samples: Samples) -> int:
        room = self.capacity - (len(self.accepted) - self.read)
        self.accepted += samples[:room].tolist()
        return min(room, len(samples))

    def flush(self) -> None:
        self.floor = len(self.accepted)

    def take(self, count: int) -> list[int]:
        self.read = max(self.read, self.floor)
        taken = self.accepted[self.read : self.read + count]
        self.read += len(taken)
        return taken

    def take_flushed(self, count: int) -> list[int]:
        taken = self.accepted[self.read : max(self.read, min(self.read + count, self.floor))]
        self.read += len(taken)
        return taken


@given(capacity=st.integers(1, 16), steps=STEPS)
def test_a_ring_is_a_list_with_a_limit(capacity: int, steps: list[tuple[str, int]]) -> None:
    ring, model = SampleRing(capacity), ListRing(capacity)
    for step, count in steps:
        out = memoryview(array("h", [-1] * count))
        match step:
            case "write":
                samples = counter(ring.written, count)
                assert ring.write(samples) == model.write(samples)
            case "flush":
                ring.flush()
                model.flush()
            case "read":
                assert out[: ring.read_into(out)].tolist() == model.take(count)
            case "read_flushed":
                assert out[: ring.read_flushed(out)].tolist() == model.take_flushed(count)
            case _:
                assert ring.skip(count) == len(model.take(count))
        assert (ring.written, ring.floor, ring.read) == (len(model.accepted), model.floor, model.read)
        assert ring.room == capacity - (len(model.accepted) - model.read)
        assert ring.queued == len(model.accepted) - max(model.read, model.floor)


@given(capacity=st.integers(1, 16), head=COUNT, tail=COUNT, taken=COUNT)
def test_flushed_audio_stays_intact_until_the_consumer_lets_go(
    capacity: int, head: int, tail: int, taken: int
) -> None:
    ring = SampleRing(capacity)
    kept = ring.write(counter(0, head))
    ring.flush()
    ring.write(counter(kept, tail))
    out = silent_samples(taken)
    count = ring.read_flushed(out)
    assert count == min(taken, kept)
    assert out[:count].tolist() == list(range(count))


def test_two_threads_lose_double_and_tear_nothing() -> None:
    ring = SampleRing(997)
    stop = threading.Event()

    def produce() -> None:
        draw = random.Random(1)
        while not stop.is_set():
            if not ring.write(counter(ring.written, draw.randrange(1, 400))):
                time.sleep(0)  # full: let the other one run
            if draw.random() < 0.02:
                ring.flush()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # many switches inside write and read
    producer = threading.Thread(target=produce)
    producer.start()
    try:
        _consume(ring, 300_000)
    finally:
        stop.set()
        producer.join()
        sys.setswitchinterval(interval)


def _consume(ring: SampleRing, samples: int) -> None:
    draw = random.Random(2)
    out = silent_samples(300)
    deadline = time.monotonic() + 20
    while samples > 0 and time.monotonic() < deadline:
        floor, before = ring.floor, ring.read
        count = ring.read_into(out[: draw.randrange(1, 300)])
        position = ring.read - count
        assert position >= max(before, floor)
        assert out[:count] == counter(position, count)
        samples -= count
        if not count:
            time.sleep(0)  # empty: let the other one run
    assert samples <= 0, "the threads hardly met"
