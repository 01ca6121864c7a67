"""Every metric that the daemon exports: its name, type, help and labels, and how it is read from a snapshot.

Names follow Prometheus' conventions: base units, ``_total`` for what only grows. A name that a dashboard uses
is a contract: ``docs/metrics.md`` lists them, and a test compares.
"""

import asyncio
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from voice_agent import __version__
from voice_agent.telemetry.counters import Distribution
from voice_agent.telemetry.snapshot import STATES, Snapshot

PREFIX = "voice_agent_"
Kind = Literal["counter", "gauge", "histogram"]
Figures = float | Mapping[str, float] | Mapping[tuple[str, str], float] | None
Reading = Figures | Distribution


@dataclass(frozen=True, slots=True)
class Row:
    """A metric. ``name`` is written without the prefix; a reading of ``None`` is left out."""

    name: str
    kind: Kind
    help: str
    read: Callable[[Snapshot], Reading]
    labels: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """The base unit, in which the name ends; empty for a plain number."""
        last = self.name.removesuffix("_total").rpartition("_")[2]
        return last if last in UNITS else ""


UNITS = ("seconds", "samples", "tokens", "hertz")


def _state(now: Snapshot) -> dict[str, float]:
    return {state: float(state == now.state) for state in STATES}


def _threads(_: Snapshot) -> float:
    """Native ones, too: PortAudio's are not Python's."""
    return len(list(Path("/proc/self/task").iterdir()))


SESSIONS = (
    Row("session_state", "gauge", "1 for the state in which the session is.", _state, ("state",)),
    Row("sessions_total", "counter", "Sessions that went live.", lambda now: now.counts.sessions),
    Row(
        "disconnects_total",
        "counter",
        "Sessions that ended and attempts that failed, by cause.",
        lambda now: now.counts.disconnects,
        ("cause",),
    ),
    Row(
        "reconnect_seconds",
        "histogram",
        "From the end of a session to the next live one, renewals left out.",
        lambda now: now.counts.reconnect,
    ),
    Row(
        "renewals_total",
        "counter",
        "Sessions replaced by a fresh one before their limit.",
        lambda now: now.counts.renewals,
    ),
    Row(
        "parkings_total", "counter", "Sessions closed until somebody speaks.", lambda now: now.counts.parkings
    ),
    Row(
        "restored_sessions_total",
        "counter",
        "Sessions that began with what had been said before.",
        lambda now: now.counts.restored,
    ),
    Row(
        "session_age_seconds",
        "gauge",
        "Since the server confirmed the live session.",
        lambda now: now.link.age_s,
    ),
    Row(
        "session_limit_seconds",
        "gauge",
        "Age at which the server is expected to end a session, if that is known.",
        lambda now: now.link.limit_s,
    ),
    Row(
        "heartbeat_rtt_seconds",
        "gauge",
        "Round trip of the last WebSocket ping; absent while the server answers none.",
        lambda now: now.link.rtt_s,
    ),
    Row(
        "server_silence_seconds",
        "gauge",
        "Since anything came from the server.",
        lambda now: now.link.silence_s,
    ),
)

SOUND = (
    Row(
        "capture_seconds_total",
        "counter",
        "Sound that the microphone brought.",
        lambda now: now.capture.captured_s,
    ),
    Row(
        "capture_lost_seconds_total",
        "counter",
        "Captured sound that was meant for a server and never reached one.",
        lambda now: now.capture.lost_s,
    ),
    Row(
        "capture_withheld_seconds_total",
        "counter",
        "Captured sound that was kept from the server on purpose, by reason.",
        lambda now: now.capture.withheld_s,
        ("reason",),
    ),
    Row(
        "microphone_muted",
        "gauge",
        "1 while the microphone is closed because somebody wants it so.",
        lambda now: float(now.capture.muted),
    ),
    Row(
        "resent_seconds_total",
        "counter",
        "Captured sound that was sent again, to a new session.",
        lambda now: now.capture.resent_s,
    ),
    Row(
        "streamed_seconds_total",
        "counter",
        "Captured sound that was sent to the server.",
        lambda now: now.capture.streamed_s,
    ),
    Row(
        "capture_backlog_seconds",
        "gauge",
        "Captured sound that waits to be sent.",
        lambda now: now.capture.backlog_s,
    ),
    Row(
        "volume_level",
        "gauge",
        "The volume as people set it: 100 leaves answers as they come.",
        lambda now: float(now.playout.volume),
    ),
    Row(
        "playout_seconds_total",
        "counter",
        "Answers' sound given to the loudspeaker.",
        lambda now: now.playout.played_s,
    ),
    Row(
        "playout_flushed_seconds_total",
        "counter",
        "Answers' sound given up because the user spoke.",
        lambda now: now.playout.flushed_s,
    ),
    Row(
        "playout_lost_seconds_total",
        "counter",
        "Answers' sound refused because buffers were full.",
        lambda now: now.playout.lost_s,
    ),
    Row(
        "playout_gaps_total",
        "counter",
        "Silences that tore a stretch of speech.",
        lambda now: now.playout.gaps,
    ),
    Row("playout_gap_seconds_total", "counter", "How long they were.", lambda now: now.playout.gap_s),
    Row(
        "playout_lateness_seconds",
        "gauge",
        "Nearly all pieces of answers came too late for their pace by less than this.",
        lambda now: now.playout.lateness_s,
    ),
    Row(
        "playout_hold_seconds",
        "gauge",
        "How long the beginning of an answer is held back for that; 0 if the server is ahead anyway.",
        lambda now: now.playout.hold_s,
    ),
    Row(
        "echo_mode",
        "gauge",
        "1 for what is done about echo now.",
        lambda now: {mode: float(mode == now.echo.mode) for mode in ("aec", "half-duplex", "off")},
        ("mode",),
    ),
    Row(
        "echo_erle_decibels",
        "gauge",
        "How much softer the canceller made the echo lately; absent without one.",
        lambda now: now.echo.erle_db,
    ),
    Row(
        "echo_suspicions_total",
        "counter",
        "Times that the loudspeaker was turned down because somebody might speak over it.",
        lambda now: now.echo.suspicions,
    ),
    Row(
        "echo_confirmed_total",
        "counter",
        "Times that it was silenced because somebody did.",
        lambda now: now.echo.confirmed,
    ),
    Row(
        "echo_false_alarms_total",
        "counter",
        "Times that the server heard nobody then, and the loudspeaker went on.",
        lambda now: now.echo.false_alarms,
    ),
    Row(
        "echo_half_duplex_seconds_total",
        "counter",
        "Captured sound withheld because the loudspeaker sounded and no canceller could be relied on.",
        lambda now: now.echo.half_duplex_s,
    ),
    Row(
        "device_open",
        "gauge",
        "1 while the sound device is open and calls back.",
        lambda now: {way: float(device.is_open) for way, device in now.devices.items()},
        ("direction",),
    ),
    Row(
        "device_callback_age_seconds",
        "gauge",
        "Since the sound device last called back; absent before it ever did.",
        lambda now: {
            way: device.callback_age_s
            for way, device in now.devices.items()
            if device.callback_age_s is not None
        },
        ("direction",),
    ),
    Row(
        "device_callback_errors_total",
        "counter",
        "Audio callbacks that failed and gave silence.",
        lambda now: {way: device.callback_errors for way, device in now.devices.items()},
        ("direction",),
    ),
    Row(
        "device_xruns_total",
        "counter",
        "Overflows of the microphone and underflows of the loudspeaker, as PortAudio reports them.",
        lambda now: {way: device.xruns for way, device in now.devices.items()},
        ("direction",),
    ),
    Row(
        "device_rate_hertz",
        "gauge",
        "The rate at which the sound device runs; absent while it is not open.",
        lambda now: {way: device.rate for way, device in now.devices.items() if device.rate is not None},
        ("direction",),
    ),
    Row(
        "device_resampled",
        "gauge",
        "1 while that is not the session's rate, and sound is converted.",
        lambda now: {way: float(device.resampled) for way, device in now.devices.items()},
        ("direction",),
    ),
    Row("device_openings_total", "counter", "Streams that were opened.", lambda now: now.device_openings),
    Row(
        "device_restarts_total",
        "counter",
        "Streams that were closed after they had been open: they stopped calling back, brought nothing but"
        " one value (flat), were lent for a look at new devices (renewed), or somebody asked for it.",
        lambda now: {
            (way, reason): count
            for way, device in now.devices.items()
            for reason, count in device.restarts.items()
        },
        ("direction", "reason"),
    ),
    Row(
        "device_calls_abandoned_total",
        "counter",
        "Calls into the sound system that hung and were left behind.",
        lambda now: now.device_calls_abandoned,
    ),
)

TALK = (
    Row("turns_total", "counter", "Times that the user began to speak.", lambda now: now.counts.turns),
    Row("answers_total", "counter", "Answers that began to sound.", lambda now: now.counts.answers),
    Row(
        "answers_failed_total",
        "counter",
        "Answers that ended without doing their work, by status.",
        lambda now: now.counts.answers_failed,
        ("status",),
    ),
    Row(
        "first_audio_seconds",
        "histogram",
        "From the end of the user's speech to the first sound of the answer.",
        lambda now: now.counts.first_audio,
    ),
    Row(
        "interruptions_total",
        "counter",
        "Answers that the user's speech silenced.",
        lambda now: now.counts.interruptions,
    ),
    Row(
        "answer_heard_seconds_total",
        "counter",
        "Answers' sound that was heard.",
        lambda now: now.counts.heard_ms / 1000,
    ),
    Row(
        "answer_unheard_seconds_total",
        "counter",
        "Answers' sound that had arrived and was cut off.",
        lambda now: now.counts.unheard_ms / 1000,
    ),
    Row(
        "answer_late_samples_total",
        "counter",
        "Sound of answers to older turns, which came late and was not played.",
        lambda now: now.counts.late_samples,
    ),
    Row(
        "stuck_total",
        "counter",
        "Times that a conversation had to be helped on, by what did not come and what was done.",
        lambda now: now.counts.stuck,
        ("kind", "remedy"),
    ),
    Row(
        "server_faults_total",
        "counter",
        "Complaints of the server, and events that are none of the protocol's.",
        lambda now: now.counts.faults,
        ("kind",),
    ),
    Row(
        "tool_calls_total",
        "counter",
        "Tool calls by outcome; remote ones ran on the server.",
        lambda now: now.counts.tool_calls,
        ("tool", "outcome"),
    ),
    Row("tool_seconds_total", "counter", "Time that tools took here.", lambda now: now.counts.tool_s),
    Row(
        "tokens_total",
        "counter",
        "Tokens that the provider counted.",
        lambda now: now.counts.tokens,
        ("direction", "kind"),
    ),
    Row(
        "cached_tokens_total",
        "counter",
        "Input tokens that the provider had cached; they are cheaper.",
        lambda now: now.counts.cached_tokens,
    ),
    Row(
        "allowance_used_audio_seconds",
        "gauge",
        "Sound sent and received today.",
        lambda now: now.allowance.audio_s,
    ),
    Row(
        "allowance_limit_audio_seconds",
        "gauge",
        "The day's limit of it; absent if there is none.",
        lambda now: now.allowance.audio_limit_s,
    ),
    Row("allowance_used_tokens", "gauge", "Tokens used today.", lambda now: now.allowance.tokens),
    Row(
        "allowance_limit_tokens",
        "gauge",
        "The day's limit of them; absent if there is none.",
        lambda now: now.allowance.tokens_limit,
    ),
    Row(
        "allowance_exhaustions_total",
        "counter",
        "Days on which the allowance was used up.",
        lambda now: now.counts.exhaustions,
    ),
)

HEALTH = (
    Row(
        "component_up",
        "gauge",
        "1 while a component works or has nothing to do, 0 while it hangs or has ended.",
        lambda now: {name: float(up) for name, up in now.components.items()},
        ("component",),
    ),
    Row(
        "component_troubles_total",
        "counter",
        "Times that a component was found hanging or had ended.",
        lambda now: now.troubles,
        ("component",),
    ),
    Row("loop_lag_seconds", "gauge", "How late the event loop was at the last look.", lambda now: now.lag_s),
    Row("loop_lag_worst_seconds", "gauge", "How late it ever was at a look.", lambda now: now.worst_lag_s),
    Row("asyncio_tasks", "gauge", "Tasks of the event loop.", lambda _: len(asyncio.all_tasks())),
    Row("threads", "gauge", "Threads of the process, native ones included.", _threads),
    Row(
        "build_info",
        "gauge",
        "Always 1; the labels say what runs.",
        lambda _: {(__version__, platform.python_version()): 1.0},
        ("version", "python"),
    ),
)

ROWS = (*SESSIONS, *SOUND, *TALK, *HEALTH)
