"""Makes the emulated machine out of Debian's arm64 packages: a kernel, and a root file system in memory.

The packages are only unpacked; what their installation would do is done by ``guest_init``. So nothing of it
needs root, another architecture's programs or a disk image: apt chooses and fetches, dpkg-deb unpacks, and
the rest is one archive for the kernel. What was made is kept until the recipe changes.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.device import archive
from tests.device.needs import NotPossible

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
KEPT = ROOT / "build" / "device"

SUITE = "trixie"  # the first Debian that has all that the daemon needs
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
MIRROR = "http://deb.debian.org/debian"
PACKAGES = (
    "base-files",
    "dash",
    "linux-image-arm64",
    "busybox",
    "kmod",
    "alsa-utils",
    "libsamplerate0",
    "python3-aiohttp",
    "python3-msgspec",
    "python3-numpy",
    "python3-prometheus-client",
    "python3-pyaudio",
    "python3-sdnotify",
)

MODULES = (
    "drivers/media/mc/",
    "drivers/net/net_failover",
    "drivers/net/virtio_net",
    "drivers/usb/common/",
    "drivers/usb/core/",
    "drivers/usb/host/xhci",
    "net/core/failover",
    "sound/core/",
    "sound/drivers/snd-aloop",
    "sound/soundcore",
    "sound/usb/snd-",
)
"""Of four thousand."""

USELESS = (
    "boot/",
    "usr/share/doc/",
    "usr/share/info/",
    "usr/share/locale/",
    "usr/share/man/",
    "usr/lib/udev/",
    "usr/lib/systemd/",
    "usr/share/sounds/",
    "usr/include/",
)
WHERE = "opt/voice-agent"
"""Of the daemon and its wheels."""

STEP_S = 240
"""The longest that fetching may take."""


class Image(NamedTuple):
    """What a machine starts from."""

    kernel: Path
    initrd: Path


def prepare(say: Callable[[str], None]) -> Image:
    """The machine with today's daemon in it. Raises NotPossible if that cannot be had here."""
    kernel, base = _base(say)
    initrd = KEPT / "initrd"
    with initrd.open("wb") as stream:
        with base.open("rb") as made:
            shutil.copyfileobj(made, stream, 1 << 20)
        _add_daemon(archive.Archive(stream))
    return Image(kernel, initrd)


# ------------------------------------------------------------------------------------- Debian's part


def _base(say: Callable[[str], None]) -> tuple[Path, Path]:
    recipe = "\n".join([SUITE, *PACKAGES, *MODULES, *USELESS, Path(__file__).read_text()])
    stamp = hashlib.sha256(recipe.encode()).hexdigest()[:12]
    kernel, base = KEPT / f"kernel-{stamp}", KEPT / f"base-{stamp}"
    if not (kernel.exists() and base.exists()):
        say("making an arm64 machine of Debian's packages (140 MB); the first time takes a minute or two")
        KEPT.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=KEPT) as folder:
            packages = _fetched(Path(folder))
            _unpack(packages, Path(folder) / "kernel", Path(folder) / "base")
            for old in (*KEPT.glob("kernel-*"), *KEPT.glob("base-*")):
                old.unlink()
            (Path(folder) / "kernel").rename(kernel)
            (Path(folder) / "base").rename(base)
    return kernel, base


def _fetched(folder: Path) -> list[Path]:
    """The packages and all that they depend on, through an apt of our own beside the machine's."""
    for part in ("lists/partial", "cache/archives/partial", "preferences", "parts"):
        (folder / part).mkdir(parents=True)
    (folder / "status").touch()
    signed = f"signed-by={KEYRING}"
    (folder / "sources.list").write_text(f"deb [arch=arm64 {signed}] {mirror()} {SUITE} main\n")
    options = {
        "Dir::Etc::SourceList": folder / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::Etc::Preferences": "/dev/null",
        "Dir::Etc::PreferencesParts": folder / "preferences",
        "Dir::State": folder,
        "Dir::State::Lists": folder / "lists",
        "Dir::State::Status": folder / "status",
        "Dir::Cache": folder / "cache",
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "Debug::NoLocking": "true",
    }
    apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
    _run([*apt, "update"], "fetching Debian's lists")
    _run([*apt, "--download-only", "--yes", "install", *PACKAGES], "fetching packages")
    return sorted((folder / "cache" / "archives").glob("*.deb"))


def mirror() -> str:
    """Where this machine has its Debian from."""
    form = "$(ORIGIN) $(CODENAME) $(REPO_URI)"
    command = ["apt-get", "indextargets", "--format", form, "Created-By: Packages"]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    rows = [line.split() for line in told.splitlines()]
    return next(
        (row[2] for row in rows if len(row) == 3 and row[0] == "Debian" and "-" not in row[1]), MIRROR
    )


def _unpack(packages: Sequence[Path], kernel: Path, base: Path) -> None:
    with base.open("wb") as stream:
        into = archive.Archive(stream)
        # What is a directory in one package must not come after a file in it of another.
        for package in sorted(packages, key=lambda path: not path.name.startswith("base-files_")):
            with subprocess.Popen(
                ["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE
            ) as unpacker:
                assert unpacker.stdout
                for entry in archive.from_tar(unpacker.stdout, _is_wanted):
                    if entry.name.startswith("boot/vmlinuz"):
                        kernel.write_bytes(entry.data)
                    else:
                        into.add([entry])
        into.close()


def _is_wanted(name: str) -> bool:
    if name.startswith("usr/lib/modules/") and (module := name.partition("/kernel/")[2]):
        return module.startswith(MODULES) or any(kept.startswith(f"{module}/") for kept in MODULES)
    return name.startswith("boot/vmlinuz") or not name.startswith(USELESS)


# ---------------------------------------------------------------------------------------- our part


def _add_daemon(into: archive.Archive) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _install(Path(folder))
        into.add(archive.from_folder(Path(folder), WHERE))
    into.add(_ours())
    into.close()


def _ours() -> Iterable[archive.Entry]:
    yield archive.file("init", (HERE / "guest_init").read_bytes(), 0o755)
    yield archive.file("opt/guest.py", (HERE / "guest.py").read_bytes())
    yield archive.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
    yield archive.file("etc/group", b"root:x:0:\naudio:x:29:\n")
    yield archive.file("etc/hosts", b"127.0.0.1 localhost\n")


def _install(folder: Path) -> None:
    """This tree's wheel: the rest is Debian's."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq"]
    built = KEPT / "wheel"
    shutil.rmtree(built, ignore_errors=True)
    _run([*pip, "wheel", "--no-deps", "--wheel-dir", str(built), str(ROOT)], "building our wheel")
    ours = [str(path) for path in built.glob("*.whl")]
    _run([*pip, "install", "--no-deps", "--no-index", f"--target={folder}", *ours], "unpacking it")


def _run(command: Sequence[str], what: str) -> None:
    environ = os.environ | {"LC_ALL": "C", "PIP_ROOT_USER_ACTION": "ignore"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environ, timeout=STEP_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise NotPossible(f"{what} took more than {STEP_S} s: is there a network?") from error
    if done.returncode:
        raise NotPossible(f"{what} failed:\n{(done.stdout + done.stderr)[-1500:]}")
