"""Arguments and schemas: what is wrong is said in a few words, and nothing is fetched or takes for ever."""

import asyncio
import json
import socket
import subprocess
import sys

import pytest
from referencing.exceptions import Unresolvable

from voice_agent.tools.base import Arguments, Tool, Toolbox
from voice_agent.tools.schema import (
    MAX_REASON_CHARS,
    Checker,
    InvalidArguments,
    Parameters,
    _validator,
    schema_fault,
    without_patterns,
)

LAMP: Parameters = {
    "type": "object",
    "properties": {
        "level": {"type": "integer", "minimum": 0, "maximum": 100},
        "room": {"type": "string", "minLength": 1, "pattern": "^[a-z]+$"},
        "days": {"type": "array", "items": {"enum": ["monday", "tuesday"]}},
        "scene": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name", "by"]},
    },
    "required": ["room"],
    "additionalProperties": False,
}
VOLUME: Parameters = {
    "type": "object",
    "properties": {"level": {"type": "integer"}, "change": {"type": "integer"}},
    "oneOf": [{"required": ["level"]}, {"required": ["change"]}],
}
THREE = (
    "level: True is not of type 'integer'; room: 3 is not of type 'string';"
    " days[0]: 'x' is not one of ['monday', 'tuesday']"
)
EITHER: Parameters = {
    "type": "object",
    "properties": {"at": {"anyOf": [{"type": "string"}, {"type": "integer", "maximum": 23}]}},
}


def complaint(parameters: Parameters, arguments: Arguments, *, foreign: bool = False) -> str:
    try:
        Checker(parameters, foreign=foreign).check(arguments)
    except InvalidArguments as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("parameters", "arguments", "words"),
    [
        (LAMP, {"room": "kitchen", "level": 100, "days": ["monday"]}, ""),
        (LAMP, {}, "room: is missing"),
        (LAMP, {"room": "kitchen", "level": 200}, "level: 200 is greater than the maximum of 100"),
        (LAMP, {"room": "a", "days": ["monday", 3]}, "days[1]: 3 is not one of ['monday', 'tuesday']"),
        (LAMP, {"room": "a", "scene": {}}, "scene.name, scene.by: are missing"),
        (LAMP, {"room": "a", "x": 1}, "x: not known; known: level, room, days, scene"),
        (LAMP, {"room": "Küche"}, "room: 'Küche' does not match '^[a-z]+$'"),
        (
            LAMP,
            {"room": 3, "level": True, "days": ["x"], "scene": 2},
            THREE,
        ),
        (VOLUME, {"level": 1}, ""),
        (VOLUME, {}, "level or change: is missing"),
        (VOLUME, {"level": 1, "change": 2}, "arguments: fits more than one of the alternatives; choose one"),
        (EITHER, {"at": 99}, "at: 99 is greater than the maximum of 23"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    parameters: Parameters, arguments: Arguments, words: str
) -> None:
    assert complaint(parameters, arguments) == words


def test_a_complaint_is_short_whatever_is_wrong() -> None:
    told = complaint(LAMP, {"room": "A" * 5000, "level": 10**400, "Z" * 5000: 1, "days": ["z" * 5000] * 50})
    assert "does not match" in told
    assert len(told) <= MAX_REASON_CHARS


def test_the_tool_is_not_called_with_wrong_arguments() -> None:
    called = []

    def work(arguments: Arguments) -> Arguments:
        called.append(arguments)
        return {}

    box = Toolbox([Tool("lamp", "", LAMP, work)])
    wrong = asyncio.run(box.run("lamp", '{"room": 3}'))
    assert (wrong.outcome, json.loads(wrong.output)) == (
        "invalid",
        {"error": "room: 3 is not of type 'string'"},
    )
    asyncio.run(box.run("lamp", '{"room": "a", "level": 50.0}'))
    (given,) = called
    assert repr(given["level"]) == "50"  # an integer for JSON Schema, so for the tool as well


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (LAMP, None),
        (VOLUME, None),
        (
            {
                "type": "object",
                "$defs": {"n": {"type": "string"}},
                "properties": {"a": {"$ref": "#/$defs/n"}},
            },
            None,
        ),
        ({"type": "object", "properties": {"$ref": {"type": "string"}}}, None),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}, None),
        ({}, 'type: is not "object"'),
        ({"type": "object", "properties": 3}, "properties: 3 is not of type 'object'"),
        ({"type": "object", "properties": {"a": {"type": "integr"}}}, "properties.a.type: 'integr'"),
        ({"type": "object", "properties": {"a": {"pattern": "("}}}, "properties.a.pattern"),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/n"}}}, "$ref: '#/$defs/n' leads nowhere"),
        ({"type": "object", "$ref": "#"}, "$ref: '#' leads nowhere"),
        ({"type": "object", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}, "nowhere"),
        ({"type": "object", "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}}, None),
        ({"type": "object", "default": object()}, "is no JSON"),
    ],
)
def test_a_schema_that_is_none_is_said_so(schema: Parameters, words: str | None) -> None:
    fault = schema_fault(schema)
    assert fault is None if words is None else words in str(fault)


@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef"])
def test_nothing_is_fetched_for_a_schema(keyword: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/schema.json"
        schema: Parameters = {"type": "object", "properties": {"a": {keyword: url}}}
        assert url in str(schema_fault(schema))
        assert complaint(schema, {"a": 1}) == ""
        with pytest.raises(Unresolvable):
            list(_validator(schema).iter_errors({"a": 1}))
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_foreign_schema_loses_its_patterns_and_nothing_else() -> None:
    """Names that look like keywords, and data that look like schemas, stay."""
    schema = {
        "properties": {"pattern": {"type": "string", "pattern": "(a+)+$"}, "b": {"enum": [{"pattern": "x"}]}},
        "items": [{"patternProperties": {"(a+)+$": {}}, "additionalProperties": False, "minProperties": 1}],
        "additionalProperties": False,
    }
    assert without_patterns(schema) == {
        "properties": {"pattern": {"type": "string"}, "b": {"enum": [{"pattern": "x"}]}},
        "items": [{"minProperties": 1}],
        "additionalProperties": False,
    }


def test_an_expression_of_another_program_that_takes_for_ever_is_not_tried() -> None:
    trap: Parameters = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}}
    box = Toolbox()
    box.put("home", [Tool("home_x", "", trap, lambda _: {})])
    assert asyncio.run(box.run("home_x", json.dumps({"a": "a" * 60 + "!"}))).ok


def test_a_schema_that_is_none_checks_nothing() -> None:
    box = Toolbox([Tool("x", "", {"type": "object", "properties": 3}, lambda given: {"got": given})])
    assert asyncio.run(box.run("x", '{"a": 1}')) == ('{"got":{"a":1}}', "ok")


def test_the_library_is_loaded_with_the_first_call_and_beside_the_loop() -> None:
    program = """
import asyncio, sys, threading
from voice_agent.tools.base import Tool, Toolbox
box = Toolbox([Tool("x", "", {"type": "object"}, lambda _: {})])
print("jsonschema" in sys.modules)
class Finder:
    def find_spec(self, name, path, target=None):
        if name == "jsonschema":
            print(threading.current_thread().name)
sys.meta_path.insert(0, Finder())
print(asyncio.run(box.run("x", "{}")).outcome)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "tool-x", "ok"]
