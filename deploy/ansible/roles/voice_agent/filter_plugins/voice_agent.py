"""Filters of the role: a dictionary as TOML, and files of pinned packages."""

import json
import re
from collections.abc import Callable, Collection, Mapping

BARE = re.compile(r"[A-Za-z0-9_-]+")
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)==[^\n]*\n(?:[ \t][^\n]*\n)*", re.MULTILINE)


def as_toml(sections: Mapping[str, object]) -> str:
    """A configuration: scalars first, then a table for each mapping, by name; what is None is left out."""
    return "\n".join(_table((), sections)) + "\n"


def _table(path: tuple[str, ...], content: Mapping[str, object]) -> list[str]:
    """A table with its sub-tables; lists of mappings are arrays of tables."""
    lines = [
        f"{_key(name)} = {_value(it)}" for name, it in content.items() if not _is_table(it) and it is not None
    ]
    for name, inner in content.items():
        below = (*path, _key(name))
        if isinstance(inner, Mapping):
            lines += ["", f"[{'.'.join(below)}]", *_table(below, inner)]
        elif isinstance(inner, list) and _is_table(inner):
            for each in inner:
                lines += ["", f"[[{'.'.join(below)}]]", *_table(below, each)]
    return lines


def _is_table(value: object) -> bool:
    of_tables = isinstance(value, list) and bool(value) and all(isinstance(each, Mapping) for each in value)
    return isinstance(value, Mapping) or of_tables


def _key(name: object) -> str:
    return str(name) if BARE.fullmatch(str(name)) else _value(str(name))


def _value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value + 0)  # Ansible's own kinds of numbers have other words for themselves
        case str():
            return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
        case Mapping():
            return "{" + ", ".join(f"{_key(name)} = {_value(it)}" for name, it in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(_value, value)) + "]"
    raise TypeError(f"TOML has no {type(value).__name__}: {value!r}")


def pinned_names(pins: str) -> list[str]:
    """The packages of a file of pins."""
    return sorted({block[1] for block in PIN.finditer(pins)})


def today_names(pins: str) -> list[str]:
    """Those that not only older Pythons take: what Debian brings as well."""
    return sorted({block[1] for block in PIN.finditer(pins) if "python_full_version <" not in block[0]})


def pins_without(pins: str, names: Collection[str]) -> str:
    """A file of pins less these packages."""
    return "".join(block[0] for block in PIN.finditer(pins) if block[1] not in names)


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> Mapping[str, Callable[..., object]]:
        """Filters by name."""
        return {
            "voice_agent_toml": as_toml,
            "voice_agent_names": pinned_names,
            "voice_agent_today_names": today_names,
            "voice_agent_without": pins_without,
        }
