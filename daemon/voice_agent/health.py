"""How the parts of the daemon are: signs of life for the supervisor, figures for Prometheus."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING

from voice_agent.alarms.clockwork import Clockwork
from voice_agent.audio.devices import Condition, DevicesState, DeviceState
from voice_agent.audio.names import Direction
from voice_agent.audio.states import Restart
from voice_agent.budget import Budget
from voice_agent.errors import Cause, ConnectionLost
from voice_agent.formats import samples_to_s
from voice_agent.ports import Ports
from voice_agent.session import Session
from voice_agent.sessions import Sessions
from voice_agent.supervision import Supervisor, Vital
from voice_agent.telemetry import snapshot as figures
from voice_agent.telemetry.counters import Counters
from voice_agent.tools.base import Toolbox

if TYPE_CHECKING:
    from voice_agent.tools.mcp.keeper import Keeper

CALLBACK_LIMIT_S = 10.0
"""An open stream without a callback: the keeper of the streams heals it in one second, or hangs itself."""

EAR_LIMIT_S = 1.0
"""Sound that nobody takes from the microphone's ring, which holds twice as much."""

UPLINK_LIMIT_S = 20.0
"""Sound for a live session that nobody sends: its own parts see a socket that takes nothing twice as soon."""

PLAYOUT_LIMIT_S = 10.0
"""Sound that waits although its stream runs: longer than any hold for somebody who speaks over it."""

DEVICES_LIMIT_S = 90.0
"""The keeper's longest pause is half a minute, its slowest call five seconds."""

PORTAUDIO_LIMIT_S = 60.0
"""PortAudio that answers nothing for so long needs a fresh process."""

CONVERSATION_LIMIT_S = 30.0
"""Beyond the moment at which the keeper of sessions had meant to stir again."""

BELL_LIMIT_S = 60.0
"""The bell looks at the clocks once a second, but while it rings only once for each group of tones."""

TOOLS_LIMIT_S = 60.0
"""Tools that do not end fill the box; so long may it be full."""


def vitals(ports: Ports, sessions: Sessions, tools: Toolbox, clockwork: Clockwork) -> Iterator[Vital]:
    """What outlives sessions. A cure that is quicker is nearer to the trouble: this is the second net."""

    def capture() -> float:
        return _age(ports.devices.state().input, ports.microphone.statistics().last_callback)

    def playout() -> float:
        return _age(ports.devices.state().output, ports.speaker.statistics().last_callback)

    def ear() -> float:
        return samples_to_s(ports.microphone.statistics().queued, ports.microphone.rate)

    def reopen(direction: Direction) -> Callable[[str], None]:
        return lambda _reason: ports.devices.reopen(direction)

    def stuck_uplink(reason: str) -> None:
        if sessions.live:
            sessions.live.give_up(ConnectionLost(reason, cause=Cause.STALLED))

    uplink = Progress(
        lambda: sessions.live is not None and ports.ear.has_more, lambda: (sessions.live, ports.ear.position)
    )
    heard = Progress(lambda: _has_to_play(ports), lambda: (ports.speaker, ports.speaker.positions().played))

    yield Vital("capture", capture, CALLBACK_LIMIT_S, reopen(Direction.INPUT))
    yield Vital("playout", playout, CALLBACK_LIMIT_S, reopen(Direction.OUTPUT))
    yield Vital("ear", ear, EAR_LIMIT_S)
    yield Vital("uplink-progress", uplink.age, UPLINK_LIMIT_S, stuck_uplink)
    yield Vital("playout-progress", heard.age, PLAYOUT_LIMIT_S, lambda _reason: ports.speaker.resume())
    yield Vital("devices", lambda: ports.devices.idle_s, DEVICES_LIMIT_S)
    yield Vital("portaudio", lambda: ports.devices.hanging_s, PORTAUDIO_LIMIT_S)
    yield Vital("conversation", lambda: sessions.overdue_s, CONVERSATION_LIMIT_S)
    yield Vital("tools", lambda: tools.calls.hanging_s, TOOLS_LIMIT_S)
    yield Vital("bell", lambda: clockwork.idle_s, BELL_LIMIT_S)


class Progress:
    """The age of what has work to do, and does not move. ``mark``: what changes when it does."""

    def __init__(
        self, busy: Callable[[], bool], mark: Callable[[], object], clock: Callable[[], float] = monotonic
    ) -> None:
        self._busy = busy
        self._mark = mark
        self._clock = clock
        self._seen = mark()
        self._since = clock()

    def age(self) -> float:
        """For how many seconds it has stood still; zero while there is nothing to do."""
        now, mark = self._clock(), self._mark()
        if mark != self._seen or not self._busy():
            self._seen, self._since = mark, now
        return now - self._since


def _has_to_play(ports: Ports) -> bool:
    queued, played = ports.speaker.positions()
    return queued > played and ports.devices.state().output.condition is Condition.OPEN


def _age(state: DeviceState, last_callback: float) -> float:
    return monotonic() - last_callback if state.condition is Condition.OPEN and last_callback else 0.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What a snapshot is made of."""

    ports: Ports
    sessions: Sessions
    counters: Counters
    budget: Budget
    supervisor: Supervisor
    tools: Toolbox
    tool_servers: "Sequence[Keeper]"
    clockwork: Clockwork


def snapshot(parts: Parts, state: figures.State, streamed_s: float, received_s: float) -> figures.Snapshot:
    """All figures now. Sound that went to servers since the start, and that came from them, in seconds."""
    ports, watched = parts.ports, parts.supervisor.statistics()
    devices = ports.devices.state()
    return figures.Snapshot(
        state=state,
        counts=parts.counters.statistics(),
        link=_link(parts.sessions.live, parts.sessions),
        capture=_capture(ports, streamed_s),
        playout=_playout(ports, received_s),
        echo=_echo(ports),
        devices=_devices(ports),
        device_openings=devices.opened,
        device_calls_abandoned=devices.abandoned,
        allowance=_allowance(parts.budget),
        timers=_timers(parts.clockwork),
        tools_running=parts.tools.calls.running,
        tools_left_behind=parts.tools.calls.strays,
        tool_servers={keeper.name: _tool_server(keeper) for keeper in parts.tool_servers},
        components={name: component.up for name, component in watched.components.items()},
        troubles={name: component.troubles for name, component in watched.components.items()},
        lags=watched.lags,
    )


def _link(session: Session | None, sessions: Sessions) -> figures.Link:
    if session is None:
        return figures.Link(limit_s=sessions.limit_s)
    heartbeat = session.statistics().heartbeat
    return figures.Link(
        age_s=sessions.age_s,
        limit_s=sessions.limit_s,
        rtt_s=heartbeat.rtt_s,
        silence_s=monotonic() - heartbeat.heard_at,
    )


def _capture(ports: Ports, streamed_s: float) -> figures.Capture:
    ear, rate = ports.ear.statistics(), ports.ear.rate
    return figures.Capture(
        captured_s=samples_to_s(ear.captured, rate),
        lost_s=samples_to_s(ear.lost, rate),
        resent_s=samples_to_s(ear.resent, rate),
        streamed_s=streamed_s,
        backlog_s=samples_to_s(ear.backlog, rate),
        withheld_s=ports.withheld_s,
        muted=ports.muted,
        delays=ports.ear.delays_s,
    )


def _playout(ports: Ports, received_s: float) -> figures.Playout:
    speaker, rate = ports.speaker.statistics(), ports.speaker.rate
    queued, played = ports.speaker.positions()
    return figures.Playout(
        played_s=samples_to_s(speaker.played, rate),
        flushed_s=samples_to_s(speaker.flushed, rate),
        lost_s=samples_to_s(speaker.lost_samples, rate),
        gaps=speaker.gaps,
        gap_s=samples_to_s(speaker.gap_samples, rate),
        lateness_s=speaker.lateness_s,
        hold_s=speaker.hold_s,
        received_s=received_s,
        buffered_s=samples_to_s(queued - played, rate),
        latency_s=samples_to_s(ports.speaker.latency, rate),
        quiet=ports.speaker.quiet_s(),
        volume=ports.volume,
    )


def _echo(ports: Ports) -> figures.Echo:
    guard = ports.echo
    return figures.Echo(
        mode=guard.mode.value,
        erle_db=guard.erle_db,
        delay_s=guard.delay_s,
        canceller=guard.health.value if guard.health else None,
        suspicions=guard.suspicions,
        confirmed=guard.confirmed,
        false_alarms=guard.false_alarms,
        half_duplex_s=guard.half_duplex_s,
    )


def _devices(ports: Ports) -> dict[str, figures.Device]:
    state, speaker, microphone = (
        ports.devices.state(),
        ports.speaker.statistics(),
        ports.microphone.statistics(),
    )
    output = _device(state, Direction.OUTPUT, speaker.last_callback, speaker.callbacks)
    capture = _device(state, Direction.INPUT, microphone.last_callback, microphone.callbacks)
    return {
        "output": replace(
            output, callback_errors=output.callback_errors + speaker.callback_errors, xruns=speaker.xruns
        ),
        "input": replace(
            capture,
            callback_errors=capture.callback_errors + microphone.callback_errors,
            xruns=microphone.overflows,
        ),
    }


def _device(
    devices: DevicesState, direction: Direction, last_callback: float, callbacks: int
) -> figures.Device:
    state = devices.output if direction is Direction.OUTPUT else devices.input
    return figures.Device(
        is_open=state.condition is Condition.OPEN,
        callback_age_s=monotonic() - last_callback if last_callback else None,
        callbacks=callbacks,
        callback_errors=devices.adaptor_errors.get(direction, 0),
        rate=state.rate or None,
        resampled=state.resampled,
        restarts={why.value: devices.restarts.get((direction, why), 0) for why in Restart},
    )


def _tool_server(keeper: "Keeper") -> figures.ToolServer:
    now = keeper.state()
    return figures.ToolServer(now.connected, now.connections, now.tools)


def _timers(clockwork: Clockwork) -> figures.Timers:
    counts = clockwork.statistics()
    return figures.Timers(counts.set, counts.rung, counts.unanswered, counts.missed)


def _allowance(budget: Budget) -> figures.Allowance:
    used = budget.statistics()
    return figures.Allowance(
        audio_s=used.sent_s + used.received_s,
        audio_limit_s=budget.cap_s or None,
        tokens=sum(used.tokens.values()),
        tokens_limit=budget.cap_tokens or None,
    )
