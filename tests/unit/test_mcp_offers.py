"""What an MCP server says, as tools and answers of ours. No SDK, no time."""

from collections.abc import Mapping
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voice_agent.dialogue import Reply
from voice_agent.errors import ToolError
from voice_agent.tools.base import Arguments, Handler, Tool
from voice_agent.tools.mcp.offers import MAX_DESCRIPTION_CHARS, MAX_TOOLS, Offer, names_for, tools_of
from voice_agent.tools.mcp.results import MAX_TEXT_CHARS, answer_of
from voice_agent.tools.mcp.settings import Program, ServerSettings

PLACE = Program(("/bin/true",))
OBJECT: Mapping[str, object] = {"type": "object"}


def handler(_tool: str) -> Handler:
    async def nothing(_arguments: Arguments) -> Mapping[str, object]:
        return {}

    return nothing


def offered(*offers: Offer, settings: ServerSettings | None = None) -> list[Tool]:
    return tools_of(settings or ServerSettings("home", PLACE), offers, handler)


def deep(levels: int) -> dict[str, object]:
    return {"type": "object", "properties": {"x": deep(levels - 1)}} if levels else {"type": "string"}


def test_a_tool_is_named_after_its_server() -> None:
    (tool,) = offered(Offer("lights", "Switches lights.", {"properties": {"room": {}}}))
    assert (tool.name, tool.description) == ("home_lights", "Switches lights.")
    assert tool.parameters == {"type": "object", "properties": {"room": {}}}


def test_only_a_tool_that_says_that_it_reads_is_given_up_when_the_user_speaks() -> None:
    reading, writing = offered(Offer("a", "", OBJECT, reads=True), Offer("b", "", OBJECT))
    assert (reading.manners.cancellable, writing.manners.cancellable) == (True, False)


@pytest.mark.parametrize("interruptible", [True, False])
def test_the_operator_knows_better_what_may_be_given_up(interruptible: bool) -> None:
    settings = ServerSettings("home", PLACE, interruptible=interruptible, reply=Reply.NEVER)
    (tool,) = offered(Offer("a", "", OBJECT, reads=not interruptible), settings=settings)
    assert (tool.manners.cancellable, tool.manners.reply) == (interruptible, Reply.NEVER)


def test_only_tools_that_are_allowed_are_offered() -> None:
    settings = ServerSettings("home", PLACE, allow=("lights", "get_*"))
    offers = [Offer(name, "", OBJECT) for name in ("lights", "lights_all", "get_heat", "unlock")]
    assert [tool.name for tool in offered(*offers, settings=settings)] == ["home_lights", "home_get_heat"]


def test_a_tool_with_an_enormous_or_abysmal_schema_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    large = {"type": "object", "description": "x" * 20_000}
    tools = offered(Offer("large", "", large), Offer("deep", "", deep(30)), Offer("ok", "", deep(5)))
    assert [tool.name for tool in tools] == ["home_ok"]
    assert [record.tool for record in caplog.records] == ["large", "deep"]  # type: ignore[attr-defined]


def test_a_schema_that_never_ends_is_left_out() -> None:
    endless: dict[str, object] = {"type": "object"}
    endless["items"] = endless
    assert offered(Offer("endless", "", endless)) == []


def test_too_many_tools_are_cut_and_told(caplog: pytest.LogCaptureFixture) -> None:
    tools = offered(*(Offer(f"tool{number}", "", OBJECT) for number in range(MAX_TOOLS + 5)))
    assert len(tools) == MAX_TOOLS
    assert "allow" in caplog.text


def test_a_long_description_is_cut_and_an_empty_one_replaced() -> None:
    long, empty = offered(Offer("long", "x" * 5000, OBJECT), Offer("empty", " ", OBJECT))
    assert len(long.description) == MAX_DESCRIPTION_CHARS
    assert empty.description == "empty"


def test_of_two_names_that_look_alike_the_one_that_fits_keeps_its_own() -> None:
    names = names_for("home", ["light.on", "light_on", "light on"])
    assert names["light_on"] == "home_light_on"
    assert names["light.on"].startswith("home_light_on_")
    assert len(set(names.values())) == 3


@given(st.lists(st.text(max_size=90), unique=True), st.randoms(use_true_random=False))
@example(["x" * 90, "x" * 91], Random(1))
def test_names_fit_are_distinct_and_do_not_depend_on_the_order(tools: list[str], chance: Random) -> None:
    names = names_for("home", tools)
    shuffled = sorted(tools, key=lambda _: chance.random())
    assert names == names_for("home", shuffled)
    assert len(set(names.values())) == len(tools)
    for name in names.values():
        assert name.replace("-", "_").replace("_", "a").isascii()
        assert 1 <= len(name) <= 64
        assert all(each.isalnum() or each in "_-" for each in name)


def text(words: str) -> Mapping[str, object]:
    return {"type": "text", "text": words}


def test_text_is_joined_and_what_is_no_text_has_a_placeholder() -> None:
    content = [text("one"), {"type": "image"}, {"type": "resource", "resource": {"text": "two"}}]
    assert answer_of(content, None, failed=False) == {
        "text": "one\n[an image that cannot be told in words]\ntwo"
    }


def test_structured_content_is_preferred() -> None:
    assert answer_of([text("21")], {"temperature_c": 21}, failed=False) == {"temperature_c": 21}


def test_an_answer_without_words_says_that_it_is_done() -> None:
    assert answer_of([], None, failed=False) == {"done": True}


def test_a_huge_text_is_cut() -> None:
    answer = answer_of([text("x" * 1_000_000)], None, failed=False)
    assert len(str(answer["text"])) == MAX_TEXT_CHARS


def test_a_failure_speaks_in_the_words_of_the_server() -> None:
    with pytest.raises(ToolError, match=r"^the lamp is broken$"):
        answer_of([text("the lamp is broken")], {"x": 1}, failed=True)
    with pytest.raises(ToolError, match="did not say why"):
        answer_of([], None, failed=True)
