"""How a tool behaves in a conversation, as its author states it, and how a call of it can end."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Literal

Outcome = Literal["ok", "failed", "invalid", "timeout", "crashed", "cancelled", "unknown", "refused"]
"""``failed``: the tool says that it could not; ``invalid``: wrong arguments; ``crashed``: a bug or rubbish in
the tool; ``cancelled``: the user spoke, or the answer was given up; ``unknown``: there is no such tool;
``refused``: too much at once."""


class Reply(Enum):
    """Whether the model is asked to speak when it has been told what a tool answered.

    A failure is always spoken about: silence would look like success.
    """

    ALWAYS = "always"
    IF_SILENT = "if-silent"
    """Only if the response that called the tool said nothing itself."""
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Manners:
    """How a tool behaves.

    ``parallel``: calls of it may run at the same time; else one after another, in order. ``cancellable``: a
    call is given up when the user begins a new turn; else it runs on, and its answer is delivered quietly.
    ``timeout_s``: a call that takes longer has failed.
    """

    parallel: bool = True
    reply: Reply = Reply.ALWAYS
    cancellable: bool = True
    timeout_s: float = 10.0


MannersOf = Callable[[str], Manners]
"""The manners of a tool, by its name; those of an unknown one are the default."""


def plain(_name: str) -> Manners:
    """Nothing is known of the tools."""
    return Manners()
