"""Makes a Debian 13 with systemd, sound servers and what the daemon needs, and puts today's daemon into it.

The Debian is kept, as a directory, until the recipe changes. The daemon is a layer over it, in memory, made
for each run; nodes write into layers of their own.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from inspect import getsource
from pathlib import Path
from typing import NamedTuple

from tests.device.image import SUITE, mirror
from tests.nspawn.layers import in_memory, mounted

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "build" / "nspawn"
SYSTEMD = ROOT / "systemd"
PACKAGES = (
    "ca-certificates",
    "dbus",
    "libsamplerate0",
    "pipewire",
    "procps",
    "pulseaudio",
    "pulseaudio-utils",
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
    "wireplumber",
)
UNPACKED = ("libasound2-plugins", "pipewire-alsa")
"""ALSA's ways to the sound servers, of which only the plug-ins are wanted: the one depends on all of ffmpeg,
the other may not stand beside PulseAudio."""
USELESS = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
PROGRAMS = {"systemd-nspawn": "systemd-container", "mmdebstrap": "mmdebstrap", "nsenter": "util-linux"}
"""And the Debian packages that bring them."""
INSTALLED = {
    "sysusers.d/voice-agent.conf": "usr/lib/sysusers.d/voice-agent.conf",
    "tmpfiles.d/voice-agent.conf": "usr/lib/tmpfiles.d/voice-agent.conf",
    "rules.d/70-voice-agent.rules": "usr/lib/udev/rules.d/70-voice-agent.rules",
    "voice-agent.service": "etc/systemd/system/voice-agent.service",
}
"""Where deploy/README.md puts what the folder ``systemd`` holds."""
GIVEN = "VOICE_AGENT_GROUNDS"
"""The environment's variable for grounds that stand already."""
STEP_S = 600


class NotPossible(Exception):
    """No node can be had here; the text says why, and what would help."""


class Grounds(NamedTuple):
    """What a node can stand on."""

    debian: Path
    daemon: Path
    """A layer over it."""

    @property
    def bare(self) -> tuple[Path, ...]:
        """Without the daemon."""
        return (self.debian,)

    @property
    def installed(self) -> tuple[Path, ...]:
        """With the daemon; the topmost layer first."""
        return (self.daemon, self.debian)

    @classmethod
    def given(cls, text: str) -> "Grounds":
        """As another process has made them and put into ``GIVEN``."""
        return cls(*map(Path, text.split(":")))


def check() -> None:
    """Raises NotPossible if this machine cannot have nodes."""
    if os.geteuid() != 0:
        raise NotPossible("a booted systemd needs root")
    missing = [package for program, package in PROGRAMS.items() if not shutil.which(program)]
    if missing:
        raise NotPossible(f"apt-get install --no-install-recommends {' '.join(missing)}")
    if "overlay" not in Path("/proc/filesystems").read_text():
        raise NotPossible("the kernel has no overlay file system")
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        raise NotPossible("nothing may be mounted here")


@contextmanager
def prepared() -> Iterator[Grounds]:
    """The grounds, for as long as nodes stand on them."""
    check()
    debian, wheels = _debian(), _wheels()
    with in_memory() as folder:
        with mounted((debian,), folder) as root:
            _install(root, wheels)
        yield Grounds(debian, folder / "upper")


def _debian() -> Path:
    recipe = "\n".join([SUITE, *PACKAGES, *UNPACKED, *USELESS, getsource(_debian)])
    debian = KEPT / f"{SUITE}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    if not debian.exists():
        shutil.rmtree(KEPT, ignore_errors=True)
        KEPT.mkdir(parents=True)
        half = KEPT / "half"
        options = [f"--dpkgopt=path-exclude={path}" for path in USELESS]
        options += ["--dpkgopt=force-unsafe-io", '--aptopt=Acquire::Languages "none"']
        unpack = f"apt-get download {' '.join(UNPACKED)}; for each in *.deb; do dpkg-deb -x $each /; done"
        options.append(f"--customize-hook=chroot \"$1\" sh -ec 'cd /root; {unpack}; rm *.deb'")
        source = f"deb {mirror()} {SUITE} main"
        packages = f"--include={','.join(PACKAGES)}"
        _run(["mmdebstrap", "--variant=minbase", packages, *options, SUITE, str(half), source])
        _run(["chroot", str(half), "python3", "-m", "venv", "--system-site-packages", "/opt/voice-agent"])
        half.rename(debian)
    return debian


def _wheels() -> Path:
    """A folder with today's daemon: the rest is Debian's."""
    folder = KEPT / "wheels"
    shutil.rmtree(folder, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq"]
    _run([*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT)])
    return folder


def _install(root: Path, wheels: Path) -> None:
    """As deploy/README.md says; booting does the rest."""
    names = [wheel.name for wheel in wheels.iterdir()]
    for name in names:
        shutil.copy(wheels / name, root / "root" / name)
    pip = ["/opt/voice-agent/bin/pip", "install", "-qq", "--no-deps", "--no-index"]
    _run(["chroot", str(root), *pip, *(f"/root/{name}" for name in names)])
    for ours, theirs in INSTALLED.items():
        (root / theirs).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SYSTEMD / ours, root / theirs)
    _run(["chroot", str(root), "ln", "-s", "/opt/voice-agent/bin/voice-agent", "/usr/local/bin/"])
    _run(["chroot", str(root), "systemd-sysusers"])


def _run(command: Sequence[str]) -> None:
    environ = os.environ | {"LC_ALL": "C", "PIP_ROOT_USER_ACTION": "ignore"}
    limited = ["timeout", str(STEP_S), *command]
    done = subprocess.run(limited, capture_output=True, text=True, env=environ, check=False)
    if done.returncode:
        raise NotPossible(f"{command[0]} failed:\n{(done.stdout + done.stderr)[-1500:]}")
