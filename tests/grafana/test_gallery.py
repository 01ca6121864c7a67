"""The boards as a browser is given them."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.grafana.gallery import HOST, Gallery, Moment, boards

NOW = Moment(1_700_000_000.0, 1_700_000_360.0, one="kitchen", window="300s", rate="60s")


def visit(tmp_path: Path, look: Callable[[aiohttp.ClientSession], Awaitable[None]]) -> None:
    """``look`` at a gallery whose Prometheus says what it was asked."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"path": request.path, **await request.post()})

    async def play() -> None:
        app = web.Application()
        app.router.add_post("/api/v1/{query}", answer)
        prometheus = web.AppRunner(app)
        await prometheus.setup()
        await web.TCPSite(prometheus, HOST, 0).start()
        where = f"{HOST}:{prometheus.addresses[0][1]}"
        gallery = Gallery(tmp_path, where, lambda: NOW, refresh_s=15)
        async with gallery.opened() as url, aiohttp.ClientSession(url) as client:
            await look(client)
        await prometheus.cleanup()

    asyncio.run(play())


def test_every_board_has_a_page_and_all_of_its_variables_put_in(tmp_path: Path) -> None:
    async def look(client: aiohttp.ClientSession) -> None:
        for name in boards():
            async with client.get(f"/d/{name}") as page:
                text = await page.text()
            assert all(f'href="/d/{other}"' in text for other in boards())
            assert 'http-equiv="refresh" content="15"' in text
            assert '<base href="/">' in text, "or Grafana's letters are looked for in vain"
            async with client.get(f"/boards/{name}") as answer:
                found = await answer.json()
            assert found["moment"] == {"from": 1_700_000_000, "to": 1_700_000_360, "step": 2}
            asked = [
                target["expr"] for panel in found["board"]["panels"] for target in panel.get("targets", [])
            ]
            assert asked
            assert not [expr for expr in asked if "$" in expr]
            if name == "voice-agent-device":
                assert any('instance=~"kitchen"' in expr or 'instance="kitchen"' in expr for expr in asked)

    visit(tmp_path, look)


def test_the_fleet_is_what_a_visitor_sees_first_and_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    async def look(client: aiohttp.ClientSession) -> None:
        async with client.get("/") as page:
            assert page.url.path == "/d/voice-agent-fleet"
        async with client.get("/boards/nothing") as answer:
            assert answer.status == 404

    visit(tmp_path, look)


def test_a_browser_asks_prometheus_through_it(tmp_path: Path) -> None:
    async def look(client: aiohttp.ClientSession) -> None:
        async with client.post("/api/v1/query_range", data={"query": "up"}) as answer:
            assert await answer.json() == {"path": "/api/v1/query_range", "query": "up"}

    visit(tmp_path, look)
