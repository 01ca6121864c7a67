"""Log lines: one event, one line, ``key=value`` extras; as text, as JSON, or as entries of the journal.

    log.info("session ready", extra={"provider": "openai", "rate": 24000})

Where stderr is the journal, text becomes entries with fields (``journal``). Which session, turn and response
a line is about is added here (``concern``), in text to warnings alone. What a server or a device says may
hold line breaks and control characters: they are escaped, so that nobody else can write a line of ours. What
other packages say, and what errors carry, may quote somebody: the log gets its kind and place (``quotes``).
"""

import json
import logging
import os
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal, TextIO

from voice_agent import concern
from voice_agent.telemetry import journal, quotes

log = logging.getLogger(__name__)

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


def setup(
    level: str = "info", form: Format = "text", stream: TextIO | None = None, *, transcripts: bool = False
) -> None:
    """Send this package's lines from ``level`` on, and other packages' warnings, to ``stream`` (stderr).

    ``transcripts``: what others say is written down in full, as somebody's words may be.
    """
    logging.raiseExceptions = False  # it would print a line that cannot be formatted with all its arguments
    handler = _handler(form, stream or sys.stderr, quotes.Quotes(in_full=transcripts))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger(PACKAGE).setLevel(level.upper())


def catch_strays() -> None:
    """What a thread or a destructor dies of becomes a line as well: Python would print what it says."""
    threading.excepthook = _of_thread
    sys.unraisablehook = _of_destructor


def _of_thread(stray: threading.ExceptHookArgs) -> None:
    if stray.exc_value is not None and stray.exc_type is not SystemExit:
        name = stray.thread.name if stray.thread else "unknown"
        log.error("a bug ended a thread", extra={"helper": name}, exc_info=stray.exc_value)


def _of_destructor(stray: "sys.UnraisableHookArgs") -> None:
    what = getattr(stray.object, "__qualname__", type(stray.object).__qualname__)
    log.error("a bug where nobody can catch it", extra={"where": what}, exc_info=stray.exc_value)


def _handler(form: Format, stream: TextIO, words: quotes.Quotes) -> logging.Handler:
    handler: logging.Handler
    if form == "json":
        handler = logging.StreamHandler(stream)
        handler.setFormatter(JsonLines(words))
    elif is_journal(stream):
        lines = TextLines(words, journal=True)
        handler = journal.JournalHandler(lines.entry, stream.fileno())
        handler.setFormatter(lines)
    else:
        handler = logging.StreamHandler(stream)
        handler.setFormatter(TextLines(words))
    return handler


def is_journal(stream: TextIO) -> bool:
    """Whether ``stream`` is the journal itself (systemd.exec(5), ``$JOURNAL_STREAM``)."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class TextLines(logging.Formatter):
    """``12:03:04.125 WARNING session: connection lost code=1006``, or the journal's forms of it."""

    def __init__(self, words: quotes.Quotes = quotes.SHY, *, journal: bool = False) -> None:
        super().__init__()
        self._words = words
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """The line; a traceback follows on lines of its own. For the journal's stream each with ``<4>``."""
        lines = self._lines(record)
        if self._journal:
            return "\n".join(f"<{PRIORITIES.get(record.levelno, 6)}>{line}" for line in lines)
        clock = datetime.fromtimestamp(record.created).astimezone()
        lines[0] = f"{clock:%H:%M:%S}.{record.msecs:03.0f} {record.levelname:<7} {lines[0]}"
        return "\n".join(lines)

    def entry(self, record: logging.LogRecord) -> Mapping[str, str]:
        """The same for the journal: the text for people, and all fields for ``journalctl FIELD=value``."""
        about = {"event": self._words.message(record), "logger": record.name, **_extras(record)}
        return {
            "MESSAGE": "\n".join(self._lines(record)),
            "PRIORITY": str(PRIORITIES.get(record.levelno, 6)),
            "SYSLOG_IDENTIFIER": journal.IDENTIFIER,
            "CODE_FILE": record.pathname,
            "CODE_LINE": str(record.lineno),
            "CODE_FUNC": record.funcName or "",
            **{journal.field_name(name): _escaped(_text(value)) for name, value in about.items()},
        }

    def _lines(self, record: logging.LogRecord) -> list[str]:
        source = record.name.removeprefix(f"{PACKAGE}.")
        extras = _extras(record) if record.levelno >= logging.WARNING else _given(record)
        pairs = [f"{name}={_value(value)}" for name, value in extras.items()]
        message = _escaped(self._words.message(record))
        return [" ".join([f"{source}: {message}", *pairs]), *self._words.traceback(record)]


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, the extras, and a traceback if any."""

    def __init__(self, words: quotes.Quotes = quotes.SHY) -> None:
        super().__init__()
        self._words = words

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._words.message(record),
            **_extras(record),
        }
        if traceback := self._words.traceback(record):
            entry["traceback"] = "\n".join(traceback)
        return json.dumps(entry, ensure_ascii=False, default=str)


def _given(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in record.__dict__.items() if name not in _OWN}


def _extras(record: logging.LogRecord) -> dict[str, object]:
    """What the line says itself, and then what it is about."""
    given = _given(record)
    return given | {
        name: value
        for name, value in concern.present().fields(given.get("turn")).items()
        if name not in given
    }


def _text(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _value(value: object) -> str:
    """A float in three digits, a text bare if it is one plain word, else quoted."""
    text = _text(value)
    plain = text.isprintable() and text and not any(each in text for each in ' "=')
    return text if plain else json.dumps(text, ensure_ascii=False)


def _escaped(text: str) -> str:
    """``text`` on one line: control characters as Python writes them."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
