"""The one gate through which a connection speaks, and where faults strike.

``emit`` never waits, so that an event and its consequences leave in one step; ``flushed`` waits until the
socket has taken everything, which is the back-pressure that makes an interruption bite at once.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from uuid import uuid4

from msgspec.structs import replace

from voice_agent.embedded.dialects import Dialect
from voice_agent.embedded.faults import BEFORE, INSTEAD, Fault, Faults
from voice_agent.embedded.line import Line
from voice_agent.realtime.codec import encode
from voice_agent.realtime.events import ErrorDetail, ServerError, ServerEvent

FOR_EVER_S = 3600.0 * 24


def new_id(prefix: str) -> str:
    """A fresh identifier in the providers' manner."""
    return f"{prefix}_{uuid4().hex[:21]}"


def type_of(event: ServerEvent) -> str:
    """An event's wire name."""
    return str(event.__struct_config__.tag)


class Outbox:
    """Events on their way to one client. ``sent``: the wire names of what left or would have left."""

    def __init__(self, dialect: Dialect, faults: Faults, told: Callable[[], None]) -> None:
        self.dialect = dialect
        self.sent: deque[str] = deque(maxlen=10_000)  # enough for any test, bounded for a long service
        self._faults = faults
        self._told = told
        self._queue: asyncio.Queue[str | Fault] = asyncio.Queue()
        self._held: list[str | Fault] = []  # goes behind the next event

    def emit(self, event: ServerEvent) -> bool:
        """Say something, in the client's dialect. False if it was swallowed: then nothing follows from it."""
        swallowed = False
        for said in self.dialect.render(event):
            kind = type_of(said)
            faults = self._faults.due(kind)
            before = [fault for fault in faults if fault.do in BEFORE]
            swallowed |= any(fault.do == "swallow" for fault in before)
            self._dispatch(_framed(said), before)
            self.sent.append(kind)
            self.inflict([fault for fault in faults if fault.do not in BEFORE])
        self._told()
        return not swallowed

    def note(self, kind: str) -> Fault | None:
        """A client event (or ``ping``) came: faults may wait for it. The one that it must not survive."""
        faults = self._faults.due(kind)
        self.inflict([fault for fault in faults if fault.do not in INSTEAD])
        return next((fault for fault in faults if fault.do in INSTEAD), None)

    def inflict(self, faults: Sequence[Fault]) -> None:
        """Let these strike when it is their turn."""
        loop = asyncio.get_running_loop()
        for fault in faults:
            if fault.after_ms:
                loop.call_later(fault.after_ms / 1000, self._queue.put_nowait, fault)
            else:
                self._queue.put_nowait(fault)

    async def flushed(self) -> None:
        """Wait until the socket has taken all that was emitted."""
        await self._queue.join()

    async def run(self, line: Line) -> None:
        """Write until the socket is closed."""
        with suppress(ConnectionResetError):  # the receiver sees the end of the socket, too
            while not line.closed:
                word = await self._queue.get()
                if isinstance(word, Fault):
                    await self._strike(word, line)
                else:
                    await line.send(word)
                self._queue.task_done()

    def _dispatch(self, frame: str, faults: Sequence[Fault]) -> None:
        """Put what the faults leave of ``frame`` into the queue, and what had to wait behind it."""
        frames, late = _altered(frame, faults), [fault for fault in faults if fault.do == "late"]
        if late and late[0].ms is None:
            self._held += frames
            return
        for word in frames:
            if late:
                pause_s = (late[0].ms or 0) / 1000
                asyncio.get_running_loop().call_later(pause_s, self._queue.put_nowait, word)
            else:
                self._queue.put_nowait(word)
        held, self._held = self._held, []
        for word in held:
            self._queue.put_nowait(word)

    async def _strike(self, fault: Fault, line: Line) -> None:
        seconds = FOR_EVER_S if fault.ms is None else fault.ms / 1000
        match fault.do:
            case "send":
                await line.send(fault.text)
            case "error":
                await line.send(self._error(fault))
                if fault.code is not None:
                    await line.close(fault.code, fault.text)
            case "close":
                await line.close(1011 if fault.code is None else fault.code, fault.text)
            case "drop":
                line.abort()
            case "cut":
                line.cut(fault.text)
            case "drip":
                line.drip(fault.rate, seconds)
            case "stall":
                await asyncio.sleep(seconds)

    def _error(self, fault: Fault) -> str:
        code = fault.error if self.dialect.error_codes else None
        return _framed(ServerError(error=ErrorDetail(type=fault.type, code=code, message=fault.text)))


def _framed(event: ServerEvent) -> str:
    return encode(replace(event, event_id=new_id("event"))).decode()


def _altered(frame: str, faults: Sequence[Fault]) -> list[str | Fault]:
    frames: list[str | Fault] = [frame]
    for fault in faults:
        match fault.do:
            case "swallow":
                frames = []
            case "duplicate":
                frames = frames * 2
            case "replace":
                frames = [fault.text]
            case "cut":
                frames = [replace(fault, text=frame)]
    return frames
