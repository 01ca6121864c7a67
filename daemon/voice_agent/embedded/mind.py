"""What the dialogue policy sees and what it may decide: values only.

A mind is asked once for each response. It sees the conversation as the server believes the user knows it
(a truncated answer ends where the user stopped listening) and returns what to do, in order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from voice_agent.embedded.sound import Sound


@dataclass(frozen=True, slots=True)
class Say:
    """Speak ``text``; with ``sound`` instead of the synthesised voice when given, or only ``written``."""

    text: str
    sound: Sound | None = None
    delta_bytes: tuple[int, ...] = ()
    late_deltas: int = 0
    written: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """Call a tool that the client declared. ``arguments``: JSON text."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class End:
    """End the response otherwise than ``completed``; ``error``: the code in its details."""

    status: str
    error: str = ""


Action = Say | Call | End


@dataclass(frozen=True, slots=True)
class Said:
    """A message: ``user``, ``assistant`` (only what was heard) or ``system``."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Called:
    """A tool call made earlier."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Returned:
    """What a tool answered."""

    call_id: str
    output: str


Line = Said | Called | Returned


@dataclass(frozen=True, slots=True)
class Tool:
    """A declared function: which arguments it knows and which it needs."""

    name: str
    properties: tuple[str, ...] = ()
    required: tuple[str, ...] = ()


class Mind(Protocol):
    """The dialogue policy of one connection."""

    def answer(self, lines: Sequence[Line], tools: Sequence[Tool], instructions: str, /) -> Sequence[Action]:
        """What to do now; called from the worker, so it may take its time."""
