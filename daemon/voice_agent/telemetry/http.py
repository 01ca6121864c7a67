"""A small web server on the daemon's own event loop, for metrics, health and the status page.

As small as it can be: one request a connection, no names looked up. A client that is slow, silent, hostile or
many must not hurt the conversation, so all that it can have is bounded: connections at a time, accepted a
second, bytes of a request, seconds until it is done, TLS included. Whoever waits for more waits in the
kernel. Those who watch events have few places of their own (``watchers``).
"""

import asyncio
import logging
import socket
from asyncio import StreamReader, StreamReaderProtocol, StreamWriter
from http import HTTPStatus
from ipaddress import ip_address
from typing import NamedTuple, NoReturn

from voice_agent.errors import VoiceAgentError
from voice_agent.telemetry.access import CHALLENGE, OPEN, Door
from voice_agent.telemetry.exchange import Answer, Caller, Request, encoded, parsed, plain
from voice_agent.telemetry.site import Site

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 8
MAX_REQUEST_BYTES = 8192
REQUEST_S = 3.0  # from accepting a connection to its last byte
REFUSED_S = 1.0  # until a wrong password is answered: nobody tries more than eight a second
PACE_S = 0.1  # between two connections: ten scrapes a second take 5 % of a core


class CannotListen(VoiceAgentError):
    """The address is taken, or not ours."""


class Client(NamedTuple):
    """Both directions of a connection."""

    reader: StreamReader
    writer: StreamWriter

    @property
    def host(self) -> str:
        """Where it comes from; an address that is nowhere if it has gone already."""
        peer = self.writer.get_extra_info("peername")
        return str(peer[0]) if peer else "::"


class HttpServer:
    """Serves until cancelled; ``run`` raises ``CannotListen`` if it cannot begin."""

    def __init__(self, host: str, port: int, site: Site, door: Door = OPEN) -> None:
        self._host = host
        self._port = port
        self._site = site
        self._door = door
        self._free = asyncio.Semaphore(MAX_CONNECTIONS)
        self.address: tuple[str, int] | None = None
        """Host and port while it listens; of port 0 the kernel makes a free one."""

    async def run(self) -> NoReturn:
        """Accept connections, for ever."""
        loop = asyncio.get_running_loop()
        with self._listen() as listener:
            self._tell(listener)
            async with asyncio.TaskGroup() as group:
                if self._door.tls:
                    group.create_task(self._door.tls.keep())
                while True:
                    await self._free.acquire()
                    connection, _ = await loop.sock_accept(listener)
                    group.create_task(self._attend(connection), name="http-client")
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
        log.info("metrics are served", extra={"host": host, "port": port, **self._door.described()})

    async def _attend(self, connection: socket.socket) -> None:
        """One client from its first byte to its last; one that watches leaves its place to others."""
        client: Client | None = None
        try:
            try:
                async with asyncio.timeout(REQUEST_S) as patience:
                    client = await self._greet(connection)
                    is_watching = await self._exchange(client, patience)
            finally:
                self._free.release()
            if is_watching and self._site.watchers:
                await self._site.watchers.follow(client.writer)
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            log.debug("an HTTP client was left", extra={"reason": repr(error)})
        finally:
            if client:
                client.writer.transport.abort()

    async def _greet(self, connection: socket.socket) -> Client:
        """Both directions of a connection, behind TLS if we have it."""
        loop = asyncio.get_running_loop()
        reader = StreamReader(limit=MAX_REQUEST_BYTES)
        protocol = StreamReaderProtocol(reader)
        secure = self._door.tls.context if self._door.tls else None
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, connection, ssl=secure)
        return Client(reader, StreamWriter(transport, protocol, reader, loop))

    async def _exchange(self, client: Client, patience: asyncio.Timeout) -> bool:
        """One request and its answer; whether the answer has only begun."""
        request = parsed(await client.reader.readuntil(b"\r\n\r\n"))
        answer = await self._answer(request, client, patience)
        is_head = request is not None and request.method == "HEAD"
        client.writer.write(encoded(answer, is_whole=not is_head))
        if answer.is_endless and not is_head:
            return True
        client.writer.close()
        await client.writer.wait_closed()  # until the last byte has gone
        return False

    async def _answer(self, request: Request | None, client: Client, _patience: asyncio.Timeout) -> Answer:
        host, lock = client.host, self._door.lock
        given = request and request.fields.get("authorization")
        if lock and not lock.opens(given or ""):
            if given:
                lock.note_refusal(host)
                await asyncio.sleep(REFUSED_S)
            return plain(HTTPStatus.UNAUTHORIZED, WWW_Authenticate=CHALLENGE)
        caller = Caller(is_local=ip_address(host).is_loopback, is_known=self._door.knows_who)
        return self._site.answer(request, caller)
