"""Is the fleet well? If not: who is not, and why?"""

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.source import limits
from deploy.grafana.source.board import JOB, Board
from deploy.grafana.source.panels import (
    LOUDSPEAKERS_ABSENT,
    MICROPHONES_ABSENT,
    STATES,
    Column,
    Panel,
    Query,
    bars,
    figure,
    lines,
    rows,
)

CHOSEN = "${datasource:queryparam}&${fleet:queryparam}&${site:queryparam}&${__url_time_range}"
DEVICE_BOARD = f"/d/voice-agent-device?{CHOSEN}&var-instance=${{__value.raw}}"
SILENT = (
    f"(count(up{{{JOB}, HERE}} == 0) or vector(0))"
    " + (count(present_over_time(voice_agent:reports:bool{HERE}[1d])"
    f" unless last_over_time(voice_agent:reports:bool{{HERE}}[15m]) unless up{{{JOB}, HERE}}) or vector(0))"
)
STATE = (
    "max by (instance, site, state) (voice_agent_session_state{HERE} == 1"
    f' or label_replace(up{{{JOB}, HERE}} == 0, "state", "gone", "", ""))'
)

WAIT = "histogram_quantile(%s, sum by (le) (voice_agent_fleet:first_audio_seconds_bucket:rate15m{HERE})) >= 0"
IN_TIME = (
    'sum(voice_agent_fleet:first_audio_seconds_bucket:rate15m{HERE, le="1.5"})'
    ' / (sum(voice_agent_fleet:first_audio_seconds_bucket:rate15m{HERE, le="+Inf"}) > 0)'
)
FAILED = (
    "sum(voice_agent_fleet:answers_failed:rate15m{HERE})"
    " / (sum(voice_agent_fleet:answers_failed:rate15m{HERE})"
    " + sum(voice_agent_fleet:answers:rate15m{HERE}) > 0)"
)


def board() -> Dashboard:
    """The first board that anybody opens."""
    board = Board(
        "fleet",
        "Fleet",
        "Is the fleet well, who is not, and why. From the top: one glance, one list, the causes.",
        scope="sites",
        since="now-6h",
    )
    board.row("", *_reach(), _budget(), *_answers())
    board.row("Who is not well", _devices(), _alerts())
    board.row("Why", *_causes(), *_symptoms())
    board.row("How people are served, and by what", *_service(), *_by_what())
    return board.build()


def _reach() -> list[Panel]:
    return [
        figure(
            "Can converse",
            "Share of the devices that should be able to converse now and can; muted ones and those whose"
            " allowance is used up are left out, parked ones count as able. Good: 99.5 % and more, which is"
            " the promise. If it falls for many at once, look at the provider before you look at devices.",
            Query("avg(voice_agent:can_converse:bool{HERE})"),
            unit="percentunit",
            limits=limits.REACH,
            width=6,
            height=5,
            decimals=1,
            fill=True,
        ),
        figure(
            "Cannot, and should",
            "Devices that should be able to converse now and are not. Good: none. The list below names them.",
            Query("sum(voice_agent_fleet:cannot_converse:count{HERE})"),
            unit="none",
            limits=limits.ABSENT,
            width=3,
            height=5,
        ),
        figure(
            "Silent",
            "Devices that do not answer when they are asked for their metrics, or have sent none for 15"
            " minutes: no power, no network, or the daemon is down. Good: none.",
            Query(SILENT),
            unit="none",
            limits=limits.ABSENT,
            width=3,
            height=5,
        ),
    ]


def _budget() -> Panel:
    return figure(
        "Budget left",
        "How much of the unavailability that the promise allows in 30 days (0.5 %) is left. Below zero"
        " the promise is broken; below a half, put changes off and repair what burns it.",
        Query(
            "clamp_min(1 - sum(sum_over_time(voice_agent_fleet:cannot_converse:count{HERE}[30d]))"
            " / sum(sum_over_time(voice_agent_fleet:meant_to_converse:count{HERE}[30d])) / 0.005, -1)",
            now=True,
        ),
        unit="percentunit",
        limits=limits.BUDGET_LEFT,
        width=3,
        height=5,
        decimals=0,
    )


def _answers() -> list[Panel]:
    return [
        figure(
            "In time",
            "Share of the answers of the last 15 minutes that began within 1.5 s of the server's word that"
            " the user has finished. Good: 95 % and more, which is the promise. If it falls, the board of"
            " latency says whose time it is.",
            Query(IN_TIME),
            unit="percentunit",
            limits=limits.IN_TIME,
            width=3,
            height=5,
            decimals=0,
        ),
        figure(
            "Wait, 95 %",
            "95 of 100 answers of the last 15 minutes began sooner than this. Good: below 1.5 s.",
            Query(WAIT % 0.95),
            unit="s",
            limits=limits.WAIT_S,
            width=3,
            height=5,
        ),
        figure(
            "Answers failed",
            "Share of the answers of the last 15 minutes that ended without doing their work: the server"
            " failed, the connection was lost in the middle, or nothing came. Good: below 5 %. The causes"
            " stand below.",
            Query(FAILED),
            unit="percentunit",
            limits=limits.FAILED,
            width=3,
            height=5,
            decimals=1,
        ),
    ]


def _devices() -> Panel:
    return rows(
        "Devices, the unwell first",
        "Each device now and over the last hour; a click on its name opens its board. Waiting: it cannot"
        " reach the provider and tries again by itself. Refused: only people can help (key, quota,"
        " settings). Gone: it does not answer a scrape. Parked is no fault: whoever speaks gets a session.",
        [
            STATE,
            "max by (instance) (voice_agent:can_converse:ratio{HERE})",
            "max by (instance) (voice_agent:first_audio_seconds:p95{HERE})",
            "max by (instance) (voice_agent:error:ratio{HERE})",
            "max by (instance) (voice_agent:gaps:ratio{HERE})",
            "max by (instance) (voice_agent:reconnects:rate{HERE}) * 3600",
            "sum by (instance) (voice_agent_component_up{HERE} == bool 0)",
            "max by (instance, version) (voice_agent_build_info{HERE})",
        ],
        [
            Column(
                "Device",
                "instance",
                link=("Open this device", DEVICE_BOARD),
            ),
            Column("Site", "site", width=95),
            Column("State", "state", colours=STATES, width=85),
            Column("Can converse", "B", unit="percentunit", limits=limits.REACH, decimals=1, width=130),
            Column("Wait, 95 %", "C", unit="s", limits=limits.DEVICE_WAIT_S, width=95),
            Column("Failed", "D", unit="percentunit", limits=limits.FAILED, decimals=0, width=70),
            Column("Torn", "E", unit="percentunit", limits=limits.GAPS, decimals=1, width=70),
            Column("Lost/h", "F", unit="none", limits=limits.RECONNECTS, decimals=1, width=70),
            Column("Parts down", "G", unit="none", limits=limits.ABSENT, decimals=0, width=95),
            Column("Version", "version", width=80),
        ],
        by="instance",
        sort="Can converse",
        descending=False,
        width=16,
        height=9,
    )


def _alerts() -> Panel:
    return rows(
        "Alerts that fire",
        "What Prometheus has judged to need somebody, and how many devices or fleets it is about; each has a"
        " page in docs/runbooks. Good: an empty list.",
        ['count by (alertname, severity) (ALERTS{HERE, alertstate="firing", alertname=~"VoiceAgent.*"})'],
        [
            Column("Alert", "alertname"),
            Column(
                "Severity",
                "severity",
                colours={"critical": "red", "warning": "orange", "info": "blue"},
                width=90,
            ),
            Column("How many", "Value", unit="none", width=90),
        ],
        by="alertname",
        sort="How many",
        width=8,
        height=9,
        empty="none fires",
    )


def _causes() -> list[Panel]:
    return [
        lines(
            "Devices by state of their session",
            "Live and parked are good. Waiting: no way to the provider. Refused: key, quota or settings, and"
            " only people can help. Exhausted: the day's allowance is used up. Gone: no metrics.",
            Query("sum by (state) (voice_agent_fleet:states:count{HERE})", "{{state}}"),
            Query(f"count(up{{{JOB}, HERE}} == 0) or vector(0)", "gone"),
            unit="none",
            style="area",
            stacked=True,
            colours=STATES,
            decimals=0,
        ),
        lines(
            "Sessions lost, by cause",
            "Live sessions an hour that ended when nobody wanted it, of all devices; renewals and parking"
            " are left out. Good: few, and no cause that stands out. One cause at many devices is the"
            " provider or a network.",
            Query("sum by (cause) (voice_agent_fleet:reconnects:rate{HERE}) * 3600 > 0", "{{cause}}"),
            unit="none",
            empty="none",
            style="area",
            stacked=True,
        ),
        lines(
            "Attempts to connect that failed, by cause",
            "Attempts an hour that got no session. DNS, unreachable, tls: the network or the clock."
            " http_401, 403, 429: key or quota. Good: none for long.",
            Query(
                "sum by (cause) (voice_agent_fleet:connection_failures:rate{HERE}) * 3600 > 0", "{{cause}}"
            ),
            unit="none",
            empty="none",
            style="area",
            stacked=True,
            width=8,
        ),
    ]


def _symptoms() -> list[Panel]:
    return [
        lines(
            "Answers that failed, by status",
            "Answers an hour that did not do their work. failed, incomplete, cancelled: the server says so."
            " cut: the connection was lost in the middle. unheard, given up: sound that was sent again led"
            " to nothing.",
            Query("sum by (status) (voice_agent_fleet:answers_failed:rate15m{HERE}) * 3600", "{{status}}"),
            unit="none",
            style="area",
            stacked=True,
            width=8,
        ),
        lines(
            "Sound devices that are absent",
            "Devices whose microphone or loudspeaker is not open, muted ones left out. Good: none. A plug, a"
            " hub, or too little power; the daemon looks for it again every few seconds.",
            Query(MICROPHONES_ABSENT, "microphones"),
            Query(LOUDSPEAKERS_ABSENT, "loudspeakers"),
            unit="none",
            width=8,
            most=1,
            decimals=0,
        ),
    ]


def _service() -> list[Panel]:
    return [
        lines(
            "How long people wait",
            "From the server's word that the user has finished to the first sound. Dashed: 1.5 s, within"
            " which 95 % of the answers should begin.",
            Query(WAIT % 0.95, "95 %"),
            Query(WAIT % 0.5, "half"),
            unit="s",
            limits=limits.WAIT_S,
            width=8,
            colours={"95 %": "orange", "half": "blue"},
        ),
        lines(
            "Answers an hour",
            "How much the fleet talks, by site; says whether the figures above are of many answers or of"
            " few.",
            Query("sum by (site) (voice_agent_fleet:answers:rate15m{HERE}) * 3600", "{{site}}"),
            unit="none",
            width=6,
            style="area",
            stacked=True,
        ),
    ]


def _by_what() -> list[Panel]:
    return [
        bars(
            "Sites that can converse least",
            "Share of a site's devices that can converse now, the ten worst. A whole site at 0 % is its"
            " line, its router or its power.",
            Query(
                "bottomk(10, 1 - voice_agent_fleet:cannot_converse:count{HERE}"
                " / voice_agent_fleet:meant_to_converse:count{HERE})",
                "{{site}}",
                now=True,
            ),
            unit="percentunit",
            limits=limits.REACH,
            width=6,
            most=1,
            decimals=0,
        ),
        lines(
            "Versions",
            "What runs, during a roll-out and after it. Good: one, or two while a roll-out goes on.",
            Query('sum by (version) (voice_agent_fleet:versions:count{fleet=~"$fleet"})', "{{version}}"),
            unit="none",
            style="area",
            stacked=True,
            width=4,
            decimals=0,
        ),
    ]
