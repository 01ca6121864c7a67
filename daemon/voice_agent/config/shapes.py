"""What the Structs of the schema say about themselves: which settings there are, and what each one takes.

A setting is a Struct field ``Annotated[type, Meta(description=..., ge=..., le=...)] = default``; a table is
a Struct whose docstring explains it. ``tuple[SomeStruct, ...]`` is a list of tables, ``[[path]]``; a ``dict``
is a free table, whose keys are the operator's own. In a list of tables, a setting whose default is not
acceptable to its own type must be given.
"""

import json
from collections.abc import Iterator
from typing import Annotated, get_args, get_origin

import msgspec
from msgspec import Struct, inspect


def settings(shape: type[Struct], path: str = "") -> Iterator[tuple[str, msgspec.structs.FieldInfo]]:
    """Every setting below ``shape`` with its dotted path, in order; those of a list of tables have ``[]``."""
    for field in msgspec.structs.fields(shape):
        here = join(path, field.name)
        row = row_of(field.type)
        if is_table(field.type):
            yield from settings(field.type, here)
        elif row is None:
            yield here, field
        elif issubclass(row, Struct):
            yield from settings(row, f"{here}[]")


def is_table(annotation: object) -> bool:
    """Whether a field is a table rather than a setting."""
    return isinstance(annotation, type) and issubclass(annotation, Struct)


def row_of(annotation: object) -> type | None:
    """What a list of tables consists of: a Struct, or ``dict`` for free tables; ``None`` for other fields."""
    item = item_type(annotation)
    if get_origin(item) is dict:
        return dict
    return item if isinstance(item, type) and issubclass(item, Struct) else None


def item_type(annotation: object) -> object | None:
    """``T`` of a ``tuple[T, ...]``, annotated or not; nothing for anything else."""
    plain = _plain(annotation)
    return get_args(plain)[0] if get_origin(plain) is tuple else None


def value_type(annotation: object) -> object | None:
    """``T`` of a ``dict[str, T]``, annotated or not; nothing for anything else."""
    plain = _plain(annotation)
    return get_args(plain)[1] if get_origin(plain) is dict else None


def _plain(annotation: object) -> object:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def join(path: str, key: str) -> str:
    """A dotted path one step longer."""
    return f"{path}.{key}" if path else key


def metadata(annotation: object) -> tuple[inspect.Type, dict[str, object]]:
    """The constraint of a setting and what its ``Meta`` says beside it; ``None`` alternatives are dropped."""
    info = inspect.type_info(annotation)
    if isinstance(info, inspect.UnionType):
        info = next(each for each in info.types if not isinstance(each, inspect.NoneType))
    if isinstance(info, inspect.Metadata):
        return info.type, info.extra_json_schema or {}
    return info, {}


def example(annotation: object) -> object | None:
    """What the ``Meta`` of a setting shows as an example; ``None`` if nothing."""
    examples = metadata(annotation)[1].get("examples")
    return examples[0] if isinstance(examples, list) else None


def kind(wanted: inspect.Type) -> str:
    """What a setting takes, in words."""
    match wanted:
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType(ge=low, le=high):
            return f"a whole number from {low} to {high}"
        case inspect.FloatType(ge=low, le=high):
            return f"a number from {low:g} to {high:g}"
        case inspect.LiteralType(values=values):
            return "one of " + ", ".join(f'"{value}"' for value in values)
        case inspect.VarTupleType(item_type=item):
            return f"a list, each {kind(item)}"
        case inspect.DictType(value_type=each):
            return "a table, {NAME = " + ('"..."}' if isinstance(each, inspect.StrType) else "...}")
        case _:
            return _text_kind(wanted)


def _text_kind(wanted: inspect.Type) -> str:
    match wanted:
        case inspect.StrType(pattern=str(), max_length=int(most)):
            return f"one word of 1 to {most} letters, digits, hyphens and underscores, in quotes"
        case inspect.StrType(pattern=str()):
            return "one word of letters, digits, dots, hyphens and underscores, in quotes"
        case inspect.StrType(min_length=int()):
            return 'text in quotes, "...", and not empty'
        case _:
            return 'text in quotes, "..."'


def as_toml(value: object) -> str:
    """A value as TOML on one line; JSON's strings, numbers, booleans and lists are TOML's too."""
    match value:
        case dict():
            return "{" + ", ".join(f"{_key(key)} = {as_toml(each)}" for key, each in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(as_toml, value)) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("-", "_").replace("_", "a").isalnum()
    return key if bare else json.dumps(key, ensure_ascii=False)
