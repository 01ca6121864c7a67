"""From one configuration to another while the daemon runs: what differs, and what of that it can take."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from msgspec import Struct, structs

from voice_agent.config.schema import Config
from voice_agent.config.shapes import join

S = TypeVar("S", bound=Struct)

LIVE = frozenset(
    {
        "provider",
        "session",
        "memory",
        "tools.enabled",
        "tools.weather",
        "tools.web_search",
        "tools.file_search",
        "tools.http",
        "tools.command",
        "tools.provider",
        "reconnect",
        "budget",
        "cues",
        "log",
    }
)
"""Settings, and tables with all that is in them, that the running daemon takes. No rule ties one of these to
one that takes a restart, so that what is left behind cannot clash with what is taken."""


def takeable(running: Config, wanted: Config) -> tuple[Config, Sequence[str]]:
    """As much of ``wanted`` as the running daemon can take, and the settings that take a restart."""
    left = [path for path in differences(running, wanted) if not _is_live(path)]
    for path in left:
        wanted = _with(wanted, running, path.split("."))
    return wanted, left


def differences(one: Struct, other: Struct, path: str = "") -> Iterator[str]:
    """The dotted paths of the settings in which they differ."""
    for name in one.__struct_fields__:
        here, before, after = join(path, name), getattr(one, name), getattr(other, name)
        if isinstance(before, Struct):
            yield from differences(before, after, here)
        elif before != after:
            yield here


def _is_live(path: str) -> bool:
    return any(path == live or path.startswith(f"{live}.") for live in LIVE)


def _with(target: S, source: S, names: Sequence[str]) -> S:
    """``target``, but for one setting, which is as in ``source``."""
    name, *below = names
    value = getattr(source, name)
    return structs.replace(target, **{name: _with(getattr(target, name), value, below) if below else value})
