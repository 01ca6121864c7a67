"""The kernel's own archive format for a root file system in memory: cpio, "newc".

Linux unpacks any number of such archives, one behind the other, and later files replace earlier ones. See
"initramfs buffer format" in the kernel's documentation (driver-api/early-userspace/buffer-format).
"""

import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from stat import S_IFCHR, S_IFDIR, S_IFLNK, S_IFREG
from typing import IO, NamedTuple

ALIGNMENT = 4
TRAILER = "TRAILER!!!"


class Entry(NamedTuple):
    """One file. ``name``: its path without the leading slash; ``mode``: with its type, as in stat(2)."""

    name: str
    mode: int
    data: bytes = b""
    mtime: int = 0


def directory(name: str, permissions: int = 0o755) -> Entry:
    """An empty directory; one that is there already keeps what it holds."""
    return Entry(name, S_IFDIR | permissions)


def file(name: str, data: bytes, permissions: int = 0o644) -> Entry:
    """A plain file."""
    return Entry(name, S_IFREG | permissions, data)


def link(name: str, target: str) -> Entry:
    """A symbolic link."""
    return Entry(name, S_IFLNK | 0o777, target.encode())


class Archive:
    """Writes one archive: ``add`` everything, then ``close``. Everything belongs to root."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._number = 0

    def add(self, entries: Iterable[Entry]) -> None:
        """Append files, parents before their children."""
        for entry in entries:
            self._number += 1
            self._write(entry)

    def close(self) -> None:
        """Mark the end."""
        self._write(Entry(TRAILER, 0))

    def _write(self, entry: Entry) -> None:
        name = entry.name.encode() + b"\0"
        # inode, mode, uid, gid, links, mtime, size, device and special device (major, minor), name, checksum
        fields = (self._number, entry.mode, 0, 0, 1, entry.mtime, len(entry.data), 0, 0, 0, 0, len(name), 0)
        self._padded(b"070701" + b"".join(b"%08X" % field for field in fields) + name)
        self._padded(entry.data)

    def _padded(self, data: bytes) -> None:
        self._stream.write(data + b"\0" * (-len(data) % ALIGNMENT))


def from_tar(stream: IO[bytes], wanted: Callable[[str], bool]) -> Iterable[Entry]:
    """The files of a tar archive, as ``dpkg-deb --fsys-tarfile`` writes it, whose paths are wanted."""
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            name = member.name.removeprefix("./").rstrip("/")
            if name in {"", "."} or not wanted(name):
                continue
            yield _entry(name, member, tar)


def _entry(name: str, member: tarfile.TarInfo, tar: tarfile.TarFile) -> Entry:
    mtime = int(member.mtime)
    if member.isdir():
        return Entry(name, S_IFDIR | member.mode, mtime=mtime)
    if member.issym():
        return link(name, member.linkname)
    if member.islnk():  # a second name of a file: a symbolic link does as well
        return link(name, "/" + member.linkname.removeprefix("./"))
    if member.isfile() and (content := tar.extractfile(member)):
        return Entry(name, S_IFREG | member.mode, content.read(), mtime)
    return Entry(name, S_IFCHR | member.mode)


def from_folder(folder: Path, under: str) -> Iterable[Entry]:
    """All of a folder, to stand at ``under``."""
    yield from (directory(str(parent)) for parent in reversed(Path(under).parents[:-1]))
    yield directory(under)
    for path in sorted(folder.rglob("*")):
        name = f"{under}/{path.relative_to(folder)}"
        if path.is_dir():
            yield directory(name)
        else:
            yield file(name, path.read_bytes(), 0o755 if path.stat().st_mode & 0o100 else 0o644)
