"""One connection to a server, in the hands of the SDK: from the handshake to the loss.

Both generations of the protocol are spoken: with the older one the server notifies us of a changed list and
answers pings; since 2026-07-28 we listen for the former, and ask who it is instead of the latter.

What the SDK would do for us and does not, because it would run the server's own regular expressions on our
event loop: check results against the schema that the server gave for them.
"""

import logging
import ssl
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

import anyio
import mcp_types as types
from mcp import Client, ClientSession, MCPError
from mcp.client._transport import TransportStreams
from mcp.client.session import IncomingMessage
from mcp.client.subscriptions import SubscriptionLost
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from voice_agent import __version__
from voice_agent.credentials import Secret
from voice_agent.errors import ToolError, ToolTimeout
from voice_agent.tools.answer import shortened
from voice_agent.tools.base import Arguments
from voice_agent.tools.mcp.child import Child
from voice_agent.tools.mcp.connection import Found
from voice_agent.tools.mcp.limits import Lost
from voice_agent.tools.mcp.offers import Offer
from voice_agent.tools.mcp.pipes import pipes
from voice_agent.tools.mcp.results import MAX_REASON_CHARS, answer_of
from voice_agent.tools.mcp.settings import ServerSettings, Site
from voice_agent.tools.mcp.site import site

log = logging.getLogger(__name__)

LOOK_S = 30.0
"""From one sign of life to the next."""

LOOKS = 10
"""Then the list is read again in any case: not every server tells, and not every message arrives."""

CALM_S = 0.3
"""A server that changes five tools says so five times."""

LISTEN_AGAIN_S = 30.0
"""After a stream of changes has ended; the list is read again, as nothing is repeated."""

MAX_PAGES = 20


Transport = AbstractAsyncContextManager[TransportStreams]

CHATTY = ("mcp", "client", "httpx2", "httpcore2")
"""Loggers of the SDK: they repeat whole messages, which are private."""


def hush() -> None:
    """Keep the SDK's own lines out of the log."""
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.CRITICAL)


async def hold(
    tls: ssl.SSLContext | None,
    settings: ServerSettings,
    child: Child | None,
    key: Secret | None,
    found: Found,
) -> None:
    """Connect to ``child`` or to the site, tell ``found`` what is offered, now and after each change.

    Ends by an exception when the connection is lost, mostly by a group of them with a ``Lost`` inside.
    """
    await _Connection(settings).live(_transport(tls, settings, child, key), found)


def _transport(
    tls: ssl.SSLContext | None, settings: ServerSettings, child: Child | None, key: Secret | None
) -> Transport:
    if isinstance(settings.place, Site):
        return site(tls, settings.place, key, settings.timeout_s)
    if child is None:
        raise Lost("its program does not run")
    return pipes(child)


class _Connection:
    """What is known of one connection while it lasts."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._changed = anyio.Event()
        self._doubt = anyio.Event()

    async def live(self, transport: Transport, found: Found) -> None:
        client = Client(
            transport,
            cache=None,
            client_info=types.Implementation(name="voice-agent", version=__version__),
            message_handler=self._take,
            read_timeout_seconds=self._settings.start_timeout_s,
        )
        async with client, anyio.create_task_group() as group:
            if _tells_changes(client) and _is_modern(client):
                group.start_soon(self._listen, client)
            while True:
                self._changed = anyio.Event()
                found(await _offers(client), _Calls(client.session, self._settings, self._doubt_it).call)
                await self._until_changed(client)

    async def _take(self, message: IncomingMessage) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            self._changed.set()

    def _doubt_it(self) -> None:
        self._doubt.set()

    async def _until_changed(self, client: Client) -> None:
        """Wait for a change, and see every now and then whether there is still somebody."""
        for _ in range(LOOKS):
            with anyio.move_on_after(LOOK_S):
                await _either(self._changed, self._doubt)
            if self._changed.is_set():
                break
            self._doubt = anyio.Event()
            await _look(client)
        await anyio.sleep(CALM_S)

    async def _listen(self, client: Client) -> None:
        """The newer protocol's way to hear of changes."""
        while True:
            try:
                async with client.listen(tools_list_changed=True) as changes:
                    async for _ in changes:
                        self._changed.set()
            except SubscriptionLost:
                pass
            except (MCPError, TimeoutError):
                return  # it says that it tells changes, and does not
            await anyio.sleep(LISTEN_AGAIN_S)
            self._changed.set()


async def _either(one: anyio.Event, other: anyio.Event) -> None:
    async with anyio.create_task_group() as group:

        async def wait(event: anyio.Event) -> None:
            await event.wait()
            group.cancel_scope.cancel()

        group.start_soon(wait, one)
        group.start_soon(wait, other)


def _is_modern(client: Client) -> bool:
    return client.protocol_version in MODERN_PROTOCOL_VERSIONS


def _tells_changes(client: Client) -> bool:
    tools = client.server_capabilities.tools
    return tools is not None and bool(tools.list_changed)


async def _look(client: Client) -> None:
    """Raises ``Lost`` if nobody answers."""
    try:
        if _is_modern(client):
            await client.session.send_discover(client.protocol_version)
        else:
            await client.session.send_ping()
    except MCPError as error:
        raise Lost(f"it gives no sign of life: {error}") from error


async def _offers(client: Client) -> list[Offer]:
    """All pages of the list, up to a limit that no honest server reaches."""
    found: list[Offer] = []
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        try:
            page = await client.list_tools(cursor=cursor)
        except ValidationError as error:  # the SDK takes all of a list or nothing
            raise Lost(f"its list of tools is no MCP, at {_first_fault(error)}") from None
        found += map(_offer, page.tools)
        cursor = page.next_cursor
        if cursor is None:
            break
    return found


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"


def _offer(tool: types.Tool) -> Offer:
    reads = tool.annotations is not None and bool(tool.annotations.read_only_hint)
    return Offer(tool.name, tool.description or tool.title or "", tool.input_schema, reads)


class _Calls:
    """Runs tools over one connection."""

    def __init__(self, session: ClientSession, settings: ServerSettings, doubt: Callable[[], None]) -> None:
        self._session = session
        self._settings = settings
        self._doubt = doubt

    async def call(self, tool: str, arguments: Arguments) -> Mapping[str, object]:
        """The tool's answer. The server is told when the call is given up, by time or by us."""
        name = self._settings.name
        try:
            result = await self._session.send_request(
                types.CallToolRequest(
                    params=types.CallToolRequestParams(name=tool, arguments=dict(arguments))
                ),
                types.CallToolResult,
                request_read_timeout_seconds=self._settings.timeout_s,
            )
        except MCPError as error:
            raise self._explained(error) from error
        except ValidationError as error:
            raise ToolError(f"the answer of the tool server {name} made no sense") from error
        content = [
            block.model_dump(mode="json", include={"type", "text", "resource"}) for block in result.content
        ]
        structured = result.structured_content if isinstance(result.structured_content, dict) else None
        return answer_of(content, structured, failed=bool(result.is_error))

    def _explained(self, error: MCPError) -> ToolError:
        name = self._settings.name
        match error.code:
            case types.REQUEST_TIMEOUT:
                return ToolTimeout(
                    f"the tool server {name} gave no answer within {self._settings.timeout_s:g} s"
                )
            case types.CONNECTION_CLOSED:
                return ToolError(f"the connection to the tool server {name} was lost during the call")
        self._doubt()  # a session that the server has forgotten looks like this
        return ToolError(f"the tool server {name} refused: {shortened(error.message, MAX_REASON_CHARS)}")
