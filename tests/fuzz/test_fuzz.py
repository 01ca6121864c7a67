"""What once did harm does none now, nor do a few thousand inputs of today."""

from itertools import islice
from pathlib import Path
from random import SystemRandom

import pytest

from tests.fuzz.mutation import drawn
from tests.fuzz.targets import TARGETS

FOUND = Path(__file__).parent / "found"
INPUTS = {
    "codec": 600,
    "dialogue": 100,
    "configuration": 60,
    "sound": 200,
    "state": 100,
    "arguments": 150,
    "listener": 80,
}
"""So many of each as take about a quarter of a second."""
MORE = 1000
FIXED_SEED = 6

each_target = pytest.mark.parametrize("name", TARGETS)


@each_target
def test_sense_does_no_harm(name: str) -> None:
    for data in TARGETS[name].seeds():
        TARGETS[name].feed(data)


@pytest.mark.parametrize(
    "path", sorted(FOUND.glob("*/*")), ids=lambda path: f"{path.parent.name}-{path.name}"
)
def test_what_was_found_does_no_harm_any_more(path: Path) -> None:
    TARGETS[path.parent.name].feed(path.read_bytes())


@each_target
@pytest.mark.parametrize("seed", [FIXED_SEED, SystemRandom().randrange(1, 2**31)], ids=["fixed", "random"])
def test_nonsense_does_no_harm(name: str, seed: int) -> None:
    """The seed of a failure is shown among its arguments; ``make fuzz SEED=`` begins with the same inputs."""
    for number, data in enumerate(islice(drawn(TARGETS[name].seeds(), seed), INPUTS.get(name, MORE))):
        try:
            TARGETS[name].feed(data)
        except Exception as error:
            error.add_note(f"input {number} of seed {seed}: {data[:500]!r}")
            raise
