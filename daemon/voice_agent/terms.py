"""What each connection is made of, by the configuration: server, key, settings of the session, tools."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import TypeVar

from voice_agent.assembly import endpoint_for, passed_tools_for, provider_for, settings_for
from voice_agent.config import Config
from voice_agent.credentials import Secret
from voice_agent.dialogue import Dialogue, Fact, Memory
from voice_agent.errors import Cause, ConfigError, Unauthorized
from voice_agent.heartbeat import Heartbeat
from voice_agent.realtime.providers import Provider, SessionSettings, probe
from voice_agent.seams import AudioPorts, Connection
from voice_agent.session import Session
from voice_agent.tools.base import Toolbox
from voice_agent.tools.helper import beside
from voice_agent.trust import trusting
from voice_agent.wire import connect

READING_S = 5.0
"""A disk that does not give a small file away in this time is broken."""

T = TypeVar("T")

KeySource = Callable[[], Secret | None]
"""Asked at every connection, as tokens are renewed on disk; a ConfigError says that there is none."""


class Terms:
    """Makes connections and their sessions. Everything is looked up anew for each of them."""

    def __init__(self, config: Config, key: KeySource, tools: Toolbox, memory: Memory) -> None:
        self._key = key
        self._tools = tools
        self._memory = memory
        self._used: Secret | None = None
        self._set(config)

    def _set(self, config: Config) -> None:
        self._config = config
        self.provider: Provider = provider_for(config)
        self.settings: SessionSettings = settings_for(config, ())

    def take(self, config: Config, key: Secret | None) -> bool:
        """Use these from now on; whether a session that was opened before is not what they ask for."""
        before, used = self._config, self._used
        self._set(config)
        if before.provider != config.provider:
            self._memory.history = None  # what one server refused, another may understand
        is_other_key = used is not None and key is not None and used.reveal() != key.reveal()
        return is_other_key or _asked(before) != _asked(config)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        """A connection to the server, until the block is left."""
        config = None
        while config is not self._config:  # or else a reload came in between, and may name another server
            config = self._config
            self._used = await _read(self._key, "the key", Cause.KEY)
        try:
            endpoint = endpoint_for(config, self._used)
        except ConfigError as error:
            raise Unauthorized(str(error), cause=Cause.KEY) from error
        async with connect(replace(endpoint, tls=await _trust(config.provider.ca_file))) as socket:
            yield socket

    def session(
        self,
        connection: Connection,
        ports: AudioPorts,
        observe: Callable[[Fact], None],
        errands: asyncio.TaskGroup,
    ) -> Session:
        """The session that is held over a connection."""
        return Session(
            connection,
            self._dialogue(),
            ports,
            self._tools,
            observe,
            Heartbeat(now=monotonic()),
            probe=probe(self.provider, self.settings),
            errands=errands,
        )

    def _dialogue(self) -> Dialogue:
        """Each connection is told of the tools that there are by then."""
        passed = passed_tools_for(self._config)
        settings = replace(self.settings, tools=self._tools.specs(), passed=passed)
        return Dialogue(self.provider, settings, memory=self._memory, manners=self._tools.manners)


async def _trust(ca_file: str) -> ssl.SSLContext | None:
    """Whose certificates are believed; read anew, as authorities are renewed, too."""
    if not ca_file:
        return None
    return await _read(partial(trusting, ca_file), f"provider.ca_file: {ca_file}", Cause.SETTINGS)


async def _read(work: Callable[[], T], what: str, cause: Cause) -> T:
    """What ``work`` reads from a disk, beside the loop; a ConfigError is the cause of a refusal."""
    reading = beside(work, "reading")
    await asyncio.wait([reading], timeout=READING_S)
    if not reading.done():
        raise Unauthorized(f"{what}: cannot be read within {READING_S:g} s", cause=cause)
    try:
        return reading.result().result()
    except ConfigError as error:
        raise Unauthorized(str(error), cause=cause) from error


def _asked(config: Config) -> tuple[object, ...]:
    """What a server is told when a session begins, and cannot be told later. Tools of ours can."""
    tools = config.tools
    return config.provider, config.session, tools.provider, tools.web_search, tools.file_search
