"""The one PortAudio that both directions share, and every call into it.

PortAudio's functions must not be called at the same time, may block and may never return. So each call runs
in a helper thread with a deadline, one after another under ``lock``. A call that misses its deadline is left
behind and counted; while it is still inside, PortAudio can be neither ended nor made anew, and only a fresh
process cures that: ``hanging_s`` says for how long this has been so.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import NamedTuple, Protocol, TypeVar

from voice_agent.audio.edge import Callback
from voice_agent.audio.helper import in_helper
from voice_agent.audio.names import Direction
from voice_agent.audio.portaudio import Stream
from voice_agent.errors import StreamFailed

T = TypeVar("T")


class PortAudioLike(Protocol):
    """What is used of ``PortAudio``."""

    def open(
        self,
        direction: Direction,
        wanted: str,
        *,
        rate: int,
        frames_per_block: int,
        callback: Callback,
        channel: int = 0,
    ) -> Stream:
        """Open one stream."""
        ...

    def terminate(self) -> None:
        """Close all streams and forget the devices."""
        ...


class Wish(NamedTuple):
    """A stream to be opened."""

    direction: Direction
    device: str
    rate: int
    frames_per_block: int
    callback: Callback
    channel: int = 0


class SoundSystem:
    """Opens and closes streams. Its callers hold ``lock`` while they call."""

    def __init__(self, portaudio: Callable[[], PortAudioLike], deadline_s: float) -> None:
        self.lock = asyncio.Lock()
        self.made_at = 0.0
        """When the living PortAudio looked at the devices; monotonic seconds."""
        self.abandoned = 0
        """Calls that missed their deadline."""
        self.openings = 0
        """Streams that were opened and started."""
        self._make = portaudio
        self._deadline_s = deadline_s
        self._living: PortAudioLike | None = None
        self._inside: set[object] = set()  # calls that have not returned
        self._hangs_since: float | None = None

    @property
    def hangs(self) -> bool:
        """Whether a call that was left behind is still inside, and something is missing."""
        return self._hangs_since is not None and bool(self._inside)

    @property
    def hanging_s(self) -> float:
        """Seconds since the first of the calls that have not returned."""
        since = self._hangs_since
        return monotonic() - since if since is not None and self.hangs else 0.0

    def content(self) -> None:
        """All streams are open: whatever hangs, harms nobody now."""
        self._hangs_since = None

    async def open(self, wish: Wish) -> Stream:
        """Open a stream in the living PortAudio; make one if there is none."""
        if self._living is None:
            if self.hangs:  # PortAudio counts its users, and would hand out what is half ended
                raise StreamFailed("an earlier call into PortAudio still hangs")
            self._living = await self._call("starting", self._start)
            self.made_at = monotonic()
        work = partial(
            self._living.open,
            wish.direction,
            wish.device,
            rate=wish.rate,
            frames_per_block=wish.frames_per_block,
            callback=wish.callback,
            channel=wish.channel,
        )
        return await self._call("opening", work, undo=lambda late: late.close())

    async def start(self, stream: Stream) -> None:
        """Let its callbacks begin."""
        await self._call("starting", stream.start)
        self.openings += 1

    async def close(self, *streams: Stream) -> None:
        """Give devices back. Raises StreamFailed if they do not let go in time."""

        def work() -> None:
            for stream in streams:
                stream.close()

        await self._call("closing", work)

    async def forget(self) -> None:
        """End the living PortAudio, for the next one to see the devices that there are then."""
        living, self._living = self._living, None
        if living:
            await self._call("ending", living.terminate)

    async def leave(self, streams: list[Stream], deadline_s: float) -> None:
        """Close all and end; needs no lock, as nobody else is left."""
        living, self._living = self._living, None

        def work() -> None:
            for stream in streams:
                stream.close()
            if living and not self.hangs:
                living.terminate()

        await self._call("closing", work, deadline_s=deadline_s)

    def _start(self) -> PortAudioLike:
        """In a helper. One that nobody waits for any more will do as well: on a slow machine all are late."""
        living = self._make()
        self.made_at = monotonic()
        self._living = living
        return living

    async def _call(
        self,
        what: str,
        work: Callable[[], T],
        *,
        undo: Callable[[T], None] | None = None,
        deadline_s: float | None = None,
    ) -> T:
        began, call, limit_s = monotonic(), object(), deadline_s or self._deadline_s

        def inside() -> T:
            try:
                return work()
            finally:
                self._inside.discard(call)

        if not self._inside:
            self._hangs_since = None
        self._inside.add(call)
        try:
            result = await in_helper(inside, name=f"audio-{what}", deadline_s=limit_s, undo=undo)
        except TimeoutError:
            self.abandoned += 1
            self._hangs_since = self._hangs_since or began
            raise StreamFailed(f"{what} the sound devices took more than {limit_s:g} s") from None
        finally:
            if not self._inside:
                self._hangs_since = None
        if self._inside:
            self._hangs_since = self._hangs_since or monotonic()
        return result
