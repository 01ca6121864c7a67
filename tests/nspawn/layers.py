"""Layers of files: what is written to the topmost one leaves those below as they are."""

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def in_memory() -> Iterator[Path]:
    """A folder that costs no disk, where a layer may lie: not every file system takes one."""
    with tempfile.TemporaryDirectory(prefix="node-") as name:
        folder = Path(name)
        _run("mount", "-t", "tmpfs", "-o", "mode=755", "node", name)
        try:
            yield folder
        finally:
            _run("umount", name)


@contextmanager
def mounted(below: Sequence[Path], folder: Path) -> Iterator[Path]:
    """All layers as one tree; ``folder / "upper"`` takes what is written."""
    root, upper, work = folder / "root", folder / "upper", folder / "work"
    for each in (root, upper, work):
        each.mkdir()
    layers = f"lowerdir={':'.join(map(str, below))},upperdir={upper},workdir={work}"
    _run("mount", "-t", "overlay", "overlay", "-o", layers, str(root))
    try:
        yield root
    finally:
        _run("umount", str(root))


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
