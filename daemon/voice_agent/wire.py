"""The socket: one WebSocket connection, text frames in and out. The only importer of aiohttp's client.

Failures become the error tree's ``SessionError``s here, with the words an operator needs; nothing above
this module knows what aiohttp calls them.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

import aiohttp

from voice_agent.errors import ConnectFailed, ConnectionLost, SessionError, Unauthorized
from voice_agent.realtime.codec import MAX_FRAME_BYTES

CONNECT_TIMEOUT_S = 15.0
CLOSE_TIMEOUT_S = 1.0
"""A clean goodbye may take this long; the daemon has three seconds to stop."""

REFUSING_CLOSE_CODES = {1008, 3000, 4000, 4429}
"""Policy, key or account: closing codes after which the same request will be refused again."""

REFUSING_STATUSES = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect and how to introduce ourselves. ``headers`` hold the key and are never shown."""

    url: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    heartbeat_s: float | None = None
    max_frame_bytes: int = MAX_FRAME_BYTES


class Socket:
    """An open connection."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        self._websocket = websocket

    async def send(self, frame: bytes) -> None:
        """Send one text frame of UTF-8 JSON; waits while the transport is full."""
        try:
            await self._websocket.send_str(frame.decode())
        except (aiohttp.ClientError, ConnectionError, RuntimeError) as error:
            raise ConnectionLost(f"sending failed: {error}") from error

    async def receive(self) -> str | bytes:
        """The next frame; raises when the connection has ended."""
        message = await self._websocket.receive()
        if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            frame: str | bytes = message.data
            return frame
        raise self._ended(message)

    def _ended(self, message: aiohttp.WSMessage) -> SessionError:
        code = self._websocket.close_code
        if message.type is aiohttp.WSMsgType.ERROR:
            return ConnectionLost(f"the connection broke: {message.data!r} (close code {code})")
        reason = str(message.extra or "") if message.type is aiohttp.WSMsgType.CLOSE else ""
        text = f"the server closed the connection: code {code}{f', {reason}' if reason else ''}"
        return Unauthorized(text) if code in REFUSING_CLOSE_CODES else ConnectionLost(text)


@asynccontextmanager
async def connect(endpoint: Endpoint) -> AsyncIterator[Socket]:
    """Open a connection, TLS verified; on leaving, say goodbye and close it."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        websocket = await _upgrade(http, endpoint)
        try:
            yield Socket(websocket)
        finally:
            await websocket.close()


async def _upgrade(http: aiohttp.ClientSession, endpoint: Endpoint) -> aiohttp.ClientWebSocketResponse:
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            return await http.ws_connect(
                endpoint.url,
                headers=endpoint.headers,
                heartbeat=endpoint.heartbeat_s,
                max_msg_size=endpoint.max_frame_bytes,
                compress=0,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_S),
            )
    except TimeoutError:
        failure: SessionError = ConnectFailed(
            f"no answer within {CONNECT_TIMEOUT_S:g} s from {_where(endpoint)}"
        )
    except aiohttp.WSServerHandshakeError as error:
        failure = _refused(error.status, endpoint)
    except (aiohttp.ClientError, OSError) as error:
        failure = ConnectFailed(f"cannot connect to {_where(endpoint)}: {error}")
    raise failure  # here and not above: aiohttp's errors hold the request's headers, and so the key


def _refused(status: int, endpoint: Endpoint) -> SessionError:
    text = f"{_where(endpoint)} answered HTTP {status} instead of opening a session"
    if status in REFUSING_STATUSES:
        return Unauthorized(f"{text}: check the key, its role and the model's name")
    return ConnectFailed(text)


def _where(endpoint: Endpoint) -> str:
    return endpoint.url.partition("?")[0]
