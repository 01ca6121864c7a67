"""What a server says about its tools, as tools of ours: bounded, and under names that providers take."""

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple
from zlib import crc32

import msgspec

from voice_agent.dialogue import Manners
from voice_agent.tools.answer import shortened
from voice_agent.tools.base import Handler, Tool
from voice_agent.tools.mcp.settings import ServerSettings

log = logging.getLogger(__name__)

MAX_TOOLS = 100
"""Of one server. Providers take 128 in all, and a model is confused by far fewer."""

MAX_NAME_CHARS = 64
MAX_DESCRIPTION_CHARS = 1000
MAX_SCHEMA_BYTES = 16_384
MAX_SCHEMA_DEPTH = 24

SPARE_S = 2.0
"""Beyond the limit of a call, so that the server is told that it ran out of time."""


class Offer(NamedTuple):
    """One tool in the server's words. ``reads``: it says that it changes nothing."""

    name: str
    description: str
    schema: Mapping[str, object]
    reads: bool = False


HandlerOf = Callable[[str], Handler]
"""What runs the tool of this name, which is the server's own."""


def tools_of(settings: ServerSettings, offers: Iterable[Offer], handler: HandlerOf) -> list[Tool]:
    """The tools that the operator wants, as far as they are fit to be declared."""
    fit = [offer for offer in _wanted(settings, offers) if not _told(settings.name, offer)]
    names = names_for(settings.name, (offer.name for offer in fit))
    return [_tool(settings, offer, names[offer.name], handler(offer.name)) for offer in fit]


def _wanted(settings: ServerSettings, offers: Iterable[Offer]) -> list[Offer]:
    """Each once; of too many the first."""
    found = {offer.name: offer for offer in offers if _allowed(offer.name, settings.allow)}
    if len(found) > MAX_TOOLS:
        log.warning(
            "too many tools: name those that are wanted in `allow`",
            extra={"server": settings.name, "offered": len(found), "used": MAX_TOOLS},
        )
    return list(found.values())[:MAX_TOOLS]


def _allowed(name: str, allow: tuple[str, ...]) -> bool:
    return not allow or any(fnmatchcase(name, pattern) for pattern in allow)


def _told(server: str, offer: Offer) -> bool:
    """Whether the tool is not fit to be declared, which the log is told."""
    if fault := _fault(offer.schema):
        log.warning("a tool is left out", extra={"server": server, "tool": offer.name[:80], "reason": fault})
    return bool(fault)


def _fault(schema: Mapping[str, object]) -> str:
    try:
        size = len(msgspec.json.encode(schema))
    except (TypeError, ValueError, RecursionError):
        return "its schema is no JSON"
    if size > MAX_SCHEMA_BYTES:
        return f"its schema has {size} bytes, and {MAX_SCHEMA_BYTES} is the limit"
    if _depth(schema, MAX_SCHEMA_DEPTH) < 0:
        return f"its schema is more than {MAX_SCHEMA_DEPTH} levels deep"
    return ""


def _depth(value: object, left: int) -> int:
    """How many levels are left below the deepest one; negative: it is too deep."""
    if left < 0 or not isinstance(value, dict | list):
        return left
    below = value.values() if isinstance(value, dict) else value
    return min((_depth(each, left - 1) for each in below), default=left)


def _tool(settings: ServerSettings, offer: Offer, name: str, handler: Handler) -> Tool:
    interruptible = offer.reads if settings.interruptible is None else settings.interruptible
    manners = Manners(reply=settings.reply, cancellable=interruptible, timeout_s=settings.timeout_s + SPARE_S)
    schema = {**offer.schema, "type": "object"}
    description = shortened(offer.description.strip(), MAX_DESCRIPTION_CHARS) or offer.name
    return Tool(name, description, schema, handler, manners)


# ----------------------------------------------------------------------------------------------- names


def names_for(server: str, tools: Iterable[str]) -> dict[str, str]:
    """A declared name for each tool: ``server_tool``, in the characters and the length that providers take.

    A name depends on the set of tools alone, never on their order: the model has met it before.
    """
    given = list(dict.fromkeys(tools))
    plain = {tool: re.sub(r"[^A-Za-z0-9_-]", "_", f"{server}_{tool}") for tool in given}
    alike = list(plain.values())
    return {
        tool: name if _keeps(server, tool, name, alike) else _marked(name, tool)
        for tool, name in plain.items()
    }


def _keeps(server: str, tool: str, name: str, alike: list[str]) -> bool:
    exact = name == f"{server}_{tool}"
    return len(name) <= MAX_NAME_CHARS and (exact or alike.count(name) == 1)


def _marked(name: str, tool: str) -> str:
    mark = f"_{crc32(tool.encode(errors='replace')):08x}"
    return name[: MAX_NAME_CHARS - len(mark)] + mark
