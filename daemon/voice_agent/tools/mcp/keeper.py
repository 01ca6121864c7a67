"""Keeps one server connected, for ever, and its tools in the box.

    no tools --connected--> its tools --lost--> its tools, for a grace --GRACE_S--> no tools

Calls wait for a connection for a moment, so that a server may be restarted unnoticed. The SDK runs in a task
of its own for each connection: whatever it does there, it is ended or left behind when we want to go on.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from typing import NamedTuple, NoReturn

from voice_agent.backoff import Backoff
from voice_agent.credentials import Secret
from voice_agent.errors import ConfigError, ToolError
from voice_agent.repeats import Repeats
from voice_agent.tools.base import Arguments, Handler, Tool
from voice_agent.tools.helper import beside
from voice_agent.tools.mcp.child import Child, running
from voice_agent.tools.mcp.connection import Call, Hold, loaded, missing
from voice_agent.tools.mcp.limits import Lost
from voice_agent.tools.mcp.offers import Offer, tools_of
from voice_agent.tools.mcp.settings import Program, ServerSettings

log = logging.getLogger(__name__)

GRACE_S = 20.0
"""For so long the tools of a lost server stay declared: a restart must not make the model forget them."""

PATIENCE_S = 5.0
"""A call waits so long for a connection."""

SETTLED_S = 10.0
"""A connection that has lasted so long was a success: the next pause is short again."""

FIRST_S, CAP_S = 1.0, 60.0
"""Ceilings of the pauses between connections."""

LEAST_S = 0.2
"""The shortest pause: a program that ends at once must not be begun a thousand times a second."""

LEAVE_S = 0.4
"""What the SDK may take to leave; the whole daemon ends within 2 s."""

MAX_REASON_CHARS = 300

Put = Callable[[str, Iterable[Tool]], None]
"""``Toolbox.put``: from now on this source offers these tools."""

MAX_TOLD = 5
"""Different reasons for one outage, of which the log is told loudly."""

_left_behind: set[asyncio.Task[None]] = set()
"""Connections that did not end when they were told to. The event loop itself holds tasks but weakly."""


class KeeperState(NamedTuple):
    """A server now. ``connections``: how many there have been. ``reason``: why there is none."""

    connected: bool
    tools: int
    connections: int
    reason: str


class Keeper:
    """One server: ``run`` as a task, for ever. Its tools go where ``put`` takes them."""

    def __init__(
        self,
        settings: ServerSettings,
        put: Put,
        *,
        grace_s: float = GRACE_S,
        patience_s: float = PATIENCE_S,
        backoff: Backoff | None = None,
    ) -> None:
        self.name = settings.name
        self.source = f"MCP server {settings.name}"
        self.decided = asyncio.Event()
        """Set once the first attempt has come to an end, well or badly."""
        self._settings = settings
        self._put = put
        self._grace_s = grace_s
        self._patience_s = patience_s
        self._backoff = backoff or Backoff(FIRST_S, CAP_S)
        self._call: Call | None = None
        self._connected = asyncio.Event()
        self._declared: Sequence[Offer] | None = None
        self._withdrawal: asyncio.TimerHandle | None = None
        self._tools = 0
        self._connections = 0
        self._reason = "not connected yet"
        self._losses = Repeats(log, MAX_TOLD)
        self._flaps = False

    def state(self) -> KeeperState:
        """The server as it is now."""
        return KeeperState(self._connected.is_set(), self._tools, self._connections, self._reason)

    async def run(self) -> NoReturn:
        """Connect, again and again."""
        loop = asyncio.get_running_loop()
        hold = await self._loaded()
        try:
            while True:
                begun, before = loop.time(), self._connections
                reason = await self._connection(hold)
                self._lose(reason, had=self._connections > before, lasted_s=loop.time() - begun)
                await asyncio.sleep(self._backoff.next_delay(LEAST_S))
        finally:
            self._keep()

    async def _loaded(self) -> Hold:
        try:
            return await loaded(self._settings.place)
        except (ImportError, ConfigError) as error:
            self._lose(missing() or str(error), had=False, lasted_s=0)
            await asyncio.get_running_loop().create_future()  # what is installed now is for the next process
            raise

    # ------------------------------------------------------------------------------ one connection

    async def _connection(self, hold: Hold) -> str:
        """From its beginning to its end; why it ended."""
        try:
            key = (await beside(self._settings.key, "credential")).result()
            async with _program(self._settings, key) as child:
                return await self._until_lost(hold(self._settings, child, key, self._found))
        except (Lost, ConfigError) as error:
            return str(error)

    async def _until_lost(self, work: Coroutine[None, None, None]) -> str:
        task = asyncio.create_task(work, name=f"mcp-{self.name}")
        limit_s = self._settings.start_timeout_s
        try:
            await asyncio.wait([task], timeout=limit_s)
            if not task.done() and self._call is None:
                return f"it did not say within {limit_s:g} s what it offers"
            await asyncio.wait([task])
        finally:
            self._call = None
            self._connected.clear()
            await _leave(task)
        return _reason(task)

    def _found(self, offers: Sequence[Offer], call: Call) -> None:
        """The server has said what it offers."""
        self._keep()
        if offers != self._declared:
            tools = tools_of(self._settings, offers, self._handler)
            self._declared, self._tools = offers, len(tools)
            self._put(self.source, tools)
        if self._call is None:
            self._connections += 1
            level = logging.DEBUG if self._flaps else logging.INFO
            log.log(level, "tool server connected", extra={"server": self.name, "tools": self._tools})
            self._losses.over(within_s=SETTLED_S)
        self._call, self._reason = call, ""
        self._connected.set()
        self.decided.set()

    # ---------------------------------------------------------------------------------------- loss

    def _lose(self, reason: str, *, had: bool, lasted_s: float) -> None:
        """News once: of a server that never comes, or comes and goes, is whispered."""
        self._flaps = had and lasted_s < SETTLED_S
        if had and not self._flaps:
            self._backoff.succeeded()
        self._losses.tell(reason, "tool server not connected", {"server": self.name, "reason": reason})
        self._reason = reason
        self.decided.set()
        if self._declared is not None and self._withdrawal is None:
            self._withdrawal = asyncio.get_running_loop().call_later(self._grace_s, self._withdraw)

    def _withdraw(self) -> None:
        self._declared, self._tools, self._withdrawal = None, 0, None
        self._put(self.source, ())
        log.debug("tools are withdrawn", extra={"server": self.name})

    def _keep(self) -> None:
        """No withdrawal, if there was to be one."""
        if self._withdrawal:
            self._withdrawal.cancel()
        self._withdrawal = None

    # --------------------------------------------------------------------------------------- calls

    def _handler(self, tool: str) -> Handler:
        async def handler(arguments: Arguments) -> Mapping[str, object]:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._connected.wait(), self._patience_s)
            if self._call is None:
                raise ToolError(f"the tool server {self.name} is not connected at the moment")
            return await self._call(tool, arguments)

        return handler


def _program(
    settings: ServerSettings, key: Secret | None
) -> AbstractAsyncContextManager[Child] | AbstractAsyncContextManager[None]:
    return running(settings.place, key) if isinstance(settings.place, Program) else nullcontext()


async def _leave(task: asyncio.Task[None]) -> None:
    """End a connection, or go on without its end."""
    task.cancel()
    _left_behind.add(task)
    task.add_done_callback(_left_behind.discard)
    await asyncio.wait([task], timeout=LEAVE_S)


def _reason(task: asyncio.Task[None]) -> str:
    """Why a connection ended. What a library says may hold what was said: only its kind is told."""
    if task.cancelled():
        return "the connection was cut short"
    error = task.exception()
    if error is None:
        return "it closed the connection"
    found = sorted(_leaves(error), key=lambda leaf: not isinstance(leaf, Lost))
    return (
        str(found[0])
        if isinstance(found[0], Lost)
        else f"{type(found[0]).__name__}: {found[0]}"[:MAX_REASON_CHARS]
    )


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error
