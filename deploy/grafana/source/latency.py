"""Why does an answer come late, and by whose fault?"""

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.source import limits
from deploy.grafana.source.board import Board
from deploy.grafana.source.panels import STAGES, Panel, Query, bars, figure, lines

BEGUN = 'voice_agent_first_audio_seconds_bucket{HERE, le!~"10.0|20.0|.Inf"}'
TIMED = "sum(rate(voice_agent_first_audio_seconds_count{HERE}[$window]))"


def _quantile(share: float, metric: str, by: str = "le", over: str = "$window") -> str:
    buckets = f"rate({metric}_bucket{{HERE}}[{over}])"
    return f"histogram_quantile({share}, sum by ({by}) ({buckets})) >= 0"


def board() -> Dashboard:
    """One turn taken apart, for a fleet or a device."""
    board = Board(
        "latency",
        "Anatomy of a turn",
        "How long people wait for an answer, and what the wait consists of: the server's patience, the model"
        " and the network, the hold against jitter, the daemon's own time, and the sound device.",
        scope="devices",
        since="now-6h",
        window="15m",
    )
    board.row("", *_at_a_glance(), *_whose())
    board.row("The wait, and what it consists of", *_anatomy(), *_spread())
    board.row("Before the wait: noticing the end of speech, and the way up", *_before())
    board.row("After it: how steadily speech comes, and how soon it stops", *_after())
    return board.build()


def _at_a_glance() -> list[Panel]:
    return [
        figure(
            "Half wait less than",
            "The median of the wait, over the time that is shown. Good: below 1 s.",
            Query(_quantile(0.5, "voice_agent_first_audio_seconds", over="$__range"), now=True),
            unit="s",
            limits=limits.WAIT_S,
            width=5,
        ),
        figure(
            "95 of 100 wait less than",
            "Over the time that is shown. Good: below 1.5 s.",
            Query(_quantile(0.95, "voice_agent_first_audio_seconds", over="$__range"), now=True),
            unit="s",
            limits=limits.WAIT_S,
            width=5,
        ),
        figure(
            "Later than 1.5 s",
            "Share of the answers of the time that is shown. The promise allows 5 %.",
            Query(
                '1 - sum(increase(voice_agent_first_audio_seconds_bucket{HERE, le="1.5"}[$__range]))'
                " / (sum(increase(voice_agent_first_audio_seconds_count{HERE}[$__range])) > 0)",
                now=True,
            ),
            unit="percentunit",
            limits=limits.LATE,
            width=5,
            decimals=1,
        ),
    ]


def _whose() -> list[Panel]:
    whole = "increase(voice_agent_turn_latency_seconds_sum{HERE%s}[$__range])"
    ours = whole % ', stage!="model"'
    return [
        figure(
            "Of the wait, ours",
            "Share of the wait that is not the model and the network: hold, own and device. It says where to"
            " look, not how well it goes: with a fast model our share grows.",
            Query(f"sum({ours}) / sum({whole % ''})", now=True),
            unit="percentunit",
            width=5,
            decimals=0,
        ),
        figure(
            "Answers",
            "How many answers these figures are of. Of a dozen, 95 % is one answer.",
            Query("sum(increase(voice_agent_first_audio_seconds_count{HERE}[$__range]))", now=True),
            unit="none",
            width=4,
            decimals=0,
        ),
    ]


def _anatomy() -> list[Panel]:
    return [
        lines(
            "The average wait, stage by stage",
            "Averages add up, quantiles do not: the height is the average wait. model: the server, and the"
            " network both ways. hold: the beginning waits on purpose, lest late pieces tear it. own: the"
            " daemon, up to one block of sound. device: what the sound system buffers.",
            Query(
                "sum by (stage) (rate(voice_agent_turn_latency_seconds_sum{HERE}[$window]))"
                f" / scalar({TIMED}) >= 0",
                "{{stage}}",
            ),
            unit="s",
            style="area",
            stacked=True,
            colours=STAGES,
            height=9,
        ),
        lines(
            "The wait, and its promise",
            "Dashed: 1 s is comfortable, 1.5 s is what 95 % of the answers should keep. If only the upper"
            " line is high, look for a cause that comes and goes: the network, a slow tool.",
            Query(_quantile(0.95, "voice_agent_first_audio_seconds"), "95 %"),
            Query(_quantile(0.5, "voice_agent_first_audio_seconds"), "half"),
            unit="s",
            limits=limits.WAIT_S,
            colours={"95 %": "orange", "half": "blue"},
            height=9,
        ),
    ]


def _spread() -> list[Panel]:
    return [
        bars(
            "Answers that had begun within …",
            "Of all answers of the time that is shown. The step at which the bars grow most is the usual"
            " wait; what is missing to 100 % came later.",
            Query(
                f"sort(sum by (le) (increase({BEGUN}[$__range]))"
                " / scalar(sum(increase(voice_agent_first_audio_seconds_count{HERE}[$__range]))) >= 0)",
                "{{le}} s",
                now=True,
            ),
            unit="percentunit",
            most=1,
            width=8,
            height=9,
            decimals=0,
        ),
        lines(
            "95 % of each stage",
            "The slow ones of each stage; they do not add up, as different turns are slow in different"
            " stages. own above 50 ms: the machine is too slow. device above 100 ms: a sound server in"
            " between, or a Bluetooth one.",
            Query(_quantile(0.95, "voice_agent_turn_latency_seconds", "stage, le"), "{{stage}}"),
            unit="s",
            colours=STAGES,
            width=8,
            height=9,
        ),
        bars(
            "Slowest devices",
            "The wait of 95 % of a device's answers in the last hour: the ten worst. Good: below 1.5 s. If"
            " all are alike it is the provider, if one stands out its network.",
            Query("sort_desc(topk(10, voice_agent:first_audio_seconds:p95{HERE}))", "{{instance}}", now=True),
            unit="s",
            limits=limits.DEVICE_WAIT_S,
            width=8,
            height=9,
        ),
    ]


def _before() -> list[Panel]:
    return [
        lines(
            "From the end of speech to the server's word of it",
            "How long the server takes to be sure that somebody has finished, in sound sent beyond the place"
            " that it calls the end. The silence that it waits for is a setting (silence_duration_ms) and"
            " may come on top. More than that setting: sound arrives late, or the server is slow.",
            Query(_quantile(0.95, "voice_agent_endpointing_seconds"), "95 %"),
            Query(_quantile(0.5, "voice_agent_endpointing_seconds"), "half"),
            unit="s",
            width=8,
            colours={"95 %": "orange", "half": "blue"},
        ),
        lines(
            "Age of sound when it is sent",
            "From the capture of a piece to its being taken for the socket. Good: 20 ms, one frame. A"
            " stalled network shows here first.",
            Query(_quantile(0.95, "voice_agent_capture_delay_seconds"), "95 %"),
            Query(_quantile(0.5, "voice_agent_capture_delay_seconds"), "half"),
            unit="s",
            width=8,
            colours={"95 %": "orange", "half": "blue"},
        ),
        lines(
            "Round trip to the server",
            "Of the last ping of each device, among the devices: what the network adds to every wait. Absent"
            " where a server answers none.",
            Query("quantile(0.95, voice_agent_heartbeat_rtt_seconds{HERE})", "95 %"),
            Query("quantile(0.5, voice_agent_heartbeat_rtt_seconds{HERE})", "half"),
            unit="s",
            width=8,
            colours={"95 %": "orange", "half": "blue"},
        ),
    ]


def _after() -> list[Panel]:
    return [
        lines(
            "How late pieces of answers come",
            "Nearly all pieces came too late for their pace by less than this; the beginning is held back"
            " for as long as that asks for. Good: 0, the server is ahead. Above 0.3 s the network is bad.",
            Query("max(voice_agent_playout_lateness_seconds{HERE})", "worst lateness"),
            Query("max(voice_agent_playout_hold_seconds{HERE})", "longest hold"),
            unit="s",
            width=8,
            colours={"worst lateness": "orange", "longest hold": "yellow"},
        ),
        lines(
            "From being given to the device to being heard",
            "What the sound systems of the devices say that they buffer; it is part of every wait. Good:"
            " below 50 ms.",
            Query("max(voice_agent_playout_latency_seconds{HERE})", "worst"),
            Query("quantile(0.5, voice_agent_playout_latency_seconds{HERE})", "half"),
            unit="s",
            width=8,
            colours={"worst": "orange", "half": "blue"},
        ),
        lines(
            "From a barge-in to silence, 95 %",
            "From the order to fall silent to the last sound given to the device; flush: the server heard"
            " the user, hold: the echo guard did. Good: 5 to 15 ms. More: large blocks, or a busy machine.",
            Query(_quantile(0.95, "voice_agent_playout_silencing_seconds", "order, le"), "{{order}}"),
            unit="s",
            limits=limits.BARGE_IN_S,
            width=8,
        ),
    ]
