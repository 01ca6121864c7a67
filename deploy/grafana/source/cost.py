"""What is used, by whom, and what it costs."""

from grafana_foundation_sdk.models.common import BigValueTextMode
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.source import limits
from deploy.grafana.source.board import Board
from deploy.grafana.source.panels import Panel, Query, bars, figure, lines

TOKENS = "increase(voice_agent_tokens_total{HERE%s}[$__range])"
INPUT = TOKENS % ', direction="input"'
ANSWERS = "sum(increase(voice_agent_answers_total{HERE}[$__range]))"
MONEY = "avg_over_time(voice_agent:cost:rate{HERE}[$__range])"


def board() -> Dashboard:
    """Tokens and seconds always; money where prices are given."""
    board = Board(
        "cost",
        "Cost",
        "Tokens and seconds of sound, and money where the operator gives prices (deploy/prometheus/rules,"
        " prices.example.yml); without them the panels of money stay empty.",
        scope="devices",
        since="now-7d",
        window="1h",
    )
    board.row("", *_money(), *_tokens())
    board.row("What is spent", *_spent())
    board.row("By whom", *_whose())
    return board.build()


def _money() -> list[Panel]:
    return [
        figure(
            "Money",
            "Of the time that is shown, in the currency of the prices; absent without prices.",
            Query(f"sum by (currency) ({MONEY}) * $__range_s", "{{currency}}", now=True),
            text=BigValueTextMode.VALUE_AND_NAME,
            unit="short",
            decimals=2,
            empty="no prices",
        ),
        figure(
            "Money an answer",
            "What one answer costs on average, its listening included. It grows with long sessions, as all"
            " that was said is read again each turn, and with silence that is sent.",
            Query(
                f"sum by (currency) ({MONEY}) * $__range_s / on () group_left () ({ANSWERS} > 0)",
                "{{currency}}",
                now=True,
            ),
            text=BigValueTextMode.VALUE_AND_NAME,
            unit="short",
            decimals=4,
            empty="no prices",
        ),
    ]


def _tokens() -> list[Panel]:
    return [
        figure(
            "Tokens",
            "That the provider counted in the time that is shown, both ways.",
            Query(f"sum({TOKENS % ''})", now=True),
            unit="short",
        ),
        figure(
            "Tokens an answer",
            "All tokens of the time that is shown, divided by its answers. Good: steady. It grows with the"
            " length of sessions and with long instructions and tool answers.",
            Query(f"sum({TOKENS % ''}) / ({ANSWERS} > 0)", now=True),
            unit="short",
            decimals=0,
        ),
        figure(
            "Input from the cache",
            "Share of the input tokens that the provider had cached; they are cheaper. It falls where"
            " instructions or tools differ from session to session.",
            Query(
                f"sum(increase(voice_agent_cached_tokens_total{{HERE}}[$__range])) / (sum({INPUT}) > 0)",
                now=True,
            ),
            unit="percentunit",
            decimals=0,
        ),
        figure(
            "Silence kept back",
            "Share of the captured sound that was withheld from the server on purpose, over the time that is"
            " shown. Where seconds are charged this is what the voice gate saves.",
            Query(
                "sum(increase(voice_agent_capture_withheld_seconds_total{HERE}[$__range]))"
                " / (sum(increase(voice_agent_capture_seconds_total{HERE}[$__range])) > 0)",
                now=True,
            ),
            unit="percentunit",
            decimals=0,
        ),
    ]


def _spent() -> list[Panel]:
    return [
        lines(
            "Tokens an hour, by kind",
            "What is read (input) and spoken (output). Input that grows from turn to turn is the length of"
            " sessions.",
            Query(
                "sum by (direction, kind) (rate(voice_agent_tokens_total{HERE}[$window])) * 3600",
                "{{direction}} {{kind}}",
            ),
            unit="short",
            style="area",
            stacked=True,
            width=9,
        ),
        lines(
            "Minutes of sound an hour",
            "Sent to the server, and received from it: what providers that charge by time put on the bill."
            " sent far above what people say: silence goes up; see the voice gate.",
            Query("sum(rate(voice_agent_capture_sent_seconds_total{HERE}[$window])) * 60", "sent"),
            Query("sum(rate(voice_agent_playout_received_seconds_total{HERE}[$window])) * 60", "received"),
            unit="none",
            width=8,
            colours={"sent": "blue", "received": "purple"},
        ),
        lines(
            "Money an hour, by site",
            "In the currency of the prices, averaged over an hour; absent without prices. What doubles from"
            " one week to the next fires an alert.",
            Query("sum by (site, currency) (voice_agent:cost:rate{HERE}) * 3600", "{{site}} {{currency}}"),
            unit="short",
            style="area",
            stacked=True,
            width=7,
        ),
    ]


def _whose() -> list[Panel]:
    return [
        bars(
            "Most tokens",
            "Tokens of the time that is shown: the ten devices that use most. One that stands out talks to a"
            " television, or to itself.",
            Query(f"sort_desc(topk(10, sum by (instance) ({TOKENS % ''})))", "{{instance}}", now=True),
            unit="short",
        ),
        bars(
            "Most sound sent",
            "Seconds sent to the server in the time that is shown: the ten devices that send most.",
            Query(
                "sort_desc(topk(10, sum by (instance)"
                " (increase(voice_agent_capture_sent_seconds_total{HERE}[$__range]))))",
                "{{instance}}",
                now=True,
            ),
            unit="s",
        ),
        bars(
            "Allowance used today",
            "Share of the day's limit, where one is set: the ten devices that are nearest to it. At 90 % an"
            " alert tells; at 100 % the device says so and is silent until tomorrow.",
            Query("sort_desc(topk(10, voice_agent:allowance_used:ratio{HERE}))", "{{instance}}", now=True),
            unit="percentunit",
            limits=limits.ALLOWANCE,
            most=1,
            decimals=0,
        ),
    ]
