"""Keeps the loudspeaker's and the microphone's streams open, for ever.

PortAudio does not say when a device is lost: callbacks just stop, and ``is_active()`` may go on claiming
the opposite. So the evidence is the callbacks' age. The cure for everything is the same, because an
initialised PortAudio never sees a device that came back::

    open both -> watch -> a callback is overdue, other ends are to be used, or a missing device is worth
        ^          |      another try
        |          v
      back off <- close both, terminate

Opening, starting and closing happen in helper threads with a deadline. One that hangs is left behind and
counted; its streams' gates are shut, so it cannot touch the rings. Having no device at all is a state like
any other. The rings outlive all of this: what was queued is played when the loudspeaker is back.
"""

import asyncio
import logging
from collections.abc import Callable
from enum import Enum
from functools import partial
from time import monotonic
from typing import NamedTuple, Protocol, TypeVar

from voice_agent.audio.edge import Callback
from voice_agent.audio.helper import in_helper
from voice_agent.audio.microphone import Microphone
from voice_agent.audio.portaudio import DEFAULT, Direction, PortAudio, Stream
from voice_agent.audio.speaker import Speaker
from voice_agent.backoff import Backoff
from voice_agent.errors import AudioError, StreamFailed
from voice_agent.formats import FRAME_MS, ms_to_samples

T = TypeVar("T")

log = logging.getLogger(__name__)

BLOCK_MS = 10  # PortAudio keeps two of them in the device: 20 ms from ``silence`` to silence
LOOK_S = 0.2
DEAD_AFTER_LOOKS = 5  # 1 s without a callback. Looks, not a clock: a suspended machine has lost no device
STABLE_AFTER_LOOKS = 50  # 10 s: a device that stays that long has recovered, one that comes and goes has not
CLOSE_DEADLINE_S = 0.6  # on cancellation: together with the fade below one second
MAX_FADE_S = 0.3


class Condition(Enum):
    """How one direction is doing."""

    CLOSED = "closed"
    """Not opened yet, or being reopened."""
    OPEN = "open"
    """Callbacks come."""
    ABSENT = "absent"
    """No such device, or it cannot be opened."""
    FAILED = "failed"
    """It was there, and died or hung."""


LEVELS = {
    Condition.CLOSED: logging.DEBUG,
    Condition.OPEN: logging.INFO,
    Condition.ABSENT: logging.WARNING,
    Condition.FAILED: logging.WARNING,
}


class DeviceState(NamedTuple):
    """One direction now."""

    condition: Condition
    device: str
    """The name found while open, the name wanted otherwise."""
    reason: str = ""
    """Why it is not open; empty while it is."""


class DevicesState(NamedTuple):
    """Both directions now, and what it took."""

    output: DeviceState
    input: DeviceState
    opened: int
    """Times that streams were opened."""
    abandoned: int
    """PortAudio calls that missed their deadline and were left behind."""


class PortAudioLike(Protocol):
    """What is used of ``PortAudio``."""

    def open(
        self, direction: Direction, wanted: str, *, rate: int, frames_per_block: int, callback: Callback
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


class Opened:
    """What came of opening both: streams, or reasons. All methods but ``shut`` block."""

    def __init__(self, portaudio: Callable[[], PortAudioLike], wishes: list[Wish]) -> None:
        self.streams: dict[Direction, Stream] = {}
        self.reasons: dict[Direction, str] = {}
        self._portaudio = portaudio()
        for wish in wishes:
            self._open(wish)

    def start(self) -> None:
        """Let the callbacks begin."""
        for stream in self.streams.values():
            stream.start()

    def shut(self) -> None:
        """Let no callback through any more."""
        for stream in self.streams.values():
            stream.shut()

    def close(self) -> None:
        """Close the streams, then forget the devices."""
        for stream in self.streams.values():
            stream.close()
        self._portaudio.terminate()

    def _open(self, wish: Wish) -> None:
        try:
            self.streams[wish.direction] = self._portaudio.open(
                wish.direction,
                wish.device,
                rate=wish.rate,
                frames_per_block=wish.frames_per_block,
                callback=wish.callback,
            )
        except AudioError as error:
            self.reasons[wish.direction] = str(error)


class AudioDevices:
    """The owner of both streams: run ``run`` as a task, ask ``state``."""

    def __init__(
        self,
        speaker: Speaker,
        microphone: Microphone,
        *,
        output: str = DEFAULT,
        input: str = DEFAULT,  # noqa: A002 - the word of the configuration
        block_ms: int = BLOCK_MS,
        latency_ms: float | None = None,
        deadline_s: float = 5.0,
        look_s: float = LOOK_S,
        backoff: Backoff | None = None,
        on_change: Callable[[DevicesState], None] | None = None,
        portaudio: Callable[[], PortAudioLike] = PortAudio,
    ) -> None:
        self._speaker = speaker
        self._microphone = microphone
        self._wanted = {Direction.OUTPUT: output, Direction.INPUT: input}
        self._block_ms = block_ms
        self._latency_ms = latency_ms
        self._deadline_s = deadline_s
        self._look_s = look_s
        self._backoff = backoff or Backoff(0.5, 30.0)
        self.on_change = on_change
        self._portaudio = portaudio
        self._opened: Opened | None = None
        self._swapped = asyncio.Event()
        self._states = {
            direction: DeviceState(Condition.CLOSED, wanted, "not opened yet")
            for direction, wanted in self._wanted.items()
        }
        self._told: set[tuple[Direction, Condition]] = set()
        self._last_told: dict[Direction, Condition] = {}
        self._openings = 0
        self._abandoned = 0
        self._stirred = monotonic()
        self._hangs_since: float | None = None

    def state(self) -> DevicesState:
        """How both directions are doing."""
        return DevicesState(
            output=self._states[Direction.OUTPUT],
            input=self._states[Direction.INPUT],
            opened=self._openings,
            abandoned=self._abandoned,
        )

    @property
    def idle_s(self) -> float:
        """Seconds since the task last stirred: never more than a deadline, or the back-off's cap."""
        return monotonic() - self._stirred

    @property
    def hanging_s(self) -> float:
        """Seconds for which PortAudio has answered nothing any more; each try leaves a thread behind."""
        return 0.0 if self._hangs_since is None else monotonic() - self._hangs_since

    def reopen(self) -> None:
        """Close both streams and open them again."""
        self._swapped.set()

    def use(self, *, speaker: Speaker | None = None, microphone: Microphone | None = None) -> None:
        """Play and record through other ends from now on, at their rates: both streams are reopened.

        This is how the rate changes: a speaker and a microphone are each for one rate.
        """
        if speaker and speaker is not self._speaker:
            self._speaker.silence()
            self._speaker = speaker
            self._swapped.set()
        if microphone and microphone is not self._microphone:
            self._microphone = microphone
            self._swapped.set()

    async def run(self) -> None:
        """Keep the streams open until cancelled; then fade, close and go, within a second."""
        try:
            while True:
                self._swapped.clear()
                await self._open()
                died = await self._watch()
                await self._close(self._deadline_s)
                if died:
                    await self._sleep(self._backoff.next_delay())
        finally:
            await self._leave()

    # ------------------------------------------------------------------------------------ opening

    async def _open(self) -> None:
        work = partial(Opened, self._portaudio, self._wishes())
        try:
            self._opened = await self._call("opening", work, undo=Opened.close)
            await self._start(self._opened)
        except AudioError as error:
            condition = Condition.FAILED if isinstance(error, StreamFailed) else Condition.ABSENT
            for direction, wanted in self._wanted.items():
                self._tell(direction, DeviceState(condition, wanted, str(error)))
            await self._close(self._deadline_s)

    async def _start(self, opened: Opened) -> None:
        if Direction.OUTPUT in opened.streams:
            said_ms = opened.streams[Direction.OUTPUT].latency_s * 1000
            latency_ms = said_ms if self._latency_ms is None else self._latency_ms
            self._speaker.set_latency(ms_to_samples(latency_ms, self._speaker.rate))
        await self._call("starting", opened.start)
        self._openings += 1
        for direction, stream in opened.streams.items():
            self._tell(direction, DeviceState(Condition.OPEN, stream.device))
        for direction, reason in opened.reasons.items():
            self._tell(direction, DeviceState(Condition.ABSENT, self._wanted[direction], reason))

    def _wishes(self) -> list[Wish]:
        ends = (
            (Direction.OUTPUT, self._speaker, self._block_ms),
            (Direction.INPUT, self._microphone, FRAME_MS),
        )
        return [
            Wish(way, self._wanted[way], end.rate, ms_to_samples(block_ms, end.rate), end.callback)
            for way, end, block_ms in ends
        ]

    # ------------------------------------------------------------------------------------ watching

    async def _watch(self) -> bool:
        """Look at the callbacks until the streams should be reopened; whether because something failed."""
        if not self._opened or not self._opened.streams:
            return True
        loop = asyncio.get_running_loop()
        retry_at = loop.time() + self._backoff.next_delay() if self._opened.reasons else float("inf")
        overdue = dict.fromkeys(self._opened.streams, 0)
        before = self._callbacks()
        looks = 0
        while not await self._sleep(self._look_s):
            now = self._callbacks()
            overdue = {way: overdue[way] + 1 if now[way] == before[way] else 0 for way in overdue}
            before = now
            if dead := [way for way, missed in overdue.items() if missed >= DEAD_AFTER_LOOKS]:
                self._bury(dead)
                return True
            looks += 1
            if looks == STABLE_AFTER_LOOKS and not self._opened.reasons:
                self._backoff.succeeded()
                self._told.clear()
            if loop.time() >= retry_at and not self._is_playing():
                return False
        return False

    def _callbacks(self) -> dict[Direction, int]:
        return {
            Direction.OUTPUT: self._speaker.statistics().callbacks,
            Direction.INPUT: self._microphone.statistics().callbacks,
        }

    def _bury(self, dead: list[Direction]) -> None:
        for direction in dead:
            device = self._states[direction].device
            reason = f"{device} stopped calling back"
            self._tell(direction, DeviceState(Condition.FAILED, self._wanted[direction], reason))

    def _is_playing(self) -> bool:
        """Whether a reopened loudspeaker would tear what is being heard."""
        positions = self._speaker.positions()
        is_open = self._states[Direction.OUTPUT].condition is Condition.OPEN
        return is_open and positions.queued > positions.played

    async def _sleep(self, seconds: float) -> bool:
        """Wait, but not beyond ``use`` or ``reopen``; whether one was called."""
        self._stirred = monotonic()
        try:
            async with asyncio.timeout(seconds):
                return await self._swapped.wait()
        except TimeoutError:
            return False

    # ------------------------------------------------------------------------------------ closing

    async def _leave(self) -> None:
        """Fade out, then close."""
        if self._opened and (output := self._opened.streams.get(Direction.OUTPUT)):
            self._speaker.silence()
            await asyncio.sleep(min(output.latency_s + 2 * self._block_ms / 1000, MAX_FADE_S))
        await self._close(CLOSE_DEADLINE_S)

    async def _close(self, deadline_s: float) -> None:
        opened, self._opened = self._opened, None
        if opened:
            opened.shut()
            for direction in opened.streams:
                if self._states[direction].condition is Condition.OPEN:
                    self._tell(direction, DeviceState(Condition.CLOSED, self._wanted[direction], "reopening"))
            try:
                await self._call("closing", opened.close, deadline_s=deadline_s)
            except StreamFailed as error:
                log.warning("a sound device does not let go", extra={"reason": str(error)})

    async def _call(
        self,
        what: str,
        work: Callable[[], T],
        *,
        undo: Callable[[T], None] | None = None,
        deadline_s: float | None = None,
    ) -> T:
        limit_s = deadline_s or self._deadline_s
        self._stirred = monotonic()
        try:
            result = await in_helper(work, name=f"audio-{what}", deadline_s=limit_s, undo=undo)
        except TimeoutError:
            self._abandoned += 1
            self._hangs_since = self._hangs_since or self._stirred
            raise StreamFailed(f"{what} the sound devices took more than {limit_s:g} s") from None
        self._hangs_since = None
        return result

    # ------------------------------------------------------------------------------------ telling

    def _tell(self, direction: Direction, state: DeviceState) -> None:
        """Make ``state`` known."""
        level = self._loudness(direction, state.condition)
        fields = {"direction": direction.value, "device": state.device, "reason": state.reason}
        log.log(level, "sound device %s", state.condition.value, extra=fields)
        changed = self._states[direction] != state
        self._states[direction] = state
        if changed and self.on_change:
            self.on_change(self.state())

    def _loudness(self, direction: Direction, condition: Condition) -> int:
        """News once: a trouble is said aloud once until things are stable, its end once after that."""
        last = self._last_told.get(direction)
        is_open = condition is Condition.OPEN
        if last is Condition.OPEN if is_open else (direction, condition) in self._told:
            return logging.DEBUG
        level = LEVELS[condition]
        if level > logging.DEBUG:
            self._told.add((direction, condition))
            self._last_told[direction] = condition
        return level
