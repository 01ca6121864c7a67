"""A tool as a value, and the box that runs tools so that nothing they do can hurt the conversation.

Whatever happens inside a tool (wrong arguments, an exception, no answer in time, an unknown name), the
model gets a short JSON text that it can speak about: ``{"error": "..."}``. A tool that does not even end when
it is cancelled is left behind.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import NamedTuple

import msgspec

from voice_agent.dialogue import Manners, Outcome
from voice_agent.errors import ToolError
from voice_agent.realtime.events import ToolSpec

log = logging.getLogger(__name__)

MAX_OUTPUT_CHARS = 8000
"""Enough for any spoken answer; more would crowd out the conversation in the model's context."""

MAX_STRAYS = 8
"""Calls left behind that have still not ended; with so many, no more are begun."""

Arguments = Mapping[str, object]
Handler = Callable[[Arguments], Coroutine[None, None, Mapping[str, object]]]
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


class Answer(NamedTuple):
    """What goes back to the model: JSON text, which describes a failure unless ``ok``."""

    output: str
    outcome: Outcome

    @property
    def ok(self) -> bool:
        """The tool did its work."""
        return self.outcome == "ok"


class Toolbox:
    """The tools of this device, by name."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self.on_change: Callable[[], None] = _nothing
        self._strays: set[asyncio.Task[Mapping[str, object]]] = set()
        self._full_since: float | None = None

    def specs(self) -> tuple[ToolSpec, ...]:
        """What to declare to the model."""
        return tuple(tool.spec() for tool in self._tools.values())

    def manners(self, name: str) -> Manners:
        """How a tool behaves."""
        tool = self._tools.get(name)
        return tool.manners if tool else DEFAULT

    def put(self, source: str, tools: Iterable[Tool]) -> None:
        """From now on ``source`` offers these tools instead of those that it offered before."""
        for name in [name for name in self._tools if name.startswith(f"{source}_")]:
            del self._tools[name]
        self._tools |= {tool.name: tool for tool in tools}
        self.on_change()

    @property
    def names(self) -> tuple[str, ...]:
        """What they are called."""
        return tuple(self._tools)

    @property
    def hanging_s(self) -> float:
        """Seconds for which no tool could be run, because too many did not end."""
        return 0.0 if self._full_since is None else monotonic() - self._full_since

    async def run(self, name: str, arguments: str) -> Answer:
        """The tool's answer, or a description of its failure; never an exception."""
        try:
            return Answer(_bounded(msgspec.json.encode(await self._call(name, arguments)).decode()), "ok")
        except ToolError as error:
            return _failure(str(error), "failed")
        except Exception as error:  # the tool boundary: a bug in a tool is an answer, not a crash
            log.exception("tool failed", extra={"tool": name})
            return _failure(f"the tool {name} failed: {type(error).__name__}", "crashed")

    async def _call(self, name: str, arguments: str) -> Mapping[str, object]:
        if (tool := self._tools.get(name)) is None:
            raise ToolError(f"there is no tool named {name!r}; known: {', '.join(self._tools) or 'none'}")
        if len(self._strays) >= MAX_STRAYS:
            raise ToolError("too many earlier calls have not ended")
        # A task of its own, so that its end need not be waited for: not even a cancelled one must end.
        task = asyncio.create_task(tool.handler(_parsed(arguments)), name=f"tool-{name}")
        try:
            await asyncio.wait([task], timeout=tool.manners.timeout_s)
        finally:
            if not task.done():
                self._leave_behind(task)
        if not task.done():
            raise ToolError(f"{tool.name} gave no answer within {tool.manners.timeout_s:g} s")
        if task.cancelled():
            raise ToolError(f"{tool.name} was cancelled")
        return task.result()

    def _leave_behind(self, task: asyncio.Task[Mapping[str, object]]) -> None:
        self._strays.add(task)
        if len(self._strays) >= MAX_STRAYS:
            self._full_since = self._full_since or monotonic()
        task.add_done_callback(self._has_ended)
        task.cancel()

    def _has_ended(self, stray: asyncio.Task[Mapping[str, object]]) -> None:
        self._strays.discard(stray)
        self._full_since = None
        if not stray.cancelled() and (error := stray.exception()):
            log.debug("a tool failed after its time", extra={"reason": repr(error)})


def _nothing() -> None:
    """Nobody wants to know."""


def text_argument(arguments: Arguments, name: str) -> str:
    """A required text argument, or a ``ToolError`` that the model can act on."""
    value = arguments.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ToolError(f"argument {name!r} must be a text that is not empty")
    return value.strip()


def _parsed(arguments: str) -> Arguments:
    try:
        return msgspec.json.decode(arguments or "{}", type=dict[str, object])
    except (msgspec.DecodeError, RecursionError) as error:
        raise ToolError(f"the arguments are not a JSON object: {error}") from error


def _bounded(output: str) -> str:
    if len(output) <= MAX_OUTPUT_CHARS:
        return output
    raise ToolError(f"the answer was too long: {len(output)} characters")


def _failure(reason: str, outcome: Outcome) -> Answer:
    return Answer(msgspec.json.encode({"error": reason}).decode(), outcome)
