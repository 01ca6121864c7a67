"""Metrics and health over HTTP, from the daemon's own event loop and on this machine only.

    GET /metrics    what ``render`` makes of the header ``Accept``
    GET /healthz    200 while the event loop turns

As small as it can be: one request a connection, no names looked up. A client that is slow, silent, hostile or
many must not hurt the conversation, so all that it can have is bounded: connections at a time, accepted a
second, bytes of a request, seconds until it is done. Whoever waits for more waits in the kernel.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from http import HTTPStatus
from ipaddress import ip_address
from typing import NamedTuple, NoReturn

from voice_agent.errors import VoiceAgentError

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 8
MAX_REQUEST_BYTES = 8192
REQUEST_S = 3.0  # from accepting a connection to its last byte
PACE_S = 0.1  # between two connections: ten scrapes a second take 5 % of a core

Render = Callable[[str], tuple[str, bytes]]
"""From the header ``Accept`` to content type and body."""


class CannotListen(VoiceAgentError):
    """The address is taken, or not ours."""


class Request(NamedTuple):
    """What is of interest in a request."""

    method: str
    path: str
    accept: str


class HttpServer:
    """Serves until cancelled; ``run`` raises ``CannotListen`` if it cannot begin."""

    def __init__(self, host: str, port: int, render: Render) -> None:
        self._host = host
        self._port = port
        self._render = render
        self._free = asyncio.Semaphore(MAX_CONNECTIONS)
        self.address: tuple[str, int] | None = None
        """Host and port while it listens; of port 0 the kernel makes a free one."""

    async def run(self) -> NoReturn:
        """Accept connections, for ever."""
        loop = asyncio.get_running_loop()
        with self._listen() as listener:
            host, port = listener.getsockname()[:2]
            self.address = host, port
            log.info("metrics are served", extra={"host": host, "port": port})
            async with asyncio.TaskGroup() as group:
                while True:
                    await self._free.acquire()
                    connection, _ = await loop.sock_accept(listener)
                    serving = group.create_task(self._serve(connection), name="http-client")
                    serving.add_done_callback(lambda _: self._free.release())
                    await asyncio.sleep(PACE_S)

    def _listen(self) -> socket.socket:
        family = socket.AF_INET6 if ip_address(self._host).version == 6 else socket.AF_INET
        try:
            listener = socket.create_server((self._host, self._port), family=family, backlog=MAX_CONNECTIONS)
        except OSError as error:
            where = f"{self._host}:{self._port}"
            raise CannotListen(f"cannot serve metrics on {where}: {error.strerror}") from error
        listener.setblocking(False)
        return listener

    async def _serve(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection, limit=MAX_REQUEST_BYTES)
        try:
            async with asyncio.timeout(REQUEST_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(_parsed(head)))
                writer.close()
                await writer.wait_closed()  # until the last byte has gone
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            log.debug("an HTTP client was left", extra={"reason": repr(error)})
        finally:
            writer.transport.abort()

    def _answer(self, request: Request | None) -> bytes:
        if request is None:
            return _response(HTTPStatus.BAD_REQUEST)
        if request.method not in ("GET", "HEAD"):
            return _response(HTTPStatus.METHOD_NOT_ALLOWED, extra="Allow: GET, HEAD\r\n")
        match request.path:
            case "/metrics":
                kind, body = self._render(request.accept)
            case "/healthz":
                kind, body = "text/plain; charset=utf-8", b"ok\n"
            case _:
                return _response(HTTPStatus.NOT_FOUND)
        whole = _response(HTTPStatus.OK, kind, body)
        return whole.removesuffix(body) if request.method == "HEAD" else whole


def _parsed(head: bytes) -> Request | None:
    """The request, or nothing if this is none of HTTP/1 (RFC 9112, 3)."""
    first, *fields = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        return None
    named = [field.partition(":") for field in fields]
    accept = ",".join(value.strip() for name, _, value in named if name.lower() == "accept")
    return Request(words[0], words[1].partition("?")[0], accept)


def _response(
    status: HTTPStatus, kind: str = "text/plain; charset=utf-8", body: bytes = b"", *, extra: str = ""
) -> bytes:
    body = body or f"{status.phrase}\n".encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        f"Content-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        f"{extra}"
        "Connection: close\r\n\r\n"
    )
    return head.encode("latin-1") + body
