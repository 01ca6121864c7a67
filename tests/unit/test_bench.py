"""The benchmark's own arithmetic: a figure is worth what its clock is worth."""

import numpy as np
import pytest

from tests.bench.failures import MeasurementFailed
from tests.bench.figures import Ratio, Spread
from tests.bench.loudspeaker import Loudspeaker
from voice_agent.lab.events import CardEvent

RATE = 1000
"""One sample is one millisecond."""
ZERO_S = 50.0
ANCHOR = CardEvent(
    monotonic_ns=0,
    virtual_ns=2_000_000_000,
    direction="speaker",
    event="setup",
    position=40,
    rate=RATE,
    held_ms=0.0,
)
"""Set up two virtual seconds after the card's zero, with forty samples on record: 52 s on our clock."""
BEGIN_S = 52.0


def recording(*sounding: tuple[int, int]) -> Loudspeaker:
    """A second of silence that sounds in these spans, in ms after ``BEGIN_S``."""
    samples = np.zeros(40 + 1000, np.int16)
    for begin, end in sounding:
        samples[40 + begin : 40 + end] = 7
    return Loudspeaker(samples, ANCHOR, int(ZERO_S * 1e9), [BEGIN_S + 0.5])


def at(milliseconds: int) -> float:
    return BEGIN_S + milliseconds / 1000


def test_sound_begins_and_ends_where_the_recording_says() -> None:
    loudspeaker = recording((100, 230))
    assert loudspeaker.began_s(at(70), at(200)) == pytest.approx(at(100))
    assert loudspeaker.ended_s(at(200), at(300)) == pytest.approx(at(230))
    assert loudspeaker.sounding_part(at(0), at(260)) == pytest.approx(0.5)


def test_a_sound_that_never_comes_or_never_ends_is_no_figure() -> None:
    loudspeaker = recording((100, 230))
    with pytest.raises(MeasurementFailed, match="none came out"):
        loudspeaker.began_s(at(300), at(400))
    with pytest.raises(MeasurementFailed, match="sounded before"):
        loudspeaker.began_s(at(150), at(200))
    with pytest.raises(MeasurementFailed, match="did not fall silent"):
        loudspeaker.ended_s(at(120), at(220))


def test_a_span_with_an_xrun_is_known() -> None:
    assert recording().starved(at(450), at(550))
    assert not recording().starved(at(510), at(900))


def test_an_extra_is_the_difference_of_the_same_quantiles() -> None:
    ours, bare = Spread.of([10, 20, 30]), Spread.of([9, 15, 22])
    assert ours.minus(bare) == pytest.approx((5, 29 - 21.3, 8))


def test_a_ratio_is_the_median_of_the_rounds_not_of_the_values() -> None:
    assert Ratio([2, 30, 9], [1, 10, 9]).median == 2
