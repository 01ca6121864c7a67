"""One WebSocket connection: opened, tuned, used, closed.

The kernel watches the path: whatever we send (sound, pings, or its own keep-alive segments) must be
acknowledged within ``USER_TIMEOUT_MS``, or it breaks the connection. Pings are answered here, not by
aiohttp: on a stalled line its answer would hold up the reader.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import aiohttp
from aiohttp.abc import AbstractResolver

from voice_agent.errors import SessionError
from voice_agent.realtime.codec import MAX_FRAME_BYTES
from voice_agent.wire import failures
from voice_agent.wire.resolver import SYSTEM
from voice_agent.wire.witness import Witness

UPGRADE_TIMEOUT_S = 15.0
"""From the name look-up to the open WebSocket."""

CONNECT_TIMEOUT_S = 5.0
"""TCP and TLS together (aiohttp has one limit for both): lost SYNs are repeated after 1 and 3 s."""

CLOSE_TIMEOUT_S = 0.5
"""A clean goodbye takes a round trip; a dead line must not hold up its successor."""

LAST_WORD_S = 0.5
"""Writing fails before the server's closing frame is read, which says why: wait for it this long."""

USER_TIMEOUT_MS = 10_000
KEEP_ALIVE_IDLE_S, KEEP_ALIVE_EVERY_S = 4, 2
"""An idle connection is asked after 4 s and every 2 s; the time-out above decides, not a count (tcp(7))."""

UNSENT_BYTES = 32 * 1024
"""Half a second of sound. On a slow line the rest waits on our side, where it can be counted and dropped."""

_OPTIONS = (
    (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
    (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", USER_TIMEOUT_MS),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", KEEP_ALIVE_IDLE_S),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", KEEP_ALIVE_EVERY_S),
    (socket.IPPROTO_TCP, "TCP_NOTSENT_LOWAT", UNSENT_BYTES),
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
)

_BROKEN = (aiohttp.ClientError, ConnectionError, RuntimeError)
"""What a write into an ended connection raises, depending on who noticed it first."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect and how to introduce ourselves. ``headers`` hold the key and are never shown.

    ``tls``: whom to trust; None for the system's authorities.
    """

    url: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    max_frame_bytes: int = MAX_FRAME_BYTES
    tls: ssl.SSLContext | None = None

    @property
    def where(self) -> str:
        """The address for people: without the query."""
        return self.url.partition("?")[0]


class Socket:
    """An open connection. ``on_pong`` is told the payload of each pong."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse, witness: Witness) -> None:
        self.on_pong: Callable[[bytes], None] = _ignore
        self._websocket = websocket
        self._witness = witness
        self._owed: bytes | None = None
        self._end: SessionError | None = None
        self._ended = asyncio.Event()

    async def send(self, frame: bytes) -> None:
        """Send one text frame of UTF-8 JSON; waits while the transport is full."""
        try:
            await self._pay_owed()
            await self._websocket.send_str(frame.decode())
        except _BROKEN as error:
            raise await self._reason(error) from error

    async def ping(self, payload: bytes) -> bool:
        """Send a ping (at most 125 bytes) unless the line is congested; whether it went out. Never waits.

        A congested line needs no ping: what is already under way tells the kernel whether the path lives.
        """
        if self._witness.is_congested:
            return False
        try:
            await self._pay_owed()
            await self._websocket.ping(payload)
        except _BROKEN as error:
            raise await self._reason(error) from error
        return True

    async def receive(self) -> str | bytes:
        """The next text or binary frame; raises when the connection has ended."""
        while True:
            message = await self._websocket.receive()
            match message.type:
                case aiohttp.WSMsgType.TEXT | aiohttp.WSMsgType.BINARY:
                    frame: str | bytes = message.data
                    return frame
                case aiohttp.WSMsgType.PING:
                    self._owed = bytes(message.data)
                    with suppress(*_BROKEN):  # the next frame tells how the connection ended
                        await self._pay_owed()
                case aiohttp.WSMsgType.PONG:
                    self.on_pong(bytes(message.data))
                case _:
                    raise self._over(message)

    async def _pay_owed(self) -> None:
        """Answer the latest ping (RFC 6455, 5.5.3); on a congested line later, before the next frame."""
        if self._owed is not None and not self._witness.is_congested:
            owed, self._owed = self._owed, None
            await self._websocket.pong(owed)

    def _over(self, message: aiohttp.WSMessage) -> SessionError:
        if self._end is None:
            match message.type, message.data:
                case aiohttp.WSMsgType.CLOSE, int(code):
                    self._end = failures.at_close(code, str(message.extra or ""))
                case aiohttp.WSMsgType.ERROR, Exception() as nonsense:
                    self._end = failures.at_nonsense(nonsense)
                case _:
                    self._end = failures.at_break(self._witness.error)
        self._ended.set()
        return self._end

    async def _reason(self, error: Exception) -> SessionError:
        """Why writing failed: the reader knows better, if it is given a moment."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORD_S):
                await self._ended.wait()
        return self._end or failures.at_break(self._witness.error or error)


@asynccontextmanager
async def connect(endpoint: Endpoint, *, resolver: AbstractResolver = SYSTEM) -> AsyncIterator[Socket]:
    """Open a connection, TLS verified; on leaving, say goodbye and close it."""
    witness = Witness(endpoint.where)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
        trace_configs=[witness.trace()],
    ) as http:
        websocket = await _upgrade(http, endpoint)
        try:
            _tune(websocket)
            yield Socket(websocket, witness)
        finally:
            await _say_goodbye(websocket, witness)


async def _upgrade(http: aiohttp.ClientSession, endpoint: Endpoint) -> aiohttp.ClientWebSocketResponse:
    try:
        async with asyncio.timeout(UPGRADE_TIMEOUT_S):
            return await http.ws_connect(
                endpoint.url,
                headers=endpoint.headers,
                heartbeat=None,
                autoping=False,
                max_msg_size=endpoint.max_frame_bytes,
                compress=0,
                ssl=endpoint.tls or True,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_S),
            )
    except (aiohttp.ClientError, OSError) as error:
        plain = isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ClientError)
        where = endpoint.where
        failure = failures.too_slow(UPGRADE_TIMEOUT_S, where) if plain else failures.at_upgrade(error, where)
    raise failure  # here and not above: aiohttp's errors hold the request's headers, and so the key


def _tune(websocket: aiohttp.ClientWebSocketResponse) -> None:
    sock = websocket.get_extra_info("socket")
    for level, name, value in _OPTIONS:
        option = getattr(socket, name, None)
        if option is not None and sock is not None:
            with suppress(OSError):  # not every platform has every option
                sock.setsockopt(level, option, value)


async def _say_goodbye(websocket: aiohttp.ClientWebSocketResponse, witness: Witness) -> None:
    """Bounded: on a stalled line even the closing frame waits for room."""
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await websocket.close()
    finally:
        witness.abort()


def _ignore(_payload: bytes) -> None:
    """Nobody wants to know."""
