"""Tools from outside of a conversation: for whoever may use the daemon's socket, and for the command line."""

from collections.abc import Awaitable, Callable, Mapping
from time import monotonic

import msgspec
from msgspec import Struct

from voice_agent.controls.trial import Trial, Tried
from voice_agent.dialogue import Outcome
from voice_agent.tools.base import Offered, Toolbox


class Described(Struct, frozen=True):
    """A tool in the words of its author. ``reply``: whether the model speaks about its answer."""

    name: str
    description: str
    source: str
    parameters: Mapping[str, object]
    parallel: bool
    reply: str
    cancellable: bool
    timeout_s: float


class Inventory(Struct, frozen=True):
    """All tools that a model may call."""

    tools: tuple[Described, ...]


class Called(Struct, frozen=True):
    """How a call ended. ``output``: the JSON text that a model would have got."""

    output: str
    outcome: Outcome
    seconds: float


class Reloaded(Struct, frozen=True):
    """What became of a changed file. With ``problems`` the old one holds; what is ``due`` takes a restart."""

    problems: tuple[str, ...] = ()
    due: tuple[str, ...] = ()


async def cannot_reload() -> Reloaded:
    """Who has no file."""
    return Reloaded(problems=("there is no file to read again",))


class Desk:
    """Lists tools, and runs them for people; ``trial`` and ``reload``: those of a daemon that can."""

    def __init__(
        self,
        tools: Toolbox,
        trial: Trial | None = None,
        reload: Callable[[], Awaitable[Reloaded]] = cannot_reload,
    ) -> None:
        self._tools = tools
        self._trial = trial
        self._reload = reload

    def inventory(self) -> Inventory:
        """The tools as they are now."""
        return Inventory(tuple(_described(each) for each in self._tools.offered()))

    async def call(self, name: str, arguments: str) -> Called:
        """Run a tool, within its time limit."""
        began = monotonic()
        answer = await self._tools.run(name, arguments)
        return Called(answer.output, answer.outcome, monotonic() - began)

    def listed(self) -> bytes:
        """The inventory as JSON."""
        return msgspec.json.encode(self.inventory()) + b"\n"

    async def called(self, name: str, arguments: str) -> bytes:
        """How a call ended, as JSON."""
        return msgspec.json.encode(await self.call(name, arguments)) + b"\n"

    async def tried(self, limit_s: float) -> bytes:
        """How a self-test ended, as JSON."""
        tried = await self._trial.run(limit_s) if self._trial else Tried(0.0, 0, "nobody is here to speak")
        return msgspec.json.encode(tried) + b"\n"

    async def reloaded(self) -> bytes:
        """What became of a reload, as JSON."""
        return msgspec.json.encode(await self._reload()) + b"\n"


def _described(offered: Offered) -> Described:
    tool, manners = offered.tool, offered.tool.manners
    return Described(
        name=tool.name,
        description=tool.description,
        source=offered.source,
        parameters=dict(tool.parameters),
        parallel=manners.parallel,
        reply=manners.reply.value,
        cancellable=manners.cancellable,
        timeout_s=manners.timeout_s,
    )
