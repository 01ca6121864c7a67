"""Keeps the stream of one direction open, for ever, and leaves the other one alone where it can.

PortAudio does not say when a device is lost: callbacks just stop, and ``is_active()`` may go on claiming the
opposite. So the evidence is the callbacks' count. A microphone that calls back with nothing but one value is
lost to the conversation, too; it is kept open, for the moment in which somebody unmutes it::

    open -> watch -> callbacks stopped ----------> close, back off -+
     ^        '----> flat for a while: say so, reopen now and then  |
     '--------------------------------------------------------------'

A stream that was lost is reopened in the living PortAudio, which harms nobody. That finds a device that came
back as it was, but none that was not there when PortAudio was made. Making it anew closes both streams, so
there must be a reason:

* the other direction has no stream, or nothing is playing;
* the kernel has a card that it had not before: then what plays is waited for, but only ``patience_s``;
* nothing of that, for ``BLIND_S``: some devices come without a word, such as those of a sound server.

A stream that opens and dies again is taken to that cure, too.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Hashable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from time import monotonic

from voice_agent.audio.names import Direction
from voice_agent.audio.portaudio import Stream
from voice_agent.audio.soundsystem import SoundSystem, Wish
from voice_agent.audio.states import Condition, DeviceState, News, Restart
from voice_agent.backoff import Backoff
from voice_agent.errors import AudioError, StreamFailed

log = logging.getLogger(__name__)

DEAD_AFTER_LOOKS = 5  # 1 s without a callback. Looks, not a clock: a suspended machine has lost no device
STABLE_AFTER_LOOKS = 50  # 10 s: a device that stays that long has recovered, one that comes and goes has not
RELAPSE = 2  # deaths without a stable time between them: then reopening is not the cure
SETTLED_S = 2.0  # a card is listed before all of its devices can be opened
BLIND_S = 30.0
FLAT_FIRST_S, FLAT_CAP_S = (
    5.0,
    60.0,
)  # a muted microphone needs no reopening; one that is stuck may be cured by it


@dataclass(frozen=True, slots=True)
class Direct:
    """What is particular about a direction."""

    wish: Callable[[], Wish]
    """The stream that is wanted now."""
    opened: Callable[[Stream], None] = lambda _stream: None
    """Called before the stream starts."""
    at_rest: Callable[[], bool] = lambda: False
    """Whether nobody would notice if it were closed for a moment."""
    patience_s: float = 0.0
    """How long the other direction waits for that."""
    flat_after_s: float = 0.0
    """Of one value only: then it brings nothing. Zero: never."""


class Keeper:
    """One direction: run ``run`` as a task. ``other`` has to be set before."""

    other: "Keeper"

    def __init__(
        self,
        direction: Direction,
        about: Direct,
        system: SoundSystem,
        *,
        wanted: str,
        look_s: float,
        backoff: Backoff,
        cards: Callable[[], AbstractSet[Hashable]],
        on_change: Callable[[], None],
    ) -> None:
        self.stream: Stream | None = None
        self.state = DeviceState(Condition.CLOSED, wanted, "not opened yet")
        self.restarts: Counter[Restart] = Counter()
        self.stirred = monotonic()
        """When ``run`` last did something: never more than a deadline ago."""
        self._about = about
        self._system = system
        self._wanted = wanted
        self._look_s = look_s
        self._backoff = backoff
        self._flat_backoff = Backoff(FLAT_FIRST_S, FLAT_CAP_S)
        self._cards = cards
        self._on_change = on_change
        self._nudged = asyncio.Event()
        self._muted = False
        self._flat = False
        self._past_errors = 0
        self._deaths = 0  # since the stream was stable
        self._lost_at = monotonic()
        self._known: AbstractSet[Hashable] = cards()
        self._appeared_at = float("-inf")  # a card that was not there before
        self._news = News(direction)

    def rests(self) -> bool:
        """Whether a stream of another PortAudio may take over without being noticed."""
        return self.stream is None or self._about.at_rest()

    @property
    def patience_s(self) -> float:
        """How long to wait for that."""
        return self._about.patience_s

    @property
    def adaptor_errors(self) -> int:
        """Callbacks that failed on their way between the device and its end, since the beginning."""
        return self._past_errors + (self.stream.adaptor_errors if self.stream else 0)

    @property
    def content(self) -> bool:
        """Nothing is missing."""
        return self.stream is not None or self._muted

    def reopen(self) -> None:
        """Close the stream and open it again, as it is wished for now."""
        self._nudged.set()

    def mute(self, *, muted: bool) -> None:
        """Close the stream until it is unmuted. Nothing comes through from this very moment on."""
        if muted != self._muted:
            self._muted = muted
            self._obey_mute()
            self._nudged.set()

    def _obey_mute(self) -> None:
        if self._muted and self.stream:
            self.stream.shut()

    async def run(self) -> None:
        """Keep the stream open until cancelled; who cancels closes it."""
        while True:
            self._nudged.clear()
            if self._muted:
                self._tell(DeviceState(Condition.MUTED, self._wanted, "muted"))
                await self._pause(float("inf"))
                continue
            try:
                await self._open()
            except AudioError as error:
                self._flat = False
                self._tell_failure(error)
                await self._pause(self._backoff.next_delay(), unless_card=True)
            else:
                if self.stream:
                    await self._keep()

    async def lend(self) -> bool:
        """With the lock held: give the stream up, for a fresh PortAudio; whether there was one."""
        stream, self.stream = self.stream, None
        if stream is None:
            return False
        self.restarts[Restart.RENEWED] += 1
        stream.shut()
        if not self._flat:
            self._tell(DeviceState(Condition.CLOSED, stream.device, "reopening"))
        await self._close(stream)
        return True

    async def take_back(self) -> None:
        """With the lock held: have a stream again, or say why not."""
        try:
            await self._attempt()
        except AudioError as error:
            self._flat = False
            self._tell_failure(error)

    # ------------------------------------------------------------------------------------ opening

    async def _open(self) -> None:
        """In the living PortAudio if it can be; if not, and there is a reason, in a fresh one."""
        began = monotonic()
        self._look_for_cards()
        if self._deaths < RELAPSE or not await self._may_renew():
            try:
                async with self._system.lock:
                    await self._attempt()
            except AudioError:
                if self._system.made_at >= began or not await self._may_renew():
                    raise
            else:
                return
        async with self._system.lock:
            await self._renew()

    async def _attempt(self) -> None:
        """With the lock held: open and start, and say so."""
        if self._muted:
            return
        stream = await self._system.open(self._about.wish())
        self.stream = stream
        self._obey_mute()
        self._about.opened(stream)
        try:
            await self._system.start(stream)
        except AudioError:
            self.stream = None
            await self._close(stream)
            raise
        if self.other.content:
            self._system.content()
        if not self._flat:
            self._tell_open(stream)

    async def _may_renew(self) -> bool:
        if self._system.hangs:
            return False
        now, made_at, other = monotonic(), self._system.made_at, self.other
        if other.rests():
            return True
        is_news = made_at < self._appeared_at or made_at < self._appeared_at + SETTLED_S <= now
        if not is_news and now - max(made_at, self._lost_at) < BLIND_S:
            return False
        until = now + other.patience_s
        while monotonic() < until and not other.rests():
            if await self._sleep(self._look_s):
                return False
        return True

    async def _renew(self) -> None:
        """With the lock held: a fresh PortAudio for both; first for the one who lends his stream."""
        lent = await self.other.lend()
        await self._system.forget()
        if lent:
            await self.other.take_back()
        await self._attempt()

    # ----------------------------------------------------------------------------------- watching

    async def _keep(self) -> None:
        """Watch the stream to its end, and close it."""
        why = await self._watch()
        self._lost_at = monotonic()
        stream, self.stream = self.stream, None
        if stream is None:  # a renewal took it, and could not bring it back
            await self._pause(self._backoff.next_delay(), unless_card=True)
            return
        stream.shut()
        self.restarts[why] += 1
        if why is Restart.STOPPED:
            self._tell(DeviceState(Condition.FAILED, self._wanted, f"{stream.device} stopped calling back"))
        elif not self._flat:
            self._tell(DeviceState(Condition.CLOSED, self._wanted, "reopening"))
        async with self._system.lock:
            await self._close(stream)
        if why is Restart.STOPPED:
            self._flat = False
            self._deaths += 1
            await self._pause(self._backoff.next_delay())

    async def _watch(self) -> Restart:
        """Look at the callbacks until the stream should be closed."""
        seen, overdue, looks = -1, 0, 0
        reopen_at = monotonic() + self._flat_backoff.next_delay(FLAT_FIRST_S) if self._flat else 0.0
        while not await self._sleep(self._look_s):
            stream = self.stream
            if stream is None:
                if self._system.lock.locked():  # it is being renewed
                    continue
                return Restart.RENEWED
            overdue = overdue + 1 if stream.callbacks == seen else 0
            seen = stream.callbacks
            if overdue >= DEAD_AFTER_LOOKS:
                return Restart.STOPPED
            was_flat, is_flat = self._flat, self._feel(stream)
            if is_flat and not was_flat:
                reopen_at = monotonic() + self._flat_backoff.next_delay(FLAT_FIRST_S)
            if is_flat and monotonic() >= reopen_at:
                return Restart.FLAT
            looks += 1
            if looks == STABLE_AFTER_LOOKS:
                self._deaths = 0
                self._backoff.succeeded()
                self._news.stable()
        return Restart.ASKED

    def _feel(self, stream: Stream) -> bool:
        """Whether a microphone brings nothing."""
        limit_s = self._about.flat_after_s
        if not self._flat and limit_s and stream.flat_s >= limit_s:
            self._flat = True
            reason = f"{stream.device} brings nothing but one value: muted in hardware, or broken?"
            self._tell(DeviceState(Condition.FAILED, self._wanted, reason))
        elif self._flat and stream.callbacks and not stream.flat_s:
            self._flat = False
            self._flat_backoff.succeeded()
            self._tell_open(stream)
        return self._flat

    def _look_for_cards(self) -> bool:
        now = self._cards()
        new, self._known = now - self._known, now
        if new:
            self._appeared_at = monotonic()
            self._backoff.succeeded()
        return bool(new)

    async def _pause(self, seconds: float, *, unless_card: bool = False) -> None:
        """Wait, but not beyond a nudge, nor, if that helps, beyond the arrival of a card."""
        until = monotonic() + seconds
        while (rest := until - monotonic()) > 0:
            if await self._sleep(min(self._look_s, rest)):
                return
            if unless_card and self._look_for_cards():
                return

    async def _sleep(self, seconds: float) -> bool:
        """Wait, but not beyond a nudge; whether there was one."""
        self.stirred = monotonic()
        try:
            async with asyncio.timeout(seconds):
                return await self._nudged.wait()
        except TimeoutError:
            return False

    # ------------------------------------------------------------------------------------ telling

    async def _close(self, stream: Stream) -> None:
        self._past_errors += stream.adaptor_errors
        try:
            await self._system.close(stream)
        except StreamFailed as error:
            log.warning("a sound device does not let go", extra={"reason": str(error)})

    def _tell_failure(self, error: AudioError) -> None:
        condition = Condition.FAILED if isinstance(error, StreamFailed) else Condition.ABSENT
        self._tell(DeviceState(condition, self._wanted, str(error)))

    def _tell_open(self, stream: Stream) -> None:
        rate, channels = stream.shape
        resampled = rate != self._about.wish().rate
        state = DeviceState(Condition.OPEN, stream.device, "", rate, channels, resampled)
        self._tell(state)

    def _tell(self, state: DeviceState) -> None:
        """Make ``state`` known."""
        self._news.tell(state)
        if state != self.state:
            self.state = state
            self._on_change()
