"""The boards on loopback, drawn by Grafana's own panel components in whatever browser looks at them.

For pictures, and for ``make observe``: no Grafana is needed, and nothing can be changed in the browser.
"""

import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from aiohttp import web

from tests.observe.programs import Missing

ROOT = Path(__file__).parents[2]
SCRATCH = ROOT / "build/dashboards"
BOARDS = ROOT / "deploy/grafana/dashboards"
SOURCE = Path(__file__).parent / "render"
HOST = "127.0.0.1"
STEPS = 180
"""Points of a line: one for each second or two of a short play."""
FETCHED_S = 900.0
"""For 660 MB a slow line needs long."""
ENTRANCE = "voice-agent-fleet"
HEAD = '<!doctype html><meta charset="utf-8"><title>voice-agent</title><base href="/">'
"""Grafana's styles look for their letters beside the page: beside the root."""
PAGE = '<link rel="stylesheet" href="/main.css"><body style="margin:0">'
PAGE += '<div id="root"></div><script src="/main.js"></script>'
LINKS = '<nav style="position:absolute;top:16px;right:16px;z-index:1;font:14px sans-serif">{}</nav>'
LINK = '<a href="/d/{}" style="color:#6e9fff;margin-left:16px">{}</a>'

Board = Mapping[str, Any]


class Moment(NamedTuple):
    """What is looked at, in seconds since 1970. ``device``: on all boards but that of one device.

    ``one``: on that. ``window``: of averages. ``rate``: the least over which a rate can be taken.
    """

    began: float
    ended: float
    one: str
    device: str = ".*"
    window: str = "1m"
    rate: str = "10s"

    @property
    def variables(self) -> Mapping[str, str]:
        """What Grafana would put in."""
        span_s = round(self.ended - self.began)
        return {
            "$__rate_interval": self.rate,
            "$__range_s": str(span_s),
            "$__range": f"{span_s}s",
            "$window": self.window,
            "$fleet": ".*",
            "$site": ".*",
            "$instance": self.device,
        }

    @property
    def asked(self) -> Mapping[str, int]:
        """For Prometheus."""
        began, ended = round(self.began), round(self.ended)
        return {"from": began, "to": ended, "step": max((ended - began) // STEPS, 1)}

    def of(self, board: Board) -> "Moment":
        """With a device chosen, where the board wants one."""
        chosen = [each for each in board["templating"]["list"] if each["name"] == "instance"]
        return self._replace(device=self.one) if chosen and not chosen[0]["includeAll"] else self

    def fill(self, expr: str) -> str:
        """With all its variables put in."""
        for name, value in self.variables.items():
            expr = expr.replace(name, value)
        return expr


def boards() -> dict[str, Board]:
    """Those that are delivered, by name; the fleet's first."""
    found = {path.stem: json.loads(path.read_text()) for path in sorted(BOARDS.glob("*.json"))}
    return dict(sorted(found.items(), key=lambda each: each[0] != ENTRANCE))


def shown(board: Board, moment: Moment) -> Board:
    """The board as it is after people have chosen, with a line that says what."""
    text = json.dumps(board)
    filled = re.sub(r'"expr": ("(?:[^"\\]|\\.)*")', lambda found: _filled(found[1], moment), text)
    found: dict[str, Any] = json.loads(filled)
    return found | {"chosen": " · ".join(_chosen(board, moment))}


def _filled(expr: str, moment: Moment) -> str:
    return f'"expr": {json.dumps(moment.fill(json.loads(expr)))}'


def _chosen(board: Board, moment: Moment) -> Iterator[str]:
    for variable in board["templating"]["list"][1:]:
        value = moment.variables[f"${variable['name']}"]
        yield f"{variable['label']}: {'All' if value == '.*' else value}"
    began, ended = (datetime.fromtimestamp(at, UTC) for at in (moment.began, moment.ended))
    yield f"{began:%H:%M:%S} to {ended:%H:%M:%S} UTC"


def bundled() -> Path:
    """Grafana's components and ours, as one script; nothing is installed twice. Raises Missing."""
    if not shutil.which("npm"):
        raise Missing("no npm here: Node.js 20 or newer")
    directory = SCRATCH / "render"
    shutil.copytree(SOURCE, directory, dirs_exist_ok=True)
    wanted, had = directory / "package-lock.json", directory / "node_modules/.installed"
    if not had.exists() or had.read_bytes() != wanted.read_bytes():
        print(
            "  fetching Grafana's panel components (660 MB); once, and it takes a minute or two", flush=True
        )
        _npm(directory, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent")
        shutil.copy(wanted, had)
    _npm(directory, "run", "--silent", "bundle")
    return directory / "dist"


def _npm(directory: Path, *command: str) -> None:
    try:
        done = subprocess.run(["npm", *command], cwd=directory, check=False, timeout=FETCHED_S)
    except subprocess.TimeoutExpired:
        raise Missing(f"npm {command[0]} took more than {FETCHED_S:g} s") from None
    if done.returncode:
        raise Missing(f"npm {command[0]} failed")


class Gallery:
    """Serves all boards, as ``moment`` says, to browsers; and lets them ask Prometheus.

    ``refresh_s``: how often browsers look again; never, if it is None.
    """

    def __init__(
        self, bundle: Path, prometheus: str, moment: Callable[[], Moment], *, refresh_s: int | None = None
    ) -> None:
        self._bundle = bundle
        self._prometheus = f"http://{prometheus}"
        self._moment = moment
        self._refresh_s = refresh_s
        self._boards = boards()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[str]:
        """While it can be visited, at this address."""
        app = web.Application()
        app.router.add_get("/", self._entrance)
        app.router.add_get("/d/{board}", self._page)
        app.router.add_get("/boards/{board}", self._board)
        app.router.add_post("/api/v1/{query}", self._ask)
        app.router.add_static("/", self._bundle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, 0).start()
            yield f"http://{HOST}:{runner.addresses[0][1]}/"
        finally:
            await runner.cleanup()

    async def _entrance(self, _: web.Request) -> web.Response:
        raise web.HTTPFound(f"/d/{ENTRANCE}")

    async def _page(self, _: web.Request) -> web.Response:
        text = HEAD + PAGE
        if self._refresh_s is not None:
            titles = {name: board["title"].rpartition("/ ")[2] for name, board in self._boards.items()}
            links = "".join(LINK.format(*each) for each in titles.items())
            text = f'{HEAD}<meta http-equiv="refresh" content="{self._refresh_s}">{PAGE}{LINKS.format(links)}'
        return web.Response(text=text, content_type="text/html")

    async def _board(self, request: web.Request) -> web.Response:
        board = self._boards.get(request.match_info["board"])
        if board is None:
            raise web.HTTPNotFound
        moment = self._moment().of(board)
        return web.json_response({"board": shown(board, moment), "moment": moment.asked})

    async def _ask(self, request: web.Request) -> web.Response:
        url = f"{self._prometheus}/api/v1/{request.match_info['query']}"
        asked = await request.post()
        async with aiohttp.ClientSession() as client, client.post(url, data=asked) as answer:
            return web.Response(body=await answer.read(), content_type="application/json")
