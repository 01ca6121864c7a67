"""Texts in which ``{name}`` stands for an argument of a call. Pure.

Anything else in braces is plain text: ``{{name}}``, ``{ name }``, ``{"a": 1}``.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, zip_longest

import msgspec

Arguments = Mapping[str, object]

_PLACEHOLDER = re.compile(r"(?<!\{)\{([A-Za-z0-9_-]+)\}(?!\})")


def names_in(template: object) -> Iterator[str]:
    """Every placeholder of a text, or of the texts in a list or table, in order."""
    match template:
        case str():
            yield from _PLACEHOLDER.findall(template)
        case Mapping():
            for value in template.values():
                yield from names_in(value)
        case list() | tuple():
            for value in template:
                yield from names_in(value)


def is_filled_by(template: object, arguments: Arguments) -> bool:
    """Whether there is an argument for each placeholder; null is none."""
    return all(arguments.get(name) is not None for name in names_in(template))


def begins_with_placeholder(template: str) -> bool:
    """Whether a text begins with what an argument says."""
    return _PLACEHOLDER.match(template) is not None


def fill(
    template: str,
    arguments: Arguments,
    encode: Callable[[str], str] = str,
    own: Callable[[str], str] = str,
) -> str:
    """The text with each argument, which must be there, in its place.

    Arguments pass through ``encode``, the template's own text through ``own``.
    """
    parts = _PLACEHOLDER.split(template)  # own text and names by turns
    filled = [encode(text_of(arguments[name])) for name in parts[1::2]]
    return "".join(chain.from_iterable(zip_longest(map(own, parts[::2]), filled, fillvalue="")))


def fill_json(template: object, arguments: Arguments) -> object:
    """A JSON template with its arguments: ``"{name}"`` alone becomes the argument itself, whatever its type.

    What has no argument is left out of its list or table.
    """
    match template:
        case str() if alone := _PLACEHOLDER.fullmatch(template):
            return arguments[alone[1]]
        case str():
            return fill(template, arguments)
        case Mapping():
            return {
                key: fill_json(value, arguments)
                for key, value in template.items()
                if _stays(value, arguments)
            }
        case list() | tuple():
            return [fill_json(value, arguments) for value in template if _stays(value, arguments)]
        case _:
            return template


def _stays(value: object, arguments: Arguments) -> bool:
    return not isinstance(value, str) or is_filled_by(value, arguments)


def text_of(value: object) -> str:
    """An argument as text that UTF-8 can say: a text as it is, anything else as JSON."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text.encode(errors="replace").decode()
