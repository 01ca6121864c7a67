"""TOML tables into frozen Structs and back: the machinery of this package, which knows no setting by name.

A setting is a Struct field ``Annotated[type, Meta(description=..., ge=..., le=...)] = default``; a table is a
Struct whose docstring explains it. Nothing here raises for what an operator wrote: every fault becomes a
``Problem``, the faulty value is left at its default, and the rest is read on, so that all problems of a
file are found at once.
"""

import json
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from textwrap import fill
from typing import Annotated, NamedTuple, TypeVar, get_args, get_origin

import msgspec
from msgspec import Struct, inspect

Table = Mapping[str, object]
S = TypeVar("S", bound=Struct)

WIDTH = 100
"""Columns of the rendered template."""


class Problem(NamedTuple):
    """What is wrong where, and what to do about it. ``path`` is dotted: ``audio.output.block_ms``."""

    path: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}; {self.remedy}"


def read(raw: Table, shape: type[S], *, skip: frozenset[str] = frozenset()) -> tuple[S, list[Problem]]:
    """The sound part of ``raw`` as a ``shape``, and all that is wrong with the rest.

    Settings in ``skip`` (paths that somebody else has judged already) stay at their defaults unmentioned.
    """
    reader = _Reader(shape, skip)
    sound = reader.table(raw, shape, "")
    return msgspec.convert(sound, shape), reader.problems


class _Reader:
    """One reading: walks the tables and collects problems."""

    def __init__(self, root: type[Struct], skip: frozenset[str]) -> None:
        self.problems: list[Problem] = []
        self._skip = skip
        self._all_paths = [path for path, _ in settings(root)]

    def table(self, raw: Table, shape: type[Struct], path: str) -> dict[str, object]:
        """The sound settings of one table."""
        fields = {field.name: field.type for field in msgspec.structs.fields(shape)}
        sound: dict[str, object] = {}
        for key, value in raw.items():
            here = join(path, key)
            if here in self._skip:
                continue
            if key not in fields:
                self.problems.append(self._unknown(here, key, list(fields)))
            elif is_table(fields[key]):
                sound[key] = self._subtable(value, fields[key], here)
            elif problems := list(_faults(value, fields[key], here)):
                self.problems += problems
            else:
                sound[key] = value
        return sound

    def _subtable(self, value: object, shape: type[Struct], path: str) -> dict[str, object]:
        if isinstance(value, dict):
            return self.table(value, shape, path)
        self.problems.append(Problem(path, f"is {_shown(value)}", f"make it a table: [{path}]"))
        return {}

    def _unknown(self, path: str, key: str, siblings: list[str]) -> Problem:
        what = "is not a setting"
        if near := get_close_matches(key, siblings, n=1):
            return Problem(path, what, f'did you mean "{near[0]}"?')
        if elsewhere := [p for p in self._all_paths if p.rpartition(".")[2] == key]:
            return Problem(path, what, f"did you mean {' or '.join(elsewhere)}?")
        return Problem(path, what, f"delete it; here can stand: {', '.join(siblings)}")


def _faults(value: object, annotation: object, path: str) -> Iterator[Problem]:
    """What is wrong with the value of one setting; lists are judged item by item."""
    item = _item_type(annotation)
    if item is not None and isinstance(value, list):
        for index, each in enumerate(value):
            yield from _faults(each, item, f"{path}[{index}]")
        return
    try:
        msgspec.convert(value, annotation)
    except msgspec.ValidationError:
        yield Problem(path, f"is {_shown(value)}", _remedy(value, _constraint(annotation)))


def _remedy(value: object, wanted: inspect.Type) -> str:
    if isinstance(wanted, inspect.LiteralType) and isinstance(value, str):
        choices = [str(choice) for choice in wanted.values]
        if near := get_close_matches(value, choices, n=1):
            return f'did you mean "{near[0]}"? It takes {_kind(wanted)}'
    return f"set it to {_kind(wanted)}"


def _shown(value: object) -> str:
    """A value as the operator wrote it, shortened."""
    match value:
        case dict():
            return "a table"
        case list():
            return "a list"
        case str() | bool() | int() | float():
            text = _toml(value)
            return text if len(text) <= 40 else text[:37] + "..."
        case _:
            return f"a {type(value).__name__}"


# -------------------------------------------------------------------------------- about the Structs


def settings(shape: type[Struct], path: str = "") -> Iterator[tuple[str, msgspec.structs.FieldInfo]]:
    """Every setting below ``shape`` with its dotted path, in order."""
    for field in msgspec.structs.fields(shape):
        here = join(path, field.name)
        if is_table(field.type):
            yield from settings(field.type, here)
        else:
            yield here, field


def is_table(annotation: object) -> bool:
    """Whether a field is a table rather than a setting."""
    return isinstance(annotation, type) and issubclass(annotation, Struct)


def join(path: str, key: str) -> str:
    """A dotted path one step longer."""
    return f"{path}.{key}" if path else key


def _item_type(annotation: object) -> object | None:
    """``T`` of an ``Annotated[tuple[T, ...], ...]``, nothing for anything else."""
    plain = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    return get_args(plain)[0] if get_origin(plain) is tuple else None


def _metadata(annotation: object) -> tuple[inspect.Type, dict[str, object]]:
    """The constraint of a setting and what its ``Meta`` says beside it; ``None`` alternatives are dropped."""
    info = inspect.type_info(annotation)
    if isinstance(info, inspect.UnionType):
        info = next(each for each in info.types if not isinstance(each, inspect.NoneType))
    if isinstance(info, inspect.Metadata):
        return info.type, info.extra_json_schema or {}
    return info, {}


def _constraint(annotation: object) -> inspect.Type:
    return _metadata(annotation)[0]


def _kind(wanted: inspect.Type) -> str:
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
        case inspect.StrType(pattern=str()):
            return "one word of letters, digits, dots, hyphens and underscores, in quotes"
        case inspect.StrType(min_length=int()):
            return 'text in quotes, "...", and not empty'
        case inspect.VarTupleType(item_type=item):
            return f"a list, each {_kind(item)}"
        case _:
            return 'text in quotes, "..."'


# ---------------------------------------------------------------------------------- the template


def render(default: Struct, *, preamble: str = "") -> str:
    """A TOML file with every setting of ``default``, explained; one without a value is commented out."""
    lines = _comment(preamble) if preamble else []
    for table, path in _tables(default, ""):
        lines += ["", *_comment(type(table).__doc__ or ""), f"[{path}]"]
        for field in msgspec.structs.fields(table):
            if not is_table(field.type):
                lines += _entry(field, getattr(table, field.name))
    return "\n".join(lines).strip() + "\n"


def _tables(table: Struct, path: str) -> Iterator[tuple[Struct, str]]:
    """Every table that holds settings itself, parents first."""
    fields = msgspec.structs.fields(table)
    if not all(is_table(field.type) for field in fields):
        yield table, path
    for field in fields:
        if is_table(field.type):
            yield from _tables(getattr(table, field.name), join(path, field.name))


def _entry(field: msgspec.structs.FieldInfo, value: object) -> list[str]:
    wanted, extra = _metadata(field.type)
    range_ = "" if isinstance(wanted, inspect.StrType) else f" Takes {_kind(wanted)}."
    comment = _comment(f"{extra.get('description', '')}.{range_}")
    if value is not None:
        return [*comment, f"{field.name} = {_toml(value)}"]
    examples = extra.get("examples")
    example = examples[0] if isinstance(examples, list) else ""
    return [*comment, f"# {field.name} = {_toml(example)}"]


def _comment(text: str) -> list[str]:
    paragraphs = text.strip().split("\n\n")
    filled = [fill(" ".join(each.split()), WIDTH, break_on_hyphens=False) for each in paragraphs]
    return [f"# {line}".rstrip() for line in "\n\n".join(filled).splitlines()]


def _toml(value: object) -> str:
    """A scalar or a list of scalars as TOML; JSON's strings, numbers, booleans and lists are TOML's too."""
    return json.dumps(value, ensure_ascii=False)
