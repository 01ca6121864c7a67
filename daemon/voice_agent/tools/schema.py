"""Arguments against the JSON Schema of their tool: wrong ones are told to the model in a few words.

``jsonschema`` costs 7 MB and 100 ms, so it is imported when the first call comes; everything here but
``Checker()`` may block and belongs into a helper thread. Nothing is ever fetched: a ``$ref`` leads to a place
in the same schema, or nowhere.

The patterns of a foreign schema are not enforced: a regular expression can take for ever, and holds the
interpreter while it does. Whoever sent the schema checks them anyway.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Protocol

import msgspec

from voice_agent.errors import ToolError
from voice_agent.tools.answer import shortened

log = logging.getLogger(__name__)

Parameters = Mapping[str, object]

MAX_MISTAKES = 3
MAX_MISTAKE_CHARS = 120
MAX_REASON_CHARS = 200
MAX_VALUE_CHARS = 40
MAX_STEPS = 20
"""From one ``$ref`` to the next."""

NAMES = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
"""What stands in these are names, and keywords only below them."""
DATA = frozenset({"const", "enum", "default", "examples"})
"""What stands in these only looks like a schema."""
REFERENCES = frozenset({"$ref", "$dynamicRef"})
PATTERNED = frozenset({"pattern", "patternProperties", "additionalProperties", "unevaluatedProperties"})
"""What asks a regular expression, where properties have patterns."""


class InvalidArguments(ToolError):
    """The model called a tool with wrong arguments; the text says which, and what is right."""


class Mistake(Protocol):
    """What ``jsonschema`` finds, as far as we look at it."""

    json_path: str
    validator: str
    validator_value: object
    instance: object
    schema: Mapping[str, object]
    message: str
    context: Sequence["Mistake"]


class _Validator(Protocol):
    def iter_errors(self, instance: object) -> Iterator[Mistake]: ...


class _Kind(Protocol):
    """The class of validators for one edition of JSON Schema."""

    def __call__(self, schema: object, *, registry: object) -> _Validator: ...

    def check_schema(self, schema: object) -> None: ...


class Checker:
    """Checks arguments of one tool. A schema that is none checks nothing: the tool must cope."""

    def __init__(self, parameters: Parameters, *, foreign: bool = False) -> None:
        self._parameters = parameters
        self._foreign = foreign
        self._validator: _Validator | None = None
        self._checks = True

    def check(self, arguments: Mapping[str, object]) -> None:
        """Raises ``InvalidArguments``."""
        if self._validator is None and self._checks:
            self._prepare()
        if self._validator is not None:
            mistakes = list(islice(self._validator.iter_errors(arguments), MAX_MISTAKES * 3))
            if mistakes:
                raise InvalidArguments(explained(mistakes))

    def _prepare(self) -> None:
        if fault := schema_fault(self._parameters):
            self._checks = False
            log.warning("arguments go unchecked: the tool's schema is none", extra={"reason": fault})
        else:
            self._validator = _validator(
                without_patterns(self._parameters) if self._foreign else self._parameters
            )


def schema_fault(parameters: Parameters) -> str | None:
    """What is wrong with a tool's schema, if anything is."""
    from jsonschema.exceptions import SchemaError

    try:
        plain = msgspec.json.decode(msgspec.json.encode(dict(parameters)))
        if plain.get("type") != "object":
            return 'type: is not "object", which arguments always are'
        _kind(plain).check_schema(plain)
        dangling = _dangling(plain)
    except SchemaError as error:
        return explained([error])
    except (TypeError, ValueError, RecursionError) as error:
        return f"is no JSON: {error}"
    if dangling:
        return f"$ref: {dangling!r} leads nowhere; it must begin with # and name a part of the same schema"
    return None


def explained(mistakes: Iterable[Mistake]) -> str:
    """The first few mistakes, each with its place: ``level: 200 is greater than the maximum of 100``."""
    told = list(dict.fromkeys(_explained(each) for each in mistakes))[:MAX_MISTAKES]
    return shortened("; ".join(told), MAX_REASON_CHARS)


def without_patterns(schema: object, *, names: bool = False) -> object:
    """The schema without regular expressions. ``names``: the keys of this table are no keywords."""
    match schema:
        case Mapping() if names:
            return {name: without_patterns(below) for name, below in schema.items()}
        case Mapping():
            # Which properties are additional is decided by patterns, too.
            hidden = PATTERNED if "patternProperties" in schema else {"pattern"}
            return {
                key: below if key in DATA else without_patterns(below, names=key in NAMES)
                for key, below in schema.items()
                if key not in hidden
            }
        case list() | tuple():
            return [without_patterns(each) for each in schema]
        case _:
            return schema


def _validator(schema: object) -> _Validator:
    from referencing import Registry

    # An explicit registry: the default one would fetch what a $ref names.
    return _kind(schema)(schema, registry=Registry())


def _kind(schema: object) -> _Kind:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import validator_for

    kind: _Kind = validator_for(schema, default=Draft202012Validator)
    return kind


def _dangling(schema: Mapping[str, object]) -> str | None:
    """The first ``$ref`` that leads nowhere, or only to others, in a circle."""
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    root = DRAFT202012.create_resource(schema)
    resolver = Registry().with_resource("", root).resolver()
    for reference in _references(schema):
        following: object = reference
        try:
            for _ in range(MAX_STEPS):
                if not isinstance(following, str):
                    break
                found: object = resolver.lookup(following).contents
                following = found.get("$ref") if isinstance(found, Mapping) else None
            else:
                return reference
        except Unresolvable:
            return reference
    return None


def _references(schema: object, *, names: bool = False) -> Iterator[str]:
    match schema:
        case Mapping():
            for key, below in schema.items():
                if not names and key in REFERENCES and isinstance(below, str):
                    yield below
                elif names or key not in DATA:
                    yield from _references(below, names=not names and key in NAMES)
        case list():
            for each in schema:
                yield from _references(each)


def _explained(mistake: Mistake) -> str:
    match mistake.validator, mistake.validator_value, mistake.instance:
        case "required", list(names), Mapping() as given:
            missing = [_below(mistake, name) for name in names if name not in given]
            return f"{', '.join(missing)}: {'is' if len(missing) == 1 else 'are'} missing"
        case "additionalProperties", False, Mapping() as given:
            return _unknown(mistake, given)
        case "anyOf" | "oneOf", list(), _ if mistake.context:
            return _alternatives(mistake)
        case "oneOf", list(), _:
            return f"{_place(mistake)}: fits more than one of the alternatives; choose one"
    return f"{_place(mistake)}: {_message(mistake)}"


def _unknown(mistake: Mistake, given: Mapping[str, object]) -> str:
    properties = mistake.schema.get("properties")
    known = list(properties) if isinstance(properties, Mapping) else []
    strange = [_below(mistake, name) for name in given if name not in known]
    return shortened(
        f"{', '.join(strange)}: not known; known: {', '.join(known) or 'none'}", MAX_MISTAKE_CHARS
    )


def _alternatives(mistake: Mistake) -> str:
    """Alternatives that all miss something: what they miss. Else what is wrong with the nearest one."""
    if all(each.validator == "required" for each in mistake.context):
        missing = dict.fromkeys(_explained(each).partition(":")[0] for each in mistake.context)
        return f"{' or '.join(missing)}: is missing"
    from jsonschema.exceptions import best_match

    nearest: Mistake = best_match(iter([mistake]))
    return f"{_place(nearest)}: {_message(nearest)}" if nearest is mistake else _explained(nearest)


def _place(mistake: Mistake) -> str:
    """``address.city``, ``days[1]``; JSONPath without its root."""
    return mistake.json_path.removeprefix("$").removeprefix(".") or "arguments"


def _below(mistake: Mistake, name: str) -> str:
    place = mistake.json_path.removeprefix("$").removeprefix(".")
    return f"{place}.{name}" if place else name


def _message(mistake: Mistake) -> str:
    """The library's words, with the value cut short that they quote."""
    value = repr(mistake.instance)
    return shortened(mistake.message.replace(value, shortened(value, MAX_VALUE_CHARS)), MAX_MISTAKE_CHARS)
