"""What the operator wrote about one server."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from voice_agent.config import McpServer
from voice_agent.credentials import Secret, find_named
from voice_agent.dialogue import Reply


def no_key() -> Secret | None:
    """There is none to give."""
    return None


KeySource = Callable[[], Secret | None]
"""Asked at every connection, in a thread, as tokens are renewed; a ConfigError says that there is none."""


@dataclass(frozen=True, slots=True)
class Program:
    """A server that speaks on its standard input and output. ``key_variable``: where it finds the key."""

    argv: tuple[str, ...]
    directory: str = "/"
    environment: Mapping[str, str] = field(default_factory=dict)
    key_variable: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """A server of streamable HTTP. The key goes into ``key_header``, after the word ``key_scheme``.

    ``ca_file``: the only authorities that are believed; empty: the system's.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    key_header: str = "Authorization"
    key_scheme: str = "Bearer"
    ca_file: str = ""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """One server. ``allow``: names or patterns (``*``, ``?``) of the tools wanted; empty: all.

    ``timeout_s``: for a call; ``start_timeout_s``: until it has said what it offers. ``interruptible``:
    whether a new turn gives up a call; ``None``: if the tool says of itself that it only reads.
    """

    name: str
    place: Program | Site
    key: KeySource = no_key
    allow: tuple[str, ...] = ()
    timeout_s: float = 30.0
    start_timeout_s: float = 30.0
    interruptible: bool | None = None
    reply: Reply = Reply.ALWAYS


def settings_of(wanted: McpServer) -> ServerSettings:
    """What was written in ``[[tools.mcp]]``."""
    return ServerSettings(
        wanted.name,
        _place(wanted),
        partial(find_named, wanted.key_from) if wanted.key_from else no_key,
        wanted.allow,
        wanted.timeout_s,
        wanted.start_timeout_s,
        wanted.interruptible,
        Reply(wanted.speak),
    )


def _place(wanted: McpServer) -> Program | Site:
    if wanted.url:
        return Site(wanted.url, wanted.headers, wanted.key_header, wanted.key_scheme, wanted.ca_file)
    return Program(wanted.argv, wanted.directory, wanted.environment, wanted.key_variable)
