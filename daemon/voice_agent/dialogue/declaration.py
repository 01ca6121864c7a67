"""Which tools the server has been told of, and what to do about those that it refuses.

A server judges the whole of a ``session.update``: one tool with a schema that it does not like (a plug-in's,
or one of a tool server) would keep the device out of every session. A device without a tool is worth more
than a deaf one, so what is refused is left out, and the rest is declared again.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from msgspec import Raw

from voice_agent.realtime.events import ErrorDetail, SessionUpdate, ToolSpec, known
from voice_agent.realtime.providers import TOOLS_ID, Provider, SessionSettings, session_update, tools_update

INTRODUCTION_ID = "session_update"

MAX_TRIES = 8
"""Refusals that are met by leaving out one tool; then all are left out: a handshake has little time."""

_PLACE = re.compile(r"tools\[(\d{1,4})\]")
"""How servers say which: ``session.tools[3].parameters``."""


class Instead(NamedTuple):
    """Tools, by name, were left out; ``event`` declares the rest."""

    names: tuple[str, ...]
    event: SessionUpdate


class Declaration:
    """What one connection's server knows of our tools."""

    def __init__(self, provider: Provider, settings: SessionSettings) -> None:
        self._provider = provider
        self._refused: set[bytes] = set()
        self._tries = 0
        self._told: tuple[ToolSpec | Raw, ...] = ()
        self.introduce(settings)

    def introduce(self, settings: SessionSettings) -> SessionUpdate:
        """The first ``session.update``."""
        return self._without_refused(session_update(self._provider, settings), INTRODUCTION_ID)

    def change(self, settings: SessionSettings) -> SessionUpdate | None:
        """What tells the server that the tools have changed, if they have since it was told."""
        before = self._told
        update = self._without_refused(tools_update(self._provider, settings), TOOLS_ID)
        return None if self._told == before else update

    def refused(self, error: ErrorDetail, settings: SessionSettings, *, confirmed: bool) -> Instead | None:
        """What to declare instead, if the error is about our tools. ``confirmed``: the session is.

        An introduction that is refused without a readable reason is tried once without any tools.
        """
        if not self._told or not _concerns_tools(error):
            return None
        culprits = self._culprits(error)
        if not culprits and confirmed:
            return None  # the server keeps what it was told before
        self._tries += 1
        left_out = culprits if culprits and self._tries <= MAX_TRIES else self._told
        self._refused |= {_key(tool) for tool in left_out}
        names = tuple(_name(tool) for tool in left_out)
        event = self.change(settings) if confirmed else self.introduce(settings)
        return None if event is None else Instead(names, event)

    def _culprits(self, error: ErrorDetail) -> Sequence[ToolSpec | Raw]:
        told = self._told
        text = f"{error.param or ''} {error.message or ''}"
        if (place := _PLACE.search(text)) and int(place[1]) < len(told):
            return [told[int(place[1])]]
        words = set(re.findall(r"[\w-]+", text))
        named = [tool for tool in told if _name(tool) in words]
        return named if len(named) == 1 else ()

    def _without_refused(self, update: SessionUpdate, event_id: str) -> SessionUpdate:
        offered = update.session.tools or []
        tools = [tool for tool in offered if _key(tool) not in self._refused]
        self._told = tuple(tools)
        return SessionUpdate(event_id=event_id, session=msgspec.structs.replace(update.session, tools=tools))


def _concerns_tools(error: ErrorDetail) -> bool:
    """Some servers name the event, some the parameter, some both."""
    if error.param:
        return "tools" in error.param
    if error.event_id is None:
        return _PLACE.search(error.message or "") is not None
    return error.event_id in (INTRODUCTION_ID, TOOLS_ID)


def _key(tool: ToolSpec | Raw) -> bytes:
    return msgspec.json.encode(tool)


def _name(tool: ToolSpec | Raw) -> str:
    return known(tool.name) or tool.type if isinstance(tool, ToolSpec) else "tools.provider"
