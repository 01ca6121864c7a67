"""A tool as a value, and the box in which the model finds them by name, wherever they come from."""

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

import msgspec

from voice_agent.dialogue import Manners
from voice_agent.realtime.events import ToolSpec
from voice_agent.tools.answer import Answer, failure
from voice_agent.tools.calls import Arguments, Callee, Calls, Handler
from voice_agent.tools.schema import Checker, InvalidArguments

__all__ = [
    "DEFAULT",
    "DEVICE",
    "Answer",
    "Arguments",
    "Handler",
    "Offered",
    "Tool",
    "Toolbox",
    "text_argument",
]

log = logging.getLogger(__name__)

MAX_TOOLS = 128
"""What the strictest provider takes in one session."""
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""What all providers take as a name."""
DEVICE = "device"
"""The source of what a toolbox is made with."""

DEFAULT = Manners()


@dataclass(frozen=True, slots=True)
class Tool:
    """A function offered to the model. ``parameters``: JSON Schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, object]
    handler: Handler
    manners: Manners = DEFAULT

    def spec(self) -> ToolSpec:
        """As declared in ``session.update``."""
        schema = msgspec.Raw(msgspec.json.encode(self.parameters))
        return ToolSpec(name=self.name, description=self.description, parameters=schema)


@dataclass(frozen=True, slots=True)
class Offered:
    """A tool of a source (the device, the configuration, a plug-in, a server)."""

    tool: Tool
    source: str
    callee: Callee

    @classmethod
    def of(cls, tool: Tool, source: str, *, foreign: bool) -> Self:
        """``foreign``: regular expressions in its schema are not obeyed."""
        checker = Checker(tool.parameters, foreign=foreign)
        return cls(tool, source, Callee(tool.name, tool.handler, checker, tool.manners.timeout_s))


class Toolbox:
    """The tools of this device, by name. Of two with one name the one whose source came first is offered."""

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self.on_change: Callable[[], None] = _nothing
        self._sources: dict[str, tuple[Offered, ...]] = {}
        self._offered: dict[str, Offered] = {}
        self._left_out: set[tuple[str, str]] = set()
        self.calls = Calls()
        self.put(DEVICE, tools, trusted=True)

    # ---------------------------------------------------------------------------------- what there is

    def put(self, source: str, tools: Iterable[Tool], *, trusted: bool = False) -> None:
        """From now on ``source`` offers these tools instead of those that it offered before.

        ``trusted``: regular expressions in their schemas are obeyed; other programs' could take for ever.
        """
        shelf = tuple(Offered.of(tool, source, foreign=not trusted) for tool in tools)
        before = self.specs()
        self._sources[source] = shelf
        self._offer()
        if self.specs() != before:
            self.on_change()

    def _offer(self) -> None:
        self._offered = {}
        for each in (each for shelf in self._sources.values() for each in shelf):
            if objection := self._objection(each.tool.name):
                self._leave_out(each, objection)
            else:
                self._offered[each.tool.name] = each

    def _objection(self, name: str) -> str | None:
        if not NAME.fullmatch(name):
            return "its name is not made of 1 to 64 of a-z, A-Z, 0-9, _ and -"
        if name in self._offered:
            return f"its name is taken by another one (source: {self._offered[name].source})"
        return f"there are {MAX_TOOLS} tools already" if len(self._offered) >= MAX_TOOLS else None

    def _leave_out(self, each: Offered, objection: str) -> None:
        key = each.source, each.tool.name
        if key not in self._left_out and len(self._left_out) < MAX_TOOLS:
            self._left_out.add(key)
            extra = {"tool": each.tool.name[:80], "source": each.source, "reason": objection}
            log.warning("a tool is not offered", extra=extra)

    def specs(self) -> tuple[ToolSpec, ...]:
        """What to declare to the model."""
        return tuple(each.tool.spec() for each in self._offered.values())

    def manners(self, name: str) -> Manners:
        """How a tool behaves."""
        offered = self._offered.get(name)
        return offered.tool.manners if offered else DEFAULT

    def offered(self) -> tuple[Offered, ...]:
        """The tools with where they come from."""
        return tuple(self._offered.values())

    def __contains__(self, name: object) -> bool:
        return name in self._offered

    def __iter__(self) -> Iterator[str]:
        return iter(self._offered)

    def __len__(self) -> int:
        return len(self._offered)

    # ---------------------------------------------------------------------------------------- calling

    async def run(self, name: str, arguments: str) -> Answer:
        """The tool's answer, or a description of its failure; never an exception."""
        if (offered := self._offered.get(name)) is None:
            return failure(f"there is no tool named {name!r}; known: {', '.join(self) or 'none'}", "unknown")
        return await self.calls.run(offered.callee, arguments)


def _nothing() -> None:
    """Nobody wants to know."""


def text_argument(arguments: Arguments, name: str) -> str:
    """A required text argument, or a ``ToolError`` that the model can act on."""
    value = arguments.get(name)
    if not isinstance(value, str) or not value.strip():
        raise InvalidArguments(f"argument {name!r} must be a text that is not empty")
    return value.strip()
