"""What Grafana is told agrees with what the daemon exports, the rules record and the alerts judge."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana.source import limits
from deploy.grafana.source.catalogue import DIRECTORY, texts
from tests.grafana.vocabulary import (
    VARIABLES,
    Unknown,
    alerts,
    given,
    labels_of,
    legend_labels,
    numbers,
    parsed,
)

BOARDS = {name: json.loads(text) for name, text in texts().items()}
PANELS = [
    pytest.param(panel, id=f"{name}: {panel['title']}")
    for name, board in BOARDS.items()
    for panel in board["panels"]
    if panel["type"] != "row"
]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
DRAWN = {"stat", "timeseries", "table", "bargauge"}
"""Kinds of panel that the pictures can show, too."""


def expressions(board: dict[str, Any]) -> Iterator[str]:
    for panel in board["panels"]:
        yield from (target["expr"] for target in panel.get("targets", []))
    yield from (mark["expr"] for mark in board["annotations"].get("list", []))


def test_the_files_are_what_the_source_makes() -> None:
    written = {path.name: path.read_text() for path in DIRECTORY.glob("*.json")}
    assert written == texts(), "make dashboards"


@pytest.mark.parametrize("panel", PANELS)
def test_every_panel_can_be_read_without_asking_anybody(panel: dict[str, Any]) -> None:
    assert panel["type"] in DRAWN
    assert panel["datasource"] == SOURCE
    assert len(panel["description"]) > 15
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["targets"]


@pytest.mark.parametrize("panel", PANELS)
def test_every_query_asks_for_what_there_is(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        labels = given(parsed(target["expr"]))
        for label in legend_labels(target["legendFormat"]):
            assert label in labels, f"{target['legendFormat']} of {target['expr']}"


@pytest.mark.parametrize("name", BOARDS)
def test_every_variable_and_mark_of_a_board_is_its_own(name: str) -> None:
    board = BOARDS[name]
    own = {f"${variable['name']}" for variable in board["templating"]["list"]}
    for expr in expressions(board):
        given(parsed(expr))
        assert {*re.findall(r"\$\w+", expr)} <= own | {*VARIABLES}, expr
        assert "HERE" not in expr
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            assert variable["datasource"] == SOURCE
            assert variable["name"] in labels_of("voice_agent_build_info")


@pytest.mark.parametrize("name", BOARDS)
def test_panels_fill_the_width_and_nothing_overlaps(name: str) -> None:
    cells: dict[tuple[int, int], str] = {}
    for panel in BOARDS[name]["panels"]:
        at = panel["gridPos"]
        for cell in [
            (x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
        ]:
            assert cells.setdefault(cell, panel["title"]) == panel["title"], f"{cell} of {name}"
    width, height = 1 + max(x for x, _ in cells), 1 + max(y for _, y in cells)
    assert (width, len(cells)) == (24, 24 * height), f"{name} has holes, or is too wide"


@pytest.mark.parametrize("alert", limits.ALERTED)
def test_red_begins_where_the_alert_does(alert: str) -> None:
    assert limits.ALERTED[alert] in numbers(alerts()[alert])


def test_what_is_provisioned_is_where_grafana_is_told_to_look() -> None:
    provisioning = Path("deploy/grafana/provisioning")
    (provider,) = yaml.safe_load((provisioning / "dashboards/voice-agent.yml").read_text())["providers"]
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())["datasources"]
    assert provider["type"] == "file"
    assert source["type"] == SOURCE["type"]


@pytest.mark.parametrize(
    "expr",
    [
        "voice_agent_redy",
        'voice_agent_ready{stat="live"}',
        "sum by (reason) (voice_agent_ready)",
        "voice_agent_first_audio_seconds",
        "voice_agent:first_audio:p95",
        "sum by (stage) (voice_agent_fleet:first_audio_seconds_bucket:rate15m)",
        "sum by (instance) (voice_agent_fleet:answers:rate15m)",
    ],
)
def test_what_there_is_not_is_noticed(expr: str) -> None:
    with pytest.raises(Unknown):
        given(parsed(expr))
