"""Providers on the controller's network: one that answers, one that refuses everybody's key."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fleet.devices import CONTROLLER, Switch

ANSWERS, REFUSES = 8765, 8767
SCRIPTS = {
    ANSWERS: {"turns": [{"say": "Ready.", "ms": 400}], "loop": True, "shared": True},
    REFUSES: {"refuse": [401] * 999},
}


@contextmanager
def providers(there: Switch, folder: Path) -> Iterator[None]:
    """Both, for as long as they are needed."""
    processes = [_serve(there, folder, port) for port in SCRIPTS]
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
            process.wait(10)


def _serve(there: Switch, folder: Path, port: int) -> subprocess.Popen[bytes]:
    script = folder / f"script-{port}.json"
    script.write_text(json.dumps(SCRIPTS[port]))
    serve = (sys.executable, "-m", "voice_agent", "serve", "--host", CONTROLLER, "--port", str(port))
    with (folder / f"provider-{port}.log").open("wb") as log:
        return subprocess.Popen(there.inside(*serve, "--script", str(script)), stdout=log, stderr=log)


def provider(port: int) -> dict[str, object]:
    """The section of the configuration."""
    url = f"ws://{CONTROLLER}:{port}/v1/realtime"
    return {"kind": "custom", "dialect": "ga", "url": url, "insecure": True}
