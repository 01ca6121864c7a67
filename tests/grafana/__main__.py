"""``python -m tests.grafana``: a play of real daemons before a real Prometheus, and pictures of the boards.

Every query of every panel must find something; then Grafana's own panel components draw the boards in a
headless Chromium. ``--again`` draws what an earlier play has left. Ends well, in a word, where it cannot be
done.
"""

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.grafana.source.catalogue import texts
from tests.grafana.answers import empty
from tests.grafana.observed import perform, prometheus, span
from tests.grafana.pictures import Easel, Moment, picture
from tests.observe.programs import Missing, program
from tests.page.browser import browsing, find
from voice_agent.errors import LabUnavailable

ROOT = Path(__file__).parents[2]
SCRATCH = ROOT / "build/dashboards"
SOURCE = Path(__file__).parent / "render"
BEGINNING_S = 65.0
"""Until all have begun to talk, and a minute more, over which averages are taken; pictures begin there."""


def main() -> int:
    """0 if all panels have something to show, or it cannot be tried here."""
    arguments = _arguments()
    try:
        program("prometheus")
        bundle = _bundled(SCRATCH / "render") if arguments.pictures else None
        if not arguments.again:
            asyncio.run(perform(SCRATCH / "play", arguments.seconds))
        return asyncio.run(_shown(arguments.pictures, bundle))
    except (Missing, LabUnavailable) as reason:
        print(f"dashboards-shot: skipped, {reason}")
        return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.grafana", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0, help="how long the play is")
    parser.add_argument("--again", action="store_true", help="no play: what the last one has left")
    parser.add_argument("--pictures", type=Path, metavar="DIRECTORY", help="draw the boards into it")
    return parser.parse_args()


def _bundled(directory: Path) -> Path:
    """Grafana's components and ours, as one script; nothing is installed twice."""
    if not (find() and shutil.which("npm")):
        raise Missing("no Chromium or no npm here: scripts/system-packages page, and Node.js 20 or newer")
    shutil.copytree(SOURCE, directory, dirs_exist_ok=True)
    wanted, had = directory / "package-lock.json", directory / "node_modules/.installed"
    if not had.exists() or had.read_bytes() != wanted.read_bytes():
        quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--silent")
        subprocess.run(["npm", "ci", *quiet], cwd=directory, check=True)
        shutil.copy(wanted, had)
    subprocess.run(["npm", "run", "--silent", "bundle"], cwd=directory, check=True)
    return directory / "dist"


async def _shown(pictures: Path | None, bundle: Path | None) -> int:
    """Ask everything of what the play has left, and draw it."""
    began, ended = span(SCRATCH / "play")
    boards = {Path(name).stem: json.loads(text) for name, text in texts().items()}
    moment = Moment(began + BEGINNING_S, ended)
    async with prometheus(SCRATCH / "play") as source:
        without = await empty(boards, moment, source.port)
        if pictures and bundle:
            await _drawn(boards, moment, Easel(bundle, source.port), pictures)
    for each in without:
        print(f"nothing to show: {each}", file=sys.stderr)
    return 1 if without else 0


async def _drawn(boards: Mapping[str, Any], moment: Moment, easel: Easel, pictures: Path) -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        async with easel.standing(), browsing(Path(scratch)) as tab:
            for name, board in boards.items():
                easel.put(board, moment.of(board))
                drawn = await picture(tab, easel, pictures / f"{name.removeprefix('voice-agent-')}.png")
                broken = {panel: told for panel, told in drawn.items() if isinstance(told, str)}
                assert not broken, f"{name}: {broken}"


if __name__ == "__main__":
    sys.exit(main())
