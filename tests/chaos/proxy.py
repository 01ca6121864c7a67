"""The network between daemon and server, as a TCP proxy on loopback that can be any network.

    daemon <--- near socket ---> Proxy <--- far socket ---> server

Weather is for all connections, present and future; ``heal`` is the moment of the network's return. Packets
really vanish (a filter in the kernel, at the near end); what goes towards the daemon is held back instead.
"""

import asyncio
import socket
import struct
from asyncio import StreamReader, StreamWriter
from contextlib import suppress
from random import Random
from typing import Self

from tests.fakes.half_open import Sock, restore, vanish

HOST = "127.0.0.1"
PIECE = 1 << 14
RETRANSMISSION_S = 0.2
"""What one lost segment costs: Linux's shortest retransmission time-out."""
AT_ONCE = struct.pack("ii", 1, 0)
"""``struct linger``: closing sends RST."""


class Pipe:
    """One connection through the proxy."""

    def __init__(self, near: StreamWriter, far: StreamWriter) -> None:
        self.near = near
        self.far = far

    @property
    def socket(self) -> asyncio.trsock.TransportSocket:
        """The end that the daemon speaks to."""
        found: asyncio.trsock.TransportSocket = self.near.get_extra_info("socket")
        return found

    def reset(self) -> None:
        """RST towards the daemon; the server sees an end, too."""
        with suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        self.near.transport.abort()
        self.far.close()

    def finish(self) -> None:
        """FIN in both directions, without a closing frame."""
        self.near.close()
        self.far.close()


class Proxy:
    """Listens on ``port`` for as long as the ``async with`` lasts; forwards to ``far_port``."""

    def __init__(self, far_port: int, seed: int = 0) -> None:
        self.port = 0
        self._far_port = far_port
        self._random = Random(seed)
        self._listening: asyncio.Server | None = None
        self._pipes: list[Pipe] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._delay_s = 0.0
        self._rate: int | None = None
        self._loss = 0.0
        self._cuts = False

    async def __aenter__(self) -> Self:
        await self.accept()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.refuse()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1)

    # ------------------------------------------------------------------------------------ weather

    def reset(self) -> None:
        """Every connection ends by RST."""
        for pipe in self._pipes:
            pipe.reset()

    def finish(self) -> None:
        """Every connection ends by FIN."""
        for pipe in self._pipes:
            pipe.finish()

    def refuse(self) -> None:
        """Nobody listens any more, and nobody is connected."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        self.reset()

    async def accept(self) -> None:
        """Listen, on the port of before."""
        if self._listening is None:
            self._listening = await asyncio.start_server(self._serve, HOST, self.port, limit=PIECE)
            self.port = self._listening.sockets[0].getsockname()[1]

    def black_hole(self) -> None:
        """Every packet vanishes, those that would open a connection included."""
        self._flows.clear()
        for sock in self._near_sockets():
            vanish(sock)

    def lose(self, share: float) -> None:
        """Lose this share of the daemon's segments, and let as many of ours wait for a retransmission."""
        self._loss = share
        for sock in self._near_sockets():
            vanish(sock, share)

    def stall(self) -> None:
        """Connections stay, but nothing moves."""
        self._flows.clear()

    def delay(self, seconds: float) -> None:
        """Everything takes longer, in both directions."""
        self._delay_s = seconds

    def drip(self, bytes_a_second: int) -> None:
        """A thin line towards the daemon."""
        self._rate = bytes_a_second

    def cut(self) -> None:
        """Half of the next piece arrives, then the line ends."""
        self._cuts = True

    async def heal(self) -> None:
        """A perfect network again."""
        self._loss, self._delay_s, self._rate, self._cuts = 0.0, 0.0, None, False
        for sock in self._near_sockets():
            restore(sock)
        self._flows.set()
        await self.accept()

    def forget_old(self) -> None:
        """End all connections but the latest: those of which the daemon's end is long gone."""
        for pipe in self._pipes[:-1]:
            pipe.reset()

    @property
    def connections(self) -> int:
        """Those that are open."""
        return len(self._pipes)

    def _near_sockets(self) -> list[Sock]:
        listening = self._listening.sockets if self._listening is not None else ()
        return [*listening, *(pipe.socket for pipe in self._pipes if not pipe.near.transport.is_closing())]

    # ---------------------------------------------------------------------------------- forwarding

    async def _serve(self, near_reader: StreamReader, near: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            far_reader, far = await asyncio.open_connection(HOST, self._far_port, limit=PIECE)
        except OSError:
            near.transport.abort()
            return
        pipe = Pipe(near, far)
        self._pipes.append(pipe)
        up = asyncio.create_task(self._up(near_reader, far))
        down = asyncio.create_task(self._down(far_reader, pipe))
        try:
            await asyncio.wait([up, down], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in (up, down):
                pump.cancel()
            self._pipes.remove(pipe)
            pipe.finish()

    async def _up(self, reader: StreamReader, far: StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(PIECE):
                await self._weather()
                far.write(data)
                await far.drain()

    async def _down(self, reader: StreamReader, pipe: Pipe) -> None:
        with suppress(OSError):
            while data := await reader.read(PIECE):
                await self._weather()
                if self._cuts:
                    self._cuts = False
                    pipe.near.write(data[: len(data) // 2])
                    return
                await self._write(data, pipe.near)

    async def _write(self, data: bytes, near: StreamWriter) -> None:
        while data:
            step = len(data) if self._rate is None else max(1, self._rate // 50)
            near.write(data[:step])
            data = data[step:]
            await near.drain()
            if data and self._rate is not None:
                await asyncio.sleep(step / self._rate)
                await self._flows.wait()

    async def _weather(self) -> None:
        if self._loss and self._random.random() < self._loss:
            await asyncio.sleep(RETRANSMISSION_S)
        if self._delay_s:
            await asyncio.sleep(self._delay_s)
        await self._flows.wait()
