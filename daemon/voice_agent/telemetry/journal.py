"""Entries in the journal's own protocol, sent without ever waiting for it.

    MESSAGE=herald: no session cause=dns reason="cannot find example.org" retry_s=4.213
    PRIORITY=4
    VOICE_AGENT_CAUSE=dns

One datagram an entry (systemd.io/JOURNAL_NATIVE_PROTOCOL). libsystemd waits for a journal whose queue is
full, and a loop that carries sound must not (ADR 25). What the journal does not take goes to the stream that
it reads from us anyway; what neither takes is counted, and told when there is room again.
"""

import logging
import os
import re
import socket
from collections.abc import Callable, Mapping

SOCKET = "/run/systemd/journal/socket"
IDENTIFIER = "voice-agent"
PREFIX = "VOICE_AGENT_"

MAX_VALUE_BYTES = 24_000
"""An entry must fit into a datagram (some 200 KB), so that no memory file is needed for a long one."""

MAX_NAME_CHARS = 64
"""The journal passes over a field with a longer name."""

Fields = Mapping[str, str]
AT_ONCE = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL


def encoded(fields: Fields) -> bytes:
    """The datagram. A value of several lines goes with its length: it cannot pass for other fields."""
    return b"".join(_field(name.encode(), _bounded(value)) for name, value in fields.items())


def field_name(extra: str) -> str:
    """What a line's extra is called in the journal."""
    return (PREFIX + re.sub(r"[^A-Z0-9_]", "_", extra.upper()))[:MAX_NAME_CHARS]


def _field(name: bytes, value: bytes) -> bytes:
    if b"\n" not in value:
        return name + b"=" + value + b"\n"
    return name + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"


def _bounded(value: str) -> bytes:
    """At most so long, and whole characters: what is no UTF-8 the journal shows as a number of bytes."""
    cut = value.encode(errors="backslashreplace")[:MAX_VALUE_BYTES]
    return cut.decode(errors="ignore").encode()


class JournalHandler(logging.Handler):
    """``entry`` makes fields of a record, the formatter the text for ``stream``, a socket's descriptor."""

    def __init__(
        self, entry: Callable[[logging.LogRecord], Fields], stream: int, address: str = SOCKET
    ) -> None:
        super().__init__()
        self._entry = entry
        self._address = address
        self._journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._stream = socket.socket(fileno=os.dup(stream))
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Send it one way or the other, or not at all; whoever logs is never told."""
        try:
            if self._lost and self._sent(_loss(self._lost)):
                self._lost = 0
            if not self._sent(record):
                self._lost += 1
        except Exception:  # noqa: BLE001 - a value that cannot be printed, as logging's own handlers have it
            self._lost += 1
            self.handleError(record)

    def close(self) -> None:
        """Let the sockets go."""
        self._journal.close()
        self._stream.close()
        super().close()

    def _sent(self, record: logging.LogRecord) -> bool:
        try:
            self._journal.sendto(encoded(self._entry(record)), AT_ONCE, self._address)
        except OSError:  # restarted, full, or not there
            return self._streamed(_bounded(self.format(record)) + b"\n")
        return True

    def _streamed(self, lines: bytes) -> bool:
        try:
            return self._stream.send(lines, AT_ONCE) == len(lines)
        except OSError:
            return False


def _loss(lines: int) -> logging.LogRecord:
    told = {"levelno": logging.WARNING, "levelname": "WARNING", "name": f"{__name__}", "lines": lines}
    return logging.makeLogRecord({**told, "msg": "log lines were lost: the journal took none"})
