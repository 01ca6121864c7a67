"""What a call brought, for the model: words and figures, never pictures or sounds."""

from collections.abc import Iterable, Mapping

from voice_agent.errors import ToolError
from voice_agent.tools.answer import shortened

MAX_TEXT_CHARS = 6000
"""All text of an answer; an answer of 8000 characters would be cut in any case."""

MAX_REASON_CHARS = 300
"""Of a failure: no more can be listened to."""

PLACEHOLDERS = {"image": "an image", "audio": "a recording", "resource": "a file", "resource_link": "a file"}


def answer_of(
    content: Iterable[Mapping[str, object]], structured: Mapping[str, object] | None, *, failed: bool
) -> Mapping[str, object]:
    """What the model gets. Raises ToolError with the server's own words if the call ``failed``."""
    text = "\n".join(filter(None, map(_words, content))).strip()
    if failed:
        reason = " ".join(text.split())
        raise ToolError(shortened(reason, MAX_REASON_CHARS) or "the tool failed and did not say why")
    if structured:
        return structured
    return {"text": shortened(text, MAX_TEXT_CHARS)} if text else {"done": True}


def _words(block: Mapping[str, object]) -> str:
    """A block of content as text; a text file inside of one is text, too."""
    kind = block.get("type")
    inner = block.get("resource")
    text = inner.get("text") if isinstance(inner, Mapping) else block.get("text")
    if isinstance(text, str):
        return text
    return f"[{PLACEHOLDERS.get(str(kind), 'something')} that cannot be told in words]"
