"""Do microphones and loudspeakers work, is speech whole, and does a device hear itself?"""

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.source import limits
from deploy.grafana.source.board import Board
from deploy.grafana.source.panels import (
    LOUDSPEAKERS_ABSENT,
    MICROPHONES_ABSENT,
    Panel,
    Query,
    bars,
    figure,
    lines,
)

DIRECTIONS = {"input": "blue", "output": "purple"}
GUARDED = {"suspicions": "yellow", "confirmed": "green", "false alarms": "red"}


def board() -> Dashboard:
    """The sound of a fleet or a device."""
    board = Board(
        "audio",
        "Sound",
        "Microphones, loudspeakers, gaps, losses and echo: whether what people say arrives and what they"
        " hear is whole.",
        scope="devices",
        since="now-6h",
        window="15m",
    )
    board.row("", *_present(), *_speech())
    board.row("Devices of sound", *_devices())
    board.row("What people say", *_heard())
    board.row("What people hear", *_said())
    board.row("Echo and interruptions", *_echo(), *_interruptions())
    return board.build()


def _present() -> list[Panel]:
    return [
        figure(
            "Microphones absent",
            "Not open, and nobody muted them. Good: none. A plug, a hub, power; doctor on the device says"
            " more.",
            Query(MICROPHONES_ABSENT),
            unit="none",
            limits=limits.ABSENT,
        ),
        figure(
            "Loudspeakers absent",
            "Not open: nobody hears an answer, a timer or an excuse there. Good: none.",
            Query(LOUDSPEAKERS_ABSENT),
            unit="none",
            limits=limits.ABSENT,
        ),
        figure(
            "Microphones muted",
            "Closed because somebody wants it so: no fault. An alert of the mildest kind tells of one after"
            " a day.",
            Query("sum(voice_agent_microphone_muted{HERE})"),
            unit="none",
        ),
    ]


def _speech() -> list[Panel]:
    return [
        figure(
            "Torn speech",
            "Silence inside of speech, as a share of speech, of the time that is shown. Good: below 0.5 %."
            " Above 2 % words are lost: the network (lateness below), or the machine (xruns).",
            Query(
                "sum(increase(voice_agent_playout_gap_seconds_total{HERE}[$__range]))"
                " / (sum(increase(voice_agent_playout_seconds_total{HERE}[$__range])) > 0)",
                now=True,
            ),
            unit="percentunit",
            limits=limits.GAPS,
            decimals=1,
        ),
        figure(
            "Speech lost",
            "Captured sound that was meant for a server and never reached one, in 15 minutes, at the worst"
            " device. Good: 0 s; a device keeps ten seconds for the time without a session.",
            Query("max(increase(voice_agent_capture_lost_seconds_total{HERE}[15m]))"),
            unit="s",
            limits=limits.LOST_S,
            decimals=1,
        ),
        figure(
            "Interrupted itself",
            "Suspected, in the last hour, at the worst device: speech that repeated the answer's words."
            " Good: none; three an hour want a look at the echo below.",
            Query("max(increase(voice_agent_self_interruptions_suspected_total{HERE}[1h]))", now=True),
            unit="none",
            limits=limits.SELF_INTERRUPTIONS,
            decimals=0,
        ),
    ]


def _devices() -> list[Panel]:
    return [
        lines(
            "Open",
            "How many microphones (input) and loudspeakers (output) are open and call back. A dent is an"
            " unplugged or hanging device and its return.",
            Query("sum by (direction) (voice_agent_device_open{HERE})", "{{direction}}"),
            unit="none",
            width=6,
            colours=DIRECTIONS,
            decimals=0,
        ),
        lines(
            "Since the device last called back",
            "The oldest callback. Good: below 0.1 s. It grows while a device hangs or is gone, or is closed"
            " because somebody muted it, until it is back.",
            Query("max by (direction) (voice_agent_device_callback_age_seconds{HERE})", "{{direction}}"),
            unit="s",
            width=6,
            colours=DIRECTIONS,
        ),
        lines(
            "Overflows and underflows",
            "Blocks a minute that the machine missed, of all devices; each is a click or a piece of a word."
            " Good: none. The alert fires at 30 in half an hour.",
            Query(
                "sum by (direction) (rate(voice_agent_device_xruns_total{HERE}[$window])) * 60",
                "{{direction}}",
            ),
            unit="none",
            width=6,
            style="area",
            stacked=True,
            colours=DIRECTIONS,
        ),
        lines(
            "Restarts, by reason",
            "Streams an hour that were closed after they had been open: they stalled, brought nothing but"
            " one value (flat), were lent for a look at new devices (renewed), or somebody asked. Good: none"
            " but renewed.",
            Query(
                "sum by (direction, reason) (rate(voice_agent_device_restarts_total{HERE}[$window])) * 3600",
                "{{direction}} {{reason}}",
            ),
            unit="none",
            width=6,
            style="area",
            stacked=True,
        ),
    ]


def _heard() -> list[Panel]:
    return [
        lines(
            "What becomes of captured sound",
            "Seconds of sound per second. sent: it went to the server. withheld: kept back on purpose, as"
            " nobody spoke or the loudspeaker sounded. lost: it was meant for a server. Good: nothing lost.",
            Query("sum(rate(voice_agent_capture_sent_seconds_total{HERE}[$window]))", "sent"),
            Query(
                "sum by (reason) (rate(voice_agent_capture_withheld_seconds_total{HERE}[$window]))",
                "withheld: {{reason}}",
            ),
            Query("sum(rate(voice_agent_capture_lost_seconds_total{HERE}[$window]))", "lost"),
            unit="none",
            style="area",
            stacked=True,
            colours={"sent": "green", "lost": "red"},
        ),
        lines(
            "Sound that waits to be sent",
            "The longest backlog of a device. Good: near 0. It grows while the network stalls or there is no"
            " session, and ten seconds are kept.",
            Query("max(voice_agent_capture_backlog_seconds{HERE})", "backlog"),
            unit="s",
            colours={"backlog": "orange"},
            most=1,
        ),
    ]


def _said() -> list[Panel]:
    return [
        lines(
            "What becomes of answers",
            "Seconds of sound per second. played: given to the loudspeaker. flushed: given up as the user"
            " spoke. lost: the buffers were full, which should never be.",
            Query("sum(rate(voice_agent_playout_seconds_total{HERE}[$window]))", "played"),
            Query("sum(rate(voice_agent_playout_flushed_seconds_total{HERE}[$window]))", "flushed"),
            Query("sum(rate(voice_agent_playout_lost_seconds_total{HERE}[$window]))", "lost"),
            unit="none",
            width=8,
            style="area",
            stacked=True,
            colours={"played": "green", "flushed": "blue", "lost": "red"},
        ),
        lines(
            "Gaps in speech",
            "Silences a minute that tore a stretch of speech. Good: none. With late pieces (board of"
            " latency) it is the network, with underflows the machine.",
            Query("sum(rate(voice_agent_playout_gaps_total{HERE}[$window])) * 60", "gaps"),
            unit="none",
            width=8,
            style="area",
            colours={"gaps": "orange"},
        ),
        bars(
            "Most torn",
            "Silence inside of speech as a share of speech, in the last hour: the ten worst devices. Good:"
            " below 0.5 %.",
            Query("sort_desc(topk(10, voice_agent:gaps:ratio{HERE}))", "{{instance}}", now=True),
            unit="percentunit",
            limits=limits.GAPS,
            width=8,
            most=0.05,
            decimals=2,
        ),
    ]


def _echo() -> list[Panel]:
    return [
        lines(
            "What is done about echo",
            "Devices by mode. cancel: people can speak over answers. half-duplex: no canceller can be relied"
            " on, and the microphone is deaf while the loudspeaker sounds.",
            Query("sum by (mode) (voice_agent_echo_mode{HERE})", "{{mode}}"),
            unit="none",
            width=6,
            style="area",
            stacked=True,
            decimals=0,
        ),
        lines(
            "How much softer the echo is made",
            "Echo return loss enhancement of the cancellers, which is known only lately after sound was"
            " played. Good: 15 dB and more; below 6 dB move the microphone away from the loudspeaker or turn"
            " it down.",
            Query("quantile(0.5, voice_agent_echo_erle_decibels{HERE})", "half"),
            Query("min(voice_agent_echo_erle_decibels{HERE})", "worst"),
            unit="dB",
            width=6,
            colours={"half": "blue", "worst": "orange"},
            least=None,
        ),
    ]


def _interruptions() -> list[Panel]:
    return [
        lines(
            "Somebody speaks over the answer?",
            "An hour, of all devices. suspicions: the loudspeaker was turned down. confirmed: it was"
            " silenced. false alarms: nobody had spoken and it went on; many of them want a look at the"
            " echo.",
            Query("sum(rate(voice_agent_echo_suspicions_total{HERE}[$window])) * 3600", "suspicions"),
            Query("sum(rate(voice_agent_echo_confirmed_total{HERE}[$window])) * 3600", "confirmed"),
            Query("sum(rate(voice_agent_echo_false_alarms_total{HERE}[$window])) * 3600", "false alarms"),
            unit="none",
            width=6,
            colours=GUARDED,
        ),
        lines(
            "Interruptions",
            "Answers an hour that the user's speech silenced, and those of them in which the speech repeated"
            " the answer: perhaps the device heard itself. Good: next to none of the latter.",
            Query("sum(rate(voice_agent_interruptions_total{HERE}[$window])) * 3600", "interrupted"),
            Query(
                "sum(rate(voice_agent_self_interruptions_suspected_total{HERE}[$window])) * 3600",
                "perhaps by itself",
            ),
            unit="none",
            width=6,
            colours={"interrupted": "blue", "perhaps by itself": "red"},
        ),
    ]
