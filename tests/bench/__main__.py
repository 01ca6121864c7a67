"""``python -m tests.bench``: measure, print a table, write ``bench-out/bench.json``.

A missed goal is said and is no failure; a figure that could not be taken is one.
"""

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from time import monotonic

from tests.bench.failures import MeasurementFailed
from tests.bench.micro import micro_ratios
from tests.bench.report import Report
from tests.bench.rounds import Results, measure
from tests.bench.scrape import scrape_ratio
from voice_agent import embedded
from voice_agent.errors import LabUnavailable

OUTPUT = Path("bench-out") / "bench.json"
DEADLINE_S = 150.0


def main() -> int:
    """The exit code."""
    began, load_before = monotonic(), os.getloadavg()[0]
    print("measuring: micro", end="", flush=True)
    try:
        micro, scrape = micro_ratios(), scrape_ratio()
        results = asyncio.run(_rounds())
    except (MeasurementFailed, LabUnavailable, TimeoutError) as error:
        print(f"\nthe measurement failed: {str(error) or 'it took too long'}", file=sys.stderr)
        return os.EX_SOFTWARE
    report = Report(micro, results, scrape, [load_before, os.getloadavg()[0]])
    report.write(OUTPUT)
    print(f"\n\n{report.table()}\n{OUTPUT} written after {monotonic() - began:.0f} s")
    return os.EX_OK


async def _rounds() -> Results:
    options = embedded.ServerOptions(script=embedded.Script())
    with tempfile.TemporaryDirectory(prefix="voice-agent-bench-") as directory:
        async with asyncio.timeout(DEADLINE_S), embedded.running(options) as server:
            return await measure(server, Path(directory), progress=_progress)


def _progress(what: str) -> None:
    print(f", {what}", end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
