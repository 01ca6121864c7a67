"""Boards as people would see them: drawn in a browser, from what a Prometheus holds."""

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.grafana.gallery import Gallery
from tests.page.browser import Tab, browsing

DRAWN_S = 60.0
TABLES_S = 30.0
TABLES = "[...document.querySelectorAll('[data-rows]')]"
FILLED = f"{TABLES}.every(each => each.querySelector('[role=gridcell]'))"
"""Tables fill themselves after they have been measured."""


async def draw(gallery: Gallery, paths: Mapping[str, Path]) -> None:
    """By the name of the board; fails if a panel could not be drawn."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        async with gallery.opened() as url, browsing(Path(scratch)) as tab:
            for name, path in paths.items():
                drawn = await _picture(tab, f"{url}d/{name}", path)
                broken = {panel: told for panel, told in drawn.items() if isinstance(told, str)}
                assert not broken, f"{name}: {broken}"


async def _picture(tab: Tab, url: str, path: Path) -> Mapping[str, Any]:
    """What each panel says that it has."""
    await tab.look(1448, 900, scheme="dark")
    await tab.open(url)
    await tab.until("!!(window.drawn && window.drawn())", DRAWN_S)
    size = await tab.value("window.size")
    await tab.look(size["width"], size["height"], scheme="dark")
    await tab.until("document.fonts.status === 'loaded'")
    await tab.until(FILLED)
    async with asyncio.timeout(TABLES_S):
        picture = await tab.seen()
        while not await _has_tables(tab, picture):
            picture = await tab.seen()
    await asyncio.to_thread(path.write_bytes, picture)
    drawn: Mapping[str, Any] = await tab.value("window.drawn()")
    return drawn


async def _has_tables(tab: Tab, picture: bytes) -> bool:
    """Whether it is another one without each: a table is a layer of its own, and may be painted late."""
    for number in range(await tab.value(f"{TABLES}.length")):
        table = f"{TABLES}[{number}].querySelector('[role=grid]')"
        await tab.value(f"{table}.style.visibility = 'hidden'")
        without = await tab.seen()
        await tab.value(f"{table}.style.visibility = ''")
        if without == picture:
            return False
    return await tab.seen() == picture
