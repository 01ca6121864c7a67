"""One target, fed for a while in a process of its own: `python -m tests.fuzz.engine NAME SECONDS SEED`.

atheris, where it is installed, sees which code an input reaches, and keeps inputs that reach more. Without
it, inputs are drawn blindly. What does harm is left in ``fuzz-out``, and the process ends with 77.
"""

import sys
import traceback
from hashlib import sha1
from importlib.util import find_spec
from pathlib import Path
from random import Random
from time import monotonic

OUT = Path(__file__).parents[2] / "fuzz-out"
HARM = 77
"""The exit status of libFuzzer, too."""


def main(name: str, seconds: int, seed: int) -> None:
    """Feed until the time is over or something is found."""
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    if find_spec("atheris"):
        _guided(name, seconds, seed, folder)
    else:
        _blind(name, seconds, seed, folder)


def _guided(name: str, seconds: int, seed: int, folder: Path) -> None:
    import atheris

    with atheris.instrument_imports(include=["voice_agent"]):
        from tests.fuzz.targets import TARGETS
    from tests.fuzz.mutation import MAX_BYTES, mutated

    target = TARGETS[name]
    seeds = target.seeds()
    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    for each in seeds:
        (corpus / _digest(each)).write_bytes(each)

    def mutate(data: bytes, most: int, number: int) -> bytes:
        random = Random(number)
        changed = mutated(data, random, seeds) if random.random() < 0.7 else atheris.Mutate(data, most)
        return bytes(changed[:most])

    limits = [f"-max_total_time={seconds}", f"-seed={seed}", f"-max_len={MAX_BYTES}", "-timeout=10"]
    told = ["-print_final_stats=1", f"-artifact_prefix={folder}/"]
    atheris.Setup([sys.argv[0], *limits, *told, str(corpus)], target.feed, custom_mutator=mutate)
    atheris.Fuzz()


def _blind(name: str, seconds: int, seed: int, folder: Path) -> None:
    from tests.fuzz.mutation import drawn
    from tests.fuzz.targets import TARGETS

    deadline, count = monotonic() + seconds, 0
    for data in drawn(TARGETS[name].seeds(), seed):
        if monotonic() > deadline:
            break
        count += 1
        try:
            TARGETS[name].feed(data)
        except Exception:  # noqa: BLE001 - whatever it is, it is what we are looking for
            traceback.print_exc()
            (folder / f"crash-{_digest(data)}").write_bytes(data)
            sys.exit(HARM)
    print(f"stat::number_of_executed_units: {count}", file=sys.stderr)


def _digest(data: bytes) -> str:
    return sha1(data, usedforsecurity=False).hexdigest()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
