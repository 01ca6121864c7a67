"""Makes a Debian 13 with systemd, sound servers and what the daemon needs, and installs our package in it.

The Debian is kept, as a directory, until the recipe changes. The daemon is a layer over it, in memory, made
for each run; nodes write into layers of their own.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from inspect import getsource
from pathlib import Path
from typing import NamedTuple

from tests.device.image import SUITE, mirror
from tests.nspawn.layers import in_memory, mounted

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "build" / "nspawn"
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
PROGRAMS = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "nsenter": "util-linux",
    "dh": "debhelper",
    "dh_python3": "dh-python",
    "lintian": "lintian",
}
"""And the Debian packages that bring them."""
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
    package: Path
    """The .deb that is in that layer."""

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
    debian = _debian()
    with in_memory() as folder:
        package = make_package(folder / "packages")
        with mounted((debian,), folder) as root:
            _install(root, package)
        yield Grounds(debian, folder / "upper", package)


def _debian() -> Path:
    recipe = "\n".join([SUITE, *PACKAGES, *UNPACKED, *USELESS, getsource(_debian)])
    debian = KEPT / f"{SUITE}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    if not debian.exists():
        _clear()
        half = KEPT / "half"
        options = [f"--dpkgopt=path-exclude={path}" for path in USELESS]
        options += ["--dpkgopt=force-unsafe-io", '--aptopt=Acquire::Languages "none"']
        unpack = f"apt-get download {' '.join(UNPACKED)}; for each in *.deb; do dpkg-deb -x $each /; done"
        options.append(f"--customize-hook=chroot \"$1\" sh -ec 'cd /root; {unpack}; rm *.deb'")
        source = f"deb {mirror()} {SUITE} main"
        packages = f"--include={','.join(PACKAGES)}"
        _run(["mmdebstrap", "--variant=minbase", packages, *options, SUITE, str(half), source])
        half.rename(debian)
    return debian


def _clear() -> None:
    """Nothing stays of other recipes; whoever was cut short may have left our own /dev mounted there."""
    left = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    if any(Path(place).is_relative_to(KEPT) for place in left):
        raise NotPossible(f"something is still mounted below {KEPT}: umount it first")
    shutil.rmtree(KEPT, ignore_errors=True)
    KEPT.mkdir(parents=True)


def make_package(folder: Path) -> Path:
    """The .deb of today's tree, in this folder; the rest of what it needs is Debian's."""
    _run([str(ROOT / "scripts/make-deb"), str(folder)])
    (package,) = folder.glob("*.deb")
    return package


def _install(root: Path, package: Path) -> None:
    """As people do it; nothing starts before the node is booted and told to."""
    shutil.copy(package, root / "root")
    _run(["chroot", str(root), "dpkg", "--install", f"/root/{package.name}"])


def _run(command: Sequence[str]) -> None:
    environ = os.environ | {"LC_ALL": "C", "PIP_ROOT_USER_ACTION": "ignore"}
    limited = ["timeout", str(STEP_S), *command]
    done = subprocess.run(limited, capture_output=True, text=True, env=environ, check=False)
    if done.returncode:
        raise NotPossible(f"{command[0]} failed:\n{(done.stdout + done.stderr)[-1500:]}")
