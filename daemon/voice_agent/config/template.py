"""The configuration as a file to begin with: every setting with its explanation and default."""

from collections.abc import Iterator
from textwrap import fill

import msgspec
from msgspec import Struct, inspect
from msgspec.structs import FieldInfo

from voice_agent.config.shapes import as_toml, example, is_table, join, kind, metadata, row_of

WIDTH = 100
"""Columns."""


def render(default: Struct, *, preamble: str = "") -> str:
    """A TOML file with every setting of ``default``, explained; one without a value is commented out."""
    sections = [_comment(preamble)] if preamble else []
    sections += _sections(default, "")
    return "\n\n".join("\n".join(lines) for lines in sections) + "\n"


def _sections(table: Struct, path: str) -> Iterator[list[str]]:
    """Every table that holds settings itself, parents first; then examples of the tables of a list."""
    fields = msgspec.structs.fields(table)
    own = [field for field in fields if not is_table(field.type) and row_of(field.type) is None]
    if own:
        entries = [line for field in own for line in _entry(field, getattr(table, field.name))]
        yield [*_comment(type(table).__doc__ or ""), f"[{path}]", *entries]
    for field in fields:
        if is_table(field.type):
            yield from _sections(getattr(table, field.name), join(path, field.name))
    for field in fields:
        if row_of(field.type) is not None:
            yield _row(field, join(path, field.name))


def _row(field: FieldInfo, path: str) -> list[str]:
    """One table of a list. There is none until somebody writes it, so all of it is commented out."""
    shape, head = row_of(field.type), f"# [[{path}]]"
    if shape is None or not issubclass(shape, Struct):
        free = example(field.type)
        items = free.items() if isinstance(free, dict) else ()
        text = str(metadata(field.type)[1].get("description", ""))
        return [*_comment(text), head, *(f"# {key} = {as_toml(value)}" for key, value in items)]
    entries = [line for each in msgspec.structs.fields(shape) for line in _entry(each, None)]
    return [*_comment(shape.__doc__ or ""), head, *entries]


def _entry(field: FieldInfo, value: object) -> list[str]:
    """A setting with its value, or commented out with an example."""
    wanted, extra = metadata(field.type)
    range_ = "" if isinstance(wanted, inspect.StrType | inspect.DictType) else f" Takes {kind(wanted)}."
    comment = _comment(f"{extra.get('description', '')}.{range_}")
    if value is not None:
        return [*comment, f"{field.name} = {as_toml(value)}"]
    shown = example(field.type)
    return [*comment, f"# {field.name} = {as_toml(_default(field) if shown is None else shown)}"]


def _default(field: FieldInfo) -> object:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return "" if field.default in (None, msgspec.NODEFAULT) else field.default


def _comment(text: str) -> list[str]:
    paragraphs = text.strip().split("\n\n")
    filled = [fill(" ".join(each.split()), WIDTH, break_on_hyphens=False) for each in paragraphs]
    return [f"# {line}".rstrip() for line in "\n\n".join(filled).splitlines()]
