"""The server's end of a socket, which can also do what only a bad network does: half a frame, byte by byte.

Bytes below aiohttp's frames go straight to the transport, a whole frame or its beginning at a time; the
lock keeps everything else off the wire meanwhile.
"""

import asyncio
from contextlib import suppress
from struct import pack

from aiohttp import web

DRIPS_A_SECOND = 20
TEXT_FRAME = 0x81
"""RFC 6455, 5.2: FIN and opcode 1. A server does not mask."""


class Line:
    """One client's socket. ``request``: the upgrade that it came from."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        self._socket = socket
        self._request = request
        self._lock = asyncio.Lock()
        self._bytes_a_second = 0
        self._drips_until = 0.0

    @property
    def closed(self) -> bool:
        """Whether nothing more can be sent."""
        return self._socket.closed or self._request.transport is None

    async def send(self, text: str) -> None:
        """One text frame."""
        async with self._lock:
            if asyncio.get_running_loop().time() < self._drips_until:
                await self._drip(_frame(text))
            else:
                await self._socket.send_str(text)

    async def pong(self, payload: bytes) -> None:
        """Answer a ping."""
        with suppress(ConnectionResetError):
            async with self._lock:
                await self._socket.pong(payload)

    async def close(self, code: int, reason: str) -> None:
        """Say goodbye."""
        await self._socket.close(code=code, message=reason.encode())

    def drip(self, bytes_a_second: int, seconds: float) -> None:
        """From now on frames leave at this pace."""
        self._bytes_a_second = bytes_a_second
        self._drips_until = asyncio.get_running_loop().time() + seconds

    def cut(self, text: str) -> None:
        """Send the first half of a frame and end the line (FIN)."""
        frame = _frame(text)
        if (transport := self._request.transport) is not None:
            transport.write(frame[: len(frame) // 2])
            transport.close()

    def abort(self) -> None:
        """Cut the line, as a network does (RST)."""
        if (transport := self._request.transport) is not None:
            transport.abort()

    async def _drip(self, frame: bytes) -> None:
        step = max(1, self._bytes_a_second // DRIPS_A_SECOND)
        for at in range(0, len(frame), step):
            transport = self._request.transport
            if transport is None or transport.is_closing():
                raise ConnectionResetError
            transport.write(frame[at : at + step])
            await asyncio.sleep(step / self._bytes_a_second)


def _frame(text: str) -> bytes:
    """A whole unmasked text frame."""
    payload = text.encode()
    size = len(payload)
    if size < 126:
        head = pack("!BB", TEXT_FRAME, size)
    elif size < 1 << 16:
        head = pack("!BBH", TEXT_FRAME, 126, size)
    else:
        head = pack("!BBQ", TEXT_FRAME, 127, size)
    return head + payload
