"""How is this one device, and what has happened to it?"""

from grafana_foundation_sdk.models.common import BigValueTextMode
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.source import limits
from deploy.grafana.source.board import JOB, Board
from deploy.grafana.source.panels import STAGES, STATES, Column, Panel, Query, figure, lines, rows

NUMBERED = " + ".join(
    f'{number} * max(voice_agent_session_state{{HERE, state="{state}"}})'
    for number, state in enumerate([state for state in STATES if state != "gone"], 1)
)
"""The state as a number, since Grafana colours numbers and not names."""
WORDS = {str(number): (state, colour) for number, (state, colour) in enumerate(STATES.items(), 1)}
CALLED = "sum by (tool) (increase(voice_agent_tool_calls_total{HERE}[$__range]))"
TOOK = (
    "histogram_quantile(0.95, sum by (tool, le) (increase(voice_agent_tool_seconds_bucket{HERE}[$__range])))"
    " >= 0"
)
FAILURES = 'outcome=~"failed|invalid|timeout|crashed|refused"'


FAILED = CALLED.replace("HERE", f"HERE, {FAILURES}")


def board() -> Dashboard:
    """The board that the fleet's list leads to."""
    board = Board(
        "device",
        "One device",
        "How one device is and what has happened to it. Marks in time: restarts, lost sessions, renewals.",
        scope="device",
        since="now-6h",
        window="15m",
    )
    board.row("", *_now(), *_settled())
    board.row("Conversation", *_conversation())
    board.row("Its session with the provider", *_session())
    board.row("Its sound", *_sound())
    board.row("Its tools and parts", *_tools(), _parts())
    board.row("Its process", *_process())
    return board.build()


def _now() -> list[Panel]:
    return [
        figure(
            "State",
            "Live or parked: good. Waiting: it tries again by itself. Refused: key, quota or settings, and"
            " only people can help. Exhausted: the day's allowance is used up. Gone: its metrics cannot be"
            " fetched.",
            Query(f"7 * max(up{{{JOB}, HERE}} == bool 0) + on () ({NUMBERED} or vector(0))", now=True),
            unit="none",
            words=WORDS,
            width=4,
            fill=True,
        ),
        figure(
            "Could converse",
            "Share of the last hour in which it should have been able to converse and was. Good: all of it.",
            Query("voice_agent:can_converse:ratio{HERE}"),
            unit="percentunit",
            limits=limits.REACH,
            decimals=1,
            width=4,
        ),
        figure(
            "Wait, 95 %",
            "95 of 100 answers of the last hour began sooner. Good: below 1.5 s; the alert of a device fires"
            " at 3 s.",
            Query("voice_agent:first_audio_seconds:p95{HERE}"),
            unit="s",
            limits=limits.DEVICE_WAIT_S,
            width=4,
        ),
    ]


def _settled() -> list[Panel]:
    return [
        figure(
            "Runs since",
            "How long ago the process began. Short, and nobody has updated it: the journal says why it"
            " ended.",
            Query(f"time() - process_start_time_seconds{{{JOB}, HERE}}", now=True),
            unit="s",
            decimals=0,
            width=3,
        ),
        figure(
            "Muted",
            "Whether somebody has closed the microphone. No fault, and a frequent explanation.",
            Query("voice_agent_microphone_muted{HERE}", now=True),
            unit="none",
            words={"0": ("no", "text"), "1": ("muted", "orange")},
            width=3,
        ),
        figure(
            "Volume",
            "As people set it; 100 leaves answers as they come. At 0 nobody hears an answer, and nothing is"
            " broken.",
            Query("voice_agent_volume_level{HERE}", now=True),
            unit="none",
            width=3,
            decimals=0,
        ),
        figure(
            "Version",
            "What runs there.",
            Query("voice_agent_build_info{HERE}", "{{version}}", now=True),
            unit="none",
            text=BigValueTextMode.NAME,
            width=3,
        ),
    ]


def _conversation() -> list[Panel]:
    return [
        lines(
            "Turns and answers an hour",
            "turns: times that the user began to speak. Far more turns than answers: a television, noise, or"
            " its own echo. failed: answers that did not do their work.",
            Query("rate(voice_agent_turns_total{HERE}[$window]) * 3600", "turns"),
            Query("rate(voice_agent_answers_total{HERE}[$window]) * 3600", "answers"),
            Query("sum(rate(voice_agent_answers_failed_total{HERE}[$window])) * 3600", "failed"),
            Query("rate(voice_agent_interruptions_total{HERE}[$window]) * 3600", "interrupted"),
            unit="none",
            width=8,
            colours={"turns": "blue", "answers": "green", "failed": "red", "interrupted": "purple"},
        ),
        lines(
            "The average wait, stage by stage",
            "The height is the average wait; the board of latency says what the stages are. Good: below 1 s.",
            Query(
                "sum by (stage) (rate(voice_agent_turn_latency_seconds_sum{HERE}[$window]))"
                " / scalar(sum(rate(voice_agent_first_audio_seconds_count{HERE}[$window]))) >= 0",
                "{{stage}}",
            ),
            unit="s",
            style="area",
            stacked=True,
            colours=STAGES,
            width=8,
        ),
        lines(
            "Helped on",
            "Times an hour that something which the protocol promises did not come, and the daemon did"
            " without. Good: none; more than five in an hour fire an alert.",
            Query("sum by (kind) (rate(voice_agent_turns_stuck_total{HERE}[$window])) * 3600", "{{kind}}"),
            unit="none",
            style="area",
            stacked=True,
            width=8,
            most=1,
        ),
    ]


def _session() -> list[Panel]:
    return [
        lines(
            "Age of the session",
            "Since the server confirmed it, and the age at which the server is expected to end it. It should"
            " fall before it meets the limit: that is a renewal.",
            Query("voice_agent_session_age_seconds{HERE}", "age"),
            Query("voice_agent_session_limit_seconds{HERE}", "limit"),
            unit="s",
            width=6,
            colours={"age": "blue", "limit": "red"},
        ),
        lines(
            "Since the server last said anything",
            "While a session is live. It grows while nobody speaks, up to the next sign of life; the daemon"
            " asks before it believes that nobody is there.",
            Query("voice_agent_server_silence_seconds{HERE}", "silence"),
            Query("voice_agent_heartbeat_rtt_seconds{HERE}", "round trip"),
            unit="s",
            width=6,
            colours={"silence": "blue", "round trip": "orange"},
        ),
        lines(
            "Lost, and failed to open",
            "An hour, by cause. lost: a live session ended. failed: an attempt got none. dns, unreachable,"
            " timeout: its network. http_401, 403, 429: key or quota.",
            Query("rate(voice_agent_disconnects_total{HERE}[$window]) * 3600 > 0", "lost: {{cause}}"),
            Query(
                "rate(voice_agent_connection_failures_total{HERE}[$window]) * 3600 > 0", "failed: {{cause}}"
            ),
            unit="none",
            empty="none",
            style="area",
            stacked=True,
            width=6,
        ),
        lines(
            "Back after a loss, 95 %",
            "From the end of a session to the next live one, renewals left out. Good: below 2 s; more is the"
            " provider or the network.",
            Query(
                "histogram_quantile(0.95, sum by (le)"
                " (rate(voice_agent_reconnect_seconds_bucket{HERE}[$window]))) >= 0",
                "95 %",
            ),
            unit="s",
            width=6,
            colours={"95 %": "orange"},
        ),
    ]


def _sound() -> list[Panel]:
    return [
        lines(
            "Microphone and loudspeaker",
            "1 while it is open and calls back. Both at 1: good. A dent is an unplugged or hanging device"
            " and its return.",
            Query("voice_agent_device_open{HERE}", "{{direction}}"),
            unit="none",
            width=6,
            colours={"input": "blue", "output": "purple"},
            most=1,
            decimals=0,
        ),
        lines(
            "Captured, sent, lost",
            "Seconds of sound per second. captured should be 1 while the microphone is open; lost should be"
            " 0.",
            Query("rate(voice_agent_capture_seconds_total{HERE}[$__rate_interval])", "captured"),
            Query("rate(voice_agent_capture_sent_seconds_total{HERE}[$__rate_interval])", "sent"),
            Query("rate(voice_agent_capture_lost_seconds_total{HERE}[$__rate_interval])", "lost"),
            unit="none",
            width=6,
            colours={"captured": "blue", "sent": "green", "lost": "red"},
        ),
        lines(
            "Faults of the sound",
            "An hour. gaps: silences that tore speech. xruns: blocks that the machine missed. restarts:"
            " streams that had to be opened anew. Good: none.",
            Query("rate(voice_agent_playout_gaps_total{HERE}[$window]) * 3600", "gaps"),
            Query("sum(rate(voice_agent_device_xruns_total{HERE}[$window])) * 3600", "xruns"),
            Query("sum(rate(voice_agent_device_restarts_total{HERE}[$window])) * 3600", "restarts"),
            unit="none",
            width=6,
            style="area",
            stacked=True,
            colours={"gaps": "orange", "xruns": "yellow", "restarts": "red"},
        ),
        lines(
            "Sound in the buffers",
            "to be sent: captured and waiting, near 0 unless the network stalls. to be heard: answers come"
            " faster than they are spoken, so this may be many seconds.",
            Query("voice_agent_capture_backlog_seconds{HERE}", "to be sent"),
            Query("voice_agent_playout_buffered_seconds{HERE}", "to be heard"),
            unit="s",
            width=6,
            colours={"to be sent": "orange", "to be heard": "blue"},
        ),
    ]


def _tools() -> list[Panel]:
    return [
        lines(
            "Tool calls an hour, by outcome",
            "ok and cancelled (the user spoke) are good. timeout, crashed, invalid, failed: the table beside"
            " says which.",
            Query(
                "sum by (outcome) (rate(voice_agent_tool_calls_total{HERE}[$window])) * 3600", "{{outcome}}"
            ),
            unit="none",
            style="area",
            stacked=True,
            width=8,
            colours={
                "ok": "green",
                "cancelled": "blue",
                "failed": "orange",
                "timeout": "red",
                "crashed": "dark-red",
            },
        ),
        rows(
            "Tools",
            "Calls of the time that is shown, the share that failed, and how long 95 % of them took at most."
            " A tool above 3 s makes people wait.",
            [
                f"{CALLED} > 0",
                f"{FAILED} / ({CALLED} > 0)",
                TOOK,
            ],
            [
                Column("Tool", "tool"),
                Column("Calls", "A", unit="none", decimals=0, width=70),
                Column("Failed", "B", unit="percentunit", limits=limits.TOOL_FAILED, decimals=0, width=80),
                Column("Took, 95 %", "C", unit="s", width=110),
            ],
            by="tool",
            sort="Calls",
            width=8,
            height=8,
        ),
    ]


def _parts() -> Panel:
    return rows(
        "Parts",
        "Whether each part works now, and how often it was found hanging or ended since the daemon"
        " began. Down for long: its own cures have not helped, and `voice-agent status` says why.",
        [
            "max by (component) (voice_agent_component_up{HERE})",
            "max by (component) (voice_agent_component_troubles_total{HERE})",
        ],
        [
            Column("Part", "component"),
            Column("Works", "A", words={"1": ("yes", "green"), "0": ("down", "red")}, width=80),
            Column("Troubles", "B", unit="none", limits=limits.RECONNECTS, decimals=0, width=90),
        ],
        by="component",
        sort="Troubles",
        width=8,
        height=8,
    )


def _process() -> list[Panel]:
    return [
        lines(
            "Memory",
            "Resident. Usual: 60 to 120 MB; the unit ends it at 384 MB, and an alert comes before that. A"
            " line that only climbs is a leak.",
            Query(f"process_resident_memory_bytes{{{JOB}, HERE}}", "memory"),
            unit="bytes",
            limits=limits.MEMORY_BYTES,
            width=6,
            colours={"memory": "blue"},
        ),
        lines(
            "Processor",
            "Share of one core. Usual: a few per cent, ten with the echo canceller on a small board.",
            Query(f"rate(process_cpu_seconds_total{{{JOB}, HERE}}[$__rate_interval])", "processor"),
            unit="percentunit",
            width=6,
            colours={"processor": "blue"},
        ),
        lines(
            "Event loop wakes late by, 99 %",
            "Good: 1 to 5 ms. Above 0.1 s the machine is too slow, too hot, or busy with something else.",
            Query(
                "histogram_quantile(0.99, sum by (le)"
                " (rate(voice_agent_event_loop_lag_seconds_bucket{HERE}[$window]))) >= 0",
                "99 %",
            ),
            unit="s",
            limits=limits.LAG_S,
            width=6,
            colours={"99 %": "orange"},
        ),
        lines(
            "Tasks, threads, open files",
            "Good: level. What climbs for hours is not given back.",
            Query("voice_agent_asyncio_tasks{HERE}", "tasks"),
            Query("voice_agent_threads{HERE}", "threads"),
            Query(f"process_open_fds{{{JOB}, HERE}}", "files"),
            unit="none",
            width=6,
            decimals=0,
        ),
    ]
