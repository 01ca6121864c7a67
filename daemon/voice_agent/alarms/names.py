"""What timers and alarms are called, and which of them somebody means.

Names come from speech, through a model: "eggs", "the egg timer", "Eggs!". So they are compared without case,
punctuation and the words that say what kind of thing it is; if nothing is alike, what is nearly so is meant.
"""

import re
from collections.abc import Collection, Sequence
from difflib import get_close_matches

from voice_agent.alarms.entries import Entry, Kind
from voice_agent.errors import ToolError

LONGEST = 60
"""Characters: a name is said in one breath, and fifty of them fit into the file."""

ARTICLES = frozenset({"a", "an", "the", "my", "for", "мой", "на", "для"})
KIND_WORDS: dict[str, Kind] = {
    "timer": "timer",
    "timers": "timer",
    "таймер": "timer",
    "таймера": "timer",
    "таймеры": "timer",
    "alarm": "alarm",
    "alarms": "alarm",
    "будильник": "alarm",
    "будильника": "alarm",
    "будильники": "alarm",
}

CLOSE = 0.75
"""How like two names must be, 0 to 1: a plural and a wrong ending are, another word is not."""


def tidy(name: str) -> str:
    """A name on one line, without anything that cannot be shown; a ``ToolError`` if it is too long."""
    tidied = " ".join("".join(each if each.isprintable() else " " for each in name).split())
    if len(tidied) > LONGEST:
        raise ToolError(f"the name is too long: give one of at most {LONGEST} characters")
    return tidied


def unused(name: str, kind: str, taken: Collection[str]) -> str:
    """This name, or the same with a number if it is taken; ``timer 1`` for one without a name."""
    known = {each.casefold() for each in taken}
    if name and name.casefold() not in known:
        return name
    number = 2 if name else 1
    while f"{name or kind} {number}".casefold() in known:
        number += 1
    return f"{name or kind} {number}"


def meant(said: str, entries: Sequence[Entry]) -> Entry:
    """The one that is meant; a ``ToolError`` that lists them if that is none, or more than one."""
    for alike in (_same, _same_core, _within, _near):
        found = alike(said, entries)
        if len(found) == 1:
            return found[0]
        if found:
            raise ToolError(f"{said!r} may be one of several: {_listed(found)}; ask which")
    raise ToolError(f"nothing is set that is called {said!r}; set are: {_listed(entries) or 'none'}")


def _listed(entries: Sequence[Entry]) -> str:
    return ", ".join(entry.name for entry in entries)


def _words(name: str) -> list[str]:
    return [word for word in re.findall(r"\w+", name.casefold()) if word not in ARTICLES]


def _core(name: str) -> list[str]:
    """The words that tell it from others."""
    return [word for word in _words(name) if word not in KIND_WORDS]


def _same(said: str, entries: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in entries if _words(entry.name) == _words(said)]


def _same_core(said: str, entries: Sequence[Entry]) -> list[Entry]:
    core = _core(said)
    return [entry for entry in _of_kind(said, entries) if core and _core(entry.name) == core]


def _within(said: str, entries: Sequence[Entry]) -> list[Entry]:
    """Those that have all words of what was said; of "the timer", all timers."""
    wanted = set(_core(said))
    return [entry for entry in _of_kind(said, entries) if wanted <= set(_words(entry.name))]


def _near(said: str, entries: Sequence[Entry]) -> list[Entry]:
    near = get_close_matches(" ".join(_core(said)), [_key(entry) for entry in entries], cutoff=CLOSE)
    return [entry for entry in entries if _key(entry) in near]


def _key(entry: Entry) -> str:
    return " ".join(_core(entry.name) or _words(entry.name))


def _of_kind(said: str, entries: Sequence[Entry]) -> list[Entry]:
    """Those of the kind that was named, if one was."""
    kinds = {KIND_WORDS[word] for word in _words(said) if word in KIND_WORDS}
    return [entry for entry in entries if not kinds or entry.kind in kinds]
