"""What goes back to the model: JSON text of bounded length, whatever a tool returned.

A result whose ``error`` is a text says that the tool could not do its work: it counts as ``failed``, as if it
had raised ``ToolError``. One that is too long is cut, and says so.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from voice_agent.dialogue import Outcome

MAX_OUTPUT_CHARS = 8000
"""Enough for any spoken answer; more would crowd out the conversation in the model's context."""

MAX_REASON_CHARS = 1000
"""Of a failure: more than anybody wants to hear."""


class Answer(NamedTuple):
    """What goes back to the model: JSON text, which describes a failure unless ``ok``."""

    output: str
    outcome: Outcome

    @property
    def ok(self) -> bool:
        """The tool did its work."""
        return self.outcome == "ok"


def answered(name: str, result: object) -> Answer:
    """The answer for what the tool ``name`` returned; what is no JSON object is its bug."""
    if not isinstance(result, Mapping):
        return failure(f"the tool {name} returned {type(result).__name__} instead of an object", "crashed")
    try:
        output = msgspec.json.encode(dict(result)).decode()
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.EncodeError) as error:
        return failure(f"the tool {name} returned what JSON cannot say: {error}", "crashed")
    complaint = result.get("error")
    return Answer(_bounded(output), "failed" if isinstance(complaint, str) and complaint else "ok")


def failure(reason: str, outcome: Outcome) -> Answer:
    """A failure that the model can speak about."""
    # Half a surrogate pair has no place in UTF-8, and may come from anywhere.
    text = reason.encode(errors="replace").decode()
    return Answer(msgspec.json.encode({"error": shortened(text, MAX_REASON_CHARS)}).decode(), outcome)


def shortened(text: str, chars: int) -> str:
    """Its beginning, if it is longer."""
    return text if len(text) <= chars else text[: chars - 1] + "…"


def _bounded(output: str) -> str:
    """Cut inside of an envelope: half an object would be no JSON."""
    kept, cut = len(output), output
    while len(cut) > MAX_OUTPUT_CHARS:  # each quotation mark in the text takes two characters
        kept = kept * MAX_OUTPUT_CHARS // len(cut)
        cut = msgspec.json.encode({"cut_after_chars": kept, "text": output[:kept]}).decode()
    return cut
