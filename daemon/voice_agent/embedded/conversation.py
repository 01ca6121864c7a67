"""The items of one session, and how much of each answer the user has heard.

An answer's words carry the sample position at which they are spoken: that is what lets a truncation cut
the text exactly where the listener stopped. ``lines`` is what a mind may know: heard words only.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from msgspec import UNSET
from msgspec.structs import replace

from voice_agent.embedded.mind import Called, Line, Returned, Said
from voice_agent.formats import samples_to_ms
from voice_agent.realtime.events import Content, ErrorDetail, Item, known


@dataclass(frozen=True, slots=True)
class Word:
    """A piece of an answer and the sample after its last one."""

    text: str
    end: int


@dataclass(slots=True)
class Entry:
    """An item with what the wire does not say about it.

    ``words`` and ``sent`` (samples at ``rate`` Hz) grow while the answer is sent; ``heard_ms`` is set by
    a truncation.
    """

    item: Item
    rate: int = 0
    words: list[Word] = field(default_factory=list)
    sent: int = 0
    heard_ms: int | None = None

    @property
    def audio_ms(self) -> int:
        """How much audio there is: what was sent, less what a truncation took away."""
        sent_ms = samples_to_ms(self.sent, self.rate) if self.rate else 0
        return sent_ms if self.heard_ms is None else self.heard_ms

    @property
    def text(self) -> str:
        """The item's words, as far as the server believes they were heard."""
        if not self.words:
            return " ".join(_text(part) for part in content_of(self.item)).strip()
        if self.heard_ms is None:
            return "".join(word.text for word in self.words).strip()
        limit = self.heard_ms * self.rate // 1000
        return "".join(word.text for word in self.words if word.end <= limit).strip()


def _text(part: Content) -> str:
    return known(part.text) or known(part.transcript)


class Conversation:
    """An ordered list of items, addressed by id."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, item_id: str) -> Entry | None:
        """The item with this id."""
        return next((entry for entry in self._entries if entry.item.id == item_id), None)

    def add(self, entry: Entry, after: str | None = None) -> str | None:
        """Insert behind ``after`` (``"root"``: first; ``None``: last); returns the id of the item before."""
        at = self._place(after)
        self._entries.insert(at, entry)
        return known(self._entries[at - 1].item.id) if at else None

    def last_id(self) -> str | None:
        """The id of the last item."""
        return known(self._entries[-1].item.id) if self._entries else None

    def delete(self, item_id: str) -> bool:
        """Remove an item; false when there is none."""
        entry = self.get(item_id)
        if entry is None:
            return False
        self._entries.remove(entry)
        return True

    def truncate(self, item_id: str, audio_end_ms: int) -> ErrorDetail | None:
        """Believe that only ``audio_end_ms`` of an answer were heard; an error's texts are OpenAI's."""
        entry = self.get(item_id)
        if entry is None:
            return _invalid("item_truncate_invalid_item_id", f"Item not found: {item_id}", "item_id")
        if entry.item.role != "assistant" or not entry.sent:
            return _invalid("unsupported_content_type", "Only model output audio messages can be truncated")
        if audio_end_ms > entry.audio_ms:
            return _invalid(
                None, f"Audio content of {entry.audio_ms}ms is already shorter than {audio_end_ms}ms"
            )
        entry.heard_ms = audio_end_ms
        entry.item = replace(entry.item, content=[Content(type="output_audio", transcript=entry.text)])
        return None

    def transcribed(self, item_id: str, transcript: str) -> None:
        """Note what the user said."""
        entry = self.get(item_id)
        if entry is not None:
            entry.item = replace(entry.item, content=[Content(type="input_audio", transcript=transcript)])

    def lines(self) -> list[Line]:
        """The conversation as a mind sees it."""
        return [_line(entry) for entry in self._entries]

    def knows_call(self, call_id: str) -> bool:
        """Whether a tool call with this id was made."""
        return any(
            entry.item.type == "function_call" and entry.item.call_id == call_id for entry in self._entries
        )

    def _place(self, after: str | None) -> int:
        if after == "root":
            return 0
        ids = [entry.item.id for entry in self._entries]
        return ids.index(after) + 1 if after in ids else len(ids)


def _line(entry: Entry) -> Line:
    item = entry.item
    match item.type:
        case "function_call":
            return Called(known(item.call_id), known(item.name), known(item.arguments))
        case "function_call_output":
            return Returned(known(item.call_id), known(item.output))
        case _:
            return Said(known(item.role), entry.text)


def _invalid(code: str | None, message: str, param: str | None = None) -> ErrorDetail:
    return ErrorDetail(type="invalid_request_error", code=code, message=message, param=param)


def content_of(item: Item) -> list[Content]:
    """An item's parts; none when absent."""
    return [] if item.content is UNSET else item.content
