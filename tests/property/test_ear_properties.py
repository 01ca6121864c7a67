"""The ear against a model that keeps a word about every single sample."""

import asyncio
from dataclasses import dataclass, field

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from voice_agent.audio.ear import CHUNK_FRAMES, Chunk, Ear
from voice_agent.audio.microphone import Microphone
from voice_agent.audio.valve import Flow, Open, Shut, Verdict, Withheld

RATE = 1000
FRAME = 20  # samples
RING = 100  # samples; and SLACK_MS more before new audio is refused

SILENCE = 2  # frames
SHUT = (Withheld.QUIET, Withheld.ECHO, Withheld.BUTTON, Withheld.MUTED)

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("capture"), st.integers(1, 300)),
        st.tuples(st.just("stall"), st.sampled_from([1100, 1300, 2000])),
        st.tuples(st.just("take"), st.integers(1, 4)),
        st.tuples(st.just("rewind"), st.integers(0, 600)),
        st.tuples(st.just("skip"), st.just(0)),
        st.tuples(st.just("park"), st.just(0)),
        st.tuples(st.just("next"), st.just(0)),
        st.tuples(st.just("open"), st.integers(0, 300)),
        st.tuples(st.just("shut"), st.integers(0, len(SHUT) - 1)),
        st.tuples(st.just("mute"), st.just(0)),
    ),
    max_size=40,
)


@dataclass
class Frame:
    """A frame in the model's line."""

    positions: list[int]
    pcm: bytes
    why: Withheld | None

    @property
    def begin(self) -> int:
        return self.positions[0]

    @property
    def end(self) -> int:
        return self.positions[-1] + 1


@dataclass
class Model:
    """Whole lists, no cleverness."""

    limit: int
    kept: list[Frame] = field(default_factory=list)
    """Frames in the line."""
    cursor: int = 0
    """The next position to be taken, or the end."""
    now: int = 0
    shift: int = 0
    """Positions less samples captured: silence that was put in."""
    parked: bool = False
    shut: Withheld | None = None
    unended: bool = False
    since: int | None = None
    """What the valve says of the next frame: from where on it opens; of later ones it says no more."""
    resent: int = 0
    sent: set[int] = field(default_factory=set)
    lost: set[int] = field(default_factory=set)
    withheld: set[int] = field(default_factory=set)
    holes: set[int] = field(default_factory=set)
    """What the microphone had to drop."""

    def hear(self, captured: list[int]) -> None:
        """A frame from the microphone, as positions in its sound."""
        if self.shut is None and self.since is not None:
            self.let_go(self.since)
        self.since = None
        self.append([self.shift + each for each in captured], pcm(captured), self.shut)
        if self.shut is None:
            self.unended = True
        else:
            self.end()

    def append(self, positions: list[int], sound: bytes, shut: Withheld | None) -> None:
        hole = range(self.now, positions[0])
        self.holes |= set(hole)
        if shut is None and not self.parked:
            self.lost |= set(hole)
        if not self.pending():
            self.cursor = positions[0]
        self.kept.append(Frame(positions, sound, shut or self.flowing))
        self.now = positions[-1] + 1
        while len(self.kept) > self.limit:
            self.drop(self.kept.pop(0))
        self.settle()

    def drop(self, gone: Frame) -> None:
        if gone.why:
            self.withheld |= set(gone.positions)
        elif gone.begin >= self.cursor:
            self.lost |= set(gone.positions)
            self.cursor = self.kept[0].begin

    def end(self) -> None:
        """Silence behind what was flowing."""
        for _ in range(SILENCE if self.unended else 0):
            self.append(list(range(self.now, self.now + FRAME)), bytes(2 * FRAME), None)
            self.shift += FRAME
        self.unended = False

    def let_go(self, since: int) -> None:
        backlog = any(frame.why is None for frame in self.pending())
        after = self.now
        for frame in reversed(self.kept):
            if frame.end <= since or frame.why in (None, Withheld.PARKED, Withheld.MUTED):
                break
            frame.why = self.flowing
            if not self.parked:
                self.lost |= set(range(frame.end, after)) - self.withheld
                self.cursor = self.cursor if backlog else frame.begin
            after = frame.begin

    @property
    def flowing(self) -> Withheld | None:
        return Withheld.PARKED if self.parked else None

    def pending(self) -> list[Frame]:
        return [frame for frame in self.kept if frame.begin >= self.cursor]

    def settle(self) -> None:
        """The cursor passes over what is withheld."""
        pending = self.pending()
        if pending and pending[0].why:
            self.cursor = next((frame.begin for frame in pending if not frame.why), self.now)

    def take(self) -> bytes:
        taken: list[Frame] = []
        for frame in self.pending():
            if taken and (frame.why or frame.begin != taken[-1].end or len(taken) == CHUNK_FRAMES):
                break
            taken.append(frame)
        if taken:
            self.cursor = taken[-1].end
            self.settle()
        positions = {each for frame in taken for each in frame.positions}
        self.resent += len(positions & self.sent)
        self.sent |= positions
        return b"".join(frame.pcm for frame in taken)

    def rewind(self, position: int) -> None:
        self.parked = False
        for frame in self.kept:
            if frame.why is Withheld.PARKED and frame.end > position:
                frame.why = None
        if position >= self.cursor:
            return
        there = {each for frame in self.kept for each in frame.positions} | self.withheld
        position = max(position, 0)
        ahead = next((frame.begin for frame in self.pending()), self.now)
        self.lost |= set(range(position, ahead)) - there
        self.cursor = next((frame.begin for frame in self.kept if frame.end > position), self.now)
        self.settle()

    def skip(self) -> None:
        self.parked = False
        for frame in self.pending():
            if frame.begin not in self.sent:
                frame.why = frame.why or Withheld.PARKED
        self.cursor = self.now


def value(position: int) -> int:
    return position % 0x8000


def pcm(positions: list[int]) -> bytes:
    return np.array([value(each) for each in positions], "<i2").tobytes()


class Pair:
    """The ear and its model, led through the same steps."""

    def __init__(self, limit: int) -> None:
        self.microphone = Microphone(RATE, capacity_s=RING / RATE)
        self.ear = Ear(self.microphone, keep_s=limit * FRAME / RATE, silence_ms=SILENCE * 20)
        self.ear.judge = self.judge
        self.reader = self.ear.listen()
        self.model = Model(limit + SILENCE)
        self.captured = 0
        self.ring: list[int] = []
        self.flow: Flow = Open()

    def judge(self, _chunk: Chunk, _verdict: Verdict, _onset: int | None) -> Flow:
        flow = self.flow
        if isinstance(flow, Open):
            self.flow = Open()
        return flow

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
        begin = next((frame.begin for frame in self.model.pending()), None)
        chunk, expected = self.reader.take(), self.model.take()
        assert (chunk.pcm if chunk else b"") == expected
        assert (chunk.position if chunk else None) == begin

    def open(self, back: int) -> None:
        """The valve opens with the next frame, and lets flow what came so shortly before."""
        since = max(self.model.now - back, 0)
        self.flow = Open(since)
        self.model.shut, self.model.since = None, since

    def shut(self, why: Withheld) -> None:
        self.flow = Shut(why)
        self.model.shut, self.model.since = why, None


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
            case "open":
                pair.open(count)
            case "shut":
                pair.shut(SHUT[count])
            case _:
                between_sessions(pair, step, count)
        compare(pair)
    running.cancel()
    await asyncio.wait([running])


def between_sessions(pair: Pair, step: str, count: int) -> None:
    match step:
        case "rewind":
            position = pair.model.now - count
            pair.model.rewind(position)
            assert pair.ear.rewind(position) == pair.model.cursor
        case "skip":
            pair.ear.skip_to_now()
            pair.model.skip()
        case "park":
            pair.ear.park()
            pair.model.skip()
            pair.model.parked = True
        case "mute":
            pair.shut(Withheld.MUTED)
            pair.ear.shut(Withheld.MUTED)
            pair.model.end()
        case _:
            pair.reader = pair.ear.listen()


def compare(pair: Pair) -> None:
    ear, model = pair.ear, pair.model
    statistics = ear.statistics()
    assert (ear.now, ear.position) == (model.now, model.cursor)
    assert statistics.lost == len(model.lost)
    assert statistics.kept == len(model.kept) * FRAME
    assert statistics.backlog == sum(FRAME for frame in model.pending())
    assert statistics.resent == model.resent
    assert sum(ear.withheld.values()) == len(model.withheld)
    assert model.withheld.isdisjoint(model.sent | model.lost), "what is withheld is neither sent nor missed"
    gone = set(range(model.kept[0].begin if model.kept else 0)) - model.withheld
    assert gone - model.sent - model.lost <= model.holes, "everything else was sent or is lost"


@given(limit=st.integers(1, 30), steps=STEPS)
def test_an_ear_is_a_list_of_samples_with_a_cursor_and_a_conscience(
    limit: int, steps: list[tuple[str, int]]
) -> None:
    asyncio.run(lead(Pair(limit), steps))
