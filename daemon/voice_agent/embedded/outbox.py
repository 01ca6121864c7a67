"""The one gate through which a connection speaks, and where scripted faults strike.

``emit`` never waits, so that an event and its consequences leave in one step; ``flushed`` waits until the
socket has taken everything, which is the back-pressure that makes an interruption bite at once.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from uuid import uuid4

from aiohttp import web
from msgspec.structs import replace

from voice_agent.embedded.dialects import Dialect
from voice_agent.embedded.script import Fault
from voice_agent.realtime.codec import encode
from voice_agent.realtime.events import ServerEvent

_BEFORE = ("swallow", "duplicate", "replace")


def new_id(prefix: str) -> str:
    """A fresh identifier in the providers' manner."""
    return f"{prefix}_{uuid4().hex[:21]}"


def type_of(event: ServerEvent) -> str:
    """An event's wire name."""
    return str(event.__struct_config__.tag)


class Faults:
    """Counts events and says which faults are due."""

    def __init__(self, faults: Sequence[Fault], connection: int) -> None:
        self._faults = [fault for fault in faults if fault.connection in (None, connection)]
        self._seen: Counter[str] = Counter()

    def due(self, kind: str) -> list[Fault]:
        """The faults of this occurrence of ``kind``."""
        if not self._faults:
            return []
        self._seen[kind] += 1
        return [fault for fault in self._faults if fault.after == kind and fault.nth == self._seen[kind]]


class Outbox:
    """Events on their way to one client. ``sent``: the wire names of what left or would have left."""

    def __init__(self, dialect: Dialect, faults: Faults, told: Callable[[], None]) -> None:
        self.dialect = dialect
        self.sent: deque[str] = deque(maxlen=10_000)  # enough for any test, bounded for a long service
        self._faults = faults
        self._told = told
        self._queue: asyncio.Queue[str | Fault] = asyncio.Queue()

    def emit(self, event: ServerEvent) -> None:
        """Say something, in the client's dialect."""
        for said in self.dialect.render(event):
            kind = type_of(said)
            frame = encode(replace(said, event_id=new_id("event"))).decode()
            faults = self._faults.due(kind)
            for text in _altered(frame, [fault for fault in faults if fault.do in _BEFORE]):
                self._queue.put_nowait(text)
            self.sent.append(kind)
            self._inflict(faults)
        self._told()

    def note(self, kind: str) -> None:
        """A client event came: faults may wait for it."""
        self._inflict(self._faults.due(kind))

    async def flushed(self) -> None:
        """Wait until the socket has taken all that was emitted."""
        await self._queue.join()

    async def run(self, socket: web.WebSocketResponse, abort: Callable[[], None]) -> None:
        """Write until the socket is closed. ``abort``: ends the connection without a close frame."""
        with suppress(ConnectionResetError):  # the receiver sees the end of the socket, too
            while not socket.closed:
                word = await self._queue.get()
                if isinstance(word, Fault):
                    await _strike(word, socket, abort)
                else:
                    await socket.send_str(word)
                self._queue.task_done()

    def _inflict(self, faults: Sequence[Fault]) -> None:
        loop = asyncio.get_running_loop()
        for fault in faults:
            if fault.do not in _BEFORE:
                if fault.after_ms:
                    loop.call_later(fault.after_ms / 1000, self._queue.put_nowait, fault)
                else:
                    self._queue.put_nowait(fault)


def _altered(frame: str, faults: Sequence[Fault]) -> list[str]:
    frames = [frame]
    for fault in faults:
        match fault.do:
            case "swallow":
                frames = []
            case "duplicate":
                frames = frames * 2
            case _:
                frames = [fault.text]
    return frames


async def _strike(fault: Fault, socket: web.WebSocketResponse, abort: Callable[[], None]) -> None:
    match fault.do:
        case "send":
            await socket.send_str(fault.text)
        case "close":
            await socket.close(code=fault.code, message=fault.text.encode())
        case "drop":
            abort()
        case _:
            await asyncio.sleep(3600 if fault.ms is None else fault.ms / 1000)
