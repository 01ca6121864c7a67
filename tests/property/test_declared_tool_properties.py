"""Whatever the model says in an argument, it stays a part of one place in an address or in argv."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from voice_agent.errors import ToolError
from voice_agent.tools.programs import argv_for
from voice_agent.tools.web.address import Template

ODD = st.text(st.sampled_from("/\\.%?#&=+@:;{}[]~ \n\0-") | st.characters(codec="utf-8"), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD, inner, max_size=3),
    max_leaves=4,
)
TEMPLATE = Template(
    "https://host.example:8443/a/{x}/b-{y}.json?fixed=1&q={x}", {"r": "{y} {x}", "plain": "a&b"}
)


@given(x=JSON, y=JSON)
def test_no_argument_changes_host_path_or_parameters(x: object, y: object) -> None:
    try:
        address = TEMPLATE.address({"x": x, "y": y})
    except ToolError:
        return
    assert (address.scheme, address.host, address.port) == ("https", "host.example", 8443)
    assert (address.user, address.password, address.raw_fragment) == (None, None, "")
    segments = address.raw_path.split("/")
    assert [segments[0], segments[1], len(segments)] == ["", "a", 4]
    assert segments[3].startswith("b-")
    assert segments[3].endswith(".json")
    assert not {".", "..", ""} & set(segments[1:])
    names = [pair.partition("=")[0] for pair in address.raw_query_string.split("&")]
    assert names == ["fixed", "q", "r", "plain"]
    assert address.query["plain"] == "a&b"
    # Nothing on the way to the socket sees it differently.
    assert URL(str(address), encoded=True) == address
    assert set(str(address)) <= set(string.printable) - set(string.whitespace)


@given(x=ODD.filter(lambda text: text and not set("/\\.") & set(text)))
def test_an_argument_arrives_as_it_was(x: str) -> None:
    assert TEMPLATE.address({"x": x, "y": "-"}).query["q"] == x


@given(x=JSON, y=JSON)
def test_no_argument_becomes_two_or_an_option(x: object, y: object) -> None:
    template = ["/bin/lamp", "-v", "{x}", "--room={x}{y}", "--", "{y}"]
    try:
        argv = argv_for(template, {"x": x, "y": y})
    except ToolError:
        return
    filled = [
        each for each in template if not ((x is None and "{x}" in each) or (y is None and "{y}" in each))
    ]
    assert len(argv) == len(filled)
    assert argv[:2] == ["/bin/lamp", "-v"]
    assert not any("\0" in element for element in argv)
    options = [each for each in argv[2 : argv.index("--")] if each.startswith("-")]
    assert len(options) == sum(each.startswith("--room") for each in filled)


@pytest.mark.parametrize("climb", ["..", "../x", "x/..", "..\\x", "./x"])
def test_no_argument_climbs(climb: str) -> None:
    with pytest.raises(ToolError):
        TEMPLATE.address({"x": climb, "y": "-"})
