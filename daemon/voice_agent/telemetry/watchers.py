"""Server-sent events: how the daemon is, told once a second to whoever keeps a connection open for that.

The report is made once for all of them, and only while somebody watches. There are few places; whoever does
not take what it is told loses its own. No comments keep a connection alive: an event comes every second.
"""

import asyncio
import socket
from asyncio import StreamWriter
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus

from voice_agent.telemetry.exchange import Answer, plain

EVENTS = "/events"
MAX_WATCHERS = 4
EVERY_S = 1.0
SLOW_S = 10.0
"""Who has taken nothing for so long has gone: a telephone that left the network says nothing. For whoever is
there and does not read, the system takes some 40 reports (on a Unix socket 70) until its buffers are full."""
EARLY_S = 0.002
"""Timers are late, but by the clock's last digit they may be early."""

STREAM = Answer(HTTPStatus.OK, kind="text/event-stream", is_endless=True)


class Watchers:
    """Those who watch; ``report``: what they are told, as JSON."""

    def __init__(self, report: Callable[[], bytes]) -> None:
        self._report = report
        self._count = 0
        self._tick = -1
        self._event = b""

    def welcome(self) -> Answer:
        """The beginning of an answer without end, if there is a place; whoever got it is to ``follow``."""
        if self._count < MAX_WATCHERS:
            return STREAM
        return plain(HTTPStatus.SERVICE_UNAVAILABLE, Retry_After="10")

    async def follow(self, writer: StreamWriter) -> None:
        """Tell one watcher, until it has gone (OSError) or is too slow (TimeoutError)."""
        loop = asyncio.get_running_loop()
        self._count += 1
        try:
            _be_impatient(writer)
            while True:
                writer.write(self._latest(int(loop.time() / EVERY_S)))
                async with asyncio.timeout(SLOW_S):
                    await writer.drain()
                await asyncio.sleep(EVERY_S - loop.time() % EVERY_S + EARLY_S)
        finally:
            self._count -= 1

    def _latest(self, tick: int) -> bytes:
        """The event of this tick: the first who asks has it made."""
        if tick != self._tick:
            report = self._report().replace(b"\n", b" ").strip()
            self._tick, self._event = tick, b"event: report\ndata: " + report + b"\n\n"
        return self._event


def _be_impatient(writer: StreamWriter) -> None:
    """Let the kernel notice soon that nobody takes what is sent: by itself it tries for 15 minutes."""
    connection: socket.socket = writer.get_extra_info("socket")
    with suppress(OSError):  # a Unix socket has no such patience, and needs none
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(SLOW_S * 1000))
