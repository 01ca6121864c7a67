"""Fuzz everything, one after the other: ``python -m tests.fuzz --minutes 10 --seed 7``."""

import argparse
import re
import subprocess
import sys
from random import SystemRandom

from tests.fuzz.engine import HARM, OUT
from tests.fuzz.targets import TARGETS

EXECUTED = re.compile(r"stat::number_of_executed_units: (\d+)")
START_S = 60
"""Instrumenting takes some seconds; what takes longer hangs."""


def main() -> int:
    """The exit status: 0 if nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="for all targets together (10)")
    parser.add_argument(
        "--seed", type=int, default=SystemRandom().randrange(1, 2**31), help="of what is drawn"
    )
    parser.add_argument("--target", choices=TARGETS, action="append", help="only this one; may be repeated")
    given = parser.parse_args()
    names = given.target or list(TARGETS)
    seconds = max(int(given.minutes * 60 / len(names)), 1)
    print(f"seed {given.seed}; {seconds} s for each of {len(names)} targets", flush=True)
    return max([_fuzz(name, seconds, given.seed) for name in names])


def _fuzz(name: str, seconds: int, seed: int) -> int:
    command = [sys.executable, "-m", "tests.fuzz.engine", name, str(seconds), str(seed)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds + START_S, check=False)
    except subprocess.TimeoutExpired:
        print(f"{name:14} hangs", flush=True)
        return HARM
    told = (done.stdout + done.stderr).decode(errors="replace")
    counted = EXECUTED.search(told)
    count = int(counted[1]) if counted else 0
    print(f"{name:14} {count:9} inputs, {count / seconds:8.0f} a second", flush=True)
    if done.returncode:
        print(
            told[-4000:],
            f"the input is in {OUT / name}; keep it in tests/fuzz/found/{name}",
            sep="\n",
            flush=True,
        )
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
