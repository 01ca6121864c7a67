"""A TCP relay on loopback that counts what passes: what an uplink would carry, but for TLS, TCP and IP."""

import asyncio
from asyncio import StreamReader, StreamWriter
from contextlib import suppress
from typing import Self

HOST = "127.0.0.1"
PIECE = 1 << 16


class Relay:
    """Listens on ``port`` and forwards to ``far_port``. ``up``: bytes towards it; ``down``: from it."""

    def __init__(self, far_port: int) -> None:
        self._far_port = far_port
        self._server: asyncio.Server | None = None
        self.port = 0
        self.up = 0
        self.down = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection(HOST, self._far_port)
            try:
                await asyncio.gather(self._up(reader, far_writer), self._down(far_reader, writer))
            finally:
                far_writer.close()
        writer.close()

    async def _up(self, near: StreamReader, far: StreamWriter) -> None:
        while piece := await near.read(PIECE):
            self.up += len(piece)
            far.write(piece)
            await far.drain()
        far.close()

    async def _down(self, far: StreamReader, near: StreamWriter) -> None:
        while piece := await far.read(PIECE):
            self.down += len(piece)
            near.write(piece)
            await near.drain()
        near.close()
