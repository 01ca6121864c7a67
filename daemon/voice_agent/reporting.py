"""How the daemon is, asked over HTTP: would a restart help, can it converse, and everything else."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from time import monotonic
from typing import Protocol

import msgspec

from voice_agent import __version__
from voice_agent.audio.devices import DeviceState
from voice_agent.controls.panel import Controls
from voice_agent.herald import Herald
from voice_agent.ports import Ports
from voice_agent.sessions import Sessions
from voice_agent.supervision import Supervisor, SupervisorStatistics
from voice_agent.telemetry import report
from voice_agent.telemetry.exchange import Answer
from voice_agent.telemetry.page import status_page
from voice_agent.telemetry.recent import Recent
from voice_agent.telemetry.report import Report
from voice_agent.telemetry.site import Page
from voice_agent.telemetry.snapshot import Device, Snapshot

LEVEL_S = 1.0
"""What a device brought or took longer ago is not its level now."""


class Parts(Protocol):
    """The parts of the daemon that are of use here."""

    @property
    def ports(self) -> Ports:
        """The ends of the sound."""

    @property
    def sessions(self) -> Sessions:
        """The conversation."""

    @property
    def controls(self) -> Controls:
        """What people can do to the device."""

    @property
    def herald(self) -> Herald:
        """Who knows how the connection is."""

    @property
    def supervisor(self) -> Supervisor:
        """Who knows what hangs."""

    @property
    def recent(self) -> Recent:
        """What went wrong lately."""

    def snapshot(self) -> Snapshot:
        """All figures."""

    def status(self) -> str:
        """One line."""


class Reporter:
    """Makes the pages. The parts are looked up when they are asked."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._began = monotonic()

    def pages(self) -> Mapping[str, Page]:
        """What is answered, by path."""
        shown = status_page()
        return {
            "/": lambda: shown,
            "/healthz": self.health,
            "/readyz": self.readiness,
            "/status": self.everything,
        }

    def health(self) -> Answer:
        """200 while a restart would not help; else 503, and what it could cure."""
        found = report.hangs(self._parts.supervisor.statistics().hanging)
        return _answer(report.Health(not found, found), well=not found)

    def readiness(self) -> Answer:
        """200 while the daemon can converse; else 503, and why not."""
        problems = self._problems(self._parts.snapshot())
        return _answer(report.Readiness(not problems, problems), well=not problems)

    def everything(self) -> Answer:
        """The whole report, however the daemon is."""
        return _answer(self.whole(), well=True)

    def figures(self) -> Snapshot:
        """All figures, and whether the daemon can converse now."""
        now = self._parts.snapshot()
        return replace(now, is_ready=not self._problems(now))

    def _problems(self, now: Snapshot) -> tuple[report.Problem, ...]:
        parts, ends = self._parts, _ends(self._parts.ports, now)
        hanging = parts.supervisor.statistics().hanging
        return report.problems(now.state, parts.herald.connection, ends, hanging, muted=parts.controls.muted)

    def whole(self) -> Report:
        """How everything is now."""
        parts, now = self._parts, self._parts.snapshot()
        watched = parts.supervisor.statistics()
        ends = _ends(parts.ports, now, with_levels=True)
        problems = self._problems(now)
        servers = now.tool_servers.items()
        return Report(
            version=__version__,
            uptime_s=_short(monotonic() - self._began),
            ready=not problems,
            healthy=not watched.hanging,
            state=now.state,
            summary=parts.status(),
            problems=problems,
            session=self._link(now),
            microphone=ends["microphone"],
            loudspeaker=ends["loudspeaker"],
            controls=self._settings(now),
            conversation=self._conversation(now),
            allowance=_allowance(now),
            timers=dict(now.timers.set),
            tool_servers=tuple(report.ToolServer(name, it.is_connected, it.tools) for name, it in servers),
            faults=parts.recent.faults,
            components=_components(watched),
        )

    def _link(self, now: Snapshot) -> report.Link:
        recent = self._parts.recent
        return report.Link(
            provider=self._parts.herald.provider,
            connection=self._parts.herald.connection,
            age_s=_known(now.link.age_s),
            limit_s=now.link.limit_s,
            rtt_s=_known(now.link.rtt_s),
            silence_s=_known(now.link.silence_s),
            sessions=now.counts.sessions,
            last_disconnect=now.counts.last_disconnect or None,
            last_disconnect_ago_s=_known(recent.lost_ago_s),
            retry_s=_known(recent.retry_s),
        )

    def _settings(self, now: Snapshot) -> report.Settings:
        stand = self._parts.controls.status("")
        return report.Settings(
            stand.muted, stand.volume, stand.mode, stand.talking, now.echo.mode, _known(now.echo.erle_db)
        )

    def _conversation(self, now: Snapshot) -> report.Conversation:
        live, counts = self._parts.sessions.live, now.counts
        return report.Conversation(
            doing=live.dialogue.state.value if live else None,
            turns_begun=counts.turns,
            answers=counts.answers,
            interruptions=counts.interruptions,
            answers_failed=counts.answers_failed.total(),
            turns=self._parts.recent.turns,
        )


def _ends(ports: Ports, now: Snapshot, *, with_levels: bool = False) -> dict[str, report.End]:
    """Both devices. Their levels take longer than all the rest."""
    devices = ports.devices.state()

    def end(direction: str, state: DeviceState, level_db: Callable[[], float]) -> report.End:
        figures = now.devices.get(direction, Device())
        age_s = figures.callback_age_s
        moves = with_levels and figures.is_open and age_s is not None and age_s < LEVEL_S
        return report.End(
            device=state.device,
            condition=state.condition.value,
            reason=state.reason,
            rate_hz=state.rate or None,
            channels=state.channels or None,
            resampled=state.resampled,
            callback_age_s=_known(age_s),
            xruns=figures.xruns,
            restarts=sum(figures.restarts.values()),
            level_db=round(level_db(), 1) if moves else None,
        )

    return {
        "microphone": end("input", devices.input, ports.ear.level_db),
        "loudspeaker": end("output", devices.output, ports.speaker.level_db),
    }


def _allowance(now: Snapshot) -> report.Allowance:
    used = now.allowance
    return report.Allowance(_short(used.audio_s), used.audio_limit_s, used.tokens, used.tokens_limit)


def _components(watched: SupervisorStatistics) -> tuple[report.Component, ...]:
    return tuple(
        report.Component(name, now.up, now.reason, now.troubles)
        for name, now in sorted(watched.components.items())
    )


def _answer(body: msgspec.Struct, *, well: bool) -> Answer:
    status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
    return Answer(status, msgspec.json.encode(body) + b"\n")


def _known(seconds: float | None) -> float | None:
    return None if seconds is None else _short(seconds)


def _short(figure: float) -> float:
    """Nobody needs more than milliseconds."""
    return round(figure, 3)
