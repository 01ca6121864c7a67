"""Counters and metrics: what is counted, under which few labels, and how it reads for Prometheus."""

import asyncio
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from voice_agent.dialogue import (
    AgentSaid,
    AnswerDropped,
    AnswerFailed,
    Fact,
    FirstSound,
    Restored,
    ServerFault,
    Silenced,
    Stuck,
    TokensUsed,
    ToolAnswered,
    ToolCalled,
    TurnStarted,
    UserSaid,
    UserStopped,
)
from voice_agent.distribution import Distribution
from voice_agent.errors import Cause
from voice_agent.telemetry.counters import (
    ENDS,
    FAULTS,
    FIRST_AUDIO_S,
    MAX_LABELS,
    MAX_TOOLS,
    OTHER,
    STAGES,
    STUCK,
    Counters,
    Counts,
)
from voice_agent.telemetry.metrics import Exposition
from voice_agent.telemetry.row import PREFIX
from voice_agent.telemetry.snapshot import (
    Allowance,
    Capture,
    Device,
    Echo,
    Link,
    Playout,
    Snapshot,
    Timers,
    ToolServer,
)
from voice_agent.telemetry.table import ROWS

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"


def counted(*facts: Fact) -> Counts:
    counters = Counters(("get_time",))
    for fact in facts:
        counters(fact)
    return counters.statistics()


# ---------------------------------------------------------------------------------------- counters


def test_turns_answers_and_interruptions_are_counted() -> None:
    counts = counted(
        TurnStarted(1, interrupts=False),
        FirstSound(1, 0.8, 0.7),
        AgentSaid(1, "item", "Good day.", heard_ms=400, sent_ms=1000),
        TurnStarted(2, interrupts=True),
        Silenced(1, items=1, heard_ms=400),
        AnswerDropped(1, seconds=0.02),
    )
    assert (counts.turns, counts.answers, counts.interruptions) == (2, 1, 1)
    assert (counts.heard_ms, counts.unheard_ms, counts.late_s) == (400, 600, 0.02)
    assert (counts.first_audio.total, sum(counts.first_audio.counts)) == (0.8, 1)


def test_the_stages_of_a_first_sound_add_up() -> None:
    counts = counted(FirstSound(1, 1.0, 0.5, hold_s=0.25, device_s=0.125))
    assert {stage: each.total for stage, each in counts.stages.items()} == {
        "model": 0.5,
        "hold": 0.25,
        "own": 0.125,
        "device": 0.125,
    }
    assert sum(each.total for each in counts.stages.values()) == counts.first_audio.total
    assert all(sum(each.counts) == 1 for each in counts.stages.values())


def test_the_end_of_speech_is_measured_if_the_server_names_it() -> None:
    counts = counted(UserStopped(1, late_s=0.25), UserStopped(2))
    assert (sum(counts.endpointing.counts), counts.endpointing.total) == (1, 0.25)


def talk(answer: str, words: str, *, interrupts: bool = True) -> list[Fact]:
    said = AgentSaid(1, "item", answer, heard_ms=400, sent_ms=1000)
    return [said, TurnStarted(2, interrupts=interrupts), UserSaid(2, words)]


@pytest.mark.parametrize(
    ("facts", "suspected"),
    [
        (talk("The Volga is the longest river of Europe.", "the volga is the longest"), 1),
        (talk("The Volga is the longest river of Europe.", "Volga, the wrong longest river."), 1),
        (talk("The Volga is the longest river of Europe.", "Stop, what about the Danube?"), 0),
        (talk("The Volga is the longest river of Europe.", "Europe?"), 0),
        (talk("The Volga is long.", "the volga is long", interrupts=False), 0),
        (talk("", ""), 0),
    ],
)
def test_an_interruption_by_the_answers_own_words_is_suspected(facts: list[Fact], suspected: int) -> None:
    assert counted(*facts, *facts[-1:]).self_interruptions == suspected, "and once only"


def test_words_of_an_older_answer_are_nobodys_echo() -> None:
    older = AgentSaid(1, "item", "The Volga is long.", 1000, 1000)
    assert counted(older, *talk_of(3, "Yes.", "the volga is long")).self_interruptions == 0
    same = AgentSaid(3, "first", "The Volga is long.", 1000, 1000)
    assert counted(same, *talk_of(3, "Yes.", "the volga is long")).self_interruptions == 1


def talk_of(turn: int, answer: str, words: str) -> list[Fact]:
    said = AgentSaid(turn, "item", answer, heard_ms=400, sent_ms=1000)
    return [said, TurnStarted(turn + 1, interrupts=True), UserSaid(turn + 1, words)]


def test_failures_are_counted_by_what_they_are() -> None:
    counts = counted(
        AnswerFailed(1, "incomplete", "max_output_tokens"),
        AnswerFailed(2, "incomplete", "content_filter"),
        ServerFault("malformed", "response.done", "no response"),
    )
    assert +counts.answers_failed == {"incomplete": 2}
    assert +counts.faults == {"malformed": 1}


def test_what_is_known_beforehand_is_there_from_the_start() -> None:
    counts = Counters().statistics()
    assert counts.answers_failed == dict.fromkeys(ENDS, 0)
    assert counts.faults == dict.fromkeys(FAULTS, 0)
    assert counts.stuck == dict.fromkeys(STUCK, 0)
    assert set(counts.tokens.values()) == {0}
    assert len(counts.tokens) == 4
    assert set(counts.stages) == set(STAGES)


def test_tools_are_counted_by_name_and_outcome_and_an_invented_name_as_other() -> None:
    counts = counted(
        ToolCalled(1, "get_time", "{}", here=True),
        ToolAnswered(1, "get_time", outcome="ok", seconds=0.5),
        ToolAnswered(1, "get_time", outcome="timeout", seconds=10.0),
        ToolAnswered(1, "launch_rocket", outcome="unknown", seconds=0.25),
        ToolCalled(1, "web_search", "{}", here=False),
    )
    assert counts.tool_calls == {
        ("get_time", "ok"): 1,
        ("get_time", "failed"): 0,
        ("get_time", "timeout"): 1,
        (OTHER, "unknown"): 1,
        ("web_search", "remote"): 1,
    }
    assert counts.tool_s["get_time"].total == 10.5
    assert sum(counts.tool_s["get_time"].counts) == 2
    assert counts.tool_s[OTHER].total == 0.25


def test_a_tool_that_comes_later_has_a_name_and_keeps_it_when_it_goes() -> None:
    tools = ["get_time"]
    counters = Counters(tools)
    tools.append("home_lamp")
    assert counters.statistics().tool_calls["home_lamp", "ok"] == 0
    counters(ToolAnswered(1, "home_lamp", outcome="ok", seconds=0.1))
    tools.remove("home_lamp")
    counters(ToolAnswered(1, "home_lamp", outcome="ok", seconds=0.1))
    assert counters.statistics().tool_calls["home_lamp", "ok"] == 2


def test_tools_that_are_renamed_every_day_cannot_fill_memory() -> None:
    tools = [f"tool {n}" for n in range(MAX_TOOLS + 50)]
    counters = Counters(tools)
    for tool in tools:
        counters(ToolAnswered(1, tool, outcome="ok", seconds=0.1))
    tools.clear()
    assert len(counters.statistics().tool_calls) == MAX_TOOLS + 1
    assert counters.statistics().tool_calls[OTHER, "ok"] == 50


def test_stuck_conversations_restored_ones_and_tokens_are_counted() -> None:
    cost = TokensUsed(1, input_text=100, input_audio=20, input_cached=64, output_text=5, output_audio=50)
    counts = counted(Stuck(1, "no_audio", "asked_again"), Restored(turns=3, chars=90), cost, cost)
    assert +counts.stuck == {("no_audio", "asked_again"): 1}
    assert counts.restored == 1
    assert counts.tokens["input", "text"] == 200
    assert counts.tokens["input", "audio"] == 40
    assert counts.tokens["output", "audio"] == 100
    assert counts.tokens["output", "text"] == 10
    assert counts.cached_tokens == 128


def test_a_server_that_invents_kinds_cannot_fill_memory() -> None:
    counts = counted(*(ServerFault(f"kind {n}", "", "") for n in range(1000)))
    assert len(counts.faults) == MAX_LABELS + 1
    assert counts.faults[OTHER] == 1000 - MAX_LABELS + len(FAULTS)


def test_a_fact_that_nobody_counts_passes() -> None:
    assert counted(UserSaid(1, "a secret")) == Counters(("get_time",)).statistics()


def test_sessions_are_counted_with_how_long_there_was_none() -> None:
    counters = Counters()
    counters.live(None, renewed=False)
    counters.lost(Cause.DROPPED)
    counters.lost(Cause.DNS)
    counters.live(0.3, renewed=False)
    counters.unprepared(Cause.OVERLOADED)
    counters.live(0.0, renewed=True)
    counters.parked()
    counters.lost(Cause.OVERLOADED)
    counters.exhausted()
    counts = counters.statistics()
    assert (counts.sessions, counts.renewals, counts.parkings, counts.exhaustions) == (3, 1, 1, 1)
    assert (sum(counts.reconnect.counts), counts.reconnect.total) == (1, 0.3), (
        "neither the first session nor a renewal ends an outage"
    )
    assert +counts.disconnects == {"dropped": 1}
    assert +counts.attempts_failed == {"dns": 1, "overloaded": 2}, "nothing was lost that was not there"
    assert counts.disconnects["dns"] == 0, "a cause is there from the start, so that its increase is seen"
    assert counts.last_disconnect == "overloaded"


@pytest.mark.parametrize(("seconds", "bucket"), [(0.0, 0), (0.25, 0), (0.26, 1), (20.0, 9), (20.1, 10)])
def test_a_value_at_a_bound_belongs_below_it(seconds: float, bucket: int) -> None:
    distribution = Distribution(FIRST_AUDIO_S)
    distribution.add(seconds)
    assert distribution.counts.index(1) == bucket


def test_a_snapshot_does_not_change_any_more() -> None:
    counters = Counters()
    before = counters.statistics()
    counters(FirstSound(1, 1.2, 1.0))
    counters.lost(Cause.DNS)
    counters.live(1.0, renewed=False)
    assert before == Counters().statistics()


# ------------------------------------------------------------------------------------- exposition


def scraped(snapshot: Snapshot) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every sample of a page by its name and its labels' values."""

    async def page() -> str:
        return Exposition(lambda: snapshot).page("")[1].decode()

    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(asyncio.run(page()))
        for sample in family.samples
    }


def full() -> Snapshot:
    """Nothing is unknown, so that every metric shows."""
    counters = Counters(("get_time",))
    counters.live(0.3, renewed=False)
    counters(FirstSound(1, 1.2, 1.0, hold_s=0.1, device_s=0.05))
    counters(ToolAnswered(1, "get_time", outcome="ok", seconds=0.2))
    counters(AnswerFailed(1, "failed", ""))
    counters(ServerFault("malformed", "", ""))
    counts = counters.statistics()
    counts.stuck["no_audio", "asked_again"] += 1
    counts.tokens["input", "audio"] += 7
    return Snapshot(
        state="live",
        counts=counts,
        link=Link(age_s=10.0, limit_s=3600.0, rtt_s=0.02, silence_s=1.0),
        capture=Capture(captured_s=10.0, lost_s=0.5, withheld_s={"quiet": 3.0}),
        playout=Playout(
            quiet={"flush": Distribution((0.01, 0.02), [0, 2, 0], 0.03), "hold": Distribution((0.01,))}
        ),
        echo=Echo(mode="aec", erle_db=21.0, delay_s=0.06, canceller="good"),
        devices={
            "input": Device(is_open=True, callback_age_s=0.01, rate=48_000, restarts={"flat": 2}),
            "output": Device(),
        },
        allowance=Allowance(audio_s=1.0, audio_limit_s=60.0, tokens=7, tokens_limit=100),
        components={"uplink": True, "sender": False},
        troubles={"uplink": 0, "sender": 2},
        tool_servers={"home": ToolServer(is_connected=True, connections=3, tools=5), "files": ToolServer()},
        timers=Timers({"timer": 1}, {"timer": 2}, {"timer": 0}, {"alarm": 1}),
    )


def test_figures_read_as_prometheus_wants_them() -> None:
    page = scraped(full())
    assert page[PREFIX + "session_state", ("live",)] == 1
    assert page[PREFIX + "session_state", ("parked",)] == 0
    assert page[PREFIX + "component_up", ("uplink",)] == 1
    assert page[PREFIX + "component_up", ("sender",)] == 0
    assert page[PREFIX + "component_troubles_total", ("sender",)] == 2
    assert page[PREFIX + "capture_lost_seconds_total", ()] == 0.5
    assert page[PREFIX + "disconnects_total", ("dns",)] == 0
    assert page[PREFIX + "ready", ()] == 0
    assert page[PREFIX + "turn_latency_seconds_bucket", ("hold", "0.1")] == 1
    assert page[PREFIX + "turn_latency_seconds_sum", ("device",)] == 0.05
    assert page[PREFIX + "playout_silencing_seconds_count", ("flush",)] == 2
    assert page[PREFIX + "playout_silencing_seconds_count", ("hold",)] == 0
    assert page[PREFIX + "echo_canceller_state", ("good",)] == 1
    assert page[PREFIX + "tokens_total", ("input", "audio")] == 7
    assert page[PREFIX + "tool_calls_total", ("get_time", "ok")] == 1
    assert page[PREFIX + "tool_seconds_bucket", ("get_time", "0.3")] == 1
    assert page[PREFIX + "tool_seconds_sum", ("get_time",)] == 0.2
    assert page[PREFIX + "device_callback_age_seconds", ("input",)] == 0.01
    assert page[PREFIX + "asyncio_tasks", ()] == 1
    assert page[PREFIX + "threads", ()] >= 1
    assert page["process_open_fds", ()] > 0


def test_a_histogram_counts_upwards() -> None:
    page = scraped(full())
    name = PREFIX + "first_audio_seconds"
    buckets = [value for (sample, _), value in page.items() if sample == name + "_bucket"]
    assert buckets == sorted(buckets)
    assert page[name + "_bucket", ("1.0",)] == 0
    assert (
        page[name + "_bucket", ("1.5",)]
        == page[name + "_bucket", ("+Inf",)]
        == page[name + "_count", ()]
        == 1
    )
    assert page[name + "_sum", ()] == 1.2


def test_what_is_not_known_is_not_exported() -> None:
    page = scraped(Snapshot(devices={"input": Device()}))
    names = {name.removeprefix(PREFIX) for name, _ in page}
    unknown = {"session_age_seconds", "heartbeat_rtt_seconds", "allowance_limit_tokens", "echo_delay_seconds"}
    assert not names & {*unknown, "device_callback_age_seconds"}


def test_a_page_has_few_series_and_is_made_in_few_milliseconds() -> None:
    async def fastest_ms() -> float:
        exposition = Exposition(full)
        times = []
        for _ in range(20):
            began = time.thread_time()  # what others do meanwhile is not the page's
            exposition.page("")
            times.append(time.thread_time() - began)
        return min(times) * 1000

    assert len(scraped(full())) < 500
    assert asyncio.run(fastest_ms()) < 5


def test_whatever_is_asked_for_the_text_that_everybody_reads_is_given() -> None:
    async def page(accept: str) -> tuple[str, bytes]:
        return Exposition(full).page(accept)

    kind, body = asyncio.run(page("application/openmetrics-text; version=1.0.0,text/plain;q=0.5"))
    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    assert body.startswith(b"# HELP voice_agent_ready 1 while")
    assert body.endswith(b"\n")


def test_a_name_that_another_has_given_cannot_break_a_line() -> None:
    name = 'a "b" \\ \n c'
    page = scraped(replace(full(), tool_servers={name: ToolServer(is_connected=True)}))
    assert page[PREFIX + "tool_server_up", (name,)] == 1


@pytest.mark.parametrize("figure", [0.1, 1e-7, 1e21, float("inf"), -3.0])
def test_a_figure_is_read_as_it_was(figure: float) -> None:
    assert scraped(Snapshot(link=Link(age_s=figure)))[PREFIX + "session_age_seconds", ()] == figure


def test_nothing_is_registered_where_others_would_find_it() -> None:
    before = {family.name for family in REGISTRY.collect()}
    Exposition(full)
    assert {family.name for family in REGISTRY.collect()} == before


def test_names_follow_the_conventions() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    for row in ROWS:
        assert re.fullmatch(r"[a-z][a-z_]*[a-z]", row.name)
        assert row.name.endswith("_total") == (row.kind == "counter"), row.name
        assert row.help.endswith("."), row.name
        assert not {"ms", "minutes", "percent"} & set(row.name.split("_")), row.name


def test_each_tool_server_has_figures_of_its_own() -> None:
    page = scraped(full())
    prefix = "voice_agent_tool_server"
    assert [page[f"{prefix}_up", (name,)] for name in ("home", "files")] == [1, 0]
    assert page[f"{prefix}_connections_total", ("home",)] == 3
    assert page[f"{prefix}_tools", ("home",)] == 5


def test_the_document_lists_exactly_what_is_exported() -> None:
    listed = [tuple(cell.strip(" `") for cell in line.split("|")[1:-1]) for line in _rows("voice_agent_")]
    assert listed == [
        (PREFIX + row.name, row.kind, row.unit, ", ".join(row.labels), row.help) for row in ROWS
    ]
    names = {name for name, _ in scraped(full())}
    of_the_process = {name for name in names if name.startswith("process_")}
    assert {line.split("|")[1].strip(" `") for line in _rows("process_")} == of_the_process
    bare = {re.sub("_(bucket|sum|count)$", "", name) for name in names - of_the_process}
    assert bare == {PREFIX + row.name for row in ROWS}, "every metric is read without a fault"


def _rows(prefix: str) -> list[str]:
    return [line for line in DOCUMENT.read_text().splitlines() if line.startswith(f"| `{prefix}")]
