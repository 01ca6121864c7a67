"""How the daemon is at one moment, in plain numbers: what the agent fills and metrics read.

Durations are in seconds and sound is, too. A figure that is not known is ``None`` and is not exported.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from voice_agent.distribution import Distribution
from voice_agent.telemetry.counters import Counts

State = Literal["connecting", "live", "parked", "waiting", "refused", "exhausted"]
"""``waiting``: for the next attempt; ``refused``: the same, and only people can cure it; ``exhausted``: the
day's allowance is used up."""

STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True, slots=True)
class Link:
    """The live session's connection."""

    age_s: float | None = None
    """Since the server confirmed the session."""
    limit_s: float | None = None
    """The age at which the server is expected to end it."""
    rtt_s: float | None = None
    """Of the last WebSocket ping that was answered."""
    silence_s: float | None = None
    """Since anything came from the server."""


@dataclass(frozen=True, slots=True)
class Capture:
    """Sound on its way from the microphone to the server."""

    captured_s: float = 0.0
    lost_s: float = 0.0
    resent_s: float = 0.0
    streamed_s: float = 0.0
    backlog_s: float = 0.0
    """Captured and not sent yet, now."""
    withheld_s: Mapping[str, float] = field(default_factory=dict)
    """Kept from the server on purpose, by reason."""
    muted: bool = False
    delays: Distribution = field(default_factory=lambda: Distribution(()))
    """From the capture of a piece's end until it was taken to be sent."""


@dataclass(frozen=True, slots=True)
class Playout:
    """Sound on its way to the loudspeaker."""

    played_s: float = 0.0
    flushed_s: float = 0.0
    lost_s: float = 0.0
    gaps: int = 0
    gap_s: float = 0.0
    lateness_s: float = 0.0
    hold_s: float = 0.0
    received_s: float = 0.0
    buffered_s: float = 0.0
    """Queued and not heard yet, now."""
    latency_s: float = 0.0
    """From being given to the device to being heard, as the device reports it."""
    quiet: Mapping[str, Distribution] = field(default_factory=dict)
    """How soon it fell silent when it was told to, by how it was told."""
    volume: int = 100
    """As people set it, 0 to 130."""


@dataclass(frozen=True, slots=True)
class Echo:
    """What is done about the daemon's own voice in the microphone."""

    mode: str = "off"
    erle_db: float | None = None
    delay_s: float | None = None
    """By how much the echo comes later than it was played."""
    canceller: str | None = None
    """How the canceller is doing, if there is one."""
    suspicions: int = 0
    confirmed: int = 0
    false_alarms: int = 0
    half_duplex_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Device:
    """One direction of the sound devices."""

    is_open: bool = False
    callback_age_s: float | None = None
    callbacks: int = 0
    callback_errors: int = 0
    xruns: int = 0
    rate: int | None = None
    """Its own, in Hz, while it is open."""
    resampled: bool = False
    restarts: Mapping[str, int] = field(default_factory=dict)
    """How often its stream was closed after it had been open, by reason."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the day has used; a limit of ``None`` is none."""

    audio_s: float = 0.0
    audio_limit_s: float | None = None
    tokens: int = 0
    tokens_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Timers:
    """Timers and alarms, by kind."""

    set: Mapping[str, int] = field(default_factory=dict)
    """Now."""
    rung: Mapping[str, int] = field(default_factory=dict)
    unanswered: Mapping[str, int] = field(default_factory=dict)
    """Of those, nobody came."""
    missed: Mapping[str, int] = field(default_factory=dict)
    """Due when nobody could hear it."""


@dataclass(frozen=True, slots=True)
class ToolServer:
    """An MCP server. ``connections``: how many there have been; ``tools``: offered now."""

    is_connected: bool = False
    connections: int = 0
    tools: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of it."""

    state: State = "connecting"
    counts: Counts = field(default_factory=Counts)
    link: Link = Link()
    capture: Capture = Capture()
    playout: Playout = Playout()
    echo: Echo = Echo()
    devices: Mapping[str, Device] = field(default_factory=dict)
    """By direction: ``input``, ``output``."""
    device_openings: int = 0
    device_calls_abandoned: int = 0
    allowance: Allowance = Allowance()
    timers: Timers = field(default_factory=Timers)
    tools_running: int = 0
    tools_left_behind: int = 0
    """Calls that nobody waits for any more, and that have not ended."""
    tool_servers: Mapping[str, ToolServer] = field(default_factory=dict)
    """By the names that the operator gave them."""
    components: Mapping[str, bool] = field(default_factory=dict)
    """Whether each is up."""
    troubles: Mapping[str, int] = field(default_factory=dict)
    """How often each component was found hanging or had ended."""
    lags: Distribution = field(default_factory=lambda: Distribution(()))
    """How late the event loop was at each look at the components."""
    is_ready: bool = False
    """It can converse, as ``/readyz`` says."""
