"""The ends of the sound as sessions see them: loudspeaker, ear, devices, and the gate that hears speech.

All of them outlive sessions. A change of rate makes new ends and reopens the streams.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from voice_agent.audio.devices import AudioDevices, Condition
from voice_agent.audio.ear import Chunk, Ear, EarStatistics
from voice_agent.audio.gate import VoiceGate
from voice_agent.audio.microphone import Microphone, MicrophoneStatistics
from voice_agent.audio.speaker import Speaker, SpeakerStatistics
from voice_agent.config import Config
from voice_agent.formats import ms_to_samples, samples_to_s

log = logging.getLogger(__name__)

PRE_ROLL_MS = 500
"""Sound from before the gate opened that a session gets, too: a word begins softly."""

MISSING = frozenset({Condition.CLOSED, Condition.ABSENT, Condition.FAILED})
"""Conditions in which a microphone hears nothing although it should."""

MICROPHONE_BUFFER_S = 2.0
"""The microphone's own ring: the ear empties it at once and does the keeping."""


@dataclass(frozen=True, slots=True)
class AudioStatistics:
    """The counters of all ends."""

    speaker: SpeakerStatistics
    microphone: MicrophoneStatistics
    ear: EarStatistics


class Ports:
    """Loudspeaker, microphone and what keeps their streams open."""

    def __init__(self, config: Config, input_rate: int, output_rate: int) -> None:
        self._config = config.audio
        self.speaker = self._speaker(output_rate)
        self.microphone = self._microphone(input_rate)
        self.ear = Ear(self.microphone, keep_s=self._config.input.buffer_s)
        self.devices = AudioDevices(
            self.speaker,
            self.microphone,
            output=self._config.output.device,
            input=self._config.input.device,
            channel=self._config.input.channel,
            flat_after_s=self._config.input.flat_after_s,
            block_ms=self._config.output.block_ms,
            latency_ms=self._config.output.latency_ms,
        )
        self._listeners: list[Callable[[Chunk], None]] = []
        self.ear.on_frame = self._hear

    def retune(self, input_rate: int, output_rate: int) -> None:
        """Use these rates from now on."""
        if output_rate != self.speaker.rate:
            log.info("playing at another rate", extra={"rate": output_rate, "was": self.speaker.rate})
            self.speaker = self._speaker(output_rate)
        if input_rate != self.microphone.rate:
            log.info("recording at another rate", extra={"rate": input_rate, "was": self.microphone.rate})
            self.microphone = self._microphone(input_rate)
            self.ear.use(self.microphone)
        self.devices.use(speaker=self.speaker, microphone=self.microphone)

    def statistics(self) -> AudioStatistics:
        """The counters of the present ends."""
        return AudioStatistics(self.speaker.statistics(), self.microphone.statistics(), self.ear.statistics())

    @property
    def lost_s(self) -> float:
        """Captured sound that was meant for a server and never reached one, in seconds since the start."""
        return samples_to_s(self.ear.statistics().lost, self.ear.rate)

    @property
    def audible(self) -> bool:
        """Whether there is a loudspeaker that plays."""
        return self.devices.state().output.condition is Condition.OPEN

    @property
    def hearing(self) -> bool:
        """Whether there is a microphone, or it was closed on purpose."""
        return self.devices.state().input.condition not in MISSING

    # ------------------------------------------------------------------------------ between sessions

    def park(self) -> None:
        """Nobody is meant to get what is captured until ``resume``."""
        self.ear.park()

    def resume(self, position: int | None) -> None:
        """Let the next session hear from ``position`` on; ``None``: from wherever the last one stopped."""
        if position is not None:
            self.ear.rewind(position)
        elif self.ear.parked:
            self.ear.skip_to_now()

    async def speech(self) -> int:
        """Wait until somebody speaks; where in the captured sound to begin listening to it."""
        gate = VoiceGate(self.microphone.rate)
        onset: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def listen(chunk: Chunk) -> None:
            at = gate.feed(chunk.position, chunk.pcm)
            if at is not None and not onset.done():
                onset.set_result(at)

        self._listeners.append(listen)
        try:
            position = await onset
        finally:
            self._listeners.remove(listen)
        return max(position - ms_to_samples(PRE_ROLL_MS, self.microphone.rate), 0)

    async def utterance(self) -> None:
        """Wait until somebody has spoken, and paused: who answers sooner talks over him."""
        gate = VoiceGate(self.microphone.rate)
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def listen(chunk: Chunk) -> None:
            spoke = gate.is_open
            gate.feed(chunk.position, chunk.pcm)
            if spoke and not gate.is_open and not over.done():
                over.set_result(None)

        self._listeners.append(listen)
        try:
            await over
        finally:
            self._listeners.remove(listen)

    def _hear(self, chunk: Chunk) -> None:
        for listen in tuple(self._listeners):
            listen(chunk)

    def _speaker(self, rate: int) -> Speaker:
        wanted = self._config.output
        return Speaker(rate, capacity_s=wanted.buffer_s, fade_ms=wanted.fade_ms)

    def _microphone(self, rate: int) -> Microphone:
        return Microphone(rate, capacity_s=MICROPHONE_BUFFER_S)
