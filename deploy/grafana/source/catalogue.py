"""All dashboards, and how they become files: the same source always gives the same bytes."""

import json
from collections.abc import Mapping
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana.source import audio, cost, device, fleet, latency

DIRECTORY = Path(__file__).parent.parent / "dashboards"


def texts() -> Mapping[str, str]:
    """JSON by file name."""
    boards = (fleet.board(), device.board(), latency.board(), audio.board(), cost.board())
    return {f"{board.uid}.json": json.dumps(board, cls=JSONEncoder, indent=1) + "\n" for board in boards}


def write(directory: Path = DIRECTORY) -> list[Path]:
    """Replace the files; these."""
    for old in directory.glob("*.json"):
        old.unlink()
    for name, text in texts().items():
        (directory / name).write_text(text)
    return sorted(directory.glob("*.json"))
