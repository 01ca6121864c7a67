"""What is rolled out: today's daemon, one that calls itself newer, and one that never becomes ready."""

import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tests.fleet.image import index, run
from tests.nspawn.image import ROOT
from voice_agent import __version__

TODAY, NEWER, BROKEN = __version__, "9.0.0", "9.1.0"
SOURCES = ("pyproject.toml", "README.md", "CHANGELOG.md", "daemon")
NEVER = """

async def _never(_: Sessions) -> None:
    await asyncio.Event().wait()


Sessions.run = _never
"""


class Version(NamedTuple):
    """In both of its shapes."""

    number: str
    deb: Path
    wheel: Path

    def variables(self) -> dict[str, object]:
        """For the role."""
        return {
            "voice_agent_version": self.number,
            "voice_agent_deb": str(self.deb),
            "voice_agent_wheel": str(self.wheel),
        }


def build(folder: Path) -> dict[str, Version]:
    """All three, by number."""
    run(["scripts/make-deb", str(folder)])
    today = folder / f"voice-agent_{TODAY}_all.deb"
    numbers = {TODAY: "", NEWER: "", BROKEN: NEVER}
    return {
        number: Version(number, _deb(folder, today, number, more), _wheel(folder, number, more))
        for number, more in numbers.items()
    }


def repository(folder: Path, versions: Iterable[Version]) -> Path:
    """An apt repository of all of them."""
    made = folder / "repository"
    made.mkdir()
    for each in versions:
        shutil.copy(each.deb, made)
    index(made)
    return made


def _deb(folder: Path, today: Path, number: str, more: str) -> Path:
    if number == TODAY:
        return today
    tree = folder / f"deb-{number}"
    run(["dpkg-deb", "--raw-extract", str(today), str(tree)])
    control = tree / "DEBIAN/control"
    control.write_text(control.read_text().replace(f"Version: {TODAY}", f"Version: {number}", 1))
    _alter(tree / "usr/lib/python3/dist-packages/voice_agent", number, more)
    made = folder / f"voice-agent_{number}_all.deb"
    run(["dpkg-deb", "--root-owner-group", "--build", str(tree), str(made)])
    shutil.rmtree(tree)
    return made


def _wheel(folder: Path, number: str, more: str) -> Path:
    tree = folder / f"tree-{number}"
    tree.mkdir()
    subprocess.run(["cp", "-r", *SOURCES, str(tree)], cwd=ROOT, check=True)
    project = tree / "pyproject.toml"
    project.write_text(project.read_text().replace(f'version = "{TODAY}"', f'version = "{number}"', 1))
    _alter(tree / "daemon/voice_agent", number, more)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq"]
    run([*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(tree)])
    shutil.rmtree(tree)
    return folder / f"voice_agent-{number}-py3-none-any.whl"


def _alter(package: Path, number: str, more: str) -> None:
    named, sessions = package / "__init__.py", package / "sessions.py"
    named.write_text(named.read_text().replace(f'"{TODAY}"', f'"{number}"', 1))
    sessions.write_text(sessions.read_text() + more)
