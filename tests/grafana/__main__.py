"""``python -m tests.grafana``: a play of real daemons before a real Prometheus, and pictures of the boards.

Every query of every panel must find something; then Grafana's own panel components draw the boards in a
headless Chromium. ``--again`` draws what an earlier play has left. Ends well, in a word, where it cannot be
done.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from tests.grafana.answers import empty, unstaged
from tests.grafana.gallery import ENTRANCE, HOST, SCRATCH, Gallery, Moment, boards, bundled
from tests.grafana.observed import Span, perform, prometheus, span
from tests.grafana.pictures import draw
from tests.observe.programs import Missing, program
from tests.page.browser import find
from voice_agent.errors import LabUnavailable

PLAY = SCRATCH / "play"
BEGINNING_S = 65.0
"""Until all have begun to talk, and a minute more, over which averages are taken; pictures begin there."""
WELL_S = 40.0
"""The picture of a fleet that is well begins sooner, since it ends with the calm."""
DEVICE = "office"
"""Whose board is drawn: much happens to it."""


def main() -> int:
    """0 if all panels have something to show, or it cannot be tried here."""
    arguments = _arguments()
    try:
        program("prometheus")
        bundle = _drawable() if arguments.pictures else None
        if not arguments.again:
            print(f"  seven devices, {arguments.seconds:g} s", flush=True)
            asyncio.run(perform(PLAY, arguments.seconds))
        return asyncio.run(_shown(arguments.pictures, bundle))
    except (Missing, LabUnavailable) as reason:
        print(f"dashboards-shot: skipped, {reason}")
        return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.grafana", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0, help="how long the play is")
    parser.add_argument("--again", action="store_true", help="no play: what the last one has left")
    parser.add_argument("--pictures", type=Path, metavar="DIRECTORY", help="draw the boards into it")
    arguments = parser.parse_args()
    if arguments.again and not (PLAY / "span.json").exists():
        parser.error("no play has been performed here: leave --again out")
    return arguments


def _drawable() -> Path:
    if not find():
        raise Missing("no Chromium here: scripts/system-packages page")
    return bundled()


async def _shown(pictures: Path | None, bundle: Path | None) -> int:
    """Ask everything of what the play has left, and draw it."""
    played = span(PLAY)
    moment = _whole(played)
    async with prometheus(PLAY) as source:
        missed = [f"not to be seen: {each}" for each in await unstaged(moment, source.port)]
        missed += [f"nothing to show: {each}" for each in await empty(boards(), moment, source.port)]
        print(*missed, sep="\n", end="\n" * bool(missed), file=sys.stderr)
        if pictures and bundle:
            await _drawn(bundle, source.port, played, pictures)
    return 1 if missed else 0


def _whole(played: Span) -> Moment:
    return Moment(played.began + BEGINNING_S, played.ended, DEVICE)


async def _drawn(bundle: Path, port: int, played: Span, directory: Path) -> None:
    """All boards as they were in the end, and the fleet's as it is when all are well."""
    whole, well = _whole(played), Moment(played.began + WELL_S, played.calm, DEVICE)
    paths = {name: directory / f"{name.removeprefix('voice-agent-')}.png" for name in boards()}
    await draw(Gallery(bundle, f"{HOST}:{port}", lambda: whole), paths)
    await draw(Gallery(bundle, f"{HOST}:{port}", lambda: well), {ENTRANCE: directory / "fleet-well.png"})


if __name__ == "__main__":
    sys.exit(main())
