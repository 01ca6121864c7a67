"""The heartbeat on real sockets: a server that answers pings, one that never does, and black holes."""

import asyncio
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Literal

import pytest

from tests.fakes.half_open import vanish
from tests.fakes.raw_server import PING, PONG, TEXT, frame, raw_server, read_frame, upgrade
from voice_agent.errors import Cause, ConnectionLost, SessionError
from voice_agent.heartbeat import PING_S, Dead, Heartbeat, HeartbeatStatistics, Ping, Probe
from voice_agent.wire import Endpoint, Socket, connect

PROBE = b'{"type":"session.update"}'
SOUND = b'{"type":"input_audio_buffer.append","audio":"' + b"A" * 1280 + b'"}'

Manners = Literal["answers pings", "never answers pings", "hears nothing"]


@dataclass
class Server:
    """``hole``: the kernel loses all that arrives. ``deaf``: it takes everything and answers nothing."""

    manners: Manners
    ends: list[socket.socket] = field(default_factory=list)
    deaf: bool = False

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        await upgrade(reader, writer)
        self.ends.append(writer.get_extra_info("socket"))
        while True:
            opcode, payload = await read_frame(reader)
            if self.deaf or self.manners == "hears nothing":
                continue
            if opcode == PING and self.manners == "answers pings":
                writer.write(frame(PONG, payload))
            if opcode == TEXT and payload == PROBE:
                writer.write(frame(TEXT, b'{"type":"session.updated"}'))

    def fall_into_a_hole(self) -> None:
        for end in self.ends:
            vanish(end)


@dataclass
class Client:
    """What a session does of it: read, beat, and speak or not."""

    line: Socket
    heart: Heartbeat
    streams: bool

    async def hold(self) -> SessionError:
        """Until the connection ends; why it did."""
        self.line.on_pong = lambda payload: self.heart.pong(payload, monotonic())
        reasons: list[BaseException] = []
        try:
            async with asyncio.TaskGroup() as group:
                for part in (self._read(), self._beat(), self._speak()):
                    group.create_task(part)
        except* SessionError as errors:
            reasons += errors.exceptions
        assert isinstance(reasons[0], SessionError)
        return reasons[0]

    async def _read(self) -> None:
        while True:
            await self.line.receive()
            self.heart.inbound(monotonic())

    async def _beat(self) -> None:
        while True:
            for deed in self.heart.wake(monotonic()):
                match deed:
                    case Ping(payload):
                        if await self.line.ping(payload):
                            self.heart.pinged(payload, monotonic())
                    case Probe():
                        await self.line.send(PROBE)
                    case Dead(text):
                        raise ConnectionLost(text, cause=Cause.SILENT)
            await asyncio.sleep(self.heart.deadline - monotonic())

    async def _speak(self) -> None:
        while self.streams:
            await self.line.send(SOUND)
            await asyncio.sleep(0.02)


def _quick(ping_s: float | None = 0.04) -> Heartbeat:
    """The true proportions, a hundred times as fast."""
    return Heartbeat(now=monotonic(), ping_s=ping_s, patience_s=0.1, quiet_s=0.2, probe_every_s=0.3)


@dataclass
class Observed:
    """How a connection went."""

    reason: SessionError | None
    after_s: float
    counted: HeartbeatStatistics


async def _observe(
    server: Server,
    heart: Callable[[], Heartbeat],
    trouble: Callable[[], None],
    *,
    before_s: float,
    within_s: float,
    streams: bool = False,
) -> Observed:
    """Let it live for a while, then trouble comes: how and when the connection ends, if it does."""
    async with raw_server(server.serve) as url, connect(Endpoint(url)) as line:
        beating = heart()
        holding = asyncio.create_task(Client(line, beating, streams).hold())
        await asyncio.wait([holding], timeout=before_s)
        assert not holding.done()
        trouble()
        began = monotonic()
        await asyncio.wait([holding], timeout=within_s)
        after_s = monotonic() - began
        reason = holding.result() if holding.done() else None
        holding.cancel()
        return Observed(reason, after_s, beating.statistics())


def _run(observing: Awaitable[Observed]) -> Observed:
    async def run() -> Observed:
        return await observing

    return asyncio.run(run())


def _nothing() -> None:
    """No trouble."""


@pytest.fixture
def quick_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    options = ((socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", 500),)
    monkeypatch.setattr("voice_agent.wire.connection._OPTIONS", options)


# --------------------------------------------------------------------------------- a hundred times


def test_a_server_that_answers_pings_lives_and_its_distance_is_measured() -> None:
    seen = _run(_observe(Server("answers pings"), _quick, _nothing, before_s=0.7, within_s=0))
    assert seen.reason is None
    assert seen.counted.answers_pings is True
    assert seen.counted.pongs > 5
    assert seen.counted.rtt_s is not None
    assert 0 < seen.counted.rtt_s < 0.1


@pytest.mark.parametrize("ping_s", [0.04, None])
def test_a_server_that_never_answers_pings_lives_by_its_answers_to_probes(ping_s: float | None) -> None:
    server = Server("never answers pings")
    seen = _run(_observe(server, lambda: _quick(ping_s), _nothing, before_s=1.2, within_s=0))
    assert seen.reason is None
    assert not seen.counted.answers_pings
    assert seen.counted.probes >= 3


@pytest.mark.parametrize("manners", ["answers pings", "never answers pings"])
def test_a_server_that_takes_everything_and_says_nothing_more_is_found(manners: Manners) -> None:
    server = Server(manners)

    def trouble() -> None:
        server.deaf = True

    seen = _run(_observe(server, _quick, trouble, before_s=0.5, within_s=3))
    assert seen.reason is not None
    assert seen.reason.cause is Cause.SILENT
    assert "no sign of life" in str(seen.reason)


@pytest.mark.usefixtures("quick_kernel")
@pytest.mark.parametrize("streams", [True, False])
def test_a_black_hole_is_found_by_the_kernel(streams: bool) -> None:
    server = Server("hears nothing")

    def patient() -> Heartbeat:
        return Heartbeat(now=monotonic(), ping_s=0.1)

    seen = _run(_observe(server, patient, server.fall_into_a_hole, before_s=0.3, within_s=5, streams=streams))
    assert seen.reason is not None
    assert seen.reason.cause is Cause.SILENT
    assert "nothing we sent was acknowledged" in str(seen.reason)


# --------------------------------------------------------------------------------- the true numbers


@pytest.mark.slow
def test_every_black_hole_is_found_within_fifteen_seconds() -> None:
    async def fall(manners: Manners, *, ping_s: float | None, streams: bool = False) -> Observed:
        server = Server(manners)

        def heart() -> Heartbeat:
            return Heartbeat(now=monotonic(), ping_s=ping_s)

        hole = server.fall_into_a_hole
        return await _observe(server, heart, hole, before_s=3.1, within_s=20, streams=streams)

    async def run() -> Sequence[Observed]:
        return await asyncio.gather(
            fall("answers pings", ping_s=PING_S),
            fall("never answers pings", ping_s=PING_S),
            fall("never answers pings", ping_s=None),
            fall("answers pings", ping_s=PING_S, streams=True),
            fall("never answers pings", ping_s=None, streams=True),
        )

    for seen in asyncio.run(run()):
        assert seen.reason is not None
        assert seen.reason.cause is Cause.SILENT
        print(f"{seen.after_s:.1f} s: {seen.reason}")
        assert 5.0 < seen.after_s < 15.0
