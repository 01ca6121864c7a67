"""``python -m tests.chaos``: faults drawn from a seed, one after another, in several worlds side by side."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from tests.chaos.kinds import QUICK
from tests.chaos.lanes import LANES, Suite
from tests.chaos.report import Report


def main() -> int:
    """0 if no invariant broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=len(QUICK), metavar="N", help="how many")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", type=int, action="append", metavar="INDEX", help="this fault of the seed")
    parser.add_argument("--lanes", type=int, default=LANES, help="daemons side by side")
    parser.add_argument("--dialect", choices=("openai", "yandex"), default="openai", help="the server's")
    parser.add_argument("--minutes", type=float, default=60.0, help="stop after that long")
    parser.add_argument("--out", type=Path, default=Path("chaos-out"))
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was begun is ended
    indexes = arguments.only or range(arguments.faults)
    suite = Suite(
        arguments.seed,
        indexes,
        arguments.out,
        lanes=arguments.lanes,
        limit_s=arguments.minutes * 60,
        dialect=arguments.dialect,
    )
    try:
        asyncio.run(suite.run())
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
    finally:  # what was done is worth knowing, however it ended
        report = Report(arguments.seed, suite.outcomes, suite.broken)
        report.write(arguments.out / "chaos.json")
        print(report.table())
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())
