"""What the status page's scenes share: a browser, the daemon in its room, and how to look."""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.chaos.proxy import Proxy
from tests.page.browser import Tab, browsing, find
from tests.system.harness import RATE, Daemon, daemon, until_streaming
from voice_agent.embedded import Fault, Script, Server, ServerOptions, Turn, running
from voice_agent.lab.card import VirtualCard

MARKS = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(find() is None, reason="no Chromium here: scripts/system-packages page"),
]

DESK, PHONE, TABLET = (1180, 900), (360, 740), (800, 480)
DOING = "document.getElementById('doing').textContent"
LIVE = "document.getElementById('live').textContent"
PICTURES = os.environ.get("PICTURES")

Scene = Callable[[Tab], Coroutine[None, None, None]]


def scene(play: Scene) -> Callable[[Path], None]:
    def test(tmp_path: Path) -> None:
        async def run() -> None:
            async with browsing(tmp_path) as tab:
                await play(tab)

        asyncio.run(run())

    return test


def speech(ms: int, seed: int) -> bytes:
    """Something as loud and as uneven as a voice."""
    count, chance = RATE * ms // 1000, np.random.default_rng(seed)
    syllables = np.repeat(chance.uniform(0.25, 1.0, count // 3600 + 1), 3600)[:count]
    return bytes((9000 * syllables * np.sin(np.arange(count) * 0.1)).astype("<i2"))


def port_of(voice: Daemon) -> int:
    return int(re.findall(r"metrics are served host=127.0.0.1 port=(\d+)", voice.log)[-1])


@contextmanager
def talking(directory: Path, url: str) -> Iterator[Daemon]:
    """The daemon in a room that is not quite silent."""
    directory.mkdir(exist_ok=True)
    room = VirtualCard(directory / "room", elastic=True, noise_db=-54)
    settings = f'[control]\nsocket = "{directory}/control"\n[reconnect]\nfirst_s = 0.5\ncap_s = 1\n'
    with daemon(directory, url, settings=settings, room=room) as voice:
        yield voice


@asynccontextmanager
async def listening(
    directory: Path, *turns: Turn, faults: tuple[Fault, ...] = ()
) -> AsyncIterator[tuple[Server, Proxy, Daemon]]:
    """A daemon in session with a server, and the network between them."""
    script = Script(turns=turns, faults=faults, shared=True, loop=True)
    async with running(ServerOptions(script=script)) as server:
        port = int(re.findall(r":(\d+)/", server.url)[0])
        async with Proxy(port) as network:
            with talking(directory, server.url.replace(str(port), str(network.port))) as voice:
                await until_streaming(server)
                yield server, network, voice


async def until_text(tab: Tab, expression: str, words: str, timeout_s: float = 15.0) -> None:
    await tab.until(f"({expression}).includes({json.dumps(words)})", timeout_s)


async def rows(tab: Tab, css: str) -> list[str]:
    found = await tab.value(f"[...document.querySelectorAll({json.dumps(css)})].map(each => each.innerText)")
    assert isinstance(found, list)
    return found


def assert_well_behaved(tab: Tab, port: int) -> None:
    """Nothing was thrown, nothing complained, and nobody else was asked for anything."""
    assert tab.errors == []
    asked = [each for each in tab.asked if not each.startswith("data:")]
    assert asked
    assert all(each.startswith(f"http://127.0.0.1:{port}/") for each in asked), asked


async def picture(tab: Tab, name: str, size: tuple[int, int], scheme: str) -> None:
    """For the documents, if they are to have new ones."""
    if PICTURES is None:
        return
    width, height = size
    await tab.look(width, height, scheme=scheme)
    whole = await tab.value("document.documentElement.scrollHeight")
    await tab.look(width, max(height, whole), scheme=scheme)
    await tab.picture(Path(PICTURES) / name)


async def fits(tab: Tab) -> bool:
    """Nothing has to be pushed aside. The page does not know: a telephone makes its window wider instead."""
    width = await tab.value("document.documentElement.scrollWidth")
    return int(width) <= tab.width
