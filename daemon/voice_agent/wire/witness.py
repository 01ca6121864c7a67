"""What aiohttp knows of a connection and does not tell: its transport, why it broke, what it would do next.

aiohttp's trace hooks show the response of an upgrade, hence the transport below; from then on a protocol of
ours stands in front of aiohttp's and passes everything on. aiohttp itself forgets why a connection broke:
a reset, an end without a closing frame and a time-out all look alike to its caller.
"""

import asyncio
from http import HTTPStatus

import aiohttp

from voice_agent.wire import failures


class Witness(asyncio.Protocol):
    """Of one connection; ``error`` is what broke it, once that is known."""

    def __init__(self, where: str) -> None:
        self.transport: asyncio.Transport | None = None
        self.error: Exception | None = None
        self._where = where
        self._attempts = 0
        self._witnessed: asyncio.Protocol | None = None

    def trace(self) -> aiohttp.TraceConfig:
        """Hooks for a client session that opens one WebSocket."""
        config = aiohttp.TraceConfig()
        config.on_connection_create_start.append(self._refuse_repetition)
        config.on_request_redirect.append(self._refuse_redirect)
        config.on_request_end.append(self._take_over)
        return config

    @property
    def is_congested(self) -> bool:
        """Whether the kernel has not yet taken all that was written: what is written now has to wait."""
        return self.transport is not None and self.transport.get_write_buffer_size() > 0

    def abort(self) -> None:
        """Let go of the socket now, whatever is still unsent."""
        if self.transport is not None:
            self.transport.abort()

    async def _refuse_repetition(
        self,
        _http: aiohttp.ClientSession,
        _context: object,
        _start: aiohttp.TraceConnectionCreateStartParams,
    ) -> None:
        """Where a server hangs up on the request, aiohttp asks again at once, behind our back-off's back."""
        self._attempts += 1
        if self._attempts > 1:
            raise failures.at_upgrade(aiohttp.ServerDisconnectedError(), self._where)

    async def _refuse_redirect(
        self, _http: aiohttp.ClientSession, _context: object, redirect: aiohttp.TraceRequestRedirectParams
    ) -> None:
        """Before it is followed: for another host, aiohttp drops ``Authorization``, but keeps ``api-key``."""
        answer = redirect.response
        answer.close()
        raise failures.at_answer(answer.status, answer.headers, self._where)

    async def _take_over(
        self, _http: aiohttp.ClientSession, _context: object, end: aiohttp.TraceRequestEndParams
    ) -> None:
        connection = end.response.connection
        if end.response.status != HTTPStatus.SWITCHING_PROTOCOLS or connection is None:
            return
        self.transport = connection.transport
        if self.transport is None:
            return
        witnessed = self.transport.get_protocol()
        if isinstance(witnessed, asyncio.Protocol):
            self._witnessed = witnessed
            self.transport.set_protocol(self)

    # ------------------------------------------------------------- asyncio.Protocol, all passed on

    def data_received(self, data: bytes) -> None:
        """Bytes from the server."""
        if self._witnessed is not None:
            self._witnessed.data_received(data)

    def eof_received(self) -> bool | None:
        """The server writes no more."""
        return self._witnessed.eof_received() if self._witnessed is not None else None

    def connection_lost(self, exc: Exception | None) -> None:
        """The end; the one thing that is kept here."""
        self.error = exc
        if self._witnessed is not None:
            self._witnessed.connection_lost(exc)

    def pause_writing(self) -> None:
        """The write buffer is full."""
        if self._witnessed is not None:
            self._witnessed.pause_writing()

    def resume_writing(self) -> None:
        """The write buffer has room again."""
        if self._witnessed is not None:
            self._witnessed.resume_writing()
