"""The control port: faults struck by hand, or by another program's test, while the server runs.

    POST   /faults              a Fault (faults.py) as JSON, or a list of them
    DELETE /faults              forget those that have not happened yet
    POST   /close?code=1011     close every connection; &reason=...
    GET    /state               connections and faults so far

Loopback only, and not for browsers: a page that anybody wrote must not reach into the server.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from voice_agent.embedded.app import Server
from voice_agent.embedded.faults import NOW, Fault

HOST = "127.0.0.1"
GOING_CODES = range(1000, 5000)
"""RFC 6455, 7.4: closing codes."""


class Control:
    """HTTP handlers around one server."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def application(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(middlewares=[_no_browsers])
        app.router.add_post("/faults", self._strike)
        app.router.add_delete("/faults", self._calm)
        app.router.add_post("/close", self._close)
        app.router.add_get("/state", self._state)
        return app

    async def _strike(self, request: web.Request) -> web.Response:
        try:
            asked = msgspec.json.decode(await request.read(), type=Fault | list[Fault])
        except msgspec.DecodeError as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from error
        self._server.strike(*(asked if isinstance(asked, list) else [asked]))
        return await self._state(request)

    async def _calm(self, request: web.Request) -> web.Response:
        self._server.calm()
        return await self._state(request)

    async def _close(self, request: web.Request) -> web.Response:
        code = request.query.get("code", "1011")
        if not code.isdecimal() or int(code) not in GOING_CODES:
            raise web.HTTPBadRequest(text=f"{code} is not a closing code: 1000 to 4999\n")
        reason = request.query.get("reason", "closed by hand")
        self._server.strike(Fault(after=NOW, do="close", code=int(code), text=reason))
        return await self._state(request)

    async def _state(self, _: web.Request) -> web.Response:
        body = msgspec.json.encode(self._server.state())
        return web.Response(body=body, content_type="application/json")


@asynccontextmanager
async def controlling(server: Server, port: int) -> AsyncIterator[int]:
    """The control port for the length of an ``async with``; the real one, should ``port`` be 0."""
    runner = web.AppRunner(Control(server).application(), handle_signals=False, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        taken: int = runner.addresses[0][1]
        yield taken
    finally:
        await runner.cleanup()


@web.middleware
async def _no_browsers(request: web.Request, handler: Handler) -> web.StreamResponse:
    if "Origin" in request.headers:
        raise web.HTTPForbidden(text="not for browsers\n")
    return await handler(request)
