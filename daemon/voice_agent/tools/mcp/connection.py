"""What the keeper of a server needs of the SDK: one function, loaded in a thread when there is a server."""

import gc
import ssl
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from importlib.util import find_spec

from voice_agent.credentials import Secret
from voice_agent.extras import remedy
from voice_agent.tools.base import Arguments
from voice_agent.tools.helper import beside
from voice_agent.tools.mcp.child import Child
from voice_agent.tools.mcp.offers import Offer
from voice_agent.tools.mcp.settings import ServerSettings, Site
from voice_agent.trust import trusting

Call = Callable[[str, Arguments], Coroutine[None, None, Mapping[str, object]]]
"""Runs a tool over this connection, by the server's own name for it."""

Found = Callable[[Sequence[Offer], Call], None]
"""Told what the server offers, at first and after each change."""

Hold = Callable[[ServerSettings, Child | None, Secret | None, Found], Coroutine[None, None, None]]
"""Connects, and stays until the connection is lost: ends by an exception, which may be a group."""

REMEDY = remedy("mcp")


def missing() -> str:
    """What is to be installed before any server can be used; empty: nothing."""
    return "" if find_spec("mcp") else f"MCP servers need a package that is not installed: {REMEDY}"


async def loaded(place: object) -> Hold:
    """The function, which takes a second to load. Raises ImportError if ``missing()``, ConfigError
    if its authorities cannot be read.
    """
    return (await beside(partial(_load, place), "mcp-import")).result()


def _load(place: object) -> Hold:
    from voice_agent.tools.mcp import session

    gc.freeze()  # as at the start: what is loaded stays, and a collection need not look at it
    session.hush()
    return partial(session.hold, _trust(place))


def _trust(place: object) -> ssl.SSLContext | None:
    """Takes 50 ms and some memory, hence for sites only."""
    if not isinstance(place, Site):
        return None
    return trusting(place.ca_file, "ca_file") or ssl.create_default_context()
