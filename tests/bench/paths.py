"""Two ways from a sender to the loudspeaker, spoken to in the same words: the daemon, and a bare player.

Each runs as a process of its own on a virtual card of its own; the sender is this process. A moment of
sending is taken before the first byte is touched, so what the embedded server needs to encode an event and
to reach the socket counts against the daemon.
"""

import asyncio
import os
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Protocol

from tests.bench.failures import MeasurementFailed
from tests.bench.player import HEADER, RATE
from voice_agent.embedded.app import Server
from voice_agent.embedded.connection import Connection
from voice_agent.formats import frame_bytes
from voice_agent.lab.card import VirtualCard
from voice_agent.realtime.events import (
    AppendAudio,
    AudioDelta,
    Item,
    OutputItemAdded,
    ResponseCreated,
    ResponseDone,
    ResponseInfo,
    SpeechStarted,
    SpeechStopped,
)

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 5.0
REPOSITORY = Path(__file__).parents[2]
NOISE_DB = -66.0
"""A quiet room, where there is an echo."""


class Route(Protocol):
    """What can be made to sound and to be silent."""

    card: VirtualCard

    def begin(self) -> None:
        """Announce an answer."""

    def say(self, pcm: bytes) -> float:
        """Send some of the answer; when that was."""

    def interrupt(self) -> float:
        """Send what makes it fall silent; when that was."""


class BarePlayer:
    """A process that appends and forgets."""

    def __init__(self, card: VirtualCard, process: Process, connection: socket.socket) -> None:
        self.card = card
        self.process = process
        self._connection = connection

    def begin(self) -> None:
        """Nothing needs to be said."""

    def say(self, pcm: bytes) -> float:
        now = monotonic()
        self._connection.sendall(HEADER.pack(len(pcm)) + pcm)
        return now

    def interrupt(self) -> float:
        now = monotonic()
        self._connection.sendall(HEADER.pack(0))
        return now


class Daemon:
    """The daemon as production runs it, in session with ``server``. ``first_frame_s``: since its start."""

    def __init__(
        self, card: VirtualCard, process: Process, connection: Connection, first_frame_s: float
    ) -> None:
        self.card = card
        self.process = process
        self.first_frame_s = first_frame_s
        self.outbox = connection.outbox
        self.connection = connection
        self._numbers = count(1)
        self._number = 0

    def begin(self) -> None:
        self._number = next(self._numbers)
        self.outbox.emit(SpeechStopped(item_id=self._id("heard")))
        self.outbox.emit(ResponseCreated(response=ResponseInfo(id=self._id("resp"), status="in_progress")))
        item = Item(id=self._id("item"), role="assistant", status="in_progress", content=[])
        self.outbox.emit(OutputItemAdded(response_id=self._id("resp"), item=item))

    def say(self, pcm: bytes) -> float:
        now = monotonic()
        self.outbox.emit(AudioDelta(response_id=self._id("resp"), item_id=self._id("item"), delta=pcm))
        return now

    def interrupt(self) -> float:
        now = monotonic()
        self.outbox.emit(SpeechStarted(item_id=self._id("heard")))
        self.outbox.emit(ResponseDone(response=ResponseInfo(id=self._id("resp"), status="cancelled")))
        return now

    def frames(self) -> int:
        """How many frames of the microphone have arrived, alone or together, of what the server remembers."""
        sizes = (len(event.audio) for event in self.connection.received if isinstance(event, AppendAudio))
        return sum(sizes) // frame_bytes(RATE)

    def _id(self, kind: str) -> str:
        return f"{kind}_{self._number:021}"


@asynccontextmanager
async def floor(directory: Path) -> AsyncIterator[tuple[VirtualCard, Process]]:
    """The full-duplex pass-through, running."""
    with VirtualCard(directory) as card:
        async with _process(["tests.bench.player", "floor"], card.environment()) as process:
            await _ready(process)
            yield card, process


@asynccontextmanager
async def bare_player(directory: Path) -> AsyncIterator[BarePlayer]:
    """The bare player, connected."""
    with VirtualCard(directory) as card, socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(START_TIMEOUT_S)
        port = str(listening.getsockname()[1])
        async with _process(["tests.bench.player", port], card.environment()) as process:
            await _ready(process)
            connection, _ = listening.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection:
                yield BarePlayer(card, process, connection)


@asynccontextmanager
async def daemon(
    directory: Path, server: Server, *, echo: str = "off", echo_db: float | None = None
) -> AsyncIterator[Daemon]:
    """The daemon, streaming its microphone to ``server``. ``echo``: what it does about ``echo_db``."""
    noise_db = None if echo_db is None else NOISE_DB
    with VirtualCard(directory, echo_db=echo_db, noise_db=noise_db) as card:
        config = directory / "config.toml"
        silent = f'[audio]\necho = "{echo}"\n[audio.input]\nflat_after_s = 0\n'  # the room is
        provider = f'[provider]\nkind = "local"\nurl = "{server.url}"\n'
        config.write_text(f'[cues]\nquiet = ["ready"]\n{silent}{provider}')
        before = len(server.connections)
        began = monotonic()
        async with _process(["voice_agent", "run", "--config", str(config)], card.environment()) as process:
            try:
                await server.watch.until(lambda: _streams(server, before), START_TIMEOUT_S)
            except TimeoutError:
                raise MeasurementFailed(f"no frame from the daemon in {START_TIMEOUT_S} s") from None
            yield Daemon(card, process, server.connections[-1], monotonic() - began)


def _streams(server: Server, before: int) -> bool:
    new = server.connections[before:]
    return any(isinstance(event, AppendAudio) for each in new for event in each.received)


async def _ready(process: Process) -> None:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            said = await process.stdout.readline()
    except TimeoutError:
        said = b""
    if said != b"ready\n":
        raise MeasurementFailed("the bare player does not start")


@asynccontextmanager
async def _process(module: list[str], environment: Mapping[str, str]) -> AsyncIterator[Process]:
    """``python -m`` for a while."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *module,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "daemon"), **environment},
        stdout=PIPE,
        stderr=DEVNULL,
    )
    try:
        yield process
        if process.returncode is not None:
            raise MeasurementFailed(f"{module[0]} ended by itself with {process.returncode}")
    finally:
        await _end(process)


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.communicate()
    except TimeoutError:
        process.kill()
        await process.communicate()
