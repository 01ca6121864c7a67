"""Calls of tools, run so that nothing that happens in them can hurt the conversation.

Whatever happens inside of a tool (wrong arguments, an exception, an exit, no answer in time, rubbish), the
model gets a short JSON text that it can speak about: ``{"error": "..."}``. A tool that does not even end when
it is cancelled, or a thread that hangs, is left behind. What no box can hold: a tool that blocks the event
loop, as a handler with ``async def`` must not; the guard of the loop ends such a process (ADR 14).
"""

import asyncio
import inspect
import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from time import monotonic
from typing import NamedTuple, TypeVar

import msgspec

from voice_agent.errors import ToolError, ToolTimeout
from voice_agent.repeats import Repeats
from voice_agent.tools.answer import Answer, answered, failure
from voice_agent.tools.helper import beside
from voice_agent.tools.schema import Checker, InvalidArguments

log = logging.getLogger(__name__)

MAX_STRAYS = 8
"""Calls left behind that have still not ended; with so many, no more are begun."""
MAX_RUNNING = 16
"""Calls at the same time, of all tools; a model that asks for more has lost its way."""

MAX_NOTED = 100
"""Bugs that the log is told of; more at the same time are whispered."""

LARGEST_EXACT = 2.0**53
"""Up to here a float says which integer it is."""

Arguments = Mapping[str, object]
Result = Mapping[str, object]
Handler = Callable[[Arguments], Awaitable[Result] | Result]
"""``async def`` runs on the event loop and must not block it; ``def`` runs in a thread of its own."""

T = TypeVar("T")


class Callee(NamedTuple):
    """What is called. ``limit_s``: a call that takes longer has failed."""

    name: str
    handler: Handler
    checker: Checker
    limit_s: float


class Calls:
    """Runs calls, and knows those that did not end."""

    def __init__(self) -> None:
        self._running = 0
        self._strays: set[object] = set()
        self._bugs = Repeats(log, MAX_NOTED)
        self._full_since: float | None = None

    @property
    def running(self) -> int:
        """Calls that somebody waits for."""
        return self._running

    @property
    def strays(self) -> int:
        """Calls left behind that have still not ended."""
        return len(self._strays)

    @property
    def hanging_s(self) -> float:
        """Seconds for which no tool could be run, because too many did not end."""
        return 0.0 if self._full_since is None else monotonic() - self._full_since

    async def run(self, callee: Callee, arguments: str) -> Answer:
        """The tool's answer, or a description of its failure; never an exception."""
        if len(self._strays) >= MAX_STRAYS:
            return failure("too many earlier calls have not ended", "refused")
        if self._running >= MAX_RUNNING:
            return failure("too many calls at the same time", "refused")
        self._running += 1
        try:
            return await self._in_time(callee, arguments)
        finally:
            self._running -= 1

    async def _in_time(self, callee: Callee, arguments: str) -> Answer:
        # A task of its own, so that its end need not be waited for: not even a cancelled one must end.
        task = asyncio.create_task(self._attempt(callee, arguments), name=f"tool-{callee.name}")
        try:
            await asyncio.wait([task], timeout=callee.limit_s)
        finally:
            if not task.done():
                self._leave_behind(task)
                task.cancel()
        if not task.done():
            return failure(f"{callee.name} gave no answer within {callee.limit_s:g} s", "timeout")
        return failure(f"{callee.name} was cancelled", "crashed") if task.cancelled() else task.result()

    async def _attempt(self, callee: Callee, arguments: str) -> Answer:
        try:
            given = await self._beside(partial(_understood, arguments, callee.checker), callee.name)
            return self._told(callee.name, await self._work(callee, given))
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except InvalidArguments as error:
            return failure(str(error), "invalid")
        except ToolTimeout as error:
            return failure(str(error), "timeout")
        except ToolError as error:
            return failure(str(error), "failed")
        except TimeoutError:
            return failure(f"{callee.name} waited too long for something", "timeout")
        except BaseException as error:  # noqa: BLE001 — the tool boundary: a bug in a tool is an answer
            self._note(callee.name, type(error).__name__, _where(error))
            return failure(f"the tool {callee.name} failed: {type(error).__name__}", "crashed")

    async def _work(self, callee: Callee, given: Arguments) -> object:
        if inspect.iscoroutinefunction(callee.handler):
            return await callee.handler(given)
        result = await self._beside(partial(callee.handler, given), callee.name)
        # An object that is called may still turn out to be asynchronous.
        return await result if inspect.isawaitable(result) else result

    async def _beside(self, work: Callable[[], T], name: str) -> T:
        ended = beside(work, f"tool-{name}")
        try:
            await asyncio.wait([ended])  # which leaves it alone when it is cancelled
        finally:
            if not ended.done():
                self._leave_behind(ended)
        return ended.result().result()

    def _told(self, name: str, result: object) -> Answer:
        answer = answered(name, result)
        if answer.outcome == "crashed":
            self._note(name, f"returned {type(result).__name__}", "its end")
        return answer

    def _note(self, name: str, error: str, where: str) -> None:
        """News once. Neither message nor traceback of an error: they may quote what somebody said."""
        self._bugs.tell((name, where), "tool failed", {"tool": name, "error": error, "at": where})

    def _leave_behind(self, call: asyncio.Future[T]) -> None:
        self._strays.add(call)
        if len(self._strays) >= MAX_STRAYS:
            self._full_since = self._full_since or monotonic()
        call.add_done_callback(self._has_ended)

    def _has_ended(self, stray: asyncio.Future[T]) -> None:
        self._strays.discard(stray)
        self._full_since = None


def _understood(arguments: str, checker: Checker) -> Arguments:
    """The arguments, if the tool's schema allows them."""
    try:
        given = {name: _plain(value) for name, value in _OBJECT.decode(arguments or "{}").items()}
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise InvalidArguments(f"the arguments are not a JSON object: {error}") from error
    checker.check(given)
    return given


_OBJECT = msgspec.json.Decoder(dict[str, object])


def _plain(value: object) -> object:
    """JSON Schema takes 5.0 for an integer: so shall the tools."""
    match value:
        case float() if value.is_integer() and abs(value) < LARGEST_EXACT:
            return int(value)
        case list():
            return [_plain(each) for each in value]
        case dict():
            return {key: _plain(each) for key, each in value.items()}
    return value


def _where(error: BaseException) -> str:
    """File and line where it was raised."""
    frames = list(traceback.walk_tb(error.__traceback__))
    if not frames:
        return "unknown"
    frame, line = frames[-1]
    return f"{Path(frame.f_code.co_filename).name}:{line}"
