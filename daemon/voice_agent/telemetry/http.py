"""Metrics, health and the controls over HTTP, from the daemon's own event loop and on this machine only.

    GET /metrics         what ``render`` makes of the header ``Accept``
    GET /healthz         what ``pages`` have at this path, and likewise for others of them
    POST /control/...    what ``act`` makes of it, if there is one; and GET /control
    GET /control/tools and POST /control/tools/call?name=...    the same of ``tools``, at a Unix socket only

On a TCP port every program of this machine may ask, and so may a web page in its browser. Hence a control
request must carry a header that no page may add without asking first (``X-Voice-Agent``; Fetch standard:
CORS-preflight), must not say that it comes from a page, and must call us by a name that is ours: a page whose
own name was made to lead here (DNS rebinding) would pass for one of ours. A Unix socket has permissions, too.

As small as it can be: one request a connection, no names looked up. A client that is slow, silent, hostile or
many must not hurt the conversation, so all that it can have is bounded: connections at a time, accepted a
second, bytes of a request, seconds until it is done. Whoever waits for more waits in the kernel.
"""

import asyncio
import logging
import socket
import stat
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple, NoReturn, Protocol
from urllib.parse import parse_qsl, urlsplit

from voice_agent.errors import VoiceAgentError

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 8
MAX_REQUEST_BYTES = 8192
MAX_ARGUMENT_BYTES = 65_536  # of a tool
REQUEST_S = 3.0  # from accepting a connection to its last byte
PACE_S = 0.1  # between two connections: ten scrapes a second take 5 % of a core

Render = Callable[[str], tuple[str, bytes]]
"""From the header ``Accept`` to content type and body."""


Act = Callable[[str, Mapping[str, str]], tuple[HTTPStatus, bytes]]
"""From what follows ``/control/`` and the query to status and JSON; an empty path asks how things are."""

Page = Callable[[], tuple[HTTPStatus, bytes]]
"""Status and JSON now."""

CONTROL = "/control"
JSON = "application/json"
QUESTIONS = frozenset({"", "timers", "tools"})
"""What is asked there without changing anything."""
GUARD = "x-voice-agent"
"""Its value does not matter."""
NO_PAGES: Mapping[str, Page] = {}
LOCAL_NAMES = frozenset({"127.0.0.1", "::1", "localhost"})
SOCKET_MODE = 0o660


class Tools(Protocol):
    """The tools that a model may call."""

    def listed(self) -> bytes:
        """All of them, as JSON."""

    async def called(self, name: str, arguments: str) -> bytes:
        """How a call ended, as JSON; each tool has its time limit."""


class CannotListen(VoiceAgentError):
    """The address is taken, or not ours."""


class Request(NamedTuple):
    """What is of interest in a request. ``fields`` are named in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    fields: Mapping[str, str]


class HttpServer:
    """Serves until cancelled; ``run`` raises ``CannotListen`` if it cannot begin. No ``act``: no controls."""

    def __init__(
        self,
        host: str,
        port: int,
        render: Render,
        act: Act | None = None,
        pages: Mapping[str, Page] = NO_PAGES,
    ) -> None:
        self._host = host
        self._port = port
        self._render = render
        self._act = act
        self._pages = pages
        self._free = asyncio.Semaphore(MAX_CONNECTIONS)
        self.address: tuple[str, int] | None = None
        """Host and port while it listens; of port 0 the kernel makes a free one."""

    async def run(self) -> NoReturn:
        """Accept connections, for ever."""
        loop = asyncio.get_running_loop()
        with self._listen() as listener:
            self._tell(listener)
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

    def _tell(self, listener: socket.socket) -> None:
        host, port = listener.getsockname()[:2]
        self.address = host, port
        log.info("metrics are served", extra={"host": host, "port": port})

    async def _serve(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection, limit=MAX_REQUEST_BYTES)
        try:
            async with asyncio.timeout(REQUEST_S) as patience:
                request = _parsed(await reader.readuntil(b"\r\n\r\n"))
                writer.write(await self._respond(request, reader, patience))
                writer.close()
                await writer.wait_closed()  # until the last byte has gone
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            log.debug("an HTTP client was left", extra={"reason": repr(error)})
        finally:
            writer.transport.abort()

    async def _respond(
        self, request: Request | None, _reader: asyncio.StreamReader, _patience: asyncio.Timeout
    ) -> bytes:
        return self._answer(request)

    def _answer(self, request: Request | None) -> bytes:
        if request is None:
            return _response(HTTPStatus.BAD_REQUEST)
        if self._act and (request.path == CONTROL or request.path.startswith(CONTROL + "/")):
            return self._control(request, self._act)
        if request.method not in ("GET", "HEAD"):
            return _response(HTTPStatus.METHOD_NOT_ALLOWED, extra="Allow: GET, HEAD\r\n")
        if request.path == "/metrics":
            status, (kind, body) = HTTPStatus.OK, self._render(request.fields.get("accept", ""))
        elif request.path not in self._pages:
            return _response(HTTPStatus.NOT_FOUND)
        elif not self._names_us(request.fields.get("host", self._host)):
            return _response(HTTPStatus.FORBIDDEN)
        else:
            kind, (status, body) = JSON, self._pages[request.path]()
        whole = _response(status, kind, body)
        return whole.removesuffix(body) if request.method == "HEAD" else whole

    def _control(self, request: Request, act: Act) -> bytes:
        deed = request.path.removeprefix(CONTROL).strip("/")
        method = "GET" if deed in QUESTIONS else "POST"
        if request.method != method:
            return _response(HTTPStatus.METHOD_NOT_ALLOWED, extra=f"Allow: {method}\r\n")
        if not self._is_ours(request):
            return _response(HTTPStatus.FORBIDDEN)
        status, body = act(deed, request.query)
        return _response(status, JSON, body)

    def _is_ours(self, request: Request) -> bool:
        """Whether a program of this machine asks, and not a web page in its browser."""
        from_page = "origin" in request.fields or "referer" in request.fields
        named = self._names_us(request.fields.get("host", ""))
        return GUARD in request.fields and not from_page and named

    def _names_us(self, host: str) -> bool:
        """Whether this is our address, and not the name of a page that was made to lead here."""
        return (urlsplit("//" + host).hostname or "") in LOCAL_NAMES | {self._host}


class UnixServer(HttpServer):
    """The same on a Unix socket, whose permissions say who may ask: the daemon's user and group."""

    def __init__(
        self, path: Path, render: Render, act: Act, tools: Tools, pages: Mapping[str, Page] = NO_PAGES
    ) -> None:
        super().__init__("localhost", 0, render, act, pages)
        self._path = path
        self._tools = tools

    async def _respond(
        self, request: Request | None, reader: asyncio.StreamReader, patience: asyncio.Timeout
    ) -> bytes:
        if request is None or not self._is_ours(request):
            return self._answer(request)
        match request.method, request.path:
            case "GET", "/control/tools":
                return _response(HTTPStatus.OK, JSON, self._tools.listed())
            case "POST", "/control/tools/call":
                return await self._call(request, reader, patience)
        return self._answer(request)

    async def _call(self, request: Request, reader: asyncio.StreamReader, patience: asyncio.Timeout) -> bytes:
        length = request.fields.get("content-length", "0")
        if not length.isdecimal() or int(length) > MAX_ARGUMENT_BYTES:
            return _response(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        arguments = (await reader.readexactly(int(length))).decode(errors="replace")
        patience.reschedule(None)  # the tool has its own limit
        answer = await self._tools.called(request.query.get("name", ""), arguments)
        patience.reschedule(asyncio.get_running_loop().time() + REQUEST_S)
        return _response(HTTPStatus.OK, JSON, answer)

    def _listen(self) -> socket.socket:
        with ExitStack() as stack:
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._take_over()
                listener.bind(str(self._path))
                self._path.chmod(SOCKET_MODE)
                listener.listen(MAX_CONNECTIONS)
            except OSError as error:
                why = error.strerror or str(error)
                raise CannotListen(f"cannot be controlled at {self._path}: {why}") from error
            listener.setblocking(False)
            stack.pop_all()
            return listener

    def _take_over(self) -> None:
        """Remove what a dead process left; a living one's socket is its own."""
        if not self._path.exists() or not stat.S_ISSOCK(self._path.stat().st_mode):
            return  # a file that is no socket stays, and binding says so
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(REQUEST_S)
            if probe.connect_ex(str(self._path)) == 0:
                raise CannotListen(f"another voice-agent is controlled at {self._path}")
        self._path.unlink()

    def _tell(self, _listener: socket.socket) -> None:
        log.info("controls are served", extra={"path": str(self._path)})


def _parsed(head: bytes) -> Request | None:
    """The request, or nothing if this is none of HTTP/1 (RFC 9112, 3)."""
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        return None
    fields: dict[str, str] = {}
    for name, _, value in (line.partition(":") for line in lines if line):
        key = name.lower()
        fields[key] = f"{fields[key]},{value.strip()}" if key in fields else value.strip()
    path, _, query = words[1].partition("?")
    return Request(words[0], path, dict(parse_qsl(query.replace("+", "%2B"))), fields)


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
