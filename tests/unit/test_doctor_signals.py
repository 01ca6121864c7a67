"""What the doctor makes of sound: arrays with a known truth in, figures out."""

import numpy as np
import pytest
from numpy.typing import NDArray

from voice_agent.doctor import canceller
from voice_agent.doctor.findings import Level
from voice_agent.doctor.levels import judged_levels
from voice_agent.doctor.loopback import (
    LEAD_S,
    Course,
    find_sweep,
    judged_cancelling,
    judged_echo,
    judged_latency,
)
from voice_agent.doctor.signals import Echo, enhancement_db, levels, murmur, sweep
from voice_agent.doctor.streams import Clock

RATE = 24_000
Samples = NDArray[np.int16]


def noise(dbfs: float, seconds: float = 2.0, seed: int = 1) -> Samples:
    scale = 32768 * 10 ** (dbfs / 20)
    hiss = np.random.default_rng(seed).standard_normal(round(RATE * seconds)) * scale
    return hiss.clip(-32768, 32767).round().astype(np.int16)


# ------------------------------------------------------------------------------------------- levels


@pytest.mark.parametrize("dbfs", [-70.0, -55.0, -42.0])
def test_the_noise_floor_is_that_of_the_room(dbfs: float) -> None:
    assert levels(noise(dbfs), RATE).floor_dbfs == pytest.approx(dbfs, abs=1.0)


def test_somebody_who_talks_for_half_the_time_does_not_raise_the_noise_floor() -> None:
    room = noise(-60)
    room[: RATE // 2] += noise(-25, 0.5, seed=2)
    found = levels(room, RATE)
    assert found.floor_dbfs == pytest.approx(-60, abs=1.0)
    assert found.rms_dbfs > -35


def test_the_share_of_clipped_samples_is_counted() -> None:
    loud = noise(-30)
    loud[:480:2], loud[1:480:2] = 32767, -32768
    assert levels(loud, RATE).clipped_share == pytest.approx(480 / len(loud), rel=1e-6)


def test_the_offset_is_no_noise() -> None:
    found = levels(noise(-60) + np.int16(1000), RATE)
    assert found.dc_share == pytest.approx(1000 / 32768, rel=0.01)
    assert found.floor_dbfs == pytest.approx(-60, abs=1.0)


@pytest.mark.parametrize(
    ("room", "level", "words"),
    [
        (noise(-60), Level.OK, "noise floor"),
        (np.zeros(RATE, np.int16), Level.FAIL, "digital silence"),
        (np.full(RATE, -1, np.int16), Level.FAIL, "stuck"),
        (noise(-10), Level.WARN, "clipped"),
        (noise(-3), Level.FAIL, "clipped"),
        (noise(-30), Level.WARN, "noisy"),
        (noise(-92), Level.WARN, "hardly any sound"),
        (noise(-60) + np.int16(800), Level.WARN, "DC offset"),
    ],
)
def test_a_microphone_is_judged_by_the_worst_that_it_shows(room: Samples, level: Level, words: str) -> None:
    finding = judged_levels(levels(room, RATE))
    assert (finding.level, words in finding.seen) == (level, True), finding
    assert bool(finding.remedy) == (level is not Level.OK)


def test_sound_that_was_lost_is_said_when_nothing_else_is_wrong() -> None:
    finding = judged_levels(levels(noise(-60), RATE), overflows=3)
    assert (finding.level, "lost sound 3 times" in finding.seen) == (Level.WARN, True)


# --------------------------------------------------------------------------------------------- echo


def heard(course: Course, delay_ms: float, echo_db: float, noise_dbfs: float, rate: int = RATE) -> Samples:
    """What a microphone brings while ``course`` is played in a plain room."""
    played = course.sound(rate) * 10 ** (echo_db / 20)
    delay = round(delay_ms * rate / 1000)
    echo = np.concatenate([np.zeros(delay), played])[: len(played)]
    hiss = np.random.default_rng(7).standard_normal(len(played)) * 32768 * 10 ** (noise_dbfs / 20)
    return (echo + hiss).clip(-32768, 32767).round().astype(np.int16)


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 44_100])
@pytest.mark.parametrize("delay_ms", [0.0, 37.0, 180.0, 900.0])
def test_the_delay_is_found_to_the_sample_at_every_rate(rate: int, delay_ms: float) -> None:
    echo = find_sweep(heard(Course(with_murmur=False), delay_ms, -20, -60, rate), rate)
    assert echo is not None
    assert echo.delay == round(delay_ms * rate / 1000)


@pytest.mark.parametrize("echo_db", [3.0, -10.0, -20.0, -30.0, -40.0])
def test_the_loss_is_that_of_the_room_even_when_the_echo_is_weaker_than_the_noise(echo_db: float) -> None:
    echo = find_sweep(heard(Course(with_murmur=False), 60, echo_db, -50), RATE)
    assert echo is not None
    assert echo.delay == 60 * RATE // 1000
    assert echo.loss_db == pytest.approx(-echo_db, abs=0.5)


@pytest.mark.parametrize("seed", range(8))
def test_a_room_that_says_something_else_has_no_echo(seed: int) -> None:
    assert find_sweep(noise(-30, 3.0, seed=seed), RATE) is None


def test_a_voice_is_no_echo() -> None:
    room = noise(-60, 3.0)
    room[RATE : RATE + 2 * RATE] += murmur(RATE, 2.0, -10)
    assert find_sweep(room, RATE) is None


def test_a_silent_microphone_hears_no_echo() -> None:
    assert find_sweep(np.zeros(3 * RATE, np.int16), RATE) is None


def test_a_reverberant_room_is_measured_by_its_direct_path_and_all_its_power() -> None:
    taps = np.random.default_rng(3).standard_normal(RATE // 10) * np.exp(-np.arange(RATE // 10) / 300) * 0.05
    taps[0] = 0.5
    played = Course(with_murmur=False).sound(RATE)
    room = np.convolve(played, np.concatenate([np.zeros(960), taps]))[: len(played)].round().astype(np.int16)
    echo = find_sweep(room, RATE)
    assert echo is not None
    assert echo.delay == 960
    in_room = room[round(LEAD_S * RATE) :].astype(float)
    truth_db = 10 * np.log10((sweep(RATE, -16).astype(float) ** 2).sum() / (in_room**2).sum())
    assert echo.loss_db == pytest.approx(truth_db, abs=0.5)


@pytest.mark.parametrize(
    ("echo", "clipped", "level", "words"),
    [
        (Echo(0, 20, 40), 0.0, Level.OK, "20 dB weaker"),
        (Echo(0, -10, 40), 0.0, Level.WARN, "10 dB louder"),
        (Echo(0, 2, 40), 0.001, Level.WARN, "clipping"),
    ],
)
def test_an_echo_that_overdrives_the_microphone_is_a_warning(
    echo: Echo, clipped: float, level: Level, words: str
) -> None:
    finding = judged_echo(echo, clipped)
    assert (finding.level, words in finding.seen) == (level, True), finding


@pytest.mark.parametrize(
    ("round_trip_ms", "set_ms", "level", "remedy"),
    [
        (70.0, None, Level.OK, ""),
        (250.0, None, Level.WARN, "audio.output.latency_ms = 240"),
        (250.0, 240.0, Level.OK, ""),
        (600.0, None, Level.WARN, "Bluetooth"),
    ],
)
def test_latency_that_the_sound_system_hides_is_told_with_the_setting_that_cures_it(
    round_trip_ms: float, set_ms: float | None, level: Level, remedy: str
) -> None:
    finding = judged_latency(round_trip_ms, [0.010, 0.010], set_ms)
    assert (finding.level, remedy in finding.remedy) == (level, True), finding


def test_a_clock_is_that_of_the_block_that_was_least_late() -> None:
    clock = Clock(1000)
    for position, now in ((0, 10.004), (10, 10.010), (20, 10.027)):
        clock.note(position, now, torn=False)
    assert clock.zero(15) == pytest.approx(10.0)
    assert not clock.is_torn(30)


def test_after_a_tear_the_clock_is_found_anew() -> None:
    clock = Clock(1000)
    clock.note(0, 10.0, torn=False)
    clock.note(10, 10.060, torn=True)
    clock.note(20, 10.070, torn=False)
    assert (clock.zero(5), clock.zero(15)) == (pytest.approx(10.0), pytest.approx(10.05))
    assert (clock.is_torn(5), clock.is_torn(15)) == (False, True)


def test_the_murmur_is_the_same_sound_at_every_rate() -> None:
    slow, fast = murmur(8_000, 1.0, -8), murmur(24_000, 1.0, -8)[::3]
    assert np.corrcoef(slow, fast)[0, 1] > 0.999


# ---------------------------------------------------------------------------------------- canceller


def test_enhancement_is_the_ratio_of_powers() -> None:
    before = noise(-20)
    assert enhancement_db(before, (before / 10).astype(np.int16)) == pytest.approx(20, abs=0.1)


def test_the_canceller_takes_away_what_was_played_and_nothing_else() -> None:
    pytest.importorskip("pywebrtc_audio")
    played = murmur(RATE, 4.0, -8)
    echo = np.concatenate([np.zeros(480), played * 0.3])[: len(played)].round().astype(np.int16)
    half = len(played) // 2
    near, cleaned = canceller.cancelled(echo, played, RATE)
    assert enhancement_db(near[half:], cleaned[half:]) > 20
    near, cleaned = canceller.cancelled(echo, np.zeros(len(echo), np.int16), RATE)
    assert enhancement_db(near[half:], cleaned[half:]) < 3


@pytest.mark.parametrize(
    ("erle_db", "above_db", "level"),
    [(30.0, 40.0, Level.OK), (8.0, 40.0, Level.WARN), (8.0, 10.0, Level.OK)],
)
def test_little_enhancement_is_a_warning_only_where_more_was_possible(
    erle_db: float, above_db: float, level: Level
) -> None:
    assert judged_cancelling(erle_db, above_db).level is level
