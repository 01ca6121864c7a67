"""TOML tables into frozen Structs: the machinery of this package, which knows no setting by name.

Nothing here raises for what an operator wrote: every fault becomes a ``Problem``, the faulty value is left
at its default, and the rest is read on, so that all problems of a file are found at once.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from math import isfinite
from typing import NamedTuple, TypeVar

import msgspec
from msgspec import Struct, inspect
from msgspec.structs import FieldInfo

from voice_agent.config.shapes import (
    as_toml,
    example,
    is_table,
    item_type,
    join,
    kind,
    metadata,
    row_of,
    settings,
    value_type,
)

Table = Mapping[str, object]
S = TypeVar("S", bound=Struct)


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
            elif row_of(fields[key]) is not None:
                sound[key] = self._rows(value, fields[key], here)
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

    def _rows(self, value: object, annotation: object, path: str) -> list[dict[str, object]]:
        """A list of tables; a faulty one stays in it, so that the others keep their numbers."""
        shape = row_of(annotation)
        if shape is None or not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            self.problems.append(
                Problem(path, f"is {_shown(value)}", f"make it a list of tables: [[{path}]]")
            )
            return []
        if issubclass(shape, Struct):
            return [self._row(each, shape, f"{path}[{index}]") for index, each in enumerate(value)]
        self.problems += _faults(value, annotation, path)
        return value

    def _row(self, raw: Table, shape: type[Struct], path: str) -> dict[str, object]:
        """One table of a list, which must have what such a table cannot do without."""
        sound = self.table(raw, shape, path)
        for field in msgspec.structs.fields(shape):
            here = join(path, field.name)
            if field.name not in raw and here not in self._skip and _is_required(field):
                remedy = f"add {field.name} = {as_toml(example(field.type) or '...')}"
                self.problems.append(Problem(here, "is missing", remedy))
        return sound

    def _unknown(self, path: str, key: str, siblings: list[str]) -> Problem:
        what = "is not a setting"
        if near := get_close_matches(key, siblings, n=1):
            return Problem(path, what, f'did you mean "{near[0]}"?')
        if elsewhere := [p for p in self._all_paths if p.rpartition(".")[2] == key]:
            return Problem(path, what, f"did you mean {' or '.join(elsewhere)}?")
        return Problem(path, what, f"delete it; here can stand: {', '.join(siblings)}")


def _is_required(field: FieldInfo) -> bool:
    """Whether the default is not acceptable to the setting's own type."""
    return field.default is not msgspec.NODEFAULT and any(_faults(_as_read(field.default), field.type, ""))


def _as_read(default: object) -> object:
    return list(default) if isinstance(default, tuple) else default


def _faults(value: object, annotation: object, path: str) -> Iterator[Problem]:
    """What is wrong with the value of one setting; lists and free tables are judged item by item."""
    item, entry = item_type(annotation), value_type(annotation)
    if item is not None and isinstance(value, list) and value:
        for index, each in enumerate(value):
            yield from _faults(each, item, f"{path}[{index}]")
    elif entry is object and isinstance(value, dict):
        yield from _strange(value, path)
    elif entry is not None and isinstance(value, dict):
        for key, each in value.items():
            yield from _faults(each, entry, join(path, key))
    else:
        yield from _misfit(value, annotation, path)


def _misfit(value: object, annotation: object, path: str) -> Iterator[Problem]:
    try:
        msgspec.convert(value, annotation)
    except msgspec.ValidationError:
        yield Problem(path, f"is {_shown(value)}", _remedy(value, metadata(annotation)[0]))


def _strange(value: object, path: str) -> Iterator[Problem]:
    """What TOML knows and JSON does not, inside a free table: it will be sent as JSON."""
    match value:
        case dict():
            for key, each in value.items():
                yield from _strange(each, join(path, key))
        case list():
            for index, each in enumerate(value):
                yield from _strange(each, f"{path}[{index}]")
        case float() if not isfinite(value):
            yield Problem(path, f"is {value}", "write a number that is finite")
        case str() | bool() | int() | float():
            return
        case _:
            yield Problem(path, f"is {_shown(value)}", 'set it to text in quotes, "..."')


def _remedy(value: object, wanted: inspect.Type) -> str:
    if isinstance(wanted, inspect.LiteralType) and isinstance(value, str):
        choices = [str(choice) for choice in wanted.values]
        if near := get_close_matches(value, choices, n=1):
            return f'did you mean "{near[0]}"? It takes {kind(wanted)}'
    return f"set it to {kind(wanted)}"


def _shown(value: object) -> str:
    """A value as the operator wrote it, shortened."""
    match value:
        case dict():
            return "a table"
        case list():
            return "a list" if value else "an empty list"
        case str() | bool() | int() | float():
            text = as_toml(value)
            return text if len(text) <= 40 else text[:37] + "..."
        case _:
            return f"a {type(value).__name__}"
