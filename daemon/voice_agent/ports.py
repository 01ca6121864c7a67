"""The ends of the sound as sessions see them: loudspeaker, ear, devices, and what says that somebody speaks.

All of them outlive sessions. A change of rate makes new ends and reopens the streams; volume and mute stay.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic

from voice_agent.audio.devices import AudioDevices, Condition
from voice_agent.audio.ear import Chunk, Ear, EarStatistics
from voice_agent.audio.echo.guard import Guard, GuardStatistics
from voice_agent.audio.echo.guard import Mode as EchoMode
from voice_agent.audio.gate import VoiceGate
from voice_agent.audio.microphone import Microphone, MicrophoneStatistics
from voice_agent.audio.speaker import Speaker, SpeakerStatistics
from voice_agent.audio.valve import Flow, Mode, Open, Sight, Valve, Verdict, Withheld
from voice_agent.audio.volume import FULL, gain_of
from voice_agent.config import Config
from voice_agent.errors import ConfigError, DeviceUnavailable
from voice_agent.formats import ms_to_samples, samples_to_s

log = logging.getLogger(__name__)

ENDING_MS = 300
"""Silence beyond what ends a turn at the server: it looks at frames of its own."""

TRAILING_MS = 500
"""The same for sound that follows a voice: the voice gate and the server need not agree where it ended."""

MISSING = frozenset({Condition.CLOSED, Condition.ABSENT, Condition.FAILED})
"""Conditions in which a microphone hears nothing although it should."""

ECHO_S = 0.3
"""A ring has died away in the room by then, and what the microphone brings is of now."""

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
        gate, ending_ms = config.gate, config.session.turn_detection.silence_duration_ms
        self._trailing_ms = gate.trailing_ms
        self._gain = 1.0
        self.volume = FULL
        self.speaker = self._speaker(output_rate)
        self.microphone = self._microphone(input_rate)
        keep_s, silence_ms = self._config.input.buffer_s, ending_ms + ENDING_MS
        self.ear = Ear(self.microphone, keep_s=keep_s, silence_ms=silence_ms)
        self.valve = Valve(
            Mode(gate.mode),
            pre_roll_ms=gate.pre_roll_ms,
            trailing_ms=max(self._trailing_ms, ending_ms + TRAILING_MS),
            talk_ms=gate.talk_s * 1000,
        )
        self._pre_roll_ms = gate.pre_roll_ms
        self._gate = self._voice_gate(input_rate)
        self._flows = False
        self._waiting: set[asyncio.Future[int]] = set()
        self.muted = False
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
        self._guard = self._make_guard()
        self.ear.stage = self._guard.hear
        self._listeners: list[Callable[[Chunk], None]] = []
        self.ear.on_frame = self._hear
        self.ear.judge = self._judge

    def retune(self, input_rate: int, output_rate: int) -> None:
        """Use these rates from now on."""
        if (input_rate, output_rate) == (self.microphone.rate, self.speaker.rate):
            return
        if output_rate != self.speaker.rate:
            log.info("playing at another rate", extra={"rate": output_rate, "was": self.speaker.rate})
            self.speaker = self._speaker(output_rate)
        if input_rate != self.microphone.rate:
            log.info("recording at another rate", extra={"rate": input_rate, "was": self.microphone.rate})
            self.microphone = self._microphone(input_rate)
            self._gate = self._voice_gate(input_rate)
            self.ear.use(self.microphone)
        self._guard = self._make_guard()
        self.ear.stage = self._guard.hear
        self.devices.use(speaker=self.speaker, microphone=self.microphone)

    def end_turns_by(self, ending_ms: float) -> None:
        """From now on, so much silence ends a turn at the server."""
        self.ear.end_by(ending_ms + ENDING_MS)
        self.valve.trail(max(self._trailing_ms, ending_ms + TRAILING_MS))

    def statistics(self) -> AudioStatistics:
        """The counters of the present ends."""
        return AudioStatistics(self.speaker.statistics(), self.microphone.statistics(), self.ear.statistics())

    @property
    def echo(self) -> GuardStatistics:
        """What is done about echo, and how well, since the rates changed last."""
        return self._guard.statistics()

    @property
    def lost_s(self) -> float:
        """Captured sound that was meant for a server and never reached one, in seconds since the start."""
        return samples_to_s(self.ear.statistics().lost, self.ear.rate)

    @property
    def withheld_s(self) -> Mapping[str, float]:
        """Captured sound that was kept from the server on purpose, in seconds since the start, by reason."""
        withheld = self.ear.withheld
        return {why.value: samples_to_s(withheld.get(why, 0), self.ear.rate) for why in Withheld}

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
        """Wait until somebody speaks or presses the button; where to begin listening to it."""
        begins: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        listen = self._onsets(begins) if self.valve.mode is Mode.ALWAYS else None
        self._waiting.add(begins)
        if listen:
            self._listeners.append(listen)
        try:
            return await begins
        finally:
            self._waiting.discard(begins)
            if listen:
                self._listeners.remove(listen)

    def wake(self, position: int | None = None) -> None:
        """Somebody is about to speak: whoever waits for that need not wait for his voice."""
        for begins in self._waiting:
            if not begins.done():
                begins.set_result(self.ear.now if position is None else position)

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

    async def voice(self) -> None:
        """Wait until somebody begins to speak in a pause of what the loudspeaker plays."""
        gate = VoiceGate(self.ear.rate)
        begins: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def listen(chunk: Chunk) -> None:
            silent_s = monotonic() - self.speaker.sounding_at - self.speaker.latency / self.speaker.rate
            heard = silent_s > ECHO_S and gate.feed(chunk.position, chunk.pcm) is not None
            if heard and not begins.done():
                begins.set_result(None)

        self._listeners.append(listen)
        try:
            await begins
        finally:
            self._listeners.remove(listen)

    # --------------------------------------------------------------------------------- what people set

    def mute(self, *, muted: bool) -> None:
        """Close the microphone, or open it again. What was said before is ended for the server."""
        self.muted = muted
        self.valve.mute(muted=muted)
        if muted:
            self.ear.shut(Withheld.MUTED)
            self._flows = False
        self.devices.mute(muted=muted)

    def set_volume(self, level: int, *, by_mixer: bool) -> None:
        """Play as loud as this (0 to 130); a mixer does it up to 100, and only the rest is ours."""
        self.volume = level
        self._gain = gain_of(max(level, FULL) if by_mixer else level)
        self.speaker.set_volume(self._gain)

    # ------------------------------------------------------------------------------------- each frame

    def _judge(self, chunk: Chunk, verdict: Verdict, onset: int | None) -> Flow:
        speaks_from = self._gate.feed(chunk.position, chunk.pcm) if self._gate else None
        speaks = self._gate is not None and self._gate.is_open
        flow = self.valve.judge(Sight(chunk.position, chunk.end, verdict, onset, speaks, speaks_from))
        if isinstance(flow, Open) and not self._flows and self.valve.mode is not Mode.ALWAYS:
            self.wake(chunk.position if flow.since is None else flow.since)
        self._flows = isinstance(flow, Open)
        return flow

    def _onsets(self, begins: "asyncio.Future[int]") -> Callable[[Chunk], None]:
        """Tells ``begins`` where a voice begins, less the pre-roll."""
        gate, pre_roll = VoiceGate(self.ear.rate), ms_to_samples(self._pre_roll_ms, self.ear.rate)

        def listen(chunk: Chunk) -> None:
            onset = gate.feed(chunk.position, chunk.pcm)
            if onset is not None and not begins.done():
                begins.set_result(max(onset - pre_roll, 0))

        return listen

    def _make_guard(self) -> Guard:
        """A guard between these two ends. Raises ConfigError if a canceller is demanded and not installed."""
        guard_ms = self._config.half_duplex_guard_ms
        mode = EchoMode(self._config.echo)
        try:
            return Guard(mode, self.speaker, self.microphone, half_duplex_guard_ms=guard_ms)
        except DeviceUnavailable as error:
            raise ConfigError("audio.echo", str(error)) from error

    def _voice_gate(self, rate: int) -> VoiceGate | None:
        return VoiceGate(rate) if self.valve.mode is Mode.VOICE else None

    def _hear(self, chunk: Chunk) -> None:
        for listen in tuple(self._listeners):
            listen(chunk)

    def _speaker(self, rate: int) -> Speaker:
        wanted = self._config.output
        speaker = Speaker(rate, capacity_s=wanted.buffer_s, fade_ms=wanted.fade_ms)
        speaker.set_volume(self._gain)
        return speaker

    def _microphone(self, rate: int) -> Microphone:
        return Microphone(rate, capacity_s=MICROPHONE_BUFFER_S)
