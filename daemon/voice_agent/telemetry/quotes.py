"""How much the log may repeat of words that are not its own.

An error's message and another package's warning may quote what somebody said, what a tool answered, an
address with a password in it. Of an error the log gets the frames, which show code and no values, and the
type; its message only if it is one of ours, the system's, or about code. Of a warning it gets the beginning,
up to where data begin.
"""

import logging
import re
import traceback
from collections.abc import Iterator

from voice_agent.errors import ToolError, VoiceAgentError
from voice_agent.supervision import Ended, Hang

PACKAGE = "voice_agent"
MAX_CHARS = 300
MAX_FRAMES = 30
"""Of each error, the innermost."""
MAX_ERRORS = 10
"""Of one tree, lest a group of thousands fill the log."""

ABOUT_CODE = (AttributeError, NameError, ImportError, AssertionError, TypeError, RuntimeError, MemoryError)
"""Errors whose messages speak of the program. Of these types exactly: a subclass may say anything."""

WITHHELD = "(what it says may quote somebody: log.transcripts shows it)"
_DATA = re.compile(r"""[:;<>(\[{'"=\n\r]|\d""")
"""Where the fixed part of a message usually ends."""


class Quotes:
    """``in_full``: nothing is withheld."""

    def __init__(self, *, in_full: bool = False) -> None:
        self._in_full = in_full

    def message(self, record: logging.LogRecord) -> str:
        """What a line says."""
        try:
            text = record.getMessage()
        except (TypeError, ValueError, KeyError):  # somebody's arguments do not fit his message
            text = str(record.msg)
        ours = record.name == PACKAGE or record.name.startswith(f"{PACKAGE}.")
        return text if ours or self._in_full else _opening(text)

    def traceback(self, record: logging.LogRecord) -> list[str]:
        """The lines of a record's error, if it has one, its causes first."""
        error = record.exc_info[1] if record.exc_info else None
        return [] if error is None else [line for each in _tree(error) for line in self._lines(each)]

    def _lines(self, error: BaseException) -> Iterator[str]:
        yield "Traceback (most recent call last):"
        for frame in traceback.format_tb(error.__traceback__, -MAX_FRAMES):
            yield from frame.splitlines()
        kind = type(error)
        name = (
            kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        )
        text = str(error) if self._in_full or _harmless(error) else WITHHELD
        yield f"{name}: {' '.join(text.split())[:MAX_CHARS]}" if text else name


SHY = Quotes()


def _opening(text: str) -> str:
    opening = _DATA.split(text, maxsplit=1)[0][:MAX_CHARS]
    return text if opening == text else f"{opening.rstrip()} …"


def _harmless(error: BaseException) -> bool:
    if isinstance(error, ToolError):  # made for the model's ears, it may repeat the arguments
        return False
    known = OSError | VoiceAgentError | BaseExceptionGroup | Ended | Hang
    return isinstance(error, known) or type(error) in ABOUT_CODE


def _tree(error: BaseException) -> list[BaseException]:
    """An error with what led to it, and a group with its members: each once, the causes first."""
    found: list[BaseException] = []
    waiting = [error]
    while waiting and len(found) < MAX_ERRORS:
        each = waiting.pop(0)
        if each in found:
            continue
        found.append(each)
        because = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
        waiting += [
            *(each.exceptions if isinstance(each, BaseExceptionGroup) else ()),
            *filter(None, [because]),
        ]
    return found[::-1]
