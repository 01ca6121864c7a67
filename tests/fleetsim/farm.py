"""One process that answers for many devices: a path for each, and a list of them for Prometheus."""

from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any, Self

from aiohttp import web

from tests.fleetsim.devices import Device

HOST = "127.0.0.1"
SITES = 40
"""As many places; what a fleet's alerts are grouped by."""
TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Farm:
    """Serves ``devices`` for as long as the ``async with`` lasts."""

    def __init__(self, devices: Sequence[Device]) -> None:
        self._devices = devices
        self._began = monotonic()
        self.port = 0
        self.bytes = 0
        self.pages = 0
        app = web.Application()
        app.router.add_get("/{number:[0-9]+}/metrics", self._answer)
        self._runner = web.AppRunner(app, access_log=None)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, 0, backlog=4096)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def targets(self) -> list[Mapping[str, Any]]:
        """For ``file_sd_configs``."""
        return [self._target(number) for number in range(len(self._devices))]

    def _target(self, number: int) -> Mapping[str, Any]:
        labels = {
            "__metrics_path__": f"/{number}/metrics",
            "instance": f"device-{number:05}",
            "site": f"site-{number % SITES:02}",
            "fleet": "homes",
        }
        return {"targets": [f"{HOST}:{self.port}"], "labels": labels}

    async def _answer(self, request: web.Request) -> web.Response:
        device = self._devices[int(request.match_info["number"])]
        page = device.page(monotonic() - self._began)
        if page is None:
            response = web.Response(status=503)
        else:
            response = web.Response(text=page, content_type="text/plain")
            response.headers["Content-Type"] = TYPE
            self.pages += 1
            self.bytes += len(page)
        response.force_close()  # as the daemon does: each scrape is a connection of its own
        return response
