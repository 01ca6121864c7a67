"""The speaker against a model that does everything one sample at a time."""

from dataclasses import dataclass, field

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from voice_agent.audio.speaker import Speaker

RATE = 1000
FADE = 5

PLAY = st.tuples(st.just("play"), st.integers(0, 40), st.booleans())
SILENCE = st.tuples(st.just("silence"), st.just(0), st.just(False))
BLOCK = st.tuples(st.just("block"), st.integers(1, 24), st.just(False))
STEPS = st.lists(st.one_of(PLAY, BLOCK, BLOCK, SILENCE), max_size=60)


def sample(position: int) -> int:
    """Never zero, so that silence cannot pass for content."""
    return 1000 + position % 20000


@dataclass
class Model:
    """What a listener with a perfect ear would write down."""

    written: int = 0
    read: int = 0
    floor: int = 0
    starts: set[int] = field(default_factory=lambda: {0})
    hole: int = 1
    gaps: list[int] = field(default_factory=list)
    reached: list[int] = field(default_factory=list)
    """For each emitted sample, the position reached before it."""

    def block(self, count: int) -> list[tuple[int, float]]:
        """For each sample of the next block: its value and the greatest gain it may have."""
        block = self._fading(count)
        self.read = max(self.read, self.floor)
        while len(block) < count:
            self.reached.append(self.read)
            if self.read == self.written:
                self.hole += 1
                block.append((0, 1.0))
            else:
                self._resume()
                block.append((sample(self.read), 1.0))
                self.read += 1
        return block

    def _fading(self, count: int) -> list[tuple[int, float]]:
        if self.hole:
            return []
        length = max(0, min(FADE, count, self.floor - self.read))
        tail = [(sample(self.read + i), 1 - (i + 1) / length) for i in range(length)]
        self.reached += range(self.read, self.read + length)
        self.read += length
        return tail

    def _resume(self) -> None:
        if self.hole and self.read not in self.starts:
            self.gaps.append(self.hole)
        self.hole = 0


@given(steps=STEPS, latency=st.integers(0, 60))
def test_what_is_heard_is_what_was_played(steps: list[tuple[str, int, bool]], latency: int) -> None:
    speaker, model = Speaker(RATE, fade_ms=FADE), Model()
    speaker.set_latency(latency)
    played = 0
    for step, count, starts in steps:
        match step:
            case "play":
                if starts:
                    model.starts.add(model.written)
                pcm = np.array([sample(model.written + i) for i in range(count)], "<i2")
                speaker.play(pcm.tobytes(), starts=starts)
                model.written += count
            case "silence":
                speaker.silence()
                model.floor = model.written
                model.starts.add(model.floor)
            case _:
                block_start = len(model.reached)
                expected = model.block(count)
                _assert_heard(speaker, expected)
                if block_start >= latency:
                    played = model.reached[block_start - latency]
        assert speaker.positions() == (model.written, played)
        assert played <= model.read
    _assert_counted(speaker, model)


def _assert_heard(speaker: Speaker, expected: list[tuple[int, float]]) -> None:
    pcm, flag = speaker.callback(None, len(expected), {}, 0)
    heard = np.frombuffer(pcm or b"", "<i2").tolist()
    assert flag == 0
    assert len(heard) == len(expected)
    for got, (value, gain) in zip(heard, expected, strict=True):
        if gain == 1.0:
            assert got == value
        else:
            assert value * gain - 1 <= got <= value * gain + 0.01


def _assert_counted(speaker: Speaker, model: Model) -> None:
    counted = speaker.statistics()
    assert (counted.gaps, counted.gap_samples) == (len(model.gaps), sum(model.gaps))
    assert counted.played + counted.flushed == model.read
    assert (counted.callback_errors, counted.lost_samples) == (0, 0)
