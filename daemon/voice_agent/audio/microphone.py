"""The microphone: capture callback -> ring -> 20 ms frames, oldest first.

The callback writes a block and, once a frame is complete, rings a doorbell: one ``call_soon_threadsafe``,
and no second one until the loop has answered. When the loop answers but nobody takes the frames, the
oldest are dropped: it is the loop, the ring's consumer, that drops them, so no lock is needed. Only if the
loop itself does not turn for a second with the ring at its brim is the newest block refused.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import NamedTuple

from voice_agent.audio.edge import PA_INPUT_OVERFLOW, Edge
from voice_agent.audio.pcm import samples_in, silent_samples
from voice_agent.audio.ring import SampleRing
from voice_agent.formats import BYTES_PER_SAMPLE, frame_bytes, ms_to_samples, samples_to_s

SLACK_MS = 1000  # how long the loop may stand still with a full ring before new audio is refused

MOMENTS = 512  # of 5 ms blocks: 2.5 s, more than a loop stands still for


class Moment(NamedTuple):
    """What a callback knew when it had brought the sample before ``captured``."""

    captured: int
    """Position, in samples captured since the beginning."""
    at: float
    """Monotonic seconds."""
    beside: int
    """What ``Microphone.beside`` said."""


class MicrophoneStatistics(NamedTuple):
    """A snapshot of the counters, in samples where nothing else is said."""

    captured: int
    """Brought by the device."""
    lost_samples: int
    """Captured, but dropped because nobody took the frames in time."""
    queued: int
    """Waiting in the ring, now."""
    overflows: int
    """Blocks before which PortAudio reported an input overflow."""
    callbacks: int
    callback_errors: int
    last_callback: float
    """Monotonic seconds; zero before the first callback."""


class Microphone(Edge):
    """A mono PCM16 microphone at one rate; ``callback`` is for PortAudio, the rest for one task.

    ``clock``: monotonic seconds.
    """

    def __init__(
        self, rate: int, *, capacity_s: float = 10.0, clock: Callable[[], float] = monotonic
    ) -> None:
        super().__init__(clock=clock)
        self.rate = rate
        self._frame = silent_samples(frame_bytes(rate) // BYTES_PER_SAMPLE)
        self._capacity = ms_to_samples(capacity_s * 1000, rate)
        self._ring = SampleRing(self._capacity + ms_to_samples(SLACK_MS, rate))
        self.beside: Callable[[], int] = int
        """Another counter, noted at each callback. It must neither wait nor raise."""
        # Written by the callback; the loop takes old moments from the left.
        self._captured = 0
        self._moments: deque[Moment] = deque(maxlen=MOMENTS)
        self._overflows = 0
        self._hole = (0, 0)  # where newest audio was last refused (ring position), and refused samples so far
        # Written by the loop.
        self._dropped = 0
        self._passed = 0  # refused samples that lie before what is read next
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiter: asyncio.Future[None] | None = None
        # Set by the callback, cleared by the loop.
        self._rung = False

    async def frame(self) -> bytes:
        """Wait for the next 20 ms frame."""
        await self.wait()
        while (frame := self.frame_nowait()) is None:
            await self.wait()
        return frame

    async def wait(self) -> None:
        """Until a frame is complete, or somebody calls ``release``."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop = loop
            self._rung = False  # a bell rung at an earlier loop is never answered
        if self._ring.queued >= len(self._frame):
            return
        self._waiter = loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def release(self) -> None:
        """Let the task that waits go on, though there may be nothing for it."""
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    def frame_nowait(self) -> bytes | None:
        """The next 20 ms frame, if it is complete."""
        if self._ring.queued < len(self._frame):
            return None
        self._ring.read_into(self._frame)
        return self._frame.tobytes()

    @property
    def position(self) -> int:
        """Where the next frame begins, in samples captured since the beginning: what was lost counts too.

        Exact but for one case: of two holes within one ring's length, the first is seen only with the second.
        """
        at, refused = self._hole
        if self._ring.read >= at:
            self._passed = refused
        return self._ring.read + self._passed

    def moment(self) -> Moment:
        """When the end of the frame last taken was captured, however long it has waited since."""
        position, moments = self.position, self._moments
        while moments and moments[0].captured < position:
            moments.popleft()
        return moments[0] if moments else Moment(position, self._clock(), self.beside())

    def age_s(self, position: int) -> float:
        """How long ago the sample before ``position`` was captured, going by the frame last taken."""
        moment = self.moment()
        return self._clock() - moment.at + samples_to_s(moment.captured - position, self.rate)

    def discard(self) -> None:
        """Forget what was captured so far, counting nothing as lost."""
        self._ring.skip(self._ring.capacity)

    def statistics(self) -> MicrophoneStatistics:
        """The counters as they are now."""
        return MicrophoneStatistics(
            captured=self._captured,
            lost_samples=self._hole[1] + self._dropped,
            queued=self._ring.queued,
            overflows=self._overflows,
            callbacks=self.callbacks,
            callback_errors=self.callback_errors,
            last_callback=self.last_callback,
        )

    def _exchange(self, in_data: bytes | None, _frame_count: int, status: int, /) -> None:
        if status & PA_INPUT_OVERFLOW:
            self._overflows += 1
        samples = samples_in(in_data or b"")
        self._captured += len(samples)
        self._moments.append(Moment(self._captured, self.last_callback, self.beside()))
        refused = len(samples) - self._ring.write(samples)
        if refused:
            self._hole = (
                self._ring.written,
                self._hole[1] + refused,
            )  # one store: the loop sees both or none
        if self._loop and not self._rung and self._ring.queued >= len(self._frame):
            self._ring_doorbell(self._loop)

    def _ring_doorbell(self, loop: asyncio.AbstractEventLoop) -> None:
        self._rung = True
        with suppress(RuntimeError):  # the loop is closed: the bell stays rung, so this happens once
            loop.call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        self._rung = False  # before looking at the ring: what comes later rings again
        excess = self._ring.queued - self._capacity
        if excess > 0:
            self._dropped += self._ring.skip(excess)
        self.release()
