"""The parts that only count: frames in, decisions out."""

import numpy as np
import pytest

from voice_agent.audio.echo.barge import CONFIRM_FRAMES, HANG_FRAMES, BargeIn, Stage
from voice_agent.audio.echo.canceller import Levels
from voice_agent.audio.echo.delay import EchoDelay
from voice_agent.audio.echo.meter import EchoMeter, Health
from voice_agent.audio.echo.reference import Offset

SYLLABLES = (55.0, 62.0, 66.0, 58.0)
NOISE_DB = 20.0
ECHO_LAG = 4


def feed(
    barge: BargeIn, frames: int, *, above_db: float = 6.0, speech: float = 0.9, moving: bool = True
) -> Stage:
    stage = barge.stage
    for index in range(frames):
        level_db = SYLLABLES[index % 4] if moving else 60.0 + index % 2
        stage = barge.feed(1000 + index, level_db, above_db, speech)
    return stage


# ------------------------------------------------------------------------------------------ barge-in


def test_a_moving_voice_is_suspected_and_then_confirmed_from_its_first_frame() -> None:
    barge = BargeIn()
    feed(barge, 3, above_db=-10.0)
    assert [feed(barge, 1) for _ in range(2)] == [Stage.QUIET, Stage.SUSPECTED]
    barge = BargeIn()
    assert feed(barge, CONFIRM_FRAMES) is Stage.CONFIRMED
    assert barge.onset == 1000


@pytest.mark.parametrize(("speech", "moving"), [(0.3, True), (0.9, False)])
def test_what_does_not_move_or_resembles_no_speech_is_not_confirmed(speech: float, *, moving: bool) -> None:
    assert feed(BargeIn(), 60, speech=speech, moving=moving) is Stage.SUSPECTED


def test_a_click_of_three_frames_is_forgotten() -> None:
    barge = BargeIn()
    feed(barge, 3)
    feed(barge, 12, above_db=-10.0)
    assert barge.stage is Stage.QUIET
    assert not barge.doubtful


def test_holes_in_a_voice_do_not_hide_it() -> None:
    barge = BargeIn()
    for _ in range(2):
        feed(barge, 2)
        feed(barge, 2, above_db=-20.0)
    assert feed(barge, 2) is Stage.CONFIRMED


def test_a_confirmed_voice_ends_after_half_a_second_of_nothing() -> None:
    barge = BargeIn()
    feed(barge, 10)
    assert feed(barge, HANG_FRAMES - 1, above_db=-10.0) is Stage.CONFIRMED
    feed(barge, 1, above_db=-10.0)
    assert barge.stage is Stage.QUIET


# --------------------------------------------------------------------------------------------- delay


def speech_levels(frames: int, seed: int) -> list[float]:
    """Of something that is louder and softer as speech is."""
    draw = np.random.default_rng(seed)
    return [float(level) for level in 60 + 8 * np.convolve(draw.standard_normal(frames), [1, 1, 0.5], "same")]


@pytest.mark.parametrize("lag", [0, 4, 12, 23])
def test_the_delay_of_an_echo_is_found_under_another_voice(lag: int) -> None:
    far, near = speech_levels(400, seed=1), speech_levels(400, seed=2)
    delay = EchoDelay()
    for index in range(lag, 400):
        delay.observe(far[index], max(far[index - lag] - 10, near[index] - 14))
    assert delay.frames == lag


def test_a_voice_alone_is_no_echo() -> None:
    for seed in range(20):
        far, near = speech_levels(400, seed=100 + seed), speech_levels(400, seed=200 + seed)
        delay = EchoDelay()
        for pair in zip(far, near, strict=True):
            delay.observe(*pair)
        assert delay.frames is None


# --------------------------------------------------------------------------------------------- meter


def taught(*, erle_db: float = 30.0, frames: int = 400, loss_db: float = 10.0) -> EchoMeter:
    """A meter that has heard an echo, softer than it was played, and what was left of it."""
    meter, far = EchoMeter(), speech_levels(frames, seed=1)
    for index in range(ECHO_LAG, frames):
        near_db = max(far[index - ECHO_LAG] - loss_db, NOISE_DB)
        levels = Levels(near_db, far[index], max(near_db - erle_db, NOISE_DB))
        meter.expect(levels, NOISE_DB)
        meter.learn(levels, NOISE_DB)
    return meter


def test_a_canceller_is_good_once_it_has_been_heard_for_three_seconds() -> None:
    assert taught(frames=140).health is Health.CONVERGING
    meter = taught()
    assert meter.health is Health.GOOD
    assert meter.erle_db == pytest.approx(30, abs=3)


def test_a_canceller_that_leaves_too_much_is_not_relied_on() -> None:
    assert taught(erle_db=5.0).health is Health.DIVERGING


def test_what_is_not_heard_is_no_echo() -> None:
    assert taught(loss_db=80.0, frames=1500).health is Health.NO_ECHO


def test_the_expected_residual_follows_what_is_played_one_delay_ago() -> None:
    meter = taught()
    quiet = Levels(NOISE_DB, 0.0, NOISE_DB)
    loud = Levels(NOISE_DB, 75.0, NOISE_DB)
    silence_db = [meter.expect(quiet, NOISE_DB) for _ in range(60)][-1]
    expected = [meter.expect(loud if index == 0 else quiet, NOISE_DB) for index in range(2 * ECHO_LAG)]
    assert silence_db < NOISE_DB
    assert max(expected[: ECHO_LAG - 1]) < NOISE_DB
    assert max(expected[ECHO_LAG - 1 : ECHO_LAG + 2]) > 40


def test_a_room_that_falls_silent_is_expected_to_be_heard() -> None:
    meter = taught()
    during_db = [meter.expect(Levels(60.0, 70.0, 30.0), NOISE_DB) for _ in range(10)][-1]
    after = [meter.expect(Levels(50.0, 0.0, 45.0), NOISE_DB) for _ in range(ECHO_LAG + 4)]
    assert after[-1] > during_db
    assert after[-1] > 50


def test_distrust_lasts_for_five_seconds_of_echo() -> None:
    meter = taught()
    meter.distrust()
    assert meter.health is Health.DIVERGING
    levels = Levels(60.0, 70.0, 30.0)
    for _ in range(240):
        meter.learn(levels, NOISE_DB)
    assert meter.health is Health.DIVERGING
    for _ in range(20):
        meter.expect(levels, NOISE_DB)
        meter.learn(levels, NOISE_DB)
    assert meter.health is Health.GOOD


def test_a_false_alarm_raises_the_expectation() -> None:
    meter = taught()
    before_db = meter.leak_db
    meter.scold()
    assert meter.leak_db == pytest.approx(before_db + 3, abs=0.01)


# -------------------------------------------------------------------------------------------- offset


def test_an_offset_is_the_middle_of_what_two_callbacks_say() -> None:
    offset, draw = Offset(24_000), np.random.default_rng(1)
    for _ in range(3000):
        offset.observe(5000.0 + 240 * int(draw.integers(2)))
    assert abs(offset.samples - 5120) <= 125
    assert offset.jumps == 0
    assert offset.slipped <= 30
