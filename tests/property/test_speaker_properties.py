"""The speaker against a model that does everything one sample at a time."""

from dataclasses import dataclass, field
from itertools import count as counting

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from voice_agent.audio.jitter import MOST_S
from voice_agent.audio.speaker import Speaker

RATE = 1000
FADE = 5

PLAY = st.tuples(st.just("play"), st.integers(0, 40), st.booleans())
BLOCK = st.tuples(st.just("block"), st.integers(1, 24), st.just(False))
WORDS = st.sampled_from(("silence", "finish", "hold", "resume"))
WORD = st.tuples(WORDS, st.just(0), st.just(False))
LOUDNESS = st.tuples(st.sampled_from(("volume", "duck")), st.integers(0, 12), st.just(False))
WAIT = st.tuples(st.just("wait"), st.integers(0, 400), st.just(False))
STEPS = st.lists(st.one_of(PLAY, BLOCK, BLOCK, WORD), max_size=60)
MORE_STEPS = st.lists(st.one_of(PLAY, BLOCK, BLOCK, WORD, LOUDNESS, WAIT), max_size=60)


def sample(position: int) -> int:
    """Never zero, so that silence cannot pass for content."""
    return 1000 + position % 20000


def content(position: int, count: int) -> bytes:
    return np.array([sample(position + i) for i in range(count)], "<i2").tobytes()


def faded(samples: list[int]) -> list[int]:
    length = len(samples)
    return [int(value * (length - 1 - i) / length) for i, value in enumerate(samples)]


@dataclass
class Model:
    """What a listener with a perfect ear would write down."""

    written: int = 0
    read: int = 0
    floor: int = 0
    seams: set[int] = field(default_factory=lambda: {0})
    held: bool = False
    silent: bool = True
    hole: int = 1
    gaps: list[int] = field(default_factory=list)
    reached: list[int] = field(default_factory=list)
    """For each emitted sample, the position reached before it."""
    last: list[int] = field(default_factory=list)
    """The block before."""
    tail: list[int] = field(default_factory=list)
    rise: int = 0
    """Samples of a fade-in to come."""

    def hear(self, block: list[int]) -> None:
        """Judge the next block."""
        silent, at = self.silent, self._head(block)
        head = at
        self.read = max(self.read, self.floor)
        if self.read < self.written and not self.held and at < len(block):
            if silent:
                self._return(head)
            at = self._content(block, at)
        sounded = at > head
        self.silent = at < len(block) or not sounded
        if sounded:
            self.hole = 0
        if self.silent and (sounded or not (silent or head)) and self.read not in self.seams:
            self._reflect(block, at, silent=silent)
        if not self.held:
            self.hole += len(block) - (0 if silent and not sounded else at)
        tail, self.tail = self.tail[: len(block) - at], self.tail[len(block) - at :]
        assert block[at:] == tail + [0] * (len(block) - at - len(tail))
        self.reached += [self.read] * (len(block) - at)
        self.last = block

    def _head(self, block: list[int]) -> int:
        """The rest of a tail, or flushed sound that fades."""
        if self.silent:
            head, self.tail = self.tail[: len(block)], self.tail[len(block) :]
            assert block[: len(head)] == head
            self.reached += [self.read] * len(head)
            return len(head)
        length = max(0, min(FADE, len(block), self.floor - self.read))
        for i in range(length):
            assert 0 <= block[i] <= sample(self.read + i) * (1 - (i + 1) / length) + 0.01
        self.reached += range(self.read, self.read + length)
        self.read += length
        self.rise = max(self.rise - length, 0)
        return length

    def _return(self, head: int) -> None:
        torn = self.read not in self.seams
        self.rise = FADE if torn else 0
        if torn and self.hole:
            self.gaps.append(self.hole + head)

    def _content(self, block: list[int], at: int) -> int:
        while at < len(block) and self.read < self.written:
            self.rise = max(self.rise - 1, 0) if (rising := self.rise) else 0
            gain = 1 - (rising - 1) / FADE if rising else 1.0
            assert abs(block[at] - sample(self.read) * gain) <= (1 if rising else 0)
            self.reached.append(self.read)
            self.read += 1
            at += 1
        return at

    def _reflect(self, block: list[int], at: int, *, silent: bool) -> None:
        before = [] if silent else ([0] * len(block) + self.last)[-len(block) :][at:]
        self.tail = faded((before + block[:at])[::-1][:FADE])


def block_of(speaker: Speaker, count: int) -> list[int]:
    pcm, flag = speaker.callback(None, count, {}, 0)
    assert flag == 0
    heard: list[int] = np.frombuffer(pcm or b"", "<i2").tolist()
    assert len(heard) == count
    return heard


@given(steps=STEPS, latency=st.integers(0, 60))
def test_what_is_heard_is_what_was_played(steps: list[tuple[str, int, bool]], latency: int) -> None:
    speaker, model = Speaker(RATE, fade_ms=FADE, clock=counting(1.0).__next__), Model()
    tap = speaker.tap(60.0)
    speaker.set_latency(latency)
    played, emitted = 0, []
    for step, count, starts in steps:
        match step:
            case "play":
                speaker.play(content(model.written, count), starts=starts)
                model.seams |= {model.written} if starts else set()
                model.written += count
            case "finish":
                speaker.finish()
                model.seams.add(model.written)
            case "silence":
                speaker.silence()
                model.floor, model.held = model.written, False
                model.seams = {model.floor}
            case "hold":
                speaker.hold()
                model.held = True
            case "resume":
                speaker.resume()
                model.held = False
            case _:
                block_start = len(model.reached)
                emitted += (block := block_of(speaker, count))
                model.hear(block)
                if block_start >= latency:
                    played = model.reached[block_start - latency]
        assert speaker.positions() == (model.written, played)
        assert played <= model.read
    assert_counted(speaker, model)
    out = memoryview(bytearray(2 * len(emitted))).cast("h")
    assert (tap.read_into(out), out.tolist()) == (len(emitted), emitted)


def assert_counted(speaker: Speaker, model: Model) -> None:
    counted = speaker.statistics()
    assert (counted.gaps, counted.gap_samples) == (len(model.gaps), sum(model.gaps))
    assert counted.played + counted.flushed == model.read
    assert (counted.callback_errors, counted.lost_samples, counted.untapped) == (0, 0, 0)


class Clock:
    """Monotonic seconds, as the test wants them."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@given(steps=MORE_STEPS)
def test_nothing_is_lost_doubled_or_left_waiting_whatever_is_done(steps: list[tuple[str, int, bool]]) -> None:
    clock = Clock()
    speaker = Speaker(RATE, clock=clock)
    written = before = 0
    for step, count, starts in [*steps, ("resume", 0, False), ("wait", 2 * round(MOST_S * RATE), False)]:
        match step:
            case "play":
                speaker.play(content(written, count), starts=starts)
                written += count
            case "volume":
                speaker.set_volume(count / 3)
            case "duck":
                speaker.duck(count)
            case "wait":
                clock.now += count / RATE
            case "block":
                block_of(speaker, count)
                clock.now += count / RATE
            case _:
                getattr(speaker, step)()
        queued, played = speaker.positions()
        assert before <= played <= queued == written
        before = played
    block_of(speaker, written + 1)
    counted = speaker.statistics()
    assert counted.played + counted.flushed == written
    assert (counted.callback_errors, counted.lost_samples) == (0, 0)
    block_of(speaker, 1)
    assert speaker.positions().played == written
