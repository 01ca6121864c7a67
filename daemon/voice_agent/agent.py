"""The daemon: keeps devices and sessions alive, and says how it is.

    run -+- AudioDevices.run    streams open, for ever                      (audio)
         '- converse            one Session after another, with back-off    (wire, session, dialogue)

Weather (a lost connection, a missing device) is met with patience and told once; a refusal (key, model,
quota) is met with more patience and told loudly; anything else is a bug and ends the process. Devices and
rings outlive sessions: what the agent was saying when a connection was lost plays to its end.
"""

import asyncio
import gc
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

from voice_agent.assembly import endpoint_for, provider_for, settings_for, toolbox_for
from voice_agent.audio.devices import AudioDevices, Condition, DevicesState
from voice_agent.audio.microphone import Microphone, MicrophoneStatistics
from voice_agent.audio.speaker import Speaker, SpeakerStatistics
from voice_agent.backoff import Backoff
from voice_agent.config import Config
from voice_agent.credentials import Secret
from voice_agent.dialogue import Dialogue, Fact
from voice_agent.errors import SessionError, Unauthorized
from voice_agent.realtime.providers import Provider, SessionSettings
from voice_agent.session import Session
from voice_agent.telemetry.facts import FactLog
from voice_agent.telemetry.systemd import ServiceManager
from voice_agent.tools.base import Toolbox
from voice_agent.wire import Endpoint, connect

log = logging.getLogger(__name__)

SWITCH_INTERVAL_S = 0.001
"""An audio callback waits up to this long for the interpreter; Python's default is 5 ms."""

REFUSED_PAUSE_S = 60.0
"""Key, model and quota problems are cured by people: asking more often only annoys the provider."""

STABLE_S = 60.0
"""A session that has lived this long resets the back-off; one that dies at once must not."""

Observer = Callable[[Fact], None]


@dataclass(frozen=True, slots=True)
class AudioStatistics:
    """Both directions' counters."""

    speaker: SpeakerStatistics
    microphone: MicrophoneStatistics


class Ports:
    """The devices as sessions see them; a change of rate makes new ends and reopens the streams."""

    def __init__(self, config: Config, input_rate: int, output_rate: int) -> None:
        self._config = config.audio
        self.speaker = self._speaker(output_rate)
        self.microphone = self._microphone(input_rate)
        self.devices = AudioDevices(
            self.speaker,
            self.microphone,
            output=self._config.output.device,
            input=self._config.input.device,
            block_ms=self._config.output.block_ms,
            latency_ms=self._config.output.latency_ms,
        )

    def retune(self, input_rate: int, output_rate: int) -> None:
        """Use these rates from now on."""
        if output_rate != self.speaker.rate:
            log.info("playing at another rate", extra={"rate": output_rate, "was": self.speaker.rate})
            self.speaker = self._speaker(output_rate)
        if input_rate != self.microphone.rate:
            log.info("recording at another rate", extra={"rate": input_rate, "was": self.microphone.rate})
            self.microphone = self._microphone(input_rate)
        self.devices.use(speaker=self.speaker, microphone=self.microphone)

    def statistics(self) -> AudioStatistics:
        """Both directions' counters since the last change of rate."""
        return AudioStatistics(self.speaker.statistics(), self.microphone.statistics())

    def _speaker(self, rate: int) -> Speaker:
        wanted = self._config.output
        return Speaker(rate, capacity_s=wanted.buffer_s, fade_ms=wanted.fade_ms)

    def _microphone(self, rate: int) -> Microphone:
        return Microphone(rate, capacity_s=self._config.input.buffer_s)


class Agent:
    """Everything that one daemon consists of; ``run`` until cancelled."""

    def __init__(
        self,
        config: Config,
        secret: Secret | None,
        *,
        observers: Sequence[Observer] = (),
        on_status: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._provider: Provider = provider_for(config)
        self._endpoint: Endpoint = endpoint_for(config, secret)
        self._tools: Toolbox = toolbox_for(config)
        self._settings: SessionSettings = settings_for(config, self._tools.specs())
        self._backoff = Backoff(config.reconnect.first_s, config.reconnect.cap_s)
        self._observers = observers
        self._on_status = on_status
        self._turn = 0
        self._connection = "not connected yet"
        self._told: set[str] = set()
        self._session: Session | None = None
        self.ports = Ports(config, self._settings.input_rate, self._settings.output_rate)
        self.ports.devices.on_change = self._devices_changed

    @property
    def session(self) -> Session | None:
        """The present connection's session, if there is one."""
        return self._session

    def status(self) -> str:
        """How the daemon is, in one line for people."""
        devices = self.ports.devices.state()
        ends = (("loudspeaker", devices.output), ("microphone", devices.input))
        silent = [f"no {name} ({end.reason})" for name, end in ends if end.condition is not Condition.OPEN]
        return "; ".join([self._connection, *silent])

    async def run(self) -> None:
        """Keep devices and sessions alive."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.ports.devices.run())
            group.create_task(self._converse())

    async def _converse(self) -> None:
        while True:
            started = monotonic()
            reason = await self._one_session()
            if monotonic() - started >= STABLE_S:
                self._backoff.succeeded()
            refused = isinstance(reason, Unauthorized)
            delay_s = self._backoff.next_delay(REFUSED_PAUSE_S if refused else 0.0)
            self._say_lost(reason, delay_s)
            await asyncio.sleep(delay_s)

    async def _one_session(self) -> SessionError:
        """Hold one session to its end; why it ended."""
        ended: list[SessionError] = []
        try:
            async with connect(self._endpoint) as socket:
                dialogue = Dialogue(self._provider, self._settings, turn=self._turn)
                self._session = Session(socket, dialogue, self.ports, self._tools, self._observe)
                self._session.on_ready = self._say_ready
                try:
                    await self._session.run()
                finally:
                    self._turn = dialogue.turn
                    self._session = None
        except* SessionError as group:
            ended += _leaves(group)
        return ended[0]

    def _observe(self, fact: Fact) -> None:
        for observer in self._observers:
            observer(fact)

    # ---------------------------------------------------------------------------------------- telling

    def _say_ready(self) -> None:
        self._told.clear()
        log.info("session ready", extra={"provider": self._provider.name})
        self._say_connection(f"in session with {self._provider.name}")

    def _say_lost(self, reason: SessionError, delay_s: float) -> None:
        """News once: the first failure of a kind is a warning (a refusal an error), repeats are whispered."""
        kind = type(reason).__name__
        loud = logging.ERROR if isinstance(reason, Unauthorized) else logging.WARNING
        level = logging.DEBUG if kind in self._told else loud
        self._told.add(kind)
        log.log(level, "no session", extra={"kind": kind, "reason": str(reason), "retry_s": delay_s})
        self._say_connection(f"no session: {reason}")

    def _say_connection(self, text: str) -> None:
        self._connection = text
        self._on_status(self.status())

    def _devices_changed(self, _state: DevicesState) -> None:
        self._on_status(self.status())


async def run(config: Config, secret: Secret | None, *, stop: asyncio.Event) -> None:
    """Be the daemon until ``stop`` is set."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.freeze()  # what is loaded stays: a collection that looks at all of it holds the interpreter for 18 ms
    manager = ServiceManager()
    facts = FactLog(transcripts=config.log.transcripts)
    agent = Agent(config, secret, observers=[facts], on_status=manager.status)
    work = asyncio.create_task(agent.run())
    manager.ready()
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([work, stopping], return_when=asyncio.FIRST_COMPLETED)
    manager.stopping()
    stopping.cancel()
    work.cancel()
    await asyncio.gather(work, return_exceptions=stop.is_set())


def _leaves(group: BaseExceptionGroup[SessionError]) -> list[SessionError]:
    """The errors of a tree, the most telling first: a refusal explains more than the loss that followed."""
    found: list[SessionError] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return sorted(found, key=lambda error: not isinstance(error, Unauthorized))
