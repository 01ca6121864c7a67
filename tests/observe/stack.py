"""Prometheus and Alertmanager on loopback, and a webhook that takes what they have to tell."""

import asyncio
import json
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import web

from tests.observe import hasty
from tests.observe.programs import command, tried

READY_S = 60.0
LEAVE_S = 10.0
LOOKBACK_S = 300
"""Prometheus' own: for so long a figure stands that nobody has taken back."""


class Told(NamedTuple):
    """An alert as it arrived at a receiver."""

    receiver: str
    alert: str
    firing: bool
    labels: dict[str, str]
    annotations: dict[str, str]


class Hook:
    """A receiver of alerts; ``tell`` is called with each."""

    def __init__(self, tell: Callable[[Told], None] = lambda _: None) -> None:
        self.told: list[Told] = []
        self._tell = tell

    async def take(self, request: web.Request) -> web.Response:
        """What Alertmanager posts."""
        for each in (await request.json())["alerts"]:
            firing, labels = each["status"] == "firing", each["labels"]
            told = Told(
                request.match_info["receiver"], labels["alertname"], firing, labels, each["annotations"]
            )
            self.told.append(told)
            self._tell(told)
        return web.Response()

    async def until(self, alert: str, timeout_s: float, *, firing: bool = True) -> Told:
        """The first of this name that is (or is not any more)."""
        async with asyncio.timeout(timeout_s):
            while True:
                for told in self.told:
                    if (told.alert, told.firing) == (alert, firing):
                        return told
                await asyncio.sleep(0.1)


class Stack(NamedTuple):
    """Where they are, as ``host:port``."""

    prometheus: str
    alertmanager: str
    hook: Hook

    async def ask(self, query: str) -> list[dict[str, Any]]:
        """The series that a query gives."""
        asked = f"http://{self.prometheus}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        found = json.loads(await asyncio.to_thread(_get, asked))["data"]["result"]
        assert isinstance(found, list)
        return found

    async def firing(self) -> set[str]:
        """Alerts that fire now, as Prometheus sees it."""
        found = await self.ask('ALERTS{alertstate="firing"}')
        return {each["metric"]["alertname"] for each in found}

    async def post(self, alerts: Sequence[dict[str, Any]]) -> None:
        """Gives Alertmanager alerts of nobody's."""
        body = json.dumps(alerts).encode()
        there = f"http://{self.alertmanager}/api/v2/alerts"
        headers = {"Content-Type": "application/json"}
        asked = urllib.request.Request(there, data=body, headers=headers, method="POST")
        await asyncio.to_thread(lambda: urllib.request.urlopen(asked, timeout=10).close())


@asynccontextmanager
async def observing(
    directory: Path, target: str, *, times: int = 1, tell: Callable[[Told], None] = lambda _: None
) -> AsyncIterator[Stack]:
    """Both with the delivered rules and settings, looking at one device. Raises Missing."""
    hook = Hook(tell)
    async with _listening(hook) as where:
        prometheus, alertmanager = (f"127.0.0.1:{port}" for port in _free(2))
        commands = [
            command(
                "prometheus",
                f"--config.file={hasty.prometheus(directory, target, alertmanager, times=times)}",
                f"--web.listen-address={prometheus}",
                f"--storage.tsdb.path={directory / 'series'}",
                "--web.enable-remote-write-receiver",
                f"--query.lookback-delta={LOOKBACK_S // times}s",
            ),
            command(
                "alertmanager",
                f"--config.file={hasty.alertmanager(directory, where, times=times)}",
                f"--web.listen-address={alertmanager}",
                f"--storage.path={directory / 'alerts'}",
                "--cluster.listen-address=",
            ),
        ]
        with ExitStack() as running:
            for each in commands:
                running.enter_context(_running(each, directory / "log"))
            for address in (prometheus, alertmanager):
                await _until_ready(f"http://{address}/-/ready", directory / "log")
            yield Stack(prometheus, alertmanager, hook)


@contextmanager
def sending(directory: Path, target: str, stack: Stack, *, times: int = 1) -> Iterator[None]:
    """Prometheus in agent mode beside a device, with the delivered settings. Raises Missing."""
    directory.mkdir()
    (port,) = _free(1)
    _, said = tried("prometheus", "--version")
    words = command(
        "prometheus",
        "--enable-feature=agent" if "version 2." in said else "--agent",
        f"--config.file={hasty.agent(directory, target, stack.prometheus, times=times)}",
        f"--storage.agent.path={directory / 'kept'}",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    with _running(words, directory / "log"):
        yield


@asynccontextmanager
async def _listening(hook: Hook) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/{receiver}", hook.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


@contextmanager
def _running(words: Sequence[str], log: Path) -> Iterator[None]:
    with log.open("ab") as stderr:
        process = subprocess.Popen(words, stdout=stderr, stderr=stderr, start_new_session=True)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _until_ready(url: str, log: Path) -> None:
    try:
        async with asyncio.timeout(READY_S):
            while not await asyncio.to_thread(_answers, url):
                await asyncio.sleep(0.1)
    except TimeoutError:
        said = await asyncio.to_thread(log.read_text)
        raise AssertionError(f"{url} does not answer:\n{said[-3000:]}") from None


def _answers(url: str) -> bool:
    try:
        return bool(_get(url))
    except (urllib.error.URLError, OSError):
        return False


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        read: bytes = answer.read()
        return read


def _free(count: int) -> list[int]:
    """Ports that nobody has now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
