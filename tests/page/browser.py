"""A headless Chromium, driven over its DevTools protocol: as much of it as the status page's scenes need.

https://chromedevtools.github.io/devtools-protocol/ says what each method means. Answers are matched with
calls by number; events are kept in the order in which they came.
"""

import asyncio
import os
import shutil
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome")
LOOK_S = 0.05
START_S = 30.0
STOP_S = 10.0
QUIET = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
"""It asks nobody for anything, and shows nothing that differs from machine to machine."""


def find() -> str | None:
    """The program, if there is one."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Failed(Exception):
    """The browser refused, or the page threw."""


class Tab:
    """One page. ``events``: everything that it told, by method and parameters; ``directory``: for scratch."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, directory: Path) -> None:
        self.directory = directory
        self.width = 0
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._socket = socket
        self._session = ""
        self._numbers = count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def read(self) -> None:
        """Take what the browser says, for ever."""
        async for message in self._socket:
            told = message.json()
            if answer := self._answers.pop(told.get("id", 0), None):
                if not answer.done():  # nobody waits any more
                    answer.set_result(told)
            elif "method" in told:
                self.events.append((told["method"], told["params"]))

    async def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Do it, and give the answer."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        whose = {"sessionId": self._session} if self._session else {}
        await self._socket.send_json({"id": number, "method": method, "params": parameters, **whose})
        async with asyncio.timeout(START_S):
            told = await answer
        if "error" in told:
            raise Failed(f"{method}: {told['error']['message']}")
        result: dict[str, Any] = told["result"]
        return result

    async def begin(self) -> None:
        """Make an empty page, and hear of everything that happens in it."""
        target = (await self.call("Target.createTarget", url="about:blank"))["targetId"]
        attached = await self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.call(f"{domain}.enable")

    async def open(self, url: str) -> None:
        """Go there, and wait until all is loaded."""
        loaded = self.count("Page.loadEventFired")
        await self.call("Page.navigate", url=url)
        async with asyncio.timeout(START_S):
            while self.count("Page.loadEventFired") == loaded:
                await asyncio.sleep(LOOK_S)

    def count(self, event: str) -> int:
        """How often it has happened."""
        return sum(method == event for method, _ in self.events)

    async def look(self, width: int, height: int, *, scheme: str, language: str = "en-GB") -> None:
        """Be a screen of this size in CSS pixels, in ``light`` or ``dark``, of somebody of this language."""
        self.width = width
        size = {"width": width, "height": height, "deviceScaleFactor": 1.5, "mobile": width < 600}
        await self.call("Emulation.setDeviceMetricsOverride", **size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await self.call("Emulation.setEmulatedMedia", features=features)
        agent = (await self.call("Browser.getVersion"))["userAgent"]
        await self.call("Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage=language)

    async def value(self, expression: str) -> Any:  # noqa: ANN401 - whatever the page says
        """What the expression gives there."""
        told = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in told:
            raise Failed(f"{expression}: {told['exceptionDetails']}")
        return told["result"].get("value")

    async def until(self, expression: str, timeout_s: float = 15.0) -> None:
        """Wait until the expression is true there."""
        try:
            async with asyncio.timeout(timeout_s):
                while not await self.value(expression):
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            shown = await self.value("document.body.innerText")
            raise AssertionError(f"never true: {expression}\nshown:\n{shown}") from None

    async def picture(self, path: Path) -> None:
        """The whole page, as a file."""
        await asyncio.to_thread(path.write_bytes, await self.seen())

    async def seen(self) -> bytes:
        """The whole page, as PNG."""
        told = await self.call("Page.captureScreenshot", captureBeyondViewport=True)
        return b64decode(told["data"])

    @property
    def errors(self) -> list[str]:
        """What the page threw or the console holds."""
        return [
            str(told)
            for method, told in self.events
            if method in {"Runtime.exceptionThrown", "Runtime.consoleAPICalled"}
            or (method == "Log.entryAdded" and told["entry"]["level"] in {"warning", "error"})
        ]

    @property
    def asked(self) -> list[str]:
        """All addresses that were asked for."""
        return [
            told["request"]["url"] for method, told in self.events if method == "Network.requestWillBeSent"
        ]


@asynccontextmanager
async def browsing(directory: Path) -> AsyncIterator[Tab]:
    """A browser with one page, whose profile lies in the directory."""
    program, profile = find(), directory / "profile"
    assert program
    root = ("--no-sandbox",) * (os.geteuid() == 0)  # its sandbox does not work for root
    options = (*QUIET, *root, f"--user-data-dir={profile}", "about:blank")
    with (directory / "chromium.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(program, *options, stdout=log, stderr=log)
    try:
        url = await _address(profile / "DevToolsActivePort", lambda: process.returncode is None)
        async with aiohttp.ClientSession() as client, client.ws_connect(url, max_msg_size=0) as socket:
            tab = Tab(socket, directory)
            reading = asyncio.create_task(tab.read())
            await tab.begin()
            yield tab
            reading.cancel()
    finally:
        await _ended(process)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """By itself if it can."""
    if process.returncode is None:
        process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
    await process.wait()


async def _address(told: Path, runs: Callable[[], bool]) -> str:
    """Where the browser that writes this file listens."""
    async with asyncio.timeout(START_S):
        while len(lines := _lines(told)) != 2:
            assert runs(), "the browser has ended; chromium.log says why"
            await asyncio.sleep(LOOK_S)
    return f"ws://127.0.0.1:{lines[0]}{lines[1]}"


def _lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []
