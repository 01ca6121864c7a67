"""Server-sent events: one report a second for all who watch, few places, and no patience with the slow."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from voice_agent.telemetry import http, watchers
from voice_agent.telemetry.http import HttpServer
from voice_agent.telemetry.site import Site
from voice_agent.telemetry.watchers import MAX_WATCHERS, Watchers

WATCH = b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Figures:
    """Counts how often it was asked."""

    def __init__(self, size: int = 0) -> None:
        self.made = 0
        self.size = size

    def report(self) -> bytes:
        self.made += 1
        return json.dumps({"made": self.made, "more": "x" * self.size}, indent=1).encode() + b"\n"


@asynccontextmanager
async def serving(figures: Figures) -> AsyncIterator[int]:
    """A server's port."""
    site = Site(lambda _: ("text/plain", b"up 1\n"), watchers=Watchers(figures.report))
    server = HttpServer("127.0.0.1", 0, site)
    task = asyncio.create_task(server.run())
    while server.address is None:
        await asyncio.sleep(0)
    try:
        yield server.address[1]
    finally:
        loop = asyncio.get_running_loop()
        began = loop.time()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled(), task.exception()
        assert loop.time() - began < 0.5, "it ends at once"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "PACE_S", 0.001)
    monkeypatch.setattr(http, "REQUEST_S", 0.4)
    monkeypatch.setattr(watchers, "EVERY_S", 0.1)


def play(figures: Figures, scene: Callable[[int], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(20), serving(figures) as port:
            await scene(port)

    asyncio.run(run())


async def head_of(port: int, request: bytes = WATCH) -> str:
    """The head of an answer, of which no more is wanted."""
    watcher = await Watcher.at(port, request)
    watcher.writer.close()
    return watcher.head


class Watcher:
    """Somebody's browser."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self.head = ""

    @classmethod
    async def at(cls, port: int, request: bytes = WATCH) -> "Watcher":
        made = cls(*await asyncio.open_connection("127.0.0.1", port))
        made.writer.write(request)
        made.head = (await made._reader.readuntil(b"\r\n\r\n")).decode()
        return made

    async def rest(self) -> bytes:
        """What comes until the end."""
        return await self._reader.read()

    async def event(self) -> int:
        """The number of the next report."""
        name, data, end = [await self._reader.readline() for _ in range(3)]
        assert (name, data[:6], end) == (b"event: report\n", b"data: ", b"\n")
        return int(json.loads(data[6:])["made"])


def test_a_report_comes_at_once_and_then_again_and_again() -> None:
    figures = Figures()

    async def scene(port: int) -> None:
        loop = asyncio.get_running_loop()
        watcher = await Watcher.at(port)
        assert "200 OK" in watcher.head
        assert "Content-Type: text/event-stream\r\n" in watcher.head
        assert "Content-Length" not in watcher.head
        assert await watcher.event() == 1
        began = loop.time()
        assert [await watcher.event() for _ in range(7)] == list(range(2, 9))
        assert loop.time() - began > 0.5
        watcher.writer.close()

    play(figures, scene)


def test_all_who_watch_are_told_the_same_report_and_nobody_watching_has_none_made() -> None:
    figures = Figures()

    async def scene(port: int) -> None:
        assert figures.made == 0
        crowd = [await Watcher.at(port) for _ in range(3)]
        first = max([await each.event() for each in crowd])
        told = [[await each.event() for _ in range(6)] for each in crowd]
        assert any(first in seen or first + 1 in seen for seen in told)
        assert figures.made < 3 * 6, "one for all of them"
        for each in crowd:
            each.writer.close()
        await asyncio.sleep(0.3)
        made = figures.made
        await asyncio.sleep(0.3)
        assert figures.made == made

    play(figures, scene)


def test_watchers_have_few_places_and_take_none_from_others() -> None:
    async def scene(port: int) -> None:
        crowd = [await Watcher.at(port) for _ in range(MAX_WATCHERS)]
        assert "503" in await head_of(port)
        for _ in range(2 * http.MAX_CONNECTIONS):
            assert "200 OK" in await head_of(port, b"GET /metrics HTTP/1.1\r\n\r\n")
        await asyncio.sleep(0.5)
        for each in crowd:
            for _ in range(6):
                await each.event()  # beyond the time that a request has
        crowd.pop().writer.close()
        async with asyncio.timeout(10):
            while "200 OK" not in await head_of(port):
                await asyncio.sleep(0.05)
        for each in crowd:
            each.writer.close()

    play(Figures(), scene)


def test_a_watcher_that_takes_nothing_loses_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchers, "SLOW_S", 0.3)
    monkeypatch.setattr(watchers, "MAX_WATCHERS", 1)

    async def scene(port: int) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket() as lazy:
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            lazy.setblocking(False)
            await loop.sock_connect(lazy, ("127.0.0.1", port))
            await loop.sock_sendall(lazy, WATCH)
            async with asyncio.timeout(10):
                while "503" not in await head_of(port, b"GET /events HTTP/1.1\r\n\r\n"):
                    await asyncio.sleep(0.01)
                while "200" not in await head_of(port):
                    await asyncio.sleep(0.05)

    figures = Figures(size=100_000)
    play(figures, scene)
    assert figures.made < 10, "no megabytes wait for it"


def test_only_the_head_is_asked_for_and_ends() -> None:
    async def scene(port: int) -> None:
        watcher = await Watcher.at(port, b"HEAD /events HTTP/1.1\r\n\r\n")
        assert "text/event-stream" in watcher.head
        assert await watcher.rest() == b""
        watcher.writer.close()

    play(Figures(), scene)


def test_a_foreign_name_is_not_told_anything() -> None:
    async def scene(port: int) -> None:
        foreign = b"GET /events HTTP/1.1\r\nHost: evil.example\r\n\r\n"
        assert "403" in await head_of(port, foreign)

    play(Figures(), scene)


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://evil.example", "403"),
        ("https://127.0.0.1:1", "403"),
        ("null", "403"),
        ("http://localhost:9477", "200"),
    ],
)
def test_another_page_keeps_no_place_of_a_watcher(origin: str, status: str) -> None:
    async def scene(port: int) -> None:
        asked = f"HEAD /events HTTP/1.1\r\nHost: localhost:9477\r\nOrigin: {origin}\r\n\r\n"
        assert status in await head_of(port, asked.encode())

    play(Figures(), scene)
