"""Tools that other Python packages bring: entry points of the group ``voice_agent.tools``.

An entry point names a ``Tool``, tools in a list, or a function that is given a ``Context`` and returns these.
Packages are imported in a thread, while the daemon is already at work; what does not load in time, raises, or
offers nonsense is left out, and the log says whose it is. A plug-in is code in this process, with all its
rights: what it may do is decided by who may install packages here.
"""

import asyncio
import logging
import re
import sys
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from voice_agent.dialogue import Manners
from voice_agent.errors import ToolError
from voice_agent.tools.answer import shortened
from voice_agent.tools.base import Tool, Toolbox
from voice_agent.tools.helper import beside
from voice_agent.tools.schema import schema_fault

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

log = logging.getLogger(__name__)

GROUP = "voice_agent.tools"
ALL = "*"

LOAD_S = 10.0
"""One package may take this long to be imported; slow cards and large libraries need seconds."""
LONGEST_CALL_S = 600.0
NOT_THERE = (
    "is not installed, or has no tools; pip install it beside the daemon, or delete it from tools.plugins"
)
MAX_CHARS = 200  # of what a package complains about

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Context:
    """What a plug-in may know. ``language``: of this device, ``en`` or ``ru``; ``state``: a directory, to be
    made when it is needed, for what shall outlive the process; none if there is no place.
    """

    language: str = "en"
    state: Path | None = None


class PlugIn(NamedTuple):
    """One entry point, loaded; ``fault`` says why it has no tools, and what to do."""

    name: str
    package: str
    tools: tuple[Tool, ...] = ()
    fault: str = ""

    @property
    def source(self) -> str:
        """As a toolbox knows it."""
        return f"plug-in {self.name} ({self.package})"


class Fault(NamedTuple):
    """What a package did wrong."""

    reason: str


async def furnish(box: Toolbox, allowed: Collection[str], context: Context) -> None:
    """Put the plug-ins' tools into the box as they come, and tell the log what is missing and why."""
    async for plugin in load(allowed, context):
        extra = {"plugin": plugin.name, "package": plugin.package}
        if plugin.fault:
            log.error("a plug-in is left out", extra={**extra, "reason": plugin.fault})
        else:
            box.put(plugin.source, plugin.tools, trusted=True)
            log.info("plug-in loaded", extra={**extra, "tools": len(plugin.tools)})


async def load(
    allowed: Collection[str], context: Context, *, limit_s: float = LOAD_S
) -> AsyncIterator[PlugIn]:
    """The plug-ins of the ``allowed`` packages (``*``: of all), one after another, by their names."""
    if not allowed:
        return
    points = await _attempt(_found, "plug-ins", limit_s)
    if isinstance(points, Fault):
        yield PlugIn("any", "unknown", fault=f"{points.reason}; run pip check where the daemon is installed")
        return
    wanted = {_normal(name) for name in allowed if name != ALL}
    for missing in sorted(wanted - {_package(point) for point in points}):
        yield PlugIn("any", missing, fault=NOT_THERE)
    for point in points:
        package = _package(point)
        if ALL in allowed or package in wanted:
            state = context.state and context.state / "plugins" / package
            work = partial(_tools, point, replace(context, state=state))
            yield _judged(point.name, package, await _attempt(work, f"plug-in-{point.name}", limit_s))


def _judged(name: str, package: str, tools: tuple[Tool, ...] | Fault) -> PlugIn:
    if not isinstance(tools, Fault):
        return PlugIn(name, package, tools)
    remedy = f"mend or uninstall the package {package}, or leave it out of tools.plugins"
    return PlugIn(name, package, fault=f"{tools.reason}; {remedy}")


async def _attempt(work: Callable[[], T], name: str, limit_s: float) -> T | Fault:
    """What ``work`` returns in a thread; one that takes too long is left behind."""
    try:
        ended: asyncio.Future[Future[T]] = beside(work, name)
        await asyncio.wait([ended], timeout=limit_s)
        if not ended.done():
            return Fault(f"did not load within {limit_s:g} s")
        return ended.result().result()
    except (asyncio.CancelledError, GeneratorExit):
        raise
    except ToolError as error:
        return Fault(shortened(str(error), MAX_CHARS))
    except BaseException as error:  # noqa: BLE001 — the tool boundary: whatever a package does when it is imported
        return Fault(shortened(f"{type(error).__name__}: {error}", MAX_CHARS))


def _found() -> "Sequence[EntryPoint]":
    if not any(map(_offers, sys.path)):
        return ()
    from importlib.metadata import entry_points  # 1 MB, of which the daemon has no other need

    return sorted(entry_points(group=GROUP), key=lambda point: (_package(point), point.name))


def _offers(folder: str) -> bool:
    """Whether a package in a folder of packages may have tools for us: a cheap look."""
    try:
        texts = [path.read_bytes() for path in Path(folder).glob("*-info/entry_points.txt")]
    except OSError:
        return False
    return any(GROUP.encode() in text for text in texts)


def _package(point: "EntryPoint") -> str:
    return _normal(point.dist.name) if point.dist else "unknown"


def _normal(name: str) -> str:
    """Of several spellings of a package's name, the usual one."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _tools(point: "EntryPoint", context: Context) -> tuple[Tool, ...]:
    offered: object = point.load()
    if callable(offered):
        offered = offered(context)
    if isinstance(offered, Tool):
        return (_sound(offered),)
    if not isinstance(offered, Iterable):
        raise ToolError(f"{point.value} is {type(offered).__name__}, and neither a Tool nor several")
    return tuple(_sound(each) for each in offered)


def _sound(tool: object) -> Tool:
    """The tool, if it is one through and through: a package may have been written without a type checker."""
    if not isinstance(tool, Tool):
        raise ToolError(f"offers {type(tool).__name__}, which is no Tool")
    texts: tuple[object, ...] = (tool.name, tool.description)
    manners: object = tool.manners
    if not all(isinstance(text, str) for text in texts):
        raise ToolError(f"the tool {tool.name!r} has a name or description that is no text")
    if not callable(tool.handler):
        raise ToolError(f"the handler of the tool {tool.name!r} cannot be called")
    if not isinstance(manners, Manners) or not 0 < manners.timeout_s <= LONGEST_CALL_S:
        raise ToolError(f"the tool {tool.name!r} needs a timeout_s above 0 and up to {LONGEST_CALL_S:g}")
    if fault := schema_fault(tool.parameters):
        raise ToolError(f"parameters of the tool {tool.name!r}: {fault}")
    return tool
