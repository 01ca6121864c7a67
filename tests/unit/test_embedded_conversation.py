"""Items, their order, and the text that was really heard."""

import pytest

from voice_agent.embedded.conversation import Conversation, Entry, Word
from voice_agent.embedded.mind import Called, Returned, Said
from voice_agent.realtime.events import Content, Item


def spoken(*words: str, ms_each: int = 100, rate: int = 24_000) -> Entry:
    samples = rate * ms_each // 1000
    item = Item(id="a", role="assistant", content=[Content(type="output_audio", transcript=" ".join(words))])
    placed = [Word(f"{word} ", (n + 1) * samples) for n, word in enumerate(words)]
    return Entry(item, rate, placed, len(words) * samples)


def message(item_id: str, role: str, text: str) -> Entry:
    return Entry(Item(id=item_id, role=role, content=[Content(type="input_text", text=text)]))


@pytest.mark.parametrize(
    ("ms", "text"), [(0, ""), (99, ""), (100, "one"), (250, "one two"), (300, "one two three")]
)
def test_a_truncated_answer_ends_with_the_last_whole_word(ms: int, text: str) -> None:
    conversation = Conversation()
    conversation.add(spoken("one", "two", "three"))
    assert conversation.truncate("a", ms) is None
    assert conversation.lines() == [Said("assistant", text)]


def test_a_second_truncation_can_only_take_away() -> None:
    conversation = Conversation()
    conversation.add(spoken("one", "two", "three"))
    assert conversation.truncate("a", 200) is None
    error = conversation.truncate("a", 300)
    assert error is not None
    assert error.message == "Audio content of 200ms is already shorter than 300ms"


def test_a_written_answer_cannot_be_truncated() -> None:
    conversation = Conversation()
    conversation.add(message("a", "assistant", "Hello."))
    error = conversation.truncate("a", 0)
    assert error is not None
    assert error.code == "unsupported_content_type"


def test_an_unknown_item_cannot_be_truncated() -> None:
    error = Conversation().truncate("x", 0)
    assert error is not None
    assert error.code == "item_truncate_invalid_item_id"


def test_a_mind_sees_messages_calls_and_outputs() -> None:
    conversation = Conversation()
    conversation.add(message("u", "user", "Weather?"))
    conversation.add(Entry(Item(id="c", type="function_call", call_id="1", name="w", arguments="{}")))
    conversation.add(Entry(Item(id="o", type="function_call_output", call_id="1", output="Rain")))
    assert conversation.lines() == [Said("user", "Weather?"), Called("1", "w", "{}"), Returned("1", "Rain")]
    assert conversation.knows_call("1")
    assert not conversation.knows_call("2")


def test_a_transcript_becomes_the_users_words() -> None:
    conversation = Conversation()
    item = Item(id="u", role="user", content=[Content(type="input_audio", transcript=None)])
    conversation.add(Entry(item))
    assert conversation.lines() == [Said("user", "")]
    conversation.transcribed("u", "Hello.")
    assert conversation.lines() == [Said("user", "Hello.")]
    conversation.transcribed("gone", "Nobody said this.")


def test_items_are_inserted_where_asked() -> None:
    conversation = Conversation()
    assert conversation.add(message("b", "user", "")) is None
    assert conversation.add(message("d", "user", "")) == "b"
    assert conversation.add(message("c", "user", ""), "b") == "b"
    assert conversation.add(message("a", "user", ""), "root") is None
    assert [entry.item.id for entry in conversation] == ["a", "b", "c", "d"]
    assert conversation.delete("b")
    assert not conversation.delete("b")
    assert len(conversation) == 3
