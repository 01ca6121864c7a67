"""The gain stage: exact at one, smooth when it changes, never out of range."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from voice_agent.audio.gain import FULL, KNEE, MOST, ONE, Gain, bent, steps

RAMP = 100


def after(gain: Gain, values: list[int], *, silent: bool = False) -> list[int]:
    """``values`` as one block, through the stage."""
    gain.follow(silent=silent)
    samples = memoryview(bytearray(np.array(values, "<i2").tobytes())).cast("h")
    gain.apply(samples)
    return samples.tolist()


def at(gain: float) -> Gain:
    stage = Gain(RAMP)
    stage.wanted = steps(gain)
    stage.follow(silent=True)
    return stage


def test_a_gain_of_one_changes_nothing() -> None:
    values = [0, 1, -1, FULL, -FULL - 1]
    assert after(at(1.0), values) == values
    assert steps(1.0) == ONE


def test_what_is_softer_is_softer_by_that_much_and_silence_is_silent() -> None:
    assert after(at(0.5), [20_000, -20_000, 0, FULL, -FULL - 1]) == [10_000, -10_000, 0, 16_384, -16_384]
    assert after(at(0.0), [FULL, -FULL - 1]) == [0, 0]


def test_more_than_the_most_is_the_most() -> None:
    assert after(at(100.0), [100]) == [100 * int(MOST)]
    assert after(at(-1.0), [100]) == [0]


@given(value=st.integers(-32_768, 32_767), gain=st.floats(1.0, MOST))
def test_what_is_louder_is_straight_up_to_the_knee_and_bent_behind_it(value: int, gain: float) -> None:
    [got] = after(at(gain), [value])
    wanted = value * gain
    assert -FULL - 1 <= got <= FULL
    if abs(wanted) < KNEE:
        assert abs(got - wanted) <= 1
    else:
        assert KNEE - 1 <= abs(got) <= abs(wanted) + 1
        assert (got > 0) == (value > 0)


def test_the_knee_is_smooth_and_louder_stays_louder() -> None:
    curve = np.array(bent(list(range(4 * FULL))))
    steps_up = np.diff(curve)
    assert steps_up.min() >= 0
    assert steps_up.max() == 1, "no jump, not even where the curve begins"
    assert curve[4 * FULL - 1] < FULL


def test_a_change_while_something_sounds_is_a_straight_line() -> None:
    stage = Gain(RAMP)
    stage.wanted = steps(0.5)
    heard = np.array(after(stage, [20_000] * (RAMP + 20)))
    expected = 20_000 * (1 - 0.5 * np.minimum(np.arange(1, RAMP + 21), RAMP) / RAMP)
    assert np.abs(heard - expected).max() <= 1
    assert after(stage, [20_000]) == [10_000]


def test_a_change_in_silence_takes_effect_at_once() -> None:
    stage = Gain(RAMP)
    stage.wanted = steps(0.5)
    assert after(stage, [20_000], silent=True) == [10_000]


def test_a_ramp_back_to_one_ends_bit_exact_and_bends_nothing() -> None:
    stage = at(0.5)
    stage.wanted = ONE
    loud = [FULL] * RAMP
    heard = after(stage, loud)
    assert heard[-1] >= FULL - 1
    assert max(np.diff(heard)) <= FULL / 2 / RAMP + 1
    assert after(stage, loud) == loud


def test_a_fade_in_bends_nothing() -> None:
    stage = Gain(RAMP)
    stage.rise(4)
    assert after(stage, [FULL - 7] * 5) == [8190, 16380, 24570, 32760, 32760]


@given(
    changes=st.lists(st.tuples(st.floats(0.0, 1.0), st.booleans(), st.integers(1, 250)), max_size=12),
    cuts=st.lists(st.integers(1, 40), min_size=1),
)
def test_how_a_block_is_cut_makes_no_difference(
    changes: list[tuple[float, bool, int]], cuts: list[int]
) -> None:
    whole, parts = Gain(RAMP), Gain(RAMP)
    for gain, silent, length in changes:
        whole.wanted = parts.wanted = steps(gain)
        expected = after(whole, [20_000] * length, silent=silent)
        heard: list[int] = []
        parts.follow(silent=silent)
        while len(heard) < length:
            heard += after(parts, [20_000] * min(cuts[len(heard) % len(cuts)], length - len(heard)))
        assert heard == expected
        assert silent or max(np.abs(np.diff(heard)), default=0) <= 20_000 / RAMP + 1
