"""The box of tools: who offers what, under which names, and who is told when that changes."""

import asyncio
import json

import pytest

from voice_agent.dialogue import Manners
from voice_agent.tools.base import MAX_TOOLS, Tool, Toolbox


def tool(name: str, says: str = "") -> Tool:
    return Tool(name, says, {"type": "object"}, lambda _: {"says": says}, Manners(timeout_s=5))


def said(box: Toolbox, name: str) -> str:
    return str(json.loads(asyncio.run(box.run(name, "{}")).output).get("says"))


def test_a_source_replaces_its_own_tools_and_no_others() -> None:
    box = Toolbox([tool("home_made"), tool("a")])
    box.put("home", [tool("home_lamp"), tool("home_door")])
    box.put("home_2", [tool("home_2_lamp")])
    box.put("home", [tool("home_lamp")])
    assert list(box) == ["home_made", "a", "home_lamp", "home_2_lamp"]
    box.put("home", [])
    assert list(box) == ["home_made", "a", "home_2_lamp"]


def test_of_two_tools_with_one_name_the_first_is_offered_and_the_log_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    box = Toolbox([tool("a", "the device's")])
    for _ in range(3):
        box.put("kitchen", [tool("a", "the kitchen's"), tool("b", "the kitchen's")])
    assert said(box, "a") == "the device's"
    (record,) = caplog.records
    assert vars(record)["source"] == "kitchen"
    assert "taken by another one (source: device)" in vars(record)["reason"]


def test_a_name_is_free_again_when_its_tool_has_gone() -> None:
    box = Toolbox()
    box.put("first", [tool("a", "first")])
    box.put("second", [tool("a", "second")])
    assert said(box, "a") == "first"
    box.put("first", [])
    assert said(box, "a") == "second"


@pytest.mark.parametrize("name", ["", "two words", "лампа", "a" * 65, "a.b", "a\n"])
def test_a_name_that_no_provider_takes_is_left_out(name: str, caplog: pytest.LogCaptureFixture) -> None:
    box = Toolbox()
    box.put("home", [tool(name), tool("a" * 64)])
    assert list(box) == ["a" * 64]
    assert "1 to 64" in vars(caplog.records[0])["reason"]


def test_no_more_tools_are_declared_than_providers_take(caplog: pytest.LogCaptureFixture) -> None:
    box = Toolbox([tool(f"a{n}") for n in range(MAX_TOOLS)])
    box.put("home", [tool("late")])
    assert len(box.specs()) == MAX_TOOLS
    assert "late" not in box
    assert f"{MAX_TOOLS} tools already" in vars(caplog.records[0])["reason"]


def test_who_wants_to_know_is_told_of_changes_and_of_nothing_else() -> None:
    told = []
    box = Toolbox([tool("a")])
    box.on_change = lambda: told.append(tuple(box))
    box.put("home", [])
    box.put("home", [tool("b")])
    box.put("home", [tool("b")])
    box.put("other", [tool("a", "hidden")])
    box.put("home", [tool("b", "with other words")])
    assert told == [("a", "b"), ("a", "b")]


def test_the_manners_of_a_tool_are_its_own_and_of_a_stranger_the_usual_ones() -> None:
    box = Toolbox([tool("a")])
    assert box.manners("a").timeout_s == 5
    assert box.manners("b") == Manners()


def test_a_tool_is_known_with_where_it_comes_from() -> None:
    box = Toolbox([tool("a")])
    box.put("home", [tool("b")])
    assert [(each.tool.name, each.source) for each in box.offered()] == [("a", "device"), ("b", "home")]
