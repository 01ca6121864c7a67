"""What a device costs those who store its metrics: series are counted, and a label that explodes fails here.

``docs/scale.md`` reckons with these numbers. Whoever needs more of them changes them here and there.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import get_args

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from voice_agent.agent import Agent
from voice_agent.audio.names import Direction
from voice_agent.audio.states import Restart
from voice_agent.config import Config
from voice_agent.config.schema import Provider, ToolName
from voice_agent.dialogue import AnswerFailed, Fact, Outcome, ServerFault, ToolAnswered, ToolCalled
from voice_agent.errors import Cause
from voice_agent.telemetry.counters import MAX_LABELS
from voice_agent.telemetry.metrics import Exposition
from voice_agent.telemetry.snapshot import STATES, Device, Echo, Link, Snapshot, ToolServer

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "scale.md"
RULES = ROOT / "deploy" / "prometheus" / "rules"

AT_START = 380
"""Series of a daemon that has done nothing yet, but for two of each component."""
COMPONENTS = 20
EVER = 680
"""With every outcome of every built-in tool, and whatever else servers and models can come up with."""
A_TOOL = 2
"""Series of one tool more, until it is called."""
A_CALLED_TOOL = 11
"""... and of one that always went well or failed: nine are the histogram of its durations."""

VALUES = {
    "le": 30,  # bounds of all histograms together; fourteen of the longest
    "cause": len(Cause),
    "state": len(STATES) + 4,  # the session's, and the canceller's
    "component": COMPONENTS,
    "tool": len(get_args(ToolName))
    + 3,  # two of servers, and what a model invented; an operator's own on top
    "outcome": len(get_args(Outcome)) + 1,  # and remote
    "status": MAX_LABELS + 1,
    "kind": MAX_LABELS + 1 + 16,  # a server's faults; what stuck; tokens, timers
    "remedy": 6,
    "stage": 4,
    "order": 2,
    "direction": 2,
    "reason": 9,  # of sound that is withheld, and of devices that are reopened
    "mode": 3,
    "server": 2,
    "version": 1,
    "python": 1,
}
"""How many values a label has at most; a label that is not here has none."""


def samples(*facts: Fact, filled: bool = False) -> list[Sample]:
    """A whole daemon's page after these facts."""

    async def page() -> str:
        agent = Agent(Config(provider=Provider(kind="custom", url="ws://127.0.0.1:9/v1")), lambda: None)
        for fact in facts:
            agent.observe(fact)
        if not filled:
            return agent.exposition.page("")[1].decode()
        return Exposition(lambda: _filled(agent.snapshot())).page("")[1].decode()

    families = text_string_to_metric_families(asyncio.run(page()))
    return [sample for family in families for sample in family.samples]


def _filled(now: Snapshot) -> Snapshot:
    """Whatever may be absent is there."""
    components = [f"component {number}" for number in range(COMPONENTS)]
    restarts = {"silent": 1, "flat": 1, "renewed": 1, "asked": 1}
    device = Device(is_open=True, callback_age_s=0.01, rate=48_000, restarts=restarts)
    return replace(
        now,
        link=Link(10.0, 3600.0, 0.02, 1.0),
        echo=Echo("aec", erle_db=20.0, delay_s=0.05, canceller="good"),
        devices={"input": device, "output": device},
        allowance=replace(now.allowance, audio_limit_s=60.0, tokens_limit=100),
        components=dict.fromkeys(components, True),
        troubles=dict.fromkeys(components, 0),
        tool_servers={"home": ToolServer(), "files": ToolServer()},
    )


def everything() -> list[Fact]:
    """More than ever happens: every outcome of every tool, and endless inventions of servers and models."""
    outcomes = [(tool, outcome) for tool in get_args(ToolName) for outcome in get_args(Outcome)]
    return [
        *(ToolAnswered(1, tool, outcome=outcome, seconds=0.1) for tool, outcome in outcomes),
        *(ToolAnswered(1, f"invented {number}", outcome="unknown", seconds=0.1) for number in range(99)),
        *(ToolCalled(1, tool, "{}", here=False) for tool in ("web_search", "file_search")),
        *(ServerFault(f"fault {number}", "", "") for number in range(99)),
        *(AnswerFailed(1, f"status {number}", "") for number in range(99)),
    ]


def values(found: Iterable[Sample]) -> dict[str, set[str]]:
    labels = defaultdict(set)
    for sample in found:
        for name, value in sample.labels.items():
            labels[name].add(value)
    return labels


def test_a_daemon_begins_with_few_series() -> None:
    assert len(samples()) <= AT_START


def test_a_sound_device_has_its_restarts_from_the_start_so_that_the_first_one_is_seen() -> None:
    restarts = [each for each in samples() if each.name == "voice_agent_device_restarts_total"]
    found = {(each.labels["direction"], each.labels["reason"]): each.value for each in restarts}
    assert found == {(way.value, why.value): 0 for way in Direction for why in Restart}


def test_whatever_happens_there_are_never_many() -> None:
    assert AT_START < len(samples(*everything(), filled=True)) <= EVER


def test_every_label_has_a_budget_of_values_that_nothing_can_exceed() -> None:
    found = values(samples(*everything(), filled=True))
    assert set(found) == set(VALUES), "a new label wants a budget"
    assert {name: len(found[name]) for name, most in VALUES.items() if len(found[name]) > most} == {}


def test_a_tool_costs_little_until_it_is_called() -> None:
    before = [sample for sample in samples() if sample.labels.get("tool") == "get_time"]
    after = samples(ToolAnswered(1, "get_time", outcome="ok", seconds=0.1))
    called = [sample for sample in after if sample.labels.get("tool") == "get_time"]
    assert (len(before), len(called)) == (A_TOOL, A_CALLED_TOOL)


def test_what_the_document_drops_is_asked_for_by_no_rule() -> None:
    document = DOCUMENT.read_text()
    (dropped,) = re.findall(r"regex: (\S+)\n\s+action: drop", document)
    (claimed,) = re.findall(r"^(\d+) series of a device", document, re.MULTILINE)
    rules = "".join(path.read_text() for path in RULES.glob("*.yml"))
    asked = set(re.findall(r"\b(?:voice_agent|process)_\w+", rules))
    assert len(asked) > 30
    assert {name for name in asked if re.fullmatch(dropped, name)} == set()
    gone = [each for each in samples(called(), filled=True) if re.fullmatch(dropped, each.name)]
    assert abs(len(gone) - int(claimed)) < 5


def test_the_document_tells_what_is_tested() -> None:
    document = DOCUMENT.read_text()
    assert f"{EVER} at most" in document
    assert f"a tool of yours | {A_TOOL}, and {A_CALLED_TOOL} once" in document


def called() -> Fact:
    return ToolAnswered(1, "get_weather", outcome="ok", seconds=0.1)
