"""Every metric that the daemon exports: its name, type, help and labels, and how it is read from a snapshot.

Names follow Prometheus' conventions: base units, ``_total`` for what only grows. A name that a dashboard uses
is a contract: ``docs/metrics.md`` lists them, and a test compares.
"""

import asyncio
import platform
from pathlib import Path

from voice_agent import __version__
from voice_agent.telemetry.row import Row
from voice_agent.telemetry.snapshot import STATES, Snapshot
from voice_agent.telemetry.sound import SOUND


def _state(now: Snapshot) -> dict[str, float]:
    return {state: float(state == now.state) for state in STATES}


def _threads(_: Snapshot) -> float:
    """Native ones, too: PortAudio's are not Python's."""
    return len(list(Path("/proc/self/task").iterdir()))


SESSIONS = (
    Row(
        "ready",
        "gauge",
        "1 while the daemon can converse, exactly when /readyz says so.",
        lambda now: float(now.is_ready),
    ),
    Row("session_state", "gauge", "1 for the state in which the session is.", _state, ("state",)),
    Row("sessions_total", "counter", "Sessions that went live.", lambda now: now.counts.sessions),
    Row(
        "disconnects_total",
        "counter",
        "Live sessions that were lost, by cause.",
        lambda now: now.counts.disconnects,
        ("cause",),
    ),
    Row(
        "connection_failures_total",
        "counter",
        "Attempts to open a session that failed, by cause.",
        lambda now: now.counts.attempts_failed,
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
        "From the server's word that the user has finished to the first sound of the answer.",
        lambda now: now.counts.first_audio,
    ),
    Row(
        "turn_latency_seconds",
        "histogram",
        "The same in stages that add up: the first audio arrives (model), is held back against jitter (hold),"
        " is given to the device (own), is heard (device).",
        lambda now: now.counts.stages,
        ("stage",),
    ),
    Row(
        "endpointing_seconds",
        "histogram",
        "From the end of speech, where the server puts it, to its word of it; in sound sent by then.",
        lambda now: now.counts.endpointing,
    ),
    Row(
        "interruptions_total",
        "counter",
        "Answers that the user's speech silenced.",
        lambda now: now.counts.interruptions,
    ),
    Row(
        "self_interruptions_suspected_total",
        "counter",
        "Of those, speech that repeated the answer's words: perhaps the daemon heard itself.",
        lambda now: now.counts.self_interruptions,
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
        "answer_late_seconds_total",
        "counter",
        "Sound of answers to older turns, which came late and was not played.",
        lambda now: now.counts.late_s,
    ),
    Row(
        "turns_stuck_total",
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
        "Tool calls by outcome; remote ones ran on the server, and names that are no tool's count as other.",
        lambda now: now.counts.tool_calls,
        ("tool", "outcome"),
    ),
    Row("tool_seconds", "histogram", "How long tools took here.", lambda now: now.counts.tool_s, ("tool",)),
    Row("tool_calls_running", "gauge", "Tool calls that are waited for.", lambda now: now.tools_running),
    Row(
        "tool_calls_left_behind",
        "gauge",
        "Tool calls that had their time and have not ended; with 8 no more are begun.",
        lambda now: now.tools_left_behind,
    ),
    Row(
        "tool_server_up",
        "gauge",
        "1 while an MCP server is connected.",
        lambda now: {name: float(server.is_connected) for name, server in now.tool_servers.items()},
        ("server",),
    ),
    Row(
        "tool_server_connections_total",
        "counter",
        "Connections to an MCP server that were made; the first one, and each after a loss.",
        lambda now: {name: server.connections for name, server in now.tool_servers.items()},
        ("server",),
    ),
    Row(
        "tool_server_tools",
        "gauge",
        "Tools that an MCP server offers and the model may call.",
        lambda now: {name: server.tools for name, server in now.tool_servers.items()},
        ("server",),
    ),
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
    Row(
        "event_loop_lag_seconds",
        "histogram",
        "How late the event loop woke up, once a second.",
        lambda now: now.lags,
    ),
    Row(
        "metrics_refusals_total",
        "counter",
        "Requests at the port of the metrics with a wrong user or password.",
        lambda now: now.counts.refusals,
    ),
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

TIMERS = (
    Row("timers_set", "gauge", "Timers and alarms that are set.", lambda now: now.timers.set, ("kind",)),
    Row(
        "timers_rung_total",
        "counter",
        "Timers and alarms that began to ring.",
        lambda now: now.timers.rung,
        ("kind",),
    ),
    Row(
        "timers_unanswered_total",
        "counter",
        "Of those, ended by themselves after three minutes, as nobody came.",
        lambda now: now.timers.unanswered,
        ("kind",),
    ),
    Row(
        "timers_missed_total",
        "counter",
        "Timers and alarms that were due when nobody could hear them, and not rung later.",
        lambda now: now.timers.missed,
        ("kind",),
    ),
)

ROWS = (*SESSIONS, *SOUND, *TALK, *TIMERS, *HEALTH)
