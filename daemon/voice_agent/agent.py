"""The daemon: keeps devices, ear and sessions alive, and says how it is.

    run -+- supervisor   looks at every component once a second      (supervision)
         |- devices      streams open, for ever                      (audio)
         |- ear          captured sound, kept until it is sent       (audio)
         |- sessions     one live session after another              (sessions, session, wire, dialogue)
         |- herald       speaks for itself when nobody else can      (herald)
         '- telemetry    metrics for Prometheus                      (telemetry)

Weather (a lost connection, a missing device) is met with patience and told once; a refusal (key, model,
quota) is met with more patience and told loudly; anything else is a bug and ends the process. Devices, ear,
memory and rings outlive sessions: what the agent was saying when a connection was lost plays to its end.
"""

import asyncio
import gc
import logging
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from time import monotonic

from voice_agent.assembly import (
    budget_for,
    cues_for,
    endpoint_for,
    lifetime_for,
    memory_for,
    provider_for,
    settings_for,
    spread_for,
    toolbox_for,
)
from voice_agent.audio.devices import Condition, DevicesState
from voice_agent.backoff import Backoff
from voice_agent.config import Config
from voice_agent.credentials import Secret
from voice_agent.dialogue import Dialogue, Fact, State, TokensUsed
from voice_agent.errors import Cause, ConfigError, Unauthorized
from voice_agent.formats import samples_to_s
from voice_agent.health import Parts, snapshot, vitals
from voice_agent.heartbeat import Heartbeat
from voice_agent.herald import Herald
from voice_agent.ports import Ports
from voice_agent.realtime.providers import Provider, SessionSettings, probe
from voice_agent.reconnect import Reconnect
from voice_agent.session import Connection, Session, SessionStatistics
from voice_agent.sessions import Sessions
from voice_agent.supervision import Supervisor, forever
from voice_agent.telemetry.counters import Counters
from voice_agent.telemetry.facts import FactLog
from voice_agent.telemetry.http import HttpServer
from voice_agent.telemetry.metrics import Exposition
from voice_agent.telemetry.snapshot import Snapshot
from voice_agent.telemetry.systemd import ServiceManager
from voice_agent.tools.base import Toolbox
from voice_agent.wire import connect

log = logging.getLogger(__name__)

SWITCH_INTERVAL_S = 0.001
"""An audio callback waits up to this long for the interpreter; Python's default is 5 ms."""

Observer = Callable[[Fact], None]
KeySource = Callable[[], Secret | None]
"""Asked at every connection, as tokens are renewed on disk; a ConfigError says that there is none."""


class Agent:
    """Everything that one daemon consists of; ``run`` until cancelled."""

    def __init__(
        self,
        config: Config,
        key: KeySource,
        *,
        observers: Sequence[Observer] = (),
        on_status: Callable[[str], None] = lambda _text: None,
        on_look: Callable[[], None] = lambda: None,
    ) -> None:
        self._config = config
        self._key = key
        self._on_status = on_status
        self._provider: Provider = provider_for(config)
        self._tools: Toolbox = toolbox_for(config)
        self._settings: SessionSettings = settings_for(config, self._tools.specs())
        self._memory = memory_for(config)
        self.counters = Counters(self._tools.names)
        self.budget = budget_for(config)
        self.supervisor = Supervisor(on_look=on_look)
        self.ports = Ports(config, self._settings.input_rate, self._settings.output_rate)
        self.ports.devices.on_change = self._devices_changed
        self.herald = Herald(
            self._provider.name,
            self.ports,
            cues_for(config),
            self.counters,
            self._tell_status,
            doing=self._doing,
        )
        self.sessions = Sessions(
            self._connect,
            self._make,
            self.ports,
            self,
            reconnect=Reconnect(config.reconnect.first_s, config.reconnect.cap_s),
            lifetime=lifetime_for(config),
            tell=self.herald.news,
            spread_s=spread_for(config),
            overlap=self._provider.overlap,
            watch=lambda session: self.supervisor.watching(*session.vitals()),
        )
        self._accounted: tuple[Session, SessionStatistics] | None = None
        self._streamed_s = 0.0
        self._observers: tuple[Observer, ...] = (
            self.counters,
            self.herald.observe,
            self._note_tokens,
            *observers,
        )

    @property
    def session(self) -> Session | None:
        """The session that hears and speaks now, if there is one."""
        return self.sessions.live

    def _doing(self) -> State | None:
        return self.session.dialogue.state if self.session else None

    def status(self) -> str:
        """How the daemon is, in one line for people."""
        devices = self.ports.devices.state()
        ends = (("loudspeaker", devices.output), ("microphone", devices.input))
        silent = [f"no {name} ({end.reason})" for name, end in ends if end.condition is not Condition.OPEN]
        return "; ".join([self.herald.connection, *silent])

    async def run(self) -> None:
        """Keep everything alive."""
        with self.supervisor.watching(*vitals(self.ports, self.sessions, self._tools)):
            async with asyncio.TaskGroup() as group:
                group.create_task(forever("devices", self.ports.devices.run()))
                group.create_task(forever("ear", self.ports.ear.run()))
                group.create_task(forever("sessions", self.sessions.run()))
                group.create_task(forever("herald", self.herald.run()))
                group.create_task(forever("supervisor", self.supervisor.run()))
                if self._config.metrics.enabled:
                    serving = self.supervisor.restarting("telemetry", self._serve_metrics, Backoff(1.0, 60.0))
                    group.create_task(serving)

    async def _serve_metrics(self) -> None:
        wanted = self._config.metrics
        await HttpServer(wanted.address, wanted.port, Exposition(self.snapshot).page).run()

    def snapshot(self) -> Snapshot:
        """All figures now."""
        parts = Parts(self.ports, self.sessions, self.counters, self.budget, self.supervisor)
        return snapshot(parts, self.herald.state, self._streamed_s)

    # ------------------------------------------------------------------------------------ sessions

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[Connection]:
        try:
            endpoint = endpoint_for(self._config, self._key())
        except ConfigError as error:
            raise Unauthorized(str(error), cause=Cause.KEY) from error
        async with connect(endpoint) as socket:
            yield socket

    def _make(self, connection: Connection) -> Session:
        return Session(
            connection,
            Dialogue(self._provider, self._settings, memory=self._memory),
            self.ports,
            self._tools,
            self.observe,
            Heartbeat(now=monotonic()),
            probe=probe(self._provider, self._settings),
        )

    def observe(self, fact: Fact) -> None:
        """Tell a fact to everybody who should know."""
        for observer in self._observers:
            observer(fact)

    # ----------------------------------------------------------------------------------- allowance

    @property
    def exhausted(self) -> bool:
        """Nothing is left of the day's allowance."""
        return self.budget.exhausted

    def account(self, session: Session) -> None:
        """Note the sound that a session has sent and received since it was last asked."""
        now = session.statistics()
        sent, received = now.samples_sent, now.samples_received
        if self._accounted and self._accounted[0] is session:
            sent -= self._accounted[1].samples_sent
            received -= self._accounted[1].samples_received
        self._accounted = session, now
        sent_s = samples_to_s(sent, self.ports.microphone.rate)
        self._streamed_s += sent_s
        self.budget.streamed(sent_s=sent_s, received_s=samples_to_s(received, self.ports.speaker.rate))

    def _note_tokens(self, fact: Fact) -> None:
        if isinstance(fact, TokensUsed):
            self.budget.spent(
                {
                    "input_text": fact.input_text,
                    "input_audio": fact.input_audio,
                    "output_text": fact.output_text,
                    "output_audio": fact.output_audio,
                }
            )

    # --------------------------------------------------------------------------------------- telling

    def _tell_status(self) -> None:
        self._on_status(self.status())

    def _devices_changed(self, _state: DevicesState) -> None:
        self._tell_status()


async def run(config: Config, key: KeySource, *, stop: asyncio.Event, beat: Callable[[], None]) -> None:
    """Be the daemon until ``stop`` is set. ``beat`` is called while the event loop turns."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.freeze()  # what is loaded stays: a collection that looks at all of it holds the interpreter for 18 ms
    gc.set_threshold(700, 10, 1)  # what is left is small: let its cycles wait for minutes, not for an hour
    manager = ServiceManager()

    def on_look() -> None:
        beat()
        manager.alive()

    facts = FactLog(transcripts=config.log.transcripts)
    agent = Agent(config, key, observers=[facts], on_status=manager.status, on_look=on_look)
    work = asyncio.create_task(agent.run())
    manager.ready()
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([work, stopping], return_when=asyncio.FIRST_COMPLETED)
        manager.stopping()
        stopping.cancel()
        work.cancel()
        await asyncio.gather(work, return_exceptions=stop.is_set())
    finally:
        agent.budget.close()
