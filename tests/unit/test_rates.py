"""Resampling in a stream, judged with a sine: what is added to it, and what becomes of the samples' count."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from tests.fakes.sines import AMPLITUDE, Samples, sine, thd_n_db, worst_step
from voice_agent.audio import converter
from voice_agent.audio.edge import PA_CONTINUE, PA_OUTPUT_UNDERFLOW
from voice_agent.audio.rates import InputAdaptor, OutputAdaptor, Resampler
from voice_agent.errors import DeviceUnavailable

PAIRS = [
    (44_100, 24_000),
    (48_000, 24_000),
    (16_000, 24_000),
    (24_000, 48_000),
    (24_000, 44_100),
    (24_000, 16_000),
]
FREQUENCY = 997.0
GOOD_DB = -80.0
SETTLED_S = 0.1


def middle(samples: Samples, rate: int) -> Samples:
    """Without the edges, where the tone begins and ends."""
    edge = int(rate * SETTLED_S)
    return samples[edge:-edge]


def streamed(resampler: Resampler, samples: Samples, block: int) -> Samples:
    pieces = [resampler.process(samples[at : at + block]) for at in range(0, len(samples), block)]
    return np.concatenate(pieces)


@pytest.mark.parametrize(("rate", "to_rate"), PAIRS)
def test_a_sine_in_blocks_stays_clean_and_whole(rate: int, to_rate: int) -> None:
    out = streamed(Resampler(rate, to_rate), sine(FREQUENCY, rate, 2.0), rate // 50)
    out = middle(out, to_rate)
    assert thd_n_db(out, FREQUENCY, to_rate) < GOOD_DB
    assert worst_step(out, FREQUENCY, to_rate) < 3, "in steps of 16 bits"
    assert np.abs(out).max() == pytest.approx(AMPLITUDE, rel=0.001)


def test_state_that_is_not_kept_would_be_heard() -> None:
    """The measure itself: a fresh converter for each block must fail it."""
    tone = sine(FREQUENCY, 24_000, 1.0)
    blocks = [Resampler(24_000, 48_000).process(tone[at : at + 480]) for at in range(0, len(tone), 480)]
    out = middle(np.concatenate(blocks), 48_000)
    assert thd_n_db(out, FREQUENCY, 48_000) > GOOD_DB + 40


@pytest.mark.parametrize(("rate", "to_rate"), PAIRS)
def test_a_minute_brings_exactly_a_minutes_samples(rate: int, to_rate: int) -> None:
    resampler, block, behind = Resampler(rate, to_rate), np.zeros(rate // 50, np.int16), set()
    for _ in range(60 * 50):
        resampler.process(block)
        behind.add(round(resampler.held_s * to_rate))
    assert max(behind) - min(behind) <= 1, "what is inside neither grows nor shrinks"
    assert 0 < resampler.held_s < 0.002


def test_blocks_of_any_length_make_the_same_sound() -> None:
    tone = sine(FREQUENCY, 44_100, 0.5)
    steady, odd = (streamed(Resampler(44_100, 24_000), tone, block) for block in (882, 37))
    common = min(len(steady), len(odd))
    assert np.abs(steady[:common].astype(int) - odd[:common]).max() <= 1


def test_what_does_not_fit_is_clipped_and_does_not_wrap() -> None:
    square = np.where(np.arange(4800) // 24 % 2, 32_767, -32_768).astype(np.int16)
    out = Resampler(24_000, 48_000).process(square)
    assert (out.max(), out.min()) == (32_767, -32_768)
    assert not np.any(np.abs(np.diff(out.astype(int))) > 60_000), "a wrapped sample jumps by full scale"


def test_sound_above_the_lower_rates_reach_does_not_come_back_as_another() -> None:
    out = streamed(Resampler(48_000, 24_000), sine(15_000, 48_000, 1.0), 960)
    assert np.abs(middle(out, 24_000)).max() <= AMPLITUDE * 10 ** (GOOD_DB / 20)


def test_equal_rates_pass_unchanged() -> None:
    tone = sine(FREQUENCY, 24_000, 0.1)
    resampler = Resampler(24_000, 24_000)
    assert np.array_equal(resampler.process(tone), tone)
    assert resampler.held_s == 0


def test_without_the_library_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converter, "LIBRARY", "libsamplerate.so.none")
    converter._library.cache_clear()
    try:
        with pytest.raises(DeviceUnavailable, match=r"24000 Hz to 44100 Hz .*apt-get install libsamplerate0"):
            Resampler(24_000, 44_100)
    finally:
        converter._library.cache_clear()


def test_a_block_may_be_empty_or_as_long_as_a_minute() -> None:
    resampler, minute = Resampler(44_100, 24_000), sine(FREQUENCY, 44_100, 60.0)
    assert len(resampler.process(minute[:0])) == 0
    assert len(resampler.process(minute)) == pytest.approx(60 * 24_000, abs=48)


def test_two_streams_at_once_know_nothing_of_each_other() -> None:
    tone, hum = sine(FREQUENCY, 44_100, 0.5), sine(FREQUENCY / 5, 44_100, 0.5)
    alone = streamed(Resampler(44_100, 24_000), tone, 882)
    one, other, heard = Resampler(44_100, 24_000), Resampler(44_100, 24_000), []
    for at in range(0, len(tone), 882):
        heard.append(one.process(tone[at : at + 882]))
        other.process(hum[at : at + 882])
    assert np.array_equal(np.concatenate(heard), alone)


def test_what_a_converter_takes_is_given_back() -> None:
    def resident_kb() -> int:
        return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1])  # type: ignore[index]

    block = np.zeros(960, np.int16)
    for _ in range(100):
        Resampler(48_000, 24_000).process(block)
    before = resident_kb()
    for _ in range(2000):
        Resampler(48_000, 24_000).process(block)
    assert resident_kb() - before < 2000


# ------------------------------------------------------------------------------------------- adaptors


class End:
    """A mono end in a speaker's or a microphone's place."""

    def __init__(self, samples: Samples | None = None) -> None:
        self.samples = samples if samples is not None else np.zeros(0, np.int16)
        self.position = 0
        self.asked: list[int] = []
        self.statuses: list[int] = []
        self.brought: list[bytes] = []

    def __call__(
        self, in_data: bytes | None, frame_count: int, _time: Mapping[str, float], status: int, /
    ) -> tuple[bytes | None, int]:
        self.asked.append(frame_count)
        self.statuses.append(status)
        if in_data is not None:
            self.brought.append(in_data)
            return None, PA_CONTINUE
        block = np.zeros(frame_count, np.int16)
        rest = self.samples[self.position : self.position + frame_count]
        block[: len(rest)] = rest
        self.position += frame_count
        return block.tobytes(), PA_CONTINUE

    def heard(self) -> Samples:
        return np.frombuffer(b"".join(self.brought), np.int16)


def ask(adaptor: OutputAdaptor, frames: int, status: int = 0) -> Samples:
    data, flag = adaptor.callback(None, frames, {}, status)
    assert flag == PA_CONTINUE
    assert data is not None
    assert len(data) == frames * adaptor.channels * 2, "a short answer would end the stream"
    return np.frombuffer(data, np.int16).reshape(-1, adaptor.channels)


@pytest.mark.parametrize("device_rate", [16_000, 24_000, 32_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_device_is_served_with_one_block_for_each_of_its_own(device_rate: int, channels: int) -> None:
    end = End(sine(FREQUENCY, 24_000, 2.0))
    adaptor = OutputAdaptor(end, 240, rate=24_000, device_rate=device_rate, channels=channels)
    out = np.concatenate([ask(adaptor, device_rate // 100) for _ in range(200)])
    assert end.asked == [240] * 200, "never two at once: the delay would grow by a block"
    for channel in out.T:
        assert thd_n_db(middle(channel, device_rate), FREQUENCY, device_rate) < GOOD_DB
        assert worst_step(middle(channel, device_rate), FREQUENCY, device_rate) < 3


@pytest.mark.parametrize("device_rate", [16_000, 44_100, 48_000])
def test_the_delay_that_an_output_tells_is_the_one_that_it_has(device_rate: int) -> None:
    pulse = np.zeros(24_000, np.int16)
    pulse[12_000] = 20_000
    adaptor = OutputAdaptor(End(pulse), 240, rate=24_000, device_rate=device_rate, channels=1)
    told_s = adaptor.delay_s
    out = np.concatenate([ask(adaptor, device_rate // 100)[:, 0] for _ in range(100)])
    delay_s = np.abs(out.astype(int)).argmax() / device_rate - 0.5
    assert delay_s == pytest.approx(told_s, abs=1.5 / device_rate)
    assert 0 < told_s < 0.002
    assert adaptor.delay_s == pytest.approx(told_s, abs=1.5 / device_rate)


def test_blocks_that_no_whole_number_of_samples_fills_are_full_nevertheless() -> None:
    end = End(sine(FREQUENCY, 24_000, 3.0))
    adaptor = OutputAdaptor(end, 240, rate=24_000, device_rate=22_050, channels=1)
    out = np.concatenate([ask(adaptor, 220)[:, 0] for _ in range(250)])
    assert thd_n_db(middle(out, 22_050), FREQUENCY, 22_050) < GOOD_DB


def test_an_underrun_is_told_once_though_two_blocks_are_drawn() -> None:
    end = End()
    adaptor = OutputAdaptor(end, 240, rate=24_000, device_rate=48_000, channels=1)
    ask(adaptor, 960, PA_OUTPUT_UNDERFLOW)
    assert end.statuses == [PA_OUTPUT_UNDERFLOW, 0]


def test_an_adaptor_whose_end_fails_gives_silence_for_all_channels_and_counts() -> None:
    def broken(*_: object) -> tuple[bytes | None, int]:
        raise RuntimeError

    adaptor = OutputAdaptor(broken, 240, rate=24_000, device_rate=48_000, channels=2)
    assert not ask(adaptor, 480).any()
    assert adaptor.callback_errors == 1


@pytest.mark.parametrize("device_rate", [16_000, 24_000, 44_100, 48_000])
def test_a_stereo_microphone_is_heard_as_the_mean_or_as_one_channel(device_rate: int) -> None:
    left, right = sine(FREQUENCY, device_rate, 2.0), sine(2 * FREQUENCY, device_rate, 2.0)
    frames = np.stack([left, right], axis=1)
    heard = []
    for channel in (0, 1, 2):
        end = End()
        adaptor = InputAdaptor(end, rate=24_000, device_rate=device_rate, channels=2, channel=channel)
        for block in np.split(frames, 100):
            adaptor.callback(block.tobytes(), len(block), {}, 0)
        heard.append(middle(end.heard(), 24_000))
        assert len(end.heard()) == pytest.approx(48_000, abs=48)
    mean, first, second = heard
    assert thd_n_db(first, FREQUENCY, 24_000) < GOOD_DB
    assert thd_n_db(second, 2 * FREQUENCY, 24_000) < GOOD_DB
    assert np.abs(mean - (first.astype(float) + second) / 2).max() <= 1.5


def test_a_torn_block_from_the_device_is_counted_and_reaches_nobody() -> None:
    end = End()
    adaptor = InputAdaptor(end, rate=24_000, device_rate=48_000, channels=2)
    adaptor.callback(b"\0\0" * 3, 2, {}, 0)
    assert adaptor.callback_errors == 1
    assert not end.brought
