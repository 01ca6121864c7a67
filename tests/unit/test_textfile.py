"""Metrics in a file: whole, readable by others, and gone with the daemon."""

import asyncio
import os
import resource
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from voice_agent.telemetry.metrics import Exposition
from voice_agent.telemetry.snapshot import Snapshot
from voice_agent.telemetry.textfile import TextFile


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def page() -> bytes:
    async def made() -> bytes:
        return Exposition(Snapshot).file()

    return asyncio.run(made())


def test_the_file_is_whole_whenever_it_is_there_and_others_may_read_it(tmp_path: Path) -> None:
    path, pages = tmp_path / "voice-agent.prom", iter([b"one\n", b"two\n", b"three\n"])

    async def play() -> list[bytes]:
        running = asyncio.create_task(TextFile(path, lambda: next(pages, b"more\n"), every_s=0.0).run())
        seen: list[bytes] = []

        def look() -> bool:
            seen.extend([path.read_bytes()] if path.exists() else [])
            return b"more\n" in seen

        await until(look)
        mode = path.stat().st_mode
        running.cancel()
        await asyncio.wait([running])
        assert mode & 0o777 == 0o644
        return seen

    before = os.umask(0o077)
    try:
        seen = asyncio.run(play())
    finally:
        os.umask(before)
    assert set(seen) <= {b"one\n", b"two\n", b"three\n", b"more\n"}
    assert list(tmp_path.iterdir()) == [], "figures of a process that is not there are worse than none"


class SlowPath(type(Path())):  # type: ignore[misc]
    """A path on a disk that takes its time."""

    opening = threading.Event()
    goes_on = threading.Event()

    def open(self, mode: str = "r") -> IO[bytes]:
        self.opening.set()
        assert self.goes_on.wait(5)
        opened: IO[bytes] = super().open(mode)
        return opened


def test_a_writer_that_a_slow_disk_kept_leaves_nothing_behind(tmp_path: Path) -> None:
    async def play() -> None:
        running = asyncio.create_task(TextFile(SlowPath(tmp_path / "a.prom"), lambda: b"late\n").run())
        await until(SlowPath.opening.is_set)
        running.cancel()
        await asyncio.wait([running])
        SlowPath.goes_on.set()

    asyncio.run(play())  # the loop's end waits for the thread
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        asyncio.run(TextFile(tmp_path / "nowhere" / "a.prom", bytes).run())


def test_a_full_disk_is_told_and_keeps_no_half_of_a_page(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            asyncio.run(TextFile(tmp_path / "a.prom", lambda: b"too much\n").run())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_the_file_takes_no_name_of_the_exporter_that_serves_it() -> None:
    names = {line.partition("{")[0].partition(" ")[0] for line in page().decode().splitlines()}
    assert "voice_agent_process_resident_memory_bytes" in names
    assert {name for name in names if not name.startswith("voice_agent_")} == {"#"}
