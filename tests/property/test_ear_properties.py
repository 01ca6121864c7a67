"""The ear against a model that keeps a word about every single sample."""

import asyncio
from dataclasses import dataclass, field

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from voice_agent.audio.ear import CHUNK_FRAMES, Ear
from voice_agent.audio.microphone import Microphone

RATE = 1000
FRAME = 20  # samples
RING = 100  # samples; and SLACK_MS more before new audio is refused

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("capture"), st.integers(1, 300)),
        st.tuples(st.just("stall"), st.sampled_from([1100, 1300, 2000])),
        st.tuples(st.just("take"), st.integers(1, 4)),
        st.tuples(st.just("rewind"), st.integers(0, 600)),
        st.tuples(st.just("skip"), st.just(0)),
        st.tuples(st.just("park"), st.just(0)),
        st.tuples(st.just("next"), st.just(0)),
    ),
    max_size=40,
)


@dataclass
class Model:
    """Whole lists, no cleverness."""

    limit: int
    kept: list[list[int]] = field(default_factory=list)
    """Frames in the line, as positions."""
    cursor: int = 0
    """The next position to be taken, or the end."""
    now: int = 0
    parked: bool = False
    lost: set[int] = field(default_factory=set)

    def hear(self, frame: list[int]) -> None:
        hole = range(self.now, frame[0])
        if not self.parked:
            self.lost |= set(hole)
        if self.cursor == self.now:
            self.cursor = frame[0]
        self.kept.append(frame)
        self.now = frame[-1] + 1
        while len(self.kept) > self.limit:
            gone = self.kept.pop(0)
            if gone[0] >= self.cursor:
                self.lost |= set(gone)
                self.cursor = self.kept[0][0]
        if self.parked:
            self.cursor = self.now

    def take(self) -> list[int]:
        taken: list[int] = []
        for frame in self.kept:
            follows = not taken or frame[0] == taken[-1] + 1
            if frame[0] >= self.cursor and len(taken) < CHUNK_FRAMES * FRAME:
                if not follows:
                    break
                taken += frame
        self.cursor = taken[-1] + 1 if taken else self.cursor
        return taken

    def rewind(self, position: int) -> None:
        self.parked = False
        if position >= self.cursor:
            return
        there = {each for frame in self.kept for each in frame}
        position = max(position, 0)
        missed = set(range(position, self.cursor)) - there
        ahead = next((frame[0] for frame in self.kept if frame[0] >= self.cursor), self.now)
        self.lost |= missed | (set(range(self.cursor, ahead)) - there)
        self.cursor = next((frame[0] for frame in self.kept if frame[-1] >= position), self.now)

    def skip(self) -> None:
        self.parked = False
        self.cursor = self.now


def value(position: int) -> int:
    return position % 0x8000


def pcm(positions: list[int]) -> bytes:
    return np.array([value(each) for each in positions], "<i2").tobytes()


class Pair:
    """The ear and its model, led through the same steps."""

    def __init__(self, limit: int) -> None:
        self.microphone = Microphone(RATE, capacity_s=RING / RATE)
        self.ear = Ear(self.microphone, keep_s=limit * FRAME / RATE)
        self.reader = self.ear.listen()
        self.model = Model(limit)
        self.captured = 0
        self.ring: list[int] = []

    def capture(self, samples: int) -> None:
        """Refused is what does not fit, just as the microphone says."""
        block = list(range(self.captured, self.captured + samples))
        self.microphone.callback(pcm(block), samples, {}, 0)
        self.captured += samples
        self.ring += block[: RING + RATE - len(self.ring)]

    async def gather(self) -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.ring = self.ring[max(len(self.ring) - RING, 0) :]  # the bell is answered before frames are taken
        while len(self.ring) >= FRAME:
            frame, self.ring = self.ring[:FRAME], self.ring[FRAME:]
            self.model.hear(list(range(frame[0], frame[0] + FRAME)))

    def take(self) -> None:
        chunk, expected = self.reader.take(), self.model.take()
        assert (chunk.pcm if chunk else b"") == pcm(expected)
        assert chunk is None or chunk.position == expected[0]


async def lead(pair: Pair, steps: list[tuple[str, int]]) -> None:
    running = asyncio.create_task(pair.ear.run())
    await asyncio.sleep(0)
    for step, count in steps:
        match step:
            case "capture" | "stall":
                pair.capture(count)
                await pair.gather()
            case "take":
                for _ in range(count):
                    pair.take()
            case "rewind":
                position = pair.captured - count
                pair.model.rewind(position)
                assert pair.ear.rewind(position) == pair.model.cursor
            case "skip":
                pair.ear.skip_to_now()
                pair.model.skip()
            case "park":
                pair.ear.park()
                pair.model.skip()
                pair.model.parked = True
            case _:
                pair.reader = pair.ear.listen()
        compare(pair)
    running.cancel()
    await asyncio.wait([running])


def compare(pair: Pair) -> None:
    ear, model = pair.ear, pair.model
    statistics = ear.statistics()
    assert (ear.now, ear.position) == (model.now, model.cursor)
    assert statistics.lost == len(model.lost)
    assert statistics.kept == len(model.kept) * FRAME
    assert statistics.backlog == sum(len(frame) for frame in model.kept if frame[0] >= model.cursor)


@given(limit=st.integers(1, 30), steps=STEPS)
def test_an_ear_is_a_list_of_samples_with_a_cursor_and_a_conscience(
    limit: int, steps: list[tuple[str, int]]
) -> None:
    asyncio.run(lead(Pair(limit), steps))
