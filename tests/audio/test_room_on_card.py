"""The acoustics of the virtual card: response, loudspeaker, noise."""

from pathlib import Path

import numpy as np

from tests.audio.harness import RATE, Samples, Tape, capture, in_own_process, output, plugged_in, until
from voice_agent.lab.card import VirtualCard


def sound(seconds: float) -> Samples:
    return np.random.default_rng(1).integers(-9000, 9000, round(seconds * RATE)).astype(np.int16)


@in_own_process
def test_the_room_responds_as_its_file_says_until_another_takes_its_place(tmp_path: Path) -> None:
    first = np.zeros(1000, np.float32)
    first[[0, 700, 999]] = 0.5, -0.25, 0.125
    delay, quarter = RATE * 40 // 1000, RATE // 4
    with plugged_in(VirtualCard(tmp_path, elastic=True, speed=2, echo_db=0, echo_ms=40)) as card:

        def is_a_mirror() -> bool:
            """What was heard last is what had been played."""
            echo = card.captured()[delay:]
            return np.array_equal(echo[-quarter:], card.played()[: len(echo)][-quarter:])

        card.respond(first)
        tape, heard = Tape(sound(60)), Tape()
        with capture(heard), output(tape):
            until(lambda: tape.position > RATE // 2, "half a second")
            assert not is_a_mirror()
            card.respond(np.ones(1, np.float32))
            until(is_a_mirror, "the other response")
        played, captured = card.played().astype(float), card.captured().astype(float)
    begin = int(np.flatnonzero(played)[0])
    early = slice(begin, begin + quarter)
    assert np.abs(captured[delay:][early] - np.convolve(played[: begin + RATE], first)[early]).max() <= 1


@in_own_process
def test_a_small_loudspeaker_bends_its_peaks(tmp_path: Path) -> None:
    with plugged_in(VirtualCard(tmp_path, elastic=True, speed=5, echo_db=0, echo_ms=40, clip_db=-12)) as card:
        tape, heard = Tape(sound(0.5)), Tape()
        with capture(heard), output(tape):
            until(lambda: tape.at_end and heard.position > RATE, "the tape's end")
        played, captured = card.played().astype(float), card.captured().astype(float)
    delay, clip = RATE * 40 // 1000, 32768 * 10 ** (-12 / 20)
    common = min(len(played), len(captured) - delay)
    assert np.abs(captured[delay : delay + common] - clip * np.tanh(played[:common] / clip)).max() <= 1
