"""Log lines on stderr: one event, one line, ``key=value`` extras; as text or as JSON.

    log.info("session ready", extra={"provider": "openai", "rate": 24000})

In the journal a line begins with its priority as ``<4>`` (sd-daemon(3)) and without a time, which the journal
has itself. What a server or a device says may hold line breaks and control characters: they are escaped, so
that nobody else can write a line of ours.
"""

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Literal, TextIO

Format = Literal["text", "json"]

PACKAGE = "voice_agent"
PRIORITIES = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}
"""syslog(3) priorities."""

_OWN = {*logging.makeLogRecord({}).__dict__, "message", "asctime"}
"""Attributes that every record has; all others are extras."""


def setup(level: str = "info", form: Format = "text", stream: TextIO | None = None) -> None:
    """Send this package's lines from ``level`` on, and other packages' warnings, to ``stream`` (stderr)."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines() if form == "json" else TextLines(journal=is_journal(stream)))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger(PACKAGE).setLevel(level.upper())


def is_journal(stream: TextIO) -> bool:
    """Whether ``stream`` is the journal itself (systemd.exec(5), ``$JOURNAL_STREAM``)."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class TextLines(logging.Formatter):
    """``12:03:04.125 WARNING session: connection lost code=1006``, or the journal's form of it."""

    def __init__(self, *, journal: bool = False) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """The line; a traceback follows on lines of its own."""
        source = record.name.removeprefix(f"{PACKAGE}.")
        words = [f"{source}: {_escaped(record.getMessage())}", *_pairs(record)]
        lines = [" ".join(words), *_traceback(self, record)]
        if self._journal:
            return "\n".join(f"<{PRIORITIES.get(record.levelno, 6)}>{line}" for line in lines)
        clock = datetime.fromtimestamp(record.created).astimezone()
        lines[0] = f"{clock:%H:%M:%S}.{record.msecs:03.0f} {record.levelname:<7} {lines[0]}"
        return "\n".join(lines)


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, the extras, and a traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extras(record),
        }
        if traceback := _traceback(self, record):
            entry["traceback"] = "\n".join(traceback)
        return json.dumps(entry, ensure_ascii=False, default=str)


def _extras(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in record.__dict__.items() if name not in _OWN}


def _pairs(record: logging.LogRecord) -> list[str]:
    return [f"{name}={_value(value)}" for name, value in _extras(record).items()]


def _value(value: object) -> str:
    """A float in three digits, a text bare if it is one plain word, else quoted."""
    if isinstance(value, float):
        return f"{value:.3f}"
    text = str(value)
    plain = text.isprintable() and text and not any(each in text for each in ' "=')
    return text if plain else json.dumps(text, ensure_ascii=False)


def _escaped(text: str) -> str:
    """``text`` on one line: control characters as Python writes them."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> list[str]:
    return formatter.formatException(record.exc_info).splitlines() if record.exc_info else []
