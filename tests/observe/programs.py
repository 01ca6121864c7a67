"""Prometheus' programs: installed ones, or those that `scripts/system-packages observe` unpacked."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
UNPACKED = ROOT / "build" / "observe"
NAMES = {"alertmanager": ("alertmanager", "prometheus-alertmanager")}
"""Debian calls it otherwise."""

SHARED = 'mount -t overlay overlay -o "lowerdir=$0/usr/share:/usr/share" /usr/share && exec "$@"'
"""What is not installed finds its files under /usr/share all the same: in a view of its own."""


class Missing(Exception):
    """A program that is not there; the text says how to get it."""


def program(name: str) -> str:
    """Its path. Raises Missing."""
    for called in NAMES.get(name, (name,)):
        if found := shutil.which(called) or shutil.which(called, path=str(UNPACKED / "usr" / "bin")):
            return found
    raise Missing(f"{name} is not here: scripts/system-packages observe fetches it on a Debian")


def command(name: str, *arguments: str) -> list[str]:
    """What starts it. Raises Missing."""
    path = program(name)
    if not Path(path).is_relative_to(UNPACKED):
        return [path, *arguments]
    view = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    return [*view, "sh", "-c", SHARED, str(UNPACKED), path, *arguments]


def tried(name: str, *arguments: str) -> tuple[int, str]:
    """Exit code and everything that a short-lived one said. Raises Missing."""
    done = subprocess.run(
        [program(name), *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout
