"""Streams of the doctor's own: one plays what it was given, one keeps what it is brought.

Both tell how their samples lie in time. A block can be late but never early, so the earliest one shows the
device's own clock. After a tear (an underflow, an overflow) that clock has to be found anew.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from time import monotonic
from typing import NamedTuple, TypeVar

from voice_agent.audio.edge import PA_INPUT_OVERFLOW, PA_OUTPUT_UNDERFLOW, Callback, Edge
from voice_agent.audio.helper import in_helper
from voice_agent.audio.pcm import Samples, samples_in, silent_samples
from voice_agent.audio.portaudio import Direction, PortAudio, Stream
from voice_agent.errors import StreamFailed
from voice_agent.formats import BYTES_PER_SAMPLE, ms_to_samples

T = TypeVar("T")

CALL_S = 5.0
"""One PortAudio call, before the sound system counts as hanging."""
LOOK_S = 0.02
STANDSTILL_S = 1.5


class Clock:
    """When a stream's samples change hands. Written by the callback, read when the stream is closed."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._stretches = [(0, float("inf"))]
        """From which sample on, and the monotonic second at which sample 0 would have changed hands."""

    def note(self, position: int, now: float, *, torn: bool) -> None:
        """The block that begins at ``position`` changes hands ``now``."""
        zero = now - position / self._rate
        begin, best = self._stretches[-1]
        if torn:
            self._stretches.append((position, zero))
        else:
            self._stretches[-1] = begin, min(best, zero)

    def zero(self, position: int) -> float:
        """The monotonic second of sample 0, as the clock went at ``position``."""
        return next(zero for begin, zero in reversed(self._stretches) if begin <= position)

    def is_torn(self, until: int) -> bool:
        """Whether sound was lost before the position ``until``."""
        return any(0 < begin < until for begin, _ in self._stretches)


class Player(Edge):
    """Plays ``samples`` once, then silence."""

    def __init__(self, samples: Samples, rate: int, *, clock: Callable[[], float] = monotonic) -> None:
        super().__init__(clock=clock)
        self.clock = Clock(rate)
        self.given = 0
        self.underflows = 0
        self._samples = samples

    def _exchange(self, _in_data: bytes | None, frame_count: int, status: int, /) -> bytes:
        torn = bool(status & PA_OUTPUT_UNDERFLOW)
        self.underflows += torn
        self.clock.note(self.given, self.last_callback, torn=torn)
        piece = self._samples[self.given : self.given + frame_count]
        self.given += frame_count
        return piece.tobytes() + bytes((frame_count - len(piece)) * BYTES_PER_SAMPLE)


class Recorder(Edge):
    """Keeps the first ``seconds``."""

    def __init__(self, rate: int, seconds: float, *, clock: Callable[[], float] = monotonic) -> None:
        super().__init__(clock=clock)
        self.clock = Clock(rate)
        self.taken = 0
        self.overflows = 0
        self._kept = silent_samples(ms_to_samples(seconds * 1000, rate))

    @property
    def samples(self) -> Samples:
        """What was brought."""
        return self._kept[: self.taken]

    @property
    def wanted(self) -> int:
        """Samples that there is room for."""
        return len(self._kept)

    def _exchange(self, in_data: bytes | None, _frame_count: int, status: int, /) -> None:
        torn = bool(status & PA_INPUT_OVERFLOW)
        self.overflows += torn
        brought = samples_in(in_data or b"")[: len(self._kept) - self.taken]
        if len(brought):
            self.clock.note(self.taken, self.last_callback, torn=torn)
        self._kept[self.taken : self.taken + len(brought)] = brought
        self.taken += len(brought)


class Wish(NamedTuple):
    """A stream to be opened."""

    direction: Direction
    device: str
    rate: int
    block_ms: float
    channel: int
    callback: Callback


@asynccontextmanager
async def opened(*wishes: Wish) -> AsyncIterator[list[Stream]]:
    """These streams, running; all or none. Raises DeviceUnavailable or StreamFailed."""
    portaudio = await _call("start", PortAudio, undo=PortAudio.terminate)
    streams: list[Stream] = []
    try:
        for wish in wishes:
            stream = await _call("open a device", partial(_open, portaudio, wish), undo=Stream.close)
            streams.append(stream)
        for stream in reversed(streams):  # the microphone first: it is to hear all that is played
            await _call("start a stream", stream.start)
        yield streams
    finally:
        for stream in streams:
            stream.shut()
        await asyncio.shield(_call("let go of the devices", partial(_close, portaudio, streams)))


def _open(portaudio: PortAudio, wish: Wish) -> Stream:
    frames = ms_to_samples(wish.block_ms, wish.rate)
    return portaudio.open(
        wish.direction,
        wish.device,
        rate=wish.rate,
        frames_per_block=frames,
        callback=wish.callback,
        channel=wish.channel,
    )


def _close(portaudio: PortAudio, streams: list[Stream]) -> None:
    for stream in streams:
        stream.close()
    portaudio.terminate()


async def _call(what: str, work: Callable[[], T], *, undo: Callable[[T], None] | None = None) -> T:
    try:
        return await in_helper(work, name="doctor-audio", deadline_s=CALL_S, undo=undo)
    except TimeoutError:
        raise StreamFailed(f"the sound system did not {what} within {CALL_S:g} s") from None


async def until(wanted: int, position: Callable[[], int]) -> None:
    """Wait until a stream has reached a position; raises StreamFailed when it stands still before that."""
    loop = asyncio.get_running_loop()
    before, since = position(), loop.time()
    while (now := position()) < wanted:
        if now != before:
            before, since = now, loop.time()
        elif loop.time() > since + STANDSTILL_S:
            raise StreamFailed("the stream is open, but does not run: no callbacks come")
        await asyncio.sleep(LOOK_S)


async def found_device(direction: Direction, wanted: str) -> str:
    """The name of the device that would be taken; DeviceUnavailable if there is none."""
    return await _call("list its devices", partial(_find, direction, wanted))


def _find(direction: Direction, wanted: str) -> str:
    portaudio = PortAudio()
    try:
        return portaudio.find(direction, wanted).name
    finally:
        portaudio.terminate()
