"""Makes a Debian 13 with systemd and all that the daemon needs: the ground on which every node stands.

It is kept, as a directory, until the recipe changes. Nodes write into a layer of their own.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.device.image import PYTHON, SUITE, WHEELS, mirror

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "build" / "nspawn"
PACKAGES = (
    "ca-certificates",
    "dbus",
    "procps",
    "python3-aiohttp",
    "python3-jmespath",
    "python3-jsonschema",
    "python3-msgspec",
    "python3-numpy",
    "python3-prometheus-client",
    "python3-pyaudio",
    "python3-sdnotify",
    "python3-venv",
    "systemd",
    "systemd-sysv",
    "udev",
)
PROGRAMS = {"systemd-nspawn": "systemd-container", "mmdebstrap": "mmdebstrap", "nsenter": "util-linux"}
"""And the Debian packages that bring them."""
STEP_S = 600


class NotPossible(Exception):
    """No node can be had here; the text says why, and what would help."""


def check() -> None:
    """Raises NotPossible if this machine cannot have nodes."""
    if os.geteuid() != 0:
        raise NotPossible("a booted systemd needs root")
    missing = [package for program, package in PROGRAMS.items() if not shutil.which(program)]
    if missing:
        raise NotPossible(f"apt-get install --no-install-recommends {' '.join(missing)}")
    if "overlay" not in Path("/proc/filesystems").read_text():
        raise NotPossible("the kernel has no overlay file system")


def prepare() -> tuple[Path, Path]:
    """The ground, and a folder of wheels: today's daemon, and what Debian does not have."""
    recipe = "\n".join([SUITE, *PACKAGES, Path(__file__).read_text()])
    ground = KEPT / f"{SUITE}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    if not ground.exists():
        shutil.rmtree(KEPT, ignore_errors=True)
        KEPT.mkdir(parents=True)
        half = KEPT / "half"
        packages = f"--include={','.join(PACKAGES)}"
        languages = '--aptopt=Acquire::Languages "none"'
        source = f"deb {mirror()} {SUITE} main"
        _run(["mmdebstrap", "--variant=minbase", packages, languages, SUITE, str(half), source])
        _run(["chroot", str(half), "python3", "-m", "venv", "--system-site-packages", "/opt/voice-agent"])
        half.rename(ground)
    return ground, _wheels()


def _wheels() -> Path:
    folder = KEPT / "wheels"
    shutil.rmtree(folder, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq"]
    machine = os.uname().machine
    theirs = [f"--platform=manylinux_2_{glibc}_{machine}" for glibc in (17, 24, 28, 34, 39)]
    theirs += [f"--python-version={PYTHON}", "--only-binary=:all:", "--no-deps", "--dest", str(folder)]
    _run([*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT)])
    _run([*pip, "download", *theirs, *WHEELS])
    return folder


def _run(command: Sequence[str]) -> None:
    environ = os.environ | {"LC_ALL": "C", "PIP_ROOT_USER_ACTION": "ignore"}
    done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=STEP_S, check=False)
    if done.returncode:
        raise NotPossible(f"{command[0]} failed:\n{(done.stdout + done.stderr)[-1500:]}")
