"""The same site on a Unix socket, and tools for the command line: permissions say who may ask.

GET /control/tools                      which there are
POST /control/tools/call?name=...       run one; the body is its arguments, as JSON
POST /control/self-test?limit=30        let it say something, within so many seconds
POST /control/reload                    read the configuration again, and wait for what becomes of it
"""

import asyncio
import logging
import socket
import stat
from collections.abc import Awaitable
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

from voice_agent.telemetry import http
from voice_agent.telemetry.exchange import Answer, Caller, Request, plain
from voice_agent.telemetry.http import CannotListen, Client, HttpServer
from voice_agent.telemetry.site import Site, is_ours

log = logging.getLogger(__name__)

MAX_ARGUMENT_BYTES = 65_536  # of a tool
MAX_DIGITS = 9
SOCKET_MODE = 0o660


class Tools(Protocol):
    """The tools that a model may call."""

    def listed(self) -> bytes:
        """All of them, as JSON."""

    async def called(self, name: str, arguments: str) -> bytes:
        """How a call ended, as JSON; each tool has its time limit."""

    async def tried(self, limit_s: float) -> bytes:
        """How a self-test ended, as JSON."""

    async def reloaded(self) -> bytes:
        """What became of a reload, as JSON."""


class UnixServer(HttpServer):
    """For the daemon's user and group."""

    def __init__(self, path: Path, site: Site, tools: Tools) -> None:
        super().__init__("localhost", 0, site)
        self._path = path
        self._tools = tools

    async def _answer(self, request: Request | None, client: Client, patience: asyncio.Timeout) -> Answer:
        if request and is_ours(request):
            match request.method, request.path:
                case "GET", "/control/tools":
                    return Answer(HTTPStatus.OK, self._tools.listed())
                case "POST", "/control/tools/call":
                    return await self._call(request, client, patience)
                case "POST", "/control/self-test":
                    return await self._try(request, patience)
                case "POST", "/control/reload":
                    return await self._in_its_time(self._tools.reloaded(), patience)
        return self._site.answer(request, Caller(is_local=True, is_known=False))

    async def _call(self, request: Request, client: Client, patience: asyncio.Timeout) -> Answer:
        length = request.fields.get("content-length", "0")
        # A number of thousands of digits is more than Python is ready to read.
        if not length.isdecimal() or len(length) > MAX_DIGITS or int(length) > MAX_ARGUMENT_BYTES:
            return plain(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        arguments = (await client.reader.readexactly(int(length))).decode(errors="replace")
        return await self._in_its_time(self._tools.called(request.query.get("name", ""), arguments), patience)

    async def _try(self, request: Request, patience: asyncio.Timeout) -> Answer:
        limit = request.query.get("limit", "30")
        if not limit.isdecimal() or len(limit) > MAX_DIGITS:
            return plain(HTTPStatus.BAD_REQUEST)
        return await self._in_its_time(self._tools.tried(float(limit)), patience)

    async def _in_its_time(self, work: Awaitable[bytes], patience: asyncio.Timeout) -> Answer:
        """For what has a time limit of its own."""
        patience.reschedule(None)
        answer = await work
        patience.reschedule(asyncio.get_running_loop().time() + http.REQUEST_S)
        return Answer(HTTPStatus.OK, answer)

    def _listen(self) -> socket.socket:
        with ExitStack() as stack:
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._take_over()
                listener.bind(str(self._path))
                self._path.chmod(SOCKET_MODE)
                listener.listen(http.MAX_CONNECTIONS)
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
            probe.settimeout(http.REQUEST_S)
            if probe.connect_ex(str(self._path)) == 0:
                raise CannotListen(f"another voice-agent is controlled at {self._path}")
        self._path.unlink()

    def _tell(self, _listener: socket.socket) -> None:
        log.info("controls are served", extra={"path": str(self._path)})
