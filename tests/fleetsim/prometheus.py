"""A real Prometheus on loopback, from outside: its answers, its own metrics and what /proc says of it."""

import asyncio
import os
import re
import socket
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

import aiohttp

from tests.fleetsim.film import samples
from tests.observe.programs import program, tried

HOST = "127.0.0.1"
READY_S = 20.0
STOP_S = 15.0
TICKS = os.sysconf("SC_CLK_TCK")


class Point(NamedTuple):
    """One series of an answer: its labels and its values, one if the query was of an instant."""

    labels: dict[str, str]
    values: list[float]


def free_port() -> int:
    """One that nobody has at the moment."""
    with socket.create_server((HOST, 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


class Prometheus:
    """Runs with ``config`` in ``directory`` while the ``async with`` lasts. ``agent``: it only forwards.

    Raises Missing without the program, and RuntimeError with its last words if it does not get ready.
    """

    def __init__(
        self, directory: Path, config: str, *flags: str, agent: bool = False, port: int | None = None
    ) -> None:
        self.port = port or free_port()
        self.data = directory / "data"
        self._directory = directory
        self._config = config
        self._agent = agent
        self._flags = flags
        self._process: subprocess.Popen[bytes] | None = None
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._directory.mkdir(parents=True, exist_ok=True)
        self._start()
        self._http = aiohttp.ClientSession(f"http://{HOST}:{self.port}")
        try:
            async with asyncio.timeout(READY_S):
                await self._until_ready()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._http:
            await self._http.close()
        if self._process:
            self._process.terminate()
            try:
                await asyncio.to_thread(self._process.wait, STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _start(self) -> None:
        path = self._directory / "prometheus.yml"
        path.write_text(self._config)
        with (self._directory / "log").open("wb") as log:
            command = self._command(path)
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def _command(self, config: Path) -> list[str]:
        is_old = version().startswith("2.")
        storage = "--storage.agent.path" if self._agent else "--storage.tsdb.path"
        mode = "--enable-feature=agent" if is_old else "--agent"
        return [
            program("prometheus"),
            f"--config.file={config}",
            f"--web.listen-address={HOST}:{self.port}",
            f"{storage}={self.data}",
            *([mode] if self._agent else ()),
            *self._flags,
        ]

    async def _until_ready(self) -> None:
        while True:
            assert self._process
            if self._process.poll() is not None:
                raise RuntimeError((self._directory / "log").read_text()[-2000:])
            with suppress(aiohttp.ClientError):
                async with self._client.get("/-/ready") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.1)

    @property
    def _client(self) -> aiohttp.ClientSession:
        assert self._http
        return self._http

    # ------------------------------------------------------------------------------------ asking it

    async def query(self, promql: str) -> list[Point]:
        """What it answers now; a range selector gives all the values in it."""
        async with self._client.post("/api/v1/query", data={"query": promql}) as answer:
            answer.raise_for_status()
            found = (await answer.json())["data"]["result"]
        return [Point(each["metric"], [float(value) for _, value in _pairs(each)]) for each in found]

    async def number(self, promql: str) -> float:
        """The one value of an answer; 0 if there is none."""
        points = await self.query(promql)
        return points[0].values[-1] if points else 0.0

    async def own(self) -> dict[str, float]:
        """Its own metrics."""
        async with self._client.get("/metrics") as answer:
            return samples(await answer.text())

    # ------------------------------------------------------------------------------- watching it

    def memory_bytes(self) -> int:
        """In real use, now."""
        status = Path(f"/proc/{self._pid}/status").read_text()
        (kilobytes,) = re.findall(r"^VmRSS:\s+(\d+)", status, re.MULTILINE)
        return int(kilobytes) * 1024

    def cpu_s(self) -> float:
        """User and system time since its start."""
        after_name = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / TICKS

    def waited(self) -> float:
        """The share of time in which its threads wanted a core and had none: others kept the machine busy."""
        ran_ns = waited_ns = 0
        for path in Path(f"/proc/{self._pid}/task").glob("*/schedstat"):
            ran, waited, _ = path.read_text().split()
            ran_ns, waited_ns = ran_ns + int(ran), waited_ns + int(waited)
        return waited_ns / max(ran_ns + waited_ns, 1)

    def stored_bytes(self, part: str = "") -> int:
        """On disk, in that part of its data (``wal``)."""
        return sum(path.stat().st_size for path in (self.data / part).rglob("*") if path.is_file())

    @property
    def _pid(self) -> int:
        assert self._process
        return self._process.pid


def _pairs(result: dict[str, Any]) -> Sequence[tuple[float, str]]:
    found: Sequence[tuple[float, str]] = result.get("values") or [result["value"]]
    return found


def version() -> str:
    """Which one there is. Raises Missing."""
    _, told = tried("prometheus", "--version")
    (found,) = re.findall(r"version (\d+\.\d+\.\d+)", told)
    return str(found)
