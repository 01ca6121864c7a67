"""Boards as people would see them: drawn by Grafana's panels in a browser, from what a Prometheus holds."""

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from aiohttp import web

from tests.page.browser import Tab

HOST = "127.0.0.1"
PAGE = '<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="/main.css"><body style="margin:0">'
PAGE += '<div id="root"></div><script src="/main.js"></script>'
STEPS = 180
"""Points of a line: one for each second or two of a short play."""
DRAWN_S = 60.0
DEVICE = "office"
"""Whose board is drawn: much happens to it."""


class Moment(NamedTuple):
    """What is looked at, in seconds since 1970. ``device``: on the board of one; ``window``: of averages."""

    began: float
    ended: float
    device: str = ".*"
    window: str = "1m"

    @property
    def variables(self) -> Mapping[str, str]:
        """What Grafana would put in."""
        span_s = round(self.ended - self.began)
        return {
            "$__rate_interval": "10s",
            "$__range_s": str(span_s),
            "$__range": f"{span_s}s",
            "$window": self.window,
            "$fleet": ".*",
            "$site": ".*",
            "$instance": self.device,
        }

    def of(self, board: Mapping[str, Any]) -> "Moment":
        """With a device chosen, where the board wants one."""
        chosen = [each for each in board["templating"]["list"] if each["name"] == "instance"]
        return self._replace(device=DEVICE) if chosen and not chosen[0]["includeAll"] else self

    def fill(self, expr: str) -> str:
        """With all its variables put in."""
        for name, value in self.variables.items():
            expr = expr.replace(name, value)
        return expr


def shown(board: Mapping[str, Any], moment: Moment) -> Mapping[str, Any]:
    """The board as it is after people have chosen, with a line that says what."""
    text = json.dumps(board)
    filled = re.sub(r'"expr": ("(?:[^"\\]|\\.)*")', lambda found: _filled(found[1], moment), text)
    found: dict[str, Any] = json.loads(filled)
    return found | {"chosen": " · ".join(_chosen(board, moment))}


def _filled(expr: str, moment: Moment) -> str:
    return f'"expr": {json.dumps(moment.fill(json.loads(expr)))}'


def _chosen(board: Mapping[str, Any], moment: Moment) -> Iterator[str]:
    for variable in board["templating"]["list"][1:]:
        value = moment.variables[f"${variable['name']}"]
        yield f"{variable['label']}: {'All' if value == '.*' else value}"
    began, ended = (datetime.fromtimestamp(at, UTC) for at in (moment.began, moment.ended))
    yield f"{began:%H:%M:%S} to {ended:%H:%M:%S} UTC"


class Easel:
    """Serves one board after the other to the browser, and lets it ask Prometheus."""

    def __init__(self, bundle: Path, prometheus_port: int) -> None:
        self._bundle = bundle
        self._prometheus = f"http://{HOST}:{prometheus_port}"
        self._board: Mapping[str, Any] = {}
        self._moment = Moment(0, 0)
        self.url = ""

    def put(self, board: Mapping[str, Any], moment: Moment) -> None:
        """This is to be drawn next."""
        self._board, self._moment = shown(board, moment), moment

    @asynccontextmanager
    async def standing(self) -> AsyncIterator[None]:
        """While it can be asked."""
        app = web.Application()
        app.router.add_get("/", self._page)
        app.router.add_get("/board.json", self._board_json)
        app.router.add_get("/moment.json", self._moment_json)
        app.router.add_post("/api/v1/{query}", self._ask)
        app.router.add_static("/", self._bundle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, 0).start()
            self.url = f"http://{HOST}:{runner.addresses[0][1]}/"
            yield
        finally:
            await runner.cleanup()

    async def _page(self, _: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def _board_json(self, _: web.Request) -> web.Response:
        return web.json_response(self._board)

    async def _moment_json(self, _: web.Request) -> web.Response:
        began, ended = round(self._moment.began), round(self._moment.ended)
        return web.json_response({"from": began, "to": ended, "step": max((ended - began) // STEPS, 1)})

    async def _ask(self, request: web.Request) -> web.Response:
        url = f"{self._prometheus}/api/v1/{request.match_info['query']}"
        asked = await request.post()
        async with aiohttp.ClientSession() as client, client.post(url, data=asked) as answer:
            return web.Response(body=await answer.read(), content_type="application/json")


async def picture(tab: Tab, easel: Easel, path: Path) -> Mapping[str, Any]:
    """Draw what is put there; what each panel says that it has."""
    await tab.look(1448, 900, scheme="dark")
    await tab.open(easel.url)
    await tab.until("!!(window.drawn && window.drawn())", DRAWN_S)
    size = await tab.value("window.size")
    await tab.look(size["width"], size["height"], scheme="dark")
    await tab.until("document.fonts.status === 'loaded'")
    await tab.value("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    await tab.picture(path)
    drawn: Mapping[str, Any] = await tab.value("window.drawn()")
    return drawn
