"""What Grafana 11.6 and newer ask of a board that comes as a file."""

import json
import re
from typing import Any

import pytest

from deploy.grafana.source.catalogue import texts

BOARDS = {name.removesuffix(".json"): json.loads(text) for name, text in texts().items()}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
SCHEMA = 41
"""Of Grafana 11.6. Newer ones bring a board up to date when they load it, and older ones know it not."""
UNITS = {"none", "short", "percentunit", "s", "bytes", "dB"}
"""As Grafana calls those that are used here; it shows a number bare if it does not know the unit."""
LABEL_VALUES = 1

each_board = pytest.mark.parametrize("name", BOARDS)


def variables(name: str) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in BOARDS[name]["templating"]["list"]}


def targets(name: str) -> list[dict[str, Any]]:
    return [target for panel in BOARDS[name]["panels"] for target in panel.get("targets", [])]


@each_board
def test_a_board_keeps_its_address_and_belongs_to_no_installation(name: str) -> None:
    board = BOARDS[name]
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", board["uid"])
    assert board["uid"] == name
    assert board["schemaVersion"] == SCHEMA
    assert not board.keys() & {"id", "version", "gnetId", "__inputs"}
    assert [each["title"] for each in BOARDS.values()].count(board["title"]) == 1


@each_board
def test_all_questions_go_to_the_prometheus_that_was_chosen(name: str) -> None:
    first = next(iter(variables(name).values()))
    assert (first["name"], first["type"], first["query"]) == ("datasource", "datasource", "prometheus")
    marks = BOARDS[name]["annotations"].get("list", [])
    assert [each["datasource"] for each in (*targets(name), *marks)] == [SOURCE] * len(
        [*targets(name), *marks]
    )


@each_board
def test_panels_and_their_questions_are_told_apart(name: str) -> None:
    panels = BOARDS[name]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        refs = [target["refId"] for target in panel.get("targets", [])]
        assert len(set(refs)) == len(refs), panel["title"]
    assert all(target["instant"] != target["range"] for target in targets(name))


@each_board
def test_units_are_grafanas(name: str) -> None:
    text = json.dumps(BOARDS[name]["panels"])
    overridden = re.findall(r'"id": "unit", "value": "(\w+)"', text)
    assert {*re.findall(r'"unit": "(\w+)"', text), *overridden} <= UNITS


@each_board
def test_a_choice_narrows_those_after_it(name: str) -> None:
    before: list[str] = []
    for variable in variables(name).values():
        if variable["type"] == "query":
            query = variable["query"]
            assert query["qryType"] == LABEL_VALUES, "or the editor of variables shows an empty form"
            assert query["query"].endswith(f", {variable['name']})")
            assert all(f'{each}=~"${each}"' in query["query"] for each in before)
            before.append(variable["name"])
    assert before[:2] == ["fleet", "site"]


@each_board
def test_every_board_leads_to_the_others_with_what_was_chosen_and_when(name: str) -> None:
    (link,) = BOARDS[name]["links"]
    assert (link["type"], link["includeVars"], link["keepTime"]) == ("dashboards", True, True)
    assert link["tags"] == BOARDS[name]["tags"]


def test_a_device_of_a_list_leads_to_its_board_with_what_was_chosen_and_when() -> None:
    (found,) = re.findall(r'"url": "(/d/[^"]+)"', json.dumps(BOARDS["voice-agent-fleet"]))
    board, _, query = found.removeprefix("/d/").partition("?")
    given = set(query.split("&"))
    assert "${__url_time_range}" in given
    chosen = variables(board).keys() - {"window", "instance"}
    assert {f"${{{each}:queryparam}}" for each in chosen} < given
    assert "var-instance=${__value.raw}" in given
