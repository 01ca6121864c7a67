"""What was said, in words: outlives connections, so that a new one can be told.

One line for each item: what the user said, what he heard of the agent, what a tool answered. Lines stand in
the order of their turns, and a turn begins with the user's words, however late they were recognised. A line
is known by the connection and the item that it came from, so that a later cut can amend it. Everything in
here is private: no ``repr`` shows a word.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from voice_agent.realtime.providers import History

Key = tuple[int, str]
"""The number of a connection, and one of its items."""

MAX_CHARS_PER_S = 25
"""Nobody speaks faster: of words that ran ahead of their sound, no more than this can have been heard."""

TOOL_CHARS = 400
"""Of a tool's arguments and of its output, each: enough to go on talking about them."""


@dataclass(frozen=True, slots=True)
class UserLine:
    """What the user said."""

    turn: int
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AgentLine:
    """What the user heard of the agent. ``cut``: there was more."""

    turn: int
    text: str = field(repr=False)
    cut: bool = False


@dataclass(frozen=True, slots=True)
class ToolLine:
    """A tool that was called, and its answer in ``text``; both JSON, perhaps shortened."""

    turn: int
    name: str
    arguments: str = field(repr=False)
    text: str = field(repr=False)


Line = UserLine | AgentLine | ToolLine


class Memory:
    """The last lines of a conversation: at most ``max_turns`` turns and ``max_chars`` characters.

    ``history``: set when a server refused the provider's own way of being told, so that the next is not
    asked in vain.
    """

    def __init__(self, *, max_turns: int = 20, max_chars: int = 6000) -> None:
        self._max_turns = max_turns
        self._max_chars = max_chars
        self._lines: list[tuple[Key, Line]] = []
        self._connections = 0
        self.history: History | None = None

    def __repr__(self) -> str:
        return f"Memory(lines={len(self._lines)}, chars={self.chars})"

    def __iter__(self) -> Iterator[Line]:
        return (line for _, line in self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def __contains__(self, key: Key) -> bool:
        return any(entry[0] == key for entry in self._lines)

    def entries(self) -> Sequence[tuple[Key, Line]]:
        """The lines with their keys, oldest first."""
        return tuple(self._lines)

    @property
    def chars(self) -> int:
        """Characters in all lines."""
        return sum(_chars(line) for _, line in self._lines)

    @property
    def turns(self) -> int:
        """Different turns among the lines."""
        return len({line.turn for _, line in self._lines})

    def new_connection(self) -> int:
        """A number for the keys of one more connection."""
        self._connections += 1
        return self._connections

    def enter(self, key: Key, line: Line) -> None:
        """Note a line, or amend the one with this key; an empty one is forgotten."""
        self.forget(key)
        if not line.text.strip():
            return
        self._lines.insert(self._place(line), (key, self._bounded(line)))
        self._trim()

    def bound(self, max_turns: int, max_chars: int) -> None:
        """Remember no more than this from now on."""
        self._max_turns, self._max_chars = max_turns, max_chars
        self._trim()

    def _trim(self) -> None:
        while self._lines and (self.turns > self._max_turns or self.chars > self._max_chars):
            del self._lines[0]

    def forget(self, key: Key) -> None:
        """Strike out the line with this key, if there is one."""
        self._lines = [entry for entry in self._lines if entry[0] != key]

    def _place(self, line: Line) -> int:
        """After all of its turn; words of the user, which may come late, before the answer to them."""
        early = isinstance(line, UserLine)
        for index in range(len(self._lines), 0, -1):
            other = self._lines[index - 1][1]
            if other.turn < line.turn or (
                other.turn == line.turn and (not early or isinstance(other, UserLine))
            ):
                return index
        return 0

    def _bounded(self, line: Line) -> Line:
        """One long speech must not push out everything else."""
        if isinstance(line, ToolLine):
            arguments = shortened(line.arguments, TOOL_CHARS)
            return replace(line, arguments=arguments, text=shortened(line.text, TOOL_CHARS))
        return replace(line, text=shortened(line.text.strip(), self._max_chars // 4))


def _chars(line: Line) -> int:
    return len(line.text) + (len(line.name) + len(line.arguments) if isinstance(line, ToolLine) else 0)


def shortened(text: str, chars: int) -> str:
    """``text`` in at most ``chars`` characters: its beginning and its end."""
    if len(text) <= chars:
        return text
    tail = chars // 3
    head = max(chars - tail - len(GAP), 0)
    return (text[:head] + GAP + text[len(text) - tail :])[:chars]


GAP = " ... "


def heard_words(text: str, heard: int, received: int, rate: int, *, complete: bool) -> str:
    """The part of ``text`` that was heard, whole words only; never more than the share of the sound.

    ``heard`` and ``received`` in samples at ``rate`` Hz. ``complete``: all sound of these words has arrived.
    Until then words may be far ahead of it.
    """
    text = text.strip()
    limit = len(text) * heard // received if received else 0
    if not complete:
        limit = min(limit, heard * MAX_CHARS_PER_S // rate)
    while 0 < limit < len(text) and not text[limit].isspace():
        limit -= 1
    return text[:limit].rstrip()
