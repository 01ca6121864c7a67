"""Small files that outlive the process: read once, replaced whole, and never in the way of the event loop.

A disk that is full, read-only, worn, or full of nonsense costs the memory of earlier processes, which is
told, and nothing else.
"""

import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from voice_agent.repeats import Repeats

log = logging.getLogger(__name__)

LONGEST_FILE = 65_536  # bytes; ours have a few hundred

S = TypeVar("S", bound=Struct)


class Excuses(NamedTuple):
    """What the log is told when the file cannot be read, and when it cannot be written."""

    reading: str
    writing: str


class Store(Generic[S]):
    """One file. Written beside the event loop, as a worn card may take seconds; no failure leaves here.

    ``durable``: what was written survives the plug being pulled. That takes a write barrier each time.
    """

    def __init__(self, path: Path, shape: type[S], excuses: Excuses, *, durable: bool = False) -> None:
        self._path = path
        self._shape = shape
        self._excuses = excuses
        self._durable = durable
        self._lock = threading.Lock()  # held for an instant, never while the disk is asked
        self._waiting: S | None = None
        self._writing = False
        self._failed = False
        self._writer: threading.Thread | None = None
        self._failures = Repeats(log)

    def read(self) -> S | None:
        """What an earlier process left, if it makes sense."""
        try:
            if not self._path.is_file():  # a pipe would be waited for
                return None
            with self._path.open("rb") as file:
                return msgspec.json.decode(file.read(LONGEST_FILE), type=self._shape)
        except (OSError, msgspec.MsgspecError, ValueError, RecursionError) as error:
            self._tell(self._excuses.reading, error)
            return None

    def write(self, content: S, *, wait_s: float = 0.0) -> None:
        """Replace the file, soon; wait for it that long. Of several contents the last one stays."""
        with self._lock:
            begin, self._waiting = not self._writing, content
            self._writing = True
        if begin:
            self._writer = threading.Thread(target=self._write_on, name="storage", daemon=True)
            self._writer.start()
        self.settle(wait_s)

    def settle(self, wait_s: float) -> bool:
        """Wait that long for what is being written; whether all that was to be written is."""
        if self._writer:
            self._writer.join(wait_s)
        return not self._writing and not self._failed

    def _write_on(self) -> None:
        """In a thread: until nothing waits to be written."""
        while True:
            with self._lock:
                content, self._waiting = self._waiting, None
                if content is None:
                    self._writing = False
                    return
            self._replace(content)

    def _replace(self, content: S) -> None:
        beside = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            beside.touch(mode=0o600)  # there may be words in it that somebody has said
            beside.write_bytes(msgspec.json.encode(content))
            if self._durable:
                with beside.open("rb") as file:
                    os.fsync(file.fileno())
            beside.replace(self._path)
            self._failed = False
            self._failures.over(self._excuses.writing)
        except OSError as error:
            self._failed = True
            self._tell(self._excuses.writing, error)

    def _tell(self, text: str, error: Exception) -> None:
        self._failures.tell(text, text, {"path": str(self._path), "reason": str(error)})


def state_directory(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Where this daemon may keep things: systemd's StateDirectory=, or by the XDG base directory rules."""
    if given := environ.get("STATE_DIRECTORY", "").partition(":")[0]:
        return Path(given)
    base = Path(environ.get("XDG_STATE_HOME", ""))
    if not base.is_absolute():  # the specification: a relative one is to be ignored
        base = Path(environ.get("HOME", "")) / ".local" / "state"
    return base / "voice-agent" if base.is_absolute() else None
