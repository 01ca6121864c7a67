"""A WebSocket server without manners: an upgrade by hand, and then whatever bytes a test wants to send."""

import asyncio
import base64
import hashlib
import ssl
import struct
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455, 1.3."""

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

Serve = Callable[[StreamReader, StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_server(serve: Serve, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Listens on a free port; its URL. ``serve`` gets each connection before anything is read from it."""
    served: list[asyncio.Task[None]] = []

    async def accept(reader: StreamReader, writer: StreamWriter) -> None:
        if task := asyncio.current_task():
            served.append(task)
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return  # the client has gone, or the test is over
        finally:
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    try:
        port = server.sockets[0].getsockname()[1]
        yield f"{'wss' if tls else 'ws'}://127.0.0.1:{port}/v1/realtime"
    finally:
        server.close()
        for task in served:
            task.cancel()
        await asyncio.gather(*served, return_exceptions=True)


def answering(head: str) -> Serve:
    """Answers the upgrade with these header lines."""

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head.replace("\n", "\r\n").encode() + b"\r\nContent-Length: 0\r\n\r\n")

    return serve


def speaking(*frames: bytes) -> Serve:
    """Upgrades, sends these bytes and waits for the goodbye."""

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        await upgrade(reader, writer)
        writer.write(b"".join(frames))
        await goodbye(reader, writer)

    return serve


async def upgrade(reader: StreamReader, writer: StreamWriter) -> None:
    """Become a WebSocket."""
    request = await reader.readuntil(b"\r\n\r\n")
    [key] = [line[19:] for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key: ")]
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    writer.write(head + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")


async def goodbye(reader: StreamReader, writer: StreamWriter) -> None:
    """Read on until the client closes, and close as well."""
    while (await read_frame(reader))[0] != CLOSE:
        pass
    writer.write(closing(1000))
    await writer.drain()


def frame(opcode: int, payload: bytes = b"", *, last: bool = True) -> bytes:
    """One frame from a server: never masked. Up to 64 KiB."""
    head = (last << 7) | opcode
    if len(payload) < 126:
        return struct.pack(">BB", head, len(payload)) + payload
    return struct.pack(">BBH", head, 126, len(payload)) + payload


def closing(code: int, reason: str = "") -> bytes:
    """A closing frame."""
    return frame(CLOSE, struct.pack(">H", code) + reason.encode())


async def read_frame(reader: StreamReader) -> tuple[int, bytes]:
    """A client's next frame: its opcode and payload."""
    head, length = await reader.readexactly(2)
    length &= 0x7F
    if length == 126:
        [length] = struct.unpack(">H", await reader.readexactly(2))
    elif length == 127:
        [length] = struct.unpack(">Q", await reader.readexactly(8))
    mask = await reader.readexactly(4)
    masked = await reader.readexactly(length)
    whole = int.from_bytes(masked) ^ int.from_bytes((mask * (length // 4 + 1))[:length])
    return head & 0x0F, whole.to_bytes(length)
