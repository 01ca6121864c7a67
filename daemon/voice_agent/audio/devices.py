"""The sound devices: a keeper for each direction over one PortAudio, and what the rest may know of them.

Having no device at all is a state like any other. The rings outlive streams: what was queued is played when
the loudspeaker is back. ``keeper`` says how a stream is lost and healed.
"""

import asyncio
import logging
from collections.abc import Callable, Hashable, Mapping
from collections.abc import Set as AbstractSet
from time import monotonic
from typing import NamedTuple

from voice_agent.audio.alsa import Cards
from voice_agent.audio.keeper import Direct, Keeper
from voice_agent.audio.microphone import Microphone
from voice_agent.audio.names import DEFAULT, Direction
from voice_agent.audio.portaudio import PortAudio, Stream
from voice_agent.audio.soundsystem import PortAudioLike, SoundSystem, Wish
from voice_agent.audio.speaker import Speaker
from voice_agent.audio.states import Condition, DeviceState, Restart
from voice_agent.backoff import Backoff
from voice_agent.errors import StreamFailed
from voice_agent.formats import FRAME_MS, ms_to_samples

__all__ = ["AudioDevices", "Condition", "DeviceState", "DevicesState", "Restart"]

log = logging.getLogger(__name__)

BLOCK_MS = 10  # PortAudio keeps two of them in the device: 20 ms from ``silence`` to silence
LOOK_S = 0.2
CLOSE_DEADLINE_S = 0.6  # on cancellation: together with the fade below one second
MAX_FADE_S = 0.3
LEAVING_DB = (4.0, 9.0, 15.0, 22.0, 30.0)
"""A restart in mid-word should not startle anybody: softer in steps, between which the gain glides."""
LEAVING_STEP_S = 0.02
PATIENCE_S = 3.0  # a microphone must not stay dead through a two minute answer
FLAT_AFTER_S = 1.5


class DevicesState(NamedTuple):
    """Both directions now, and what it took."""

    output: DeviceState
    input: DeviceState
    opened: int
    """Streams that were opened."""
    abandoned: int
    """PortAudio calls that missed their deadline and were left behind."""
    restarts: Mapping[tuple[Direction, Restart], int] = {}
    """Streams that were closed after they had been open, by reason."""
    adaptor_errors: Mapping[Direction, int] = {}
    """Callbacks that failed between a device and its end."""


class AudioDevices:
    """The owner of both streams: run ``run`` as a task, ask ``state``."""

    def __init__(
        self,
        speaker: Speaker,
        microphone: Microphone,
        *,
        output: str = DEFAULT,
        input: str = DEFAULT,  # noqa: A002 - the word of the configuration
        channel: int = 0,
        flat_after_s: float = FLAT_AFTER_S,
        block_ms: int = BLOCK_MS,
        latency_ms: float | None = None,
        deadline_s: float = 5.0,
        look_s: float = LOOK_S,
        backoff: Callable[[], Backoff] = lambda: Backoff(0.5, 30.0),
        on_change: Callable[[DevicesState], None] | None = None,
        portaudio: Callable[[], PortAudioLike] = PortAudio,
        cards: Callable[[], AbstractSet[Hashable]] | None = None,
    ) -> None:
        """``channel``: the microphone's only one to hear, from one; zero is the mean of all.

        ``flat_after_s``: a microphone that brings one value for so long brings nothing; zero: never.
        """
        self._speaker = speaker
        self._microphone = microphone
        self._channel = channel
        self._block_ms = block_ms
        self._latency_ms = latency_ms
        self.on_change = on_change
        self._system = SoundSystem(portaudio, deadline_s)
        playing = Direct(lambda: self._playing(output), self._tell_latency, self._is_silent, PATIENCE_S)
        hearing = Direct(lambda: self._hearing(input), flat_after_s=flat_after_s)

        def keeper(direction: Direction, about: Direct, wanted: str) -> Keeper:
            return Keeper(
                direction,
                about,
                self._system,
                wanted=wanted,
                look_s=look_s,
                backoff=backoff(),
                cards=cards or Cards().read,
                on_change=self._changed,
            )

        self._output = keeper(Direction.OUTPUT, playing, output)
        self._input = keeper(Direction.INPUT, hearing, input)
        self._output.other, self._input.other = self._input, self._output

    def state(self) -> DevicesState:
        """How both directions are doing."""
        ends = ((Direction.OUTPUT, self._output), (Direction.INPUT, self._input))
        return DevicesState(
            output=self._output.state,
            input=self._input.state,
            opened=self._system.openings,
            abandoned=self._system.abandoned,
            restarts={(way, why): count for way, end in ends for why, count in end.restarts.items()},
            adaptor_errors={way: end.adaptor_errors for way, end in ends},
        )

    @property
    def idle_s(self) -> float:
        """Seconds since a keeper last stirred: never more than a few deadlines."""
        return monotonic() - min(self._output.stirred, self._input.stirred)

    @property
    def hanging_s(self) -> float:
        """Seconds for which a call into PortAudio has hung, and a stream is missing."""
        return self._system.hanging_s

    def reopen(self, direction: Direction) -> None:
        """Close a stream and open it again."""
        (self._output if direction is Direction.OUTPUT else self._input).reopen()

    def mute(self, *, muted: bool) -> None:
        """Close the microphone on purpose, or open it again. From this moment on nothing is captured."""
        self._input.mute(muted=muted)

    def use(self, *, speaker: Speaker | None = None, microphone: Microphone | None = None) -> None:
        """Play and record through other ends from now on, at their rates: their streams are reopened.

        This is how the rate changes: a speaker and a microphone are each for one rate.
        """
        if speaker and speaker is not self._speaker:
            self._speaker.silence()
            self._speaker = speaker
            self._output.reopen()
        if microphone and microphone is not self._microphone:
            self._microphone = microphone
            self._input.reopen()

    async def run(self) -> None:
        """Keep the streams open until cancelled; then fade, close and go, within a second."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._output.run())
                group.create_task(self._input.run())
        finally:
            await self._leave()

    def _playing(self, wanted: str) -> Wish:
        speaker = self._speaker
        block = ms_to_samples(self._block_ms, speaker.rate)
        return Wish(Direction.OUTPUT, wanted, speaker.rate, block, speaker.callback)

    def _hearing(self, wanted: str) -> Wish:
        microphone = self._microphone
        block = ms_to_samples(FRAME_MS, microphone.rate)
        return Wish(Direction.INPUT, wanted, microphone.rate, block, microphone.callback, self._channel)

    def _tell_latency(self, stream: Stream) -> None:
        latency_ms = stream.latency_s * 1000 if self._latency_ms is None else self._latency_ms
        self._speaker.set_latency(ms_to_samples(latency_ms, self._speaker.rate))

    def _is_silent(self) -> bool:
        positions = self._speaker.positions()
        return positions.queued <= positions.played

    def _changed(self) -> None:
        if self.on_change:
            self.on_change(self.state())

    async def _leave(self) -> None:
        """Fade out, then close."""
        if output := self._output.stream:
            for db in () if self._is_silent() else LEAVING_DB:
                self._speaker.duck(db)
                await asyncio.sleep(LEAVING_STEP_S)
            self._speaker.silence()
            await asyncio.sleep(min(output.latency_s + 2 * self._block_ms / 1000, MAX_FADE_S))
        streams = [end.stream for end in (self._output, self._input) if end.stream]
        for stream in streams:
            stream.shut()
        try:
            await self._system.leave(streams, CLOSE_DEADLINE_S)
        except StreamFailed as error:
            log.warning("a sound device does not let go", extra={"reason": str(error)})
