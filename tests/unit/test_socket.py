"""An open connection in use: frames, pings, stalled lines, and the goodbye."""

import asyncio
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic

import pytest

from tests.fakes.raw_server import (
    BINARY,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Serve,
    closing,
    frame,
    goodbye,
    raw_server,
    read_frame,
    speaking,
    upgrade,
)
from voice_agent.embedded import Fault, Script, ServerOptions, running
from voice_agent.errors import Cause, ConnectionLost, SessionError
from voice_agent.wire import Endpoint, Socket, connect

MANY = 10_000
LARGE = b"x" * 60_000


def _on(serve: Serve, use: Callable[[Socket], Awaitable[None]]) -> None:
    """Use a connection to a server that behaves like this."""

    async def run() -> None:
        async with raw_server(serve) as url, asyncio.timeout(20), connect(Endpoint(url)) as line:
            await use(line)

    asyncio.run(run())


# -------------------------------------------------------------------------------------------- frames


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        (frame(TEXT, b"{}"), "{}"),
        (frame(TEXT), ""),
        (frame(BINARY, b"\x00\xff"), b"\x00\xff"),
        (frame(TEXT, b"a", last=False) + frame(CONTINUATION, b"b", last=False) + frame(CONTINUATION), "ab"),
        (frame(TEXT, last=False) + frame(CONTINUATION, b"late"), "late"),
        (frame(TEXT, b"a", last=False) + frame(PING, b"between") + frame(CONTINUATION, b"b"), "ab"),
        (frame(PING) + frame(PONG, b"unasked") + frame(TEXT, b"after"), "after"),
    ],
)
def test_frames_arrive_however_they_are_cut(sent: bytes, received: str | bytes) -> None:
    async def use(line: Socket) -> None:
        assert await line.receive() == received

    _on(speaking(sent), use)


def test_a_frame_that_trickles_in_byte_by_byte_arrives() -> None:
    async def trickle(reader: StreamReader, writer: StreamWriter) -> None:
        await upgrade(reader, writer)
        for byte in frame(TEXT, b"slowly"):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.001)  # the network's pace, not ours
        await goodbye(reader, writer)

    async def use(line: Socket) -> None:
        assert await line.receive() == "slowly"

    _on(trickle, use)


# --------------------------------------------------------------------------------------------- pings


def test_the_servers_ping_is_answered_with_its_payload() -> None:
    answered: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()

    async def ask(reader: StreamReader, writer: StreamWriter) -> None:
        await upgrade(reader, writer)
        writer.write(frame(PING, b"are you there?"))
        answered.put_nowait(await read_frame(reader))
        writer.write(frame(TEXT, b"thanks"))
        await goodbye(reader, writer)

    async def use(line: Socket) -> None:
        assert await line.receive() == "thanks"
        assert answered.get_nowait() == (PONG, b"are you there?")

    _on(ask, use)


def test_a_pong_is_reported_with_its_payload() -> None:
    async def answer(reader: StreamReader, writer: StreamWriter) -> None:
        await upgrade(reader, writer)
        opcode, payload = await read_frame(reader)
        assert opcode == PING
        writer.write(frame(PONG, payload) + frame(TEXT, b"after"))
        await goodbye(reader, writer)

    async def use(line: Socket) -> None:
        heard: list[bytes] = []
        line.on_pong = heard.append
        assert await line.ping(b"42")
        assert await line.receive() == "after"
        assert heard == [b"42"]

    _on(answer, use)


async def _stall(line: Socket) -> "asyncio.Task[None]":
    """Send until the line takes no more; the sender, still waiting."""

    async def send() -> None:
        while True:
            await line.send(LARGE)

    sender = asyncio.create_task(send())
    while await line.ping(b"full?"):
        await asyncio.sleep(0.01)
    return sender


def test_a_stalled_line_neither_holds_up_a_ping_nor_the_reader() -> None:
    stalled, seen = asyncio.Event(), asyncio.Queue[tuple[int, bytes]]()

    async def ask_without_listening(reader: StreamReader, writer: StreamWriter) -> None:
        await upgrade(reader, writer)
        await stalled.wait()
        for number in range(MANY):
            writer.write(frame(PING, b"%120d" % number))
        writer.write(frame(TEXT, b"after the pings"))
        while True:
            seen.put_nowait(await read_frame(reader))

    async def use(line: Socket) -> None:
        # The reader of the raw server takes 128 KiB ahead and then stops: so does the kernel.
        sender = await _stall(line)
        started = monotonic()
        assert not await line.ping(b"skipped")
        assert monotonic() - started < 0.1
        stalled.set()
        assert await line.receive() == "after the pings"
        pongs = 0
        while (got := await seen.get()) != (PONG, b"%120d" % (MANY - 1)):
            pongs += got[0] == PONG
        assert pongs < MANY / 2
        sender.cancel()

    _on(ask_without_listening, use)


# -------------------------------------------------------------------------------------------- kernel


def test_the_kernel_is_told_to_watch_the_path() -> None:
    async def use(line: Socket) -> None:
        sock = line._websocket.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 4

    _on(speaking(), use)


# ---------------------------------------------------------------------------------------------- ends


async def _send_for_ever(line: Socket) -> SessionError:
    try:
        while True:
            await line.send(b"{}")
            await asyncio.sleep(0)
    except SessionError as error:
        return error


def test_sending_on_a_dead_line_is_a_lost_connection() -> None:
    async def run() -> SessionError:
        fault = Fault(after="session.created", do="drop")
        async with (
            running(ServerOptions(script=Script(faults=(fault,)))) as server,
            connect(Endpoint(server.url)) as line,
            asyncio.timeout(5),
        ):
            return await _send_for_ever(line)

    error = asyncio.run(run())
    assert (type(error), error.cause) == (ConnectionLost, Cause.DROPPED)


def test_who_sends_learns_the_reason_that_is_read_a_moment_later() -> None:
    async def say_why_and_go(reader: StreamReader, writer: StreamWriter) -> None:
        await upgrade(reader, writer)
        writer.write(closing(1008, "no such model"))

    async def use(line: Socket) -> None:
        transport = line._witness.transport
        assert transport is not None
        while not transport.is_closing():
            await asyncio.sleep(0.001)
        sending = asyncio.create_task(line.send(b"{}"))
        await asyncio.sleep(0)  # the sender has failed
        with pytest.raises(SessionError) as read:
            await line.receive()
        assert read.value.cause is Cause.POLICY
        with pytest.raises(SessionError) as written:
            await sending
        assert written.value is read.value

    _on(say_why_and_go, use)


def test_the_end_is_told_again_in_the_same_words() -> None:
    async def use(line: Socket) -> None:
        for _ in range(2):
            with pytest.raises(SessionError, match="code 1011"):
                await line.receive()

    _on(speaking(closing(1011)), use)


def _sockets() -> int:
    """Of this process."""
    return sum(link.is_socket() for link in Path("/proc/self/fd").iterdir())


def test_the_goodbye_on_a_stalled_line_is_short_and_leaves_no_socket() -> None:
    async def be_deaf(reader: StreamReader, writer: StreamWriter) -> None:
        await upgrade(reader, writer)
        await asyncio.Event().wait()

    async def run() -> None:
        async with raw_server(be_deaf) as url:
            before = _sockets()
            async with connect(Endpoint(url)) as line:
                sender = await _stall(line)
                sender.cancel()
                leaving = monotonic()
            assert monotonic() - leaving < 1.0
            await asyncio.sleep(0)  # the transport closes in the loop's next round
            assert _sockets() == before + 1  # the server's end

    asyncio.run(run())


def test_a_hundred_failed_connections_leave_no_socket() -> None:
    async def run() -> None:
        async with raw_server(speaking(closing(1011))) as url:
            before = _sockets()
            for _ in range(100):
                with pytest.raises(SessionError):
                    async with connect(Endpoint(url)) as line:
                        await line.receive()
            async with asyncio.timeout(2):
                while _sockets() > before:
                    await asyncio.sleep(0.01)

    asyncio.run(run())
