"""The daemon: keeps devices, ear and sessions alive, and says how it is.

    run -+- supervisor   looks at every component once a second      (supervision)
         |- devices      streams open, for ever                      (audio)
         |- ear          captured sound, kept until it is sent       (audio)
         |- sessions     one live session after another              (sessions, session, wire, dialogue)
         |- herald       speaks for itself when nobody else can      (herald)
         |- bell         rings when a timer or an alarm is due       (alarms)
         |- tool servers connected, if any are configured            (tools/mcp)
         |- controls     button, mute, volume; and who asks for them (controls)
         '- telemetry    metrics for Prometheus                      (telemetry)

Weather (a lost connection, a missing device) is met with patience and told once; a refusal (key, model,
quota) is met with more patience and told loudly; anything else is a bug and ends the process. Devices, ear,
memory and rings outlive sessions: what the agent was saying when a connection was lost plays to its end.
"""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from time import monotonic

from voice_agent.alarms.bell import Bell
from voice_agent.assembly import (
    budget_for,
    clockwork_for,
    control_socket_for,
    cues_for,
    endpoint_for,
    lifetime_for,
    memory_for,
    mixer_for,
    passed_tools_for,
    plugin_context_for,
    provider_for,
    settings_for,
    spread_for,
    tool_servers_for,
    toolbox_for,
    unmuting_for,
)
from voice_agent.audio.devices import Condition, DevicesState
from voice_agent.audio.valve import Mode
from voice_agent.backoff import Backoff
from voice_agent.config import Config
from voice_agent.controls.button import Button
from voice_agent.controls.desk import Desk
from voice_agent.controls.panel import EXCUSES, FILE, Controls, Kept, Refused
from voice_agent.controls.requests import reply_to, timers_reply
from voice_agent.credentials import Secret
from voice_agent.dialogue import Dialogue, Fact, State, TokensUsed
from voice_agent.errors import Cause, ConfigError, Unauthorized
from voice_agent.formats import samples_to_s
from voice_agent.handle import Handle
from voice_agent.health import Parts, snapshot, vitals
from voice_agent.heartbeat import Heartbeat
from voice_agent.herald import Herald
from voice_agent.ports import Ports
from voice_agent.realtime.providers import Provider, SessionSettings, probe
from voice_agent.reconnect import Reconnect
from voice_agent.reporting import Reporter
from voice_agent.seams import Connection
from voice_agent.session import Session, SessionStatistics
from voice_agent.sessions import Lost, News, Sessions
from voice_agent.storage import Store, state_directory
from voice_agent.supervision import Supervisor, forever
from voice_agent.telemetry.counters import Counters
from voice_agent.telemetry.facts import FactLog
from voice_agent.telemetry.http import HttpServer, UnixServer
from voice_agent.telemetry.metrics import Exposition
from voice_agent.telemetry.recent import Recent
from voice_agent.telemetry.snapshot import Snapshot
from voice_agent.telemetry.systemd import ServiceManager
from voice_agent.tools.base import Toolbox
from voice_agent.tools.plugins import furnish
from voice_agent.wire import connect

log = logging.getLogger(__name__)

SWITCH_INTERVAL_S = 0.001
"""An audio callback waits up to this long for the interpreter; Python's default is 5 ms."""

Observer = Callable[[Fact], None]
KeySource = Callable[[], Secret | None]
"""Asked at every connection, as tokens are renewed on disk; a ConfigError says that there is none."""


class Agent:
    """Everything that one daemon consists of; ``run`` until cancelled.

    ``state``: directory of what outlives the process; ``control``: socket at which it can be controlled.
    """

    def __init__(
        self,
        config: Config,
        key: KeySource,
        *,
        observers: Sequence[Observer] = (),
        on_status: Callable[[str], None] = lambda _text: None,
        on_look: Callable[[], None] = lambda: None,
        state: Path | None = None,
        control: Path | None = None,
    ) -> None:
        self._config = config
        self._key = key
        self._on_status = on_status
        self._provider: Provider = provider_for(config)
        self._memory = memory_for(config)
        handle = Handle(self, self._memory, unmute_by=unmuting_for(config, control))
        self.clockwork = clockwork_for(config, state)
        self._tools: Toolbox = toolbox_for(config, handle, self.clockwork)
        self._tools.on_change = self._redeclare
        self._keepers = tool_servers_for(config, self._tools)
        self._settings: SessionSettings = settings_for(config, ())
        self._group = asyncio.TaskGroup()
        self.counters = Counters(self._tools)
        self.budget = budget_for(config)
        self.supervisor = Supervisor(on_look=on_look)
        self._page = Exposition(self.snapshot).page
        self._pages = Reporter(self, self._provider.name).pages()
        self.recent = Recent()
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
        self.sessions = self._make_sessions()
        self.bell = self._make_bell()
        self.controls = self._make_controls(state)
        self._socket = control
        self._accounted: tuple[Session, SessionStatistics] | None = None
        self._streamed_s = 0.0
        self._observers: tuple[Observer, ...] = (
            self.counters,
            self.recent,
            self.herald.observe,
            self._note_tokens,
            *observers,
        )

    def _make_sessions(self) -> Sessions:
        return Sessions(
            self._connect,
            self._make,
            self.ports,
            self,
            reconnect=Reconnect(self._config.reconnect.first_s, self._config.reconnect.cap_s),
            lifetime=lifetime_for(self._config),
            tell=self._news,
            spread_s=spread_for(self._config),
            overlap=self._provider.overlap,
            watch=lambda session: self.supervisor.watching(*session.vitals()),
        )

    def _make_bell(self) -> Bell:
        return Bell(
            self.clockwork,
            sound=self._ring,
            hush=self.herald.hush,
            voice=self.ports.voice,
            is_understood=lambda: bool(self.session) and self.ports.valve.mode is not Mode.BUTTON,
            wake=self.ports.wake,
        )

    async def _ring(self, cue: str) -> float:
        return 0.0 if self.ports.valve.talking else await self.herald.ring(cue)

    def _make_controls(self, state: Path | None) -> Controls:
        return Controls(
            self.ports,
            volume=self._config.audio.output.volume,
            mixer=mixer_for(self._config),
            store=Store(state / FILE, Kept, EXCUSES, durable=True) if state else None,
            hush=self._hush,
            unring=lambda: self.bell.stop("stopped"),
            cue=self.herald.play,
            on_change=self._tell_status,
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
        working = (Condition.OPEN, Condition.MUTED)
        silent = [f"no {name} ({end.reason})" for name, end in ends if end.condition not in working]
        muted = ["microphone muted"] if self.controls.muted else []
        return "; ".join([self.herald.connection, *muted, *silent])

    async def run(self) -> None:
        """Keep everything alive."""
        with self.supervisor.watching(*vitals(self.ports, self.sessions, self._tools, self.clockwork)):
            async with self._group as group:
                group.create_task(forever("devices", self.ports.devices.run()))
                group.create_task(forever("ear", self.ports.ear.run()))
                group.create_task(forever("sessions", self.sessions.run()))
                group.create_task(forever("herald", self.herald.run()))
                group.create_task(forever("bell", self.bell.run()))
                group.create_task(forever("controls", self.controls.run()))
                group.create_task(forever("supervisor", self.supervisor.run()))
                plugins, context = self._config.tools.plugins, plugin_context_for(self._config)
                group.create_task(furnish(self._tools, plugins, context), name="plug-ins")
                for keeper in self._keepers:
                    keeping = self.supervisor.restarting(f"mcp-{keeper.name}", keeper.run, Backoff(1.0, 60.0))
                    group.create_task(keeping)
                if device := self._config.button.device:
                    button = Button(Path(device), self._config.button.code, self.controls)
                    group.create_task(forever("button", button.run()))
                if self._socket:
                    control = UnixServer(self._socket, self._page, self._act, Desk(self._tools), self._pages)
                    serving = self.supervisor.restarting("control", control.run, Backoff(1.0, 60.0))
                    group.create_task(serving)
                if self._config.metrics.enabled:
                    serving = self.supervisor.restarting("telemetry", self._serve_metrics, Backoff(1.0, 60.0))
                    group.create_task(serving)

    async def _serve_metrics(self) -> None:
        wanted = self._config.metrics
        act = self._act if self._config.control.http else None
        await HttpServer(wanted.address, wanted.port, self._page, act, self._pages).run()

    def _act(self, path: str, query: Mapping[str, str]) -> tuple[HTTPStatus, bytes]:
        about_timers = timers_reply(self.clockwork, path, query)
        return about_timers or reply_to(self.controls, path, query, self.status())

    def snapshot(self) -> Snapshot:
        """All figures now."""
        parts = Parts(
            self.ports,
            self.sessions,
            self.counters,
            self.budget,
            self.supervisor,
            self._tools,
            self._keepers,
            self.clockwork,
        )
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
            self._dialogue(),
            self.ports,
            self._tools,
            self.observe,
            Heartbeat(now=monotonic()),
            probe=probe(self._provider, self._settings),
            errands=self._group,
        )

    def _dialogue(self) -> Dialogue:
        """Each connection is told of the tools that there are by then."""
        passed = passed_tools_for(self._config)
        settings = replace(self._settings, tools=self._tools.specs(), passed=passed)
        return Dialogue(self._provider, settings, memory=self._memory, manners=self._tools.manners)

    def _redeclare(self) -> None:
        if self.session:
            self.session.redeclare()

    def observe(self, fact: Fact) -> None:
        """Tell a fact to everybody who should know."""
        for observer in self._observers:
            observer(fact)

    # ------------------------------------------------------------------------------------- controls

    def push(self) -> None:
        """A button without a release was pushed."""
        with suppress(Refused):  # the room was told by a sound
            self.controls.signal()

    def _hush(self) -> None:
        if self.session:
            self.session.hush()
        else:
            self.ports.speaker.silence()

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

    def _news(self, news: News) -> None:
        if isinstance(news, Lost):
            self.recent.lost(news.reason.cause.value, news.retry.delay_s)
        else:
            self.recent.settled()
        self.herald.news(news)

    def _devices_changed(self, state: DevicesState) -> None:
        self.recent.device("microphone", state.input.condition.value)
        self.recent.device("loudspeaker", state.output.condition.value)
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
    agent = Agent(
        config,
        key,
        observers=[facts],
        on_status=manager.status,
        on_look=on_look,
        state=state_directory(),
        control=control_socket_for(config),
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, agent.push)
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
        agent.controls.close()
        agent.clockwork.close()
