"""The book of answers: each response's turn, its items and their words.

A response is audible while its turn is the current one. Servers may mention a response late or without
having announced it, so asking for one always yields an entry; the oldest entries leave the book.
"""

from dataclasses import dataclass, field
from typing import TypeVar

from voice_agent.realtime.events import OutputItemAdded, TextDelta, TranscriptDelta, known

REMEMBERED = 32
"""Late events refer to recent responses and items only."""

MAX_CHARS = 100_000
"""Of one item's words: two hours of speech. A server that goes on is not listened to, as each of its words
would take longer to add than the one before."""

T = TypeVar("T")


@dataclass(slots=True)
class Words:
    """The text of one item. Yandex sends spoken words as text; the first kind of delta that comes counts."""

    kind: type | None = None
    text: str = ""
    told: bool = False
    """Observers know how much of the item was heard."""


@dataclass(slots=True)
class Answer:
    """One response. ``over``: the server has ended it, or never began it. ``ended``: its end was dealt with.

    ``sounded``: some of its audio was played. ``worked``: it holds more than messages, such as calls.
    ``called``: some of those were calls of our tools.
    ``last_at``: when something of it arrived, ``cancelled_at``: when we lost patience (monotonic seconds).
    """

    turn: int
    over: bool = False
    ended: bool = False
    sounded: bool = False
    worked: bool = False
    called: bool = False
    last_at: float = 0.0
    cancelled_at: float | None = None
    words: dict[str, Words] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    call_names: dict[str, str] = field(default_factory=dict)

    def words_of(self, item_id: str) -> Words:
        """The text of an item so far."""
        return self.words.setdefault(item_id, Words())

    def write(self, event: TranscriptDelta | TextDelta) -> None:
        """Append to an item's text."""
        kind = TranscriptDelta if isinstance(event, TranscriptDelta) else TextDelta
        words = self.words_of(event.item_id)
        words.kind = words.kind or kind
        if words.kind is kind and len(words.text) < MAX_CHARS:
            words.text += event.delta

    def finish(self, item_id: str, text: str) -> None:
        """Replace an item's text by the whole one."""
        words = self.words_of(item_id)
        words.text = text or words.text

    def note_item(self, event: OutputItemAdded) -> None:
        """Remember names of calls (Yandex does not repeat them) and messages that may never sound."""
        if event.item.type == "function_call":
            self.call_names[known(event.item.call_id)] = known(event.item.name)
        elif event.item.type == "message" and event.item.id:
            self.messages.append(known(event.item.id))
        self.worked |= event.item.type != "message"

    def unheard_messages(self) -> list[str]:
        """Announced messages of which nothing has been told as heard."""
        return [item for item in self.messages if not (item in self.words and self.words[item].told)]

    def unspoken_words(self) -> dict[str, str]:
        """Texts by item of which no sound has been told."""
        return {item: words.text for item, words in self.words.items() if words.text and not words.told}


class Answers:
    """The responses of one connection, by id."""

    def __init__(self) -> None:
        self._answers: dict[str, Answer] = {}

    def begin(self, response_id: str, turn: int, *, now: float) -> Answer:
        """Enter a response that was announced, perhaps after its first pieces, or twice."""
        answer = self._answers.get(response_id)
        if answer is None or answer.turn != turn:  # sloppy servers use an id again
            answer = keep_recent(self._answers, response_id, Answer(turn))
        answer.over, answer.last_at = answer.ended, now
        return answer

    def progress(self, response_id: str, *, now: float) -> None:
        """Something of a response arrived."""
        if (answer := self._answers.get(response_id)) is not None:
            answer.last_at = now

    def find(self, response_id: str, turn: int) -> Answer:
        """The response with this id; one that was never announced belongs to ``turn``."""
        found = self._answers.get(response_id)
        return found or keep_recent(self._answers, response_id, Answer(turn, over=True))

    def under_way(self) -> dict[str, Answer]:
        """The responses that the server has not ended, by id."""
        return {key: answer for key, answer in self._answers.items() if not answer.over}


def keep_recent(book: dict[str, T], key: str, value: T, *, limit: int = REMEMBERED) -> T:
    """Enter ``value``; the oldest entries leave, so that a long session does not grow."""
    book[key] = value
    while len(book) > limit:
        del book[next(iter(book))]
    return value
