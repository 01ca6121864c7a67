"""The HTTP side of the embedded server: upgrades, refusals, the weather service, start and stop."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress

from aiohttp import WSCloseCode, web
from msgspec import Struct

from voice_agent.embedded import weather
from voice_agent.embedded.connection import Connection, Manner
from voice_agent.embedded.dialects import DIALECTS
from voice_agent.embedded.engines import Engines
from voice_agent.embedded.faults import NOW, UPGRADE, Fault, Faults, Struck, of_upgrades
from voice_agent.embedded.line import Line
from voice_agent.embedded.options import ServerOptions
from voice_agent.embedded.outbox import FOR_EVER_S, Outbox
from voice_agent.embedded.script import Script, ScriptedEngines
from voice_agent.realtime.codec import MAX_FRAME_BYTES

PATH = "/v1/realtime"
REMEMBERED = 10_000
"""Client events kept of each connection: over three minutes of 20 ms frames, about 10 MB."""
PATIENCE_S = 2.0
"""Loading in silence for longer looks like a hang."""

Progress = Callable[[str], None]


class Watch:
    """Waits for conditions on what the server knows, without polling."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    def touch(self) -> None:
        """Something changed."""
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def until(self, condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
        """Wait until ``condition`` holds; ``TimeoutError`` if it does not in time."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                future = asyncio.get_running_loop().create_future()
                self._waiting.append(future)
                await future


class State(Struct, frozen=True):
    """What a server tells about itself: counts, its open connections by number, faults still to come."""

    upgrades: int
    accepted: int
    live: list[int]
    faults: list[Fault]


class Server:
    """A running server. ``watch`` waits for changes; ``strike`` lets things go wrong.

    ``live``: the open connections. ``connections``: every client so far, in order, and ``headers``: those
    of every upgrade asked for; without ``remember`` only what is needed to serve is kept.
    """

    def __init__(self, options: ServerOptions, engines: Callable[[], Engines], *, remember: bool) -> None:
        self.options = options
        self.live: list[Connection] = []
        self.connections: list[Connection] = []
        self.headers: list[Mapping[str, str]] = []
        self.watch = Watch()
        self.port = options.port
        self._engines = engines
        self._remember = remember
        self._upgrades = 0
        self._accepted = 0
        self._sockets: set[web.WebSocketResponse] = set()
        self._script = options.script or Script()
        self._struck = Struck()
        self._at_upgrade = Faults(of_upgrades(self._script.faults, self._script.refuse), self._struck)

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"ws://{self.options.host}:{self.port}{PATH}"

    @property
    def http_url(self) -> str:
        """Where the weather service lives."""
        return f"http://{self.options.host}:{self.port}"

    def application(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application()
        app.router.add_get(PATH, self._upgrade)
        app.add_routes(weather.routes())
        app.on_shutdown.append(self._say_goodbye)
        return app

    def strike(self, *faults: Fault) -> None:
        """Let these go wrong from now on, counted over all connections; ``now`` means at once."""
        for fault in faults:
            if fault.after != NOW:
                self._struck.add(fault)
                continue
            for connection in self.live:
                if fault.connection in (None, connection.number):
                    connection.outbox.inflict([fault])

    def calm(self) -> None:
        """Forget the faults that were struck and have not happened yet."""
        self._struck.clear()

    def state(self) -> State:
        """Where the server stands."""
        return State(
            upgrades=self._upgrades,
            accepted=self._accepted,
            live=[connection.number for connection in self.live],
            faults=self._struck.faults(),
        )

    async def _upgrade(self, request: web.Request) -> web.StreamResponse:
        self._upgrades += 1
        if self._remember:
            self.headers.append(request.headers)
        refusal = await self._hindrance(request)
        if refusal is None:  # not "or": in aiohttp 3.11 a response without state is false
            refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        socket = web.WebSocketResponse(
            autoping=False, compress=False, max_msg_size=MAX_FRAME_BYTES, timeout=1.0
        )
        await socket.prepare(request)
        connection = self._connection(request)
        self.live.append(connection)
        self._sockets.add(socket)
        self.connections.append(connection)
        try:
            await connection.run(socket, Line(socket, request))
        finally:
            self._sockets.discard(socket)
            self.live.remove(connection)
            if not self._remember:
                self.connections.remove(connection)
            self.watch.touch()
        return socket

    async def _hindrance(self, request: web.Request) -> web.Response | None:
        """What faults make of an upgrade."""
        for fault in self._at_upgrade.due(UPGRADE):
            match fault.do:
                case "refuse":
                    body = fault.text.encode()
                    return web.Response(status=fault.code or 503, headers=fault.headers, body=body)
                case "drop":
                    if request.transport is not None:
                        request.transport.abort()
                    return web.Response(status=503)  # which nobody gets
                case "stall":
                    await asyncio.sleep(FOR_EVER_S if fault.ms is None else fault.ms / 1000)
        return None

    def _refusal(self, request: web.Request) -> web.Response | None:
        key = request.headers.get("Authorization", "").rpartition(" ")[2]
        if self.options.api_key is not None and key != self.options.api_key:
            return web.Response(status=401, text="unknown key")
        if request.query.get("dialect", self.options.dialect) not in DIALECTS:
            return web.Response(status=400, text="unknown dialect")
        return None

    def _connection(self, request: web.Request) -> Connection:
        dialect = DIALECTS[request.query.get("dialect", self.options.dialect)]
        model = request.query.get("model", "embedded")
        self._accepted += 1
        faults = Faults(self._script.faults, self._struck, self._accepted)
        return Connection(
            self._accepted,
            Manner(model, dialect, self.options.strict, self.options.pace, self._script.pongs),
            self._engines(),
            Outbox(dialect, faults, self.watch.touch),
            self.watch.touch,
            remembered=REMEMBERED if self._remember else 0,
        )

    async def _say_goodbye(self, _: web.Application) -> None:
        for socket in list(self._sockets):
            await socket.close(code=WSCloseCode.GOING_AWAY, message=b"server is stopping")


@asynccontextmanager
async def running(
    options: ServerOptions,
    *,
    progress: Progress | None = None,
    remember: bool = True,
    engines: Callable[[], Engines] | None = None,
) -> AsyncIterator[Server]:
    """A server for the length of an ``async with``; its ``url`` has the real port.

    ``engines``: ears, mind and voice of one's own for each connection, instead of those of ``options``.
    """
    made = engines or await _prepared(options, progress or _silent)
    server = Server(options, made, remember=remember)
    runner = web.AppRunner(server.application(), handle_signals=False, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, options.host, options.port)
        await site.start()
        server.port = runner.addresses[0][1]
        yield server
    finally:
        await runner.cleanup()


async def serve(
    options: ServerOptions,
    *,
    ready: Callable[[int], None] | None = None,
    progress: Progress | None = None,
) -> None:
    """Serve until cancelled. ``ready`` is told the port; ``progress`` hears what takes long."""
    async with running(options, progress=progress, remember=False) as server:
        if ready is not None:
            ready(server.port)
        await asyncio.Event().wait()


async def _prepared(options: ServerOptions, progress: Progress) -> Callable[[], Engines]:
    """Load what ``options`` ask for, telling ``progress`` about long loading."""
    if options.script is not None:
        return ScriptedEngines(options.script)
    from voice_agent.embedded.speech import load  # models: only when asked for

    loading = asyncio.get_running_loop().run_in_executor(None, load, options.speech, options.sheet)
    waited = 0.0
    while not loading.done():
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(loading), PATIENCE_S)
        waited += PATIENCE_S
        if not loading.done():
            progress(f"loading the speech models ({options.speech}) ... {waited:.0f} s")
    return await loading


def _silent(_: str) -> None:
    """Nobody listens."""
