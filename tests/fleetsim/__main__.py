"""``python -m tests.fleetsim``: so many simulated devices on one real Prometheus, and what they cost.

Films a few real daemons first, then plays their pages as those of many devices, with restarts,
outages and an update. Ends well, in a word, where there is no Prometheus.
"""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
from pathlib import Path
from time import time

from tests.fleetsim.blocks import packed
from tests.fleetsim.devices import Device, Life
from tests.fleetsim.film import Reel, developed, per_metric
from tests.fleetsim.measure import Plan, Run
from tests.fleetsim.prometheus import version
from tests.fleetsim.report import Report
from tests.fleetsim.scenes import STEP_S, filmed
from tests.fleetsim.stampede import stampedes
from tests.fleetsim.traffic import measured
from tests.observe.programs import Missing
from voice_agent.errors import LabUnavailable

FILM_S = 45.0
PACKED = 5
"""Devices whose two hours are packed into a block: a million samples."""


def main() -> int:
    """0 if it could be measured, or cannot be here."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was begun is ended
    plan = Plan(arguments.devices, arguments.minutes, arguments.interval, arguments.drop)
    try:
        with tempfile.TemporaryDirectory(prefix="voice-agent-fleet-") as directory:
            prometheus = version()
            reel = _reel(arguments.films, Path(directory) / "films")
            report = asyncio.run(_reported(plan, reel, Path(directory), prometheus, brief=arguments.brief))
    except (Missing, LabUnavailable) as reason:
        print(f"fleet-sim: skipped, {reason}")
        return 0
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 1
    report.write(arguments.out / "fleet.json")
    print(f"\n{report.table()}\n\n{arguments.out / 'fleet.json'} written")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fleetsim", description=__doc__)
    parser.add_argument("--devices", type=int, default=1000, metavar="N")
    parser.add_argument("--minutes", type=float, default=3.0, help="of scraping")
    parser.add_argument("--interval", type=int, default=15, metavar="SECONDS", help="between scrapes")
    parser.add_argument("--drop", default="", metavar="REGEX", help="names of metrics that are not kept")
    parser.add_argument("--films", type=Path, help="pages of an earlier run (fleet-out/films.json)")
    parser.add_argument("--brief", action="store_true", help="the fleet alone: no block, talk or stampede")
    parser.add_argument("--out", type=Path, default=Path("fleet-out"))
    arguments = parser.parse_args()
    arguments.out.mkdir(exist_ok=True)
    if not arguments.films:
        arguments.films = arguments.out / "films.json"
        arguments.films.unlink(missing_ok=True)
    return arguments


async def _reported(plan: Plan, reel: Reel, directory: Path, prometheus: str, *, brief: bool) -> Report:
    _say(f"{plan.devices} devices of {len(reel.columns)} series, {plan.minutes:g} min")
    figures = await Run(plan, reel, directory / "run", _say).figures()
    if brief:
        return Report(prometheus, figures, None, None, (), _dearest(reel))
    _say("a conversation's bytes, a block, and a stampede")
    traffic = await measured(directory)
    steady = [Device(number, reel, Life(), time()) for number in range(PACKED)]
    block = await asyncio.to_thread(packed, steady, plan.interval_s, directory / "packing")
    rushes = await asyncio.to_thread(stampedes)
    return Report(prometheus, figures, traffic, block, rushes, _dearest(reel))


def _reel(films: Path, directory: Path) -> Reel:
    """From an earlier run's pages, or from new ones, which are kept."""
    if not films.exists():
        _say(f"filming real daemons for {FILM_S:g} s")
        films.write_text(json.dumps(asyncio.run(filmed(directory, FILM_S))))
    return developed(json.loads(films.read_text()), STEP_S)


def _dearest(reel: Reel) -> dict[str, int]:
    return per_metric(column.series for column in reel.columns)


def _say(what: str) -> None:
    print(f"  {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
