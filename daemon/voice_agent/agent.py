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
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path

from voice_agent.alarms.bell import Bell
from voice_agent.allowance import Allowance
from voice_agent.assembly import (
    budget_for,
    clockwork_for,
    cues_for,
    lifetime_for,
    limit_budget,
    memory_for,
    mixer_for,
    plugin_context_for,
    reconnect_for,
    spread_for,
    tool_servers_for,
    toolbox_for,
    unmuting_for,
)
from voice_agent.audio.cues import Cues
from voice_agent.audio.devices import Condition, DevicesState
from voice_agent.audio.valve import Mode
from voice_agent.backoff import Backoff
from voice_agent.config import Config
from voice_agent.controls.button import Button
from voice_agent.controls.desk import Desk, Reloaded, cannot_reload
from voice_agent.controls.panel import EXCUSES, FILE, Controls, Kept, Refused
from voice_agent.controls.requests import reply_to, timers_reply
from voice_agent.controls.trial import Trial
from voice_agent.credentials import Secret
from voice_agent.dialogue import Fact, State
from voice_agent.handle import Handle
from voice_agent.health import Parts, snapshot, vitals
from voice_agent.herald import Herald
from voice_agent.ports import Ports
from voice_agent.reporting import Reporter
from voice_agent.seams import Connection
from voice_agent.session import Session
from voice_agent.sessions import Exhausted, Live, Lost, News, Parked, Sessions
from voice_agent.storage import Store
from voice_agent.supervision import Supervisor, forever
from voice_agent.telemetry.counters import Counters
from voice_agent.telemetry.http import HttpServer
from voice_agent.telemetry.local import UnixServer
from voice_agent.telemetry.metrics import Exposition
from voice_agent.telemetry.opening import door_for, exposed
from voice_agent.telemetry.recent import Recent
from voice_agent.telemetry.site import Site
from voice_agent.telemetry.snapshot import Snapshot
from voice_agent.telemetry.textfile import TextFile
from voice_agent.telemetry.watchers import Watchers
from voice_agent.terms import KeySource, Terms
from voice_agent.tools.base import Tool, Toolbox
from voice_agent.tools.plugins import furnish

Observer = Callable[[Fact], None]


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
        self.config = config
        self._on_status = on_status
        self._notice = ""
        self.memory = memory_for(config)
        self.handle = Handle(self, self.memory, unmute_by=unmuting_for(config, control))
        self.clockwork = clockwork_for(config, state)
        self.tools: Toolbox = toolbox_for(config, self.handle, self.clockwork)
        self.tools.on_change = self._redeclare
        self._keepers = tool_servers_for(config, self.tools)
        self.terms = Terms(config, key, self.tools, self.memory)
        self._group = asyncio.TaskGroup()
        self.counters = Counters(self.tools)
        self.budget = budget_for(config)
        self.supervisor = Supervisor(on_look=on_look)
        reporter = Reporter(self)
        self.exposition = Exposition(reporter.figures)
        self._site = self._make_site(reporter)
        self.recent = Recent()
        self.ports = Ports(config, self.terms.settings.input_rate, self.terms.settings.output_rate)
        self.ports.devices.on_change = self._devices_changed
        self.herald = Herald(
            self.terms.provider.name,
            self.ports,
            cues_for(config),
            self.counters,
            self._tell_status,
            doing=self._doing,
        )
        self.allowance = Allowance(self.budget, self.ports)
        self.sessions = self._make_sessions()
        self.bell = self._make_bell()
        self.controls = self._make_controls(state)
        self.trial = Trial(lambda text: bool(self.session and self.session.ask(text)), self.ports.wake)
        self.reload: Callable[[], Awaitable[Reloaded]] = cannot_reload
        """Whoever knows the file puts a better one here."""
        self._socket = control
        self._observers: tuple[Observer, ...] = (
            self.counters,
            self.recent,
            self.herald.observe,
            self.allowance,
            self.trial,
            *observers,
        )

    def _make_site(self, reporter: Reporter) -> Site:
        watchers = Watchers(lambda: reporter.everything().body)
        return Site(self.exposition.page, reporter.pages(), self._act, watchers)

    def _make_sessions(self) -> Sessions:
        return Sessions(
            self.terms.connect,
            self._make,
            self.ports,
            self.allowance,
            reconnect=reconnect_for(self.config),
            lifetime=lifetime_for(self.config),
            tell=self._news,
            spread_s=spread_for(self.config),
            overlap=self.terms.provider.overlap,
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
            volume=self.config.audio.output.volume,
            mixer=mixer_for(self.config),
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
        seen = ["metrics open to the network"] if exposed(self.config.metrics) else []
        notices = [self._notice] if self._notice else []
        return "; ".join([self.herald.connection, *muted, *silent, *seen, *notices])

    def note(self, notice: str) -> None:
        """Let the status tell this, too, until there is another notice; empty: no more."""
        self._notice = notice
        self._tell_status()

    async def run(self) -> None:
        """Keep everything alive."""
        with self.supervisor.watching(*vitals(self.ports, self.sessions, self.tools, self.clockwork)):
            async with self._group as group:
                group.create_task(forever("devices", self.ports.devices.run()))
                group.create_task(forever("ear", self.ports.ear.run()))
                group.create_task(forever("sessions", self.sessions.run()))
                group.create_task(forever("herald", self.herald.run()))
                group.create_task(forever("bell", self.bell.run()))
                group.create_task(forever("controls", self.controls.run()))
                group.create_task(forever("supervisor", self.supervisor.run()))
                plugins, context = self.config.tools.plugins, plugin_context_for(self.config)
                group.create_task(furnish(self.tools, plugins, context), name="plug-ins")
                for keeper in self._keepers:
                    keeping = self.supervisor.restarting(f"mcp-{keeper.name}", keeper.run, Backoff(1.0, 60.0))
                    group.create_task(keeping)
                if device := self.config.button.device:
                    button = Button(Path(device), self.config.button.code, self.controls)
                    group.create_task(forever("button", button.run()))
                if self._socket:
                    control = UnixServer(self._socket, self._site, self._desk())
                    serving = self.supervisor.restarting("control", control.run, Backoff(1.0, 60.0))
                    group.create_task(serving)
                if path := self.config.metrics.textfile:
                    writer = self.supervisor.restarting(
                        "textfile", partial(self._write, path), Backoff(1.0, 60.0)
                    )
                    group.create_task(writer)
                if self.config.metrics.enabled:
                    serving = self.supervisor.restarting("telemetry", self._serve_metrics, Backoff(1.0, 60.0))
                    group.create_task(serving)

    def _desk(self) -> Desk:
        return Desk(self.tools, self.trial, self.reload)

    async def _serve_metrics(self) -> None:
        wanted = self.config.metrics
        site = self._site if self.config.control.http else self._site._replace(act=None)
        door = await asyncio.to_thread(door_for, wanted, self.counters.refused)
        await HttpServer(wanted.address, wanted.port, site, door).run()

    async def _write(self, path: str) -> None:
        await TextFile(Path(path), self.exposition.file).run()

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
            self.tools,
            self._keepers,
            self.clockwork,
        )
        return snapshot(parts, self.herald.state, self.allowance.streamed_s, self.allowance.received_s)

    # ------------------------------------------------------------------------------------ sessions

    def _make(self, connection: Connection) -> Session:
        return self.terms.session(connection, self.ports, self.observe, self._group)

    def take(
        self, config: Config, key: Secret | None, cues: Cues, tools: Mapping[str, Sequence[Tool]]
    ) -> None:
        """Go on with another configuration, as far as it can be taken; cues and tools are made by it."""
        self.config = config
        self.memory.bound(config.memory.turns, config.memory.chars)
        limit_budget(self.budget, config)
        self.clockwork.names_in_log = config.log.transcripts
        self.ports.end_turns_by(config.session.turn_detection.silence_duration_ms)
        is_outdated = self.terms.take(config, key)
        self.herald.provider = self.terms.provider.name
        self.herald.use(cues)
        for source, offered in tools.items():
            self.tools.put(source, offered, trusted=True)
        if is_outdated:
            self.sessions.renew(lifetime_for(config), overlap=self.terms.provider.overlap)
        self.sessions.hurry(reconnect_for(config))

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

    # --------------------------------------------------------------------------------------- telling

    def _tell_status(self) -> None:
        self._on_status(self.status())

    def _news(self, news: News) -> None:
        match news:
            case Lost(reason, retry):
                self.recent.lost(reason.cause.value, retry.delay_s)
            case Live() | Parked() | Exhausted():
                self.recent.settled()
        self.herald.news(news)

    def _devices_changed(self, state: DevicesState) -> None:
        self.recent.device("microphone", state.input.condition.value)
        self.recent.device("loudspeaker", state.output.condition.value)
        self._tell_status()
