"""Compile the virtual sound card with the system's C compiler, once per content of its sources."""

import hashlib
import os
import platform
import subprocess
import tempfile
from pathlib import Path

from voice_agent.errors import LabUnavailable

SOURCES = ("virtual_card.c", "virtual_room.c", "virtual_air.c")
HEADERS = ("virtual_room.h",)
COMPILE = ("gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-DPIC", "-Wl,-z,nodelete")
LIBRARIES = ("-lasound", "-lpthread", "-lm")
COMPILE_TIMEOUT_S = 60.0
PACKAGES = "apt-get install gcc libc6-dev libasound2-dev"


def default_build_directory() -> Path:
    """Where plugins are kept between runs (XDG base directory specification: the user's cache)."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "voice-agent"


def build_plugin(directory: Path | None = None) -> Path:
    """The compiled plugin, from ``directory`` if it was built there before. Raises LabUnavailable."""
    directory = directory or default_build_directory()
    plugin = directory / f"libvirtual_card-{_content_hash()}.so"
    if not plugin.exists():
        directory.mkdir(parents=True, exist_ok=True)
        _compile(plugin)
    return plugin


def _content_hash() -> str:
    """Of everything that the plugin is made from."""
    here = Path(__file__).parent
    content = hashlib.sha256(" ".join((*COMPILE, *LIBRARIES, platform.machine())).encode())
    for name in (*SOURCES, *HEADERS):
        content.update((here / name).read_bytes())
    return content.hexdigest()[:16]


def _compile(plugin: Path) -> None:
    """Into a private file first: another process may be building the same plugin, or loading it."""
    here = Path(__file__).parent
    with tempfile.TemporaryDirectory(dir=plugin.parent) as scratch:
        product = Path(scratch) / plugin.name
        sources = [str(here / name) for name in SOURCES]
        _run_compiler([*COMPILE, *sources, "-o", str(product), *LIBRARIES])
        product.replace(plugin)


def _run_compiler(command: list[str]) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - our own sources, no shell
            command, capture_output=True, text=True, timeout=COMPILE_TIMEOUT_S, check=False
        )
    except FileNotFoundError as error:
        raise LabUnavailable(f"the virtual sound card needs a C compiler: {PACKAGES}") from error
    except subprocess.TimeoutExpired as error:
        raise LabUnavailable(f"gcc did not finish within {COMPILE_TIMEOUT_S:.0f} s") from error
    if done.returncode != 0:
        raise LabUnavailable(_explain(done.stderr))


def _explain(stderr: str) -> str:
    missing = ("No such file or directory", "cannot find -lasound")
    if any(sign in stderr for sign in missing):
        return f"the virtual sound card needs ALSA's and C's headers: {PACKAGES}\n{stderr.strip()}"
    return f"the virtual sound card does not compile:\n{stderr.strip()}"
