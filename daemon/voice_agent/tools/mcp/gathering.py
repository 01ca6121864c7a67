"""All servers together; and a look at them without a daemon."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from voice_agent.config import McpServer
from voice_agent.tools.base import Tool
from voice_agent.tools.mcp.keeper import Keeper, Put
from voice_agent.tools.mcp.settings import settings_of


class Discovery(NamedTuple):
    """What one server offers; ``reason``: why it could not be asked, to an operator."""

    tools: Sequence[Tool]
    reason: str = ""


def keepers_for(servers: Iterable[McpServer], put: Put) -> tuple[Keeper, ...]:
    """One for each server that is used."""
    return tuple(Keeper(settings_of(server), put) for server in servers if server.enabled)


@asynccontextmanager
async def connected(
    servers: Iterable[McpServer], put: Put, deadline_s: float
) -> AsyncIterator[Sequence[Keeper]]:
    """Keep the servers connected while the block lasts; it begins when each has shown what it can do.

    A server of which nothing is known after ``deadline_s`` is not waited for.
    """
    keepers = keepers_for(servers, put)
    tasks = [asyncio.create_task(keeper.run(), name=f"keeper-{keeper.name}") for keeper in keepers]
    deciding = [asyncio.create_task(keeper.decided.wait()) for keeper in keepers]
    try:
        if deciding:
            await asyncio.wait(deciding, timeout=deadline_s)
        yield keepers
    finally:
        for task in (*tasks, *deciding):
            task.cancel()
        await asyncio.gather(*tasks, *deciding, return_exceptions=True)


async def discover(servers: Iterable[McpServer], deadline_s: float) -> Mapping[str, Discovery]:
    """What each server offers now, by its name: asked once, without a daemon."""
    found: dict[str, list[Tool]] = {}

    def put(source: str, tools: Iterable[Tool]) -> None:
        found[source] = list(tools)

    async with connected(servers, put, deadline_s) as keepers:
        return {
            keeper.name: Discovery(tuple(found.get(keeper.source, ())), keeper.state().reason)
            for keeper in keepers
        }
