"""Metrics in a file, for Prometheus' node exporter to pick up (``--collector.textfile.directory``).

Replaced whole, so that nobody reads half of it. It goes when the daemon goes: figures of a process that is
not there are worse than none. What a killed daemon leaves gives itself away by its age
(``node_textfile_mtime_seconds``) until the next one replaces it.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

EVERY_S = 15.0
"""As often as Prometheus usually asks."""

READABLE = 0o644
"""The node exporter is another user; our umask lets nobody else read."""


class TextFile:
    """One writer of the file, for one ``run``; ``render`` makes the page, on the event loop."""

    def __init__(self, path: Path, render: Callable[[], bytes], *, every_s: float = EVERY_S) -> None:
        self._path = path
        self._beside = path.with_name(f"{path.name}.new")  # the node exporter takes *.prom alone
        self._render = render
        self._every_s = every_s
        self._lock = threading.Lock()  # held for a rename
        self._is_over = False

    async def run(self) -> NoReturn:
        """Write until cancelled; raises OSError if it cannot be done."""
        try:
            while True:
                await asyncio.to_thread(self._replace, self._render())
                await asyncio.sleep(self._every_s)
        finally:
            self._remove()

    def _replace(self, page: bytes) -> None:
        """In a thread, as a worn card may take seconds; if nobody waits any more, nothing is left behind."""
        try:
            with self._beside.open("wb") as file:
                os.fchmod(file.fileno(), READABLE)
                file.write(page)
        except OSError:  # a full disk: half a page is of no use, and takes room
            self._beside.unlink(missing_ok=True)
            raise
        with self._lock:
            if self._is_over:
                self._beside.unlink()
            else:
                self._beside.replace(self._path)

    def _remove(self) -> None:
        with self._lock, suppress(OSError):
            self._is_over = True
            self._path.unlink(missing_ok=True)
