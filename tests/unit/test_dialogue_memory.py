"""What is remembered of a conversation, and how a new connection is told."""

import pytest

from tests.fakes.talk import Conversation, audio, begun, call, sent, told
from voice_agent.dialogue import AgentSaid, Memory, Restored, ServerFault
from voice_agent.dialogue.memory import AgentLine, Line, ToolLine, UserLine, heard_words
from voice_agent.realtime.events import (
    Content,
    CreateItem,
    CreateResponse,
    DeleteItem,
    ErrorDetail,
    ServerError,
    SpeechStarted,
    SpeechStopped,
    TranscriptDelta,
    TranscriptionCompleted,
    TruncateItem,
)
from voice_agent.realtime.providers import AZURE, LOCAL, OPENAI, YANDEX, History, Provider, custom

PRIVATE = "my secret plans"


def lines(talk: Conversation) -> list[Line]:
    return list(talk.memory)


def restored(events: object) -> list[tuple[str, str, str]]:
    """Role, kind of content and text of every item that was created."""
    found = []
    for event in events:  # type: ignore[attr-defined]
        if isinstance(event, CreateItem):
            (part,) = event.item.content  # type: ignore[misc]
            assert isinstance(part, Content)
            found.append((str(event.item.role), part.type, str(part.text)))
    return found


# ------------------------------------------------------------------------------------------- memory


def test_a_conversation_is_remembered_in_its_order() -> None:
    talk = Conversation()
    talk.user_speaks("What time is it?", "u1")
    talk.agent_answers(words="It is noon.")
    talk.waits(2)
    assert lines(talk) == [UserLine(1, "What time is it?"), AgentLine(1, "It is noon.")]


def test_words_that_are_recognised_late_still_come_before_the_answer() -> None:
    talk = Conversation()
    talk.user_speaks(item="u1")
    talk.agent_answers(words="It is noon.")
    talk.waits(2)
    talk.hears(SpeechStarted(item_id="u2"))
    talk.hears(TranscriptionCompleted(item_id="u1", transcript="What time is it?"))
    assert lines(talk) == [UserLine(1, "What time is it?"), AgentLine(1, "It is noon.")]


def test_only_the_heard_part_of_an_interrupted_answer_is_remembered() -> None:
    talk = Conversation()
    talk.agent_answers(ms=2000, words="one two three four five six seven eight")
    talk.waits(1.0)
    talk.hears(SpeechStarted())
    assert lines(talk) == [AgentLine(0, "one two three four", cut=True)]


def test_an_answer_of_which_nothing_was_heard_is_not_remembered() -> None:
    talk = Conversation()
    talk.agent_answers(ms=2000, words="one two three")
    talk.hears(SpeechStarted())
    assert lines(talk) == []


def test_words_that_ran_ahead_of_their_sound_are_not_taken_for_heard() -> None:
    talk = Conversation()
    talk.hears(begun(), TranscriptDelta(response_id="r", item_id="a", delta="word " * 100), audio(1000))
    talk.waits(1.0)
    talk.hears(SpeechStarted())
    (line,) = lines(talk)
    assert 0 < len(line.text) <= 25


@pytest.mark.parametrize("heard", range(0, 1001, 50))
def test_the_heard_part_is_whole_words_and_never_more_than_its_share(heard: int) -> None:
    text = "a sentence of several words"
    part = heard_words(text, heard, 1000, 8000, complete=True)
    assert text.startswith(part)
    assert len(part) <= len(text) * heard / 1000
    assert text[len(part) :][:1] in ("", " ") or not part


def test_the_answers_of_tools_are_remembered_in_words_and_in_short() -> None:
    talk = Conversation()
    talk.hears(begun(), call("get_weather", "1"))
    talk.answers_tool("1", "sunny " * 1000)
    (line,) = lines(talk)
    assert isinstance(line, ToolLine)
    assert (line.name, line.arguments, line.text[:5]) == ("get_weather", "{}", "sunny")
    assert len(line.text) <= 400


def test_a_memory_is_bounded_in_turns_and_in_characters() -> None:
    memory = Memory(max_turns=3, max_chars=100)
    for turn in range(10):
        memory.enter((1, f"u{turn}"), UserLine(turn, "hello"))
        memory.enter((1, f"a{turn}"), AgentLine(turn, "good day"))
    assert [line.turn for line in memory] == [7, 7, 8, 8, 9, 9]
    memory.enter((1, "long"), UserLine(10, "very long " * 100))
    assert memory.chars <= 100
    assert memory.turns <= 3


def test_a_long_speech_is_shortened_and_does_not_push_out_the_rest() -> None:
    memory = Memory(max_chars=400)
    memory.enter((1, "u"), UserLine(1, "Tell me a story"))
    memory.enter((1, "a"), AgentLine(1, "Once " + "upon a time " * 100 + "the end"))
    question, story = memory
    assert question.text == "Tell me a story"
    assert story.text.startswith("Once")
    assert story.text.endswith("the end")


def test_nothing_that_was_said_shows_in_a_repr() -> None:
    talk = Conversation()
    talk.user_speaks(PRIVATE, "u1")
    talk.hears(begun(), call("get_weather", "1"))
    talk.answers_tool("1", PRIVATE)
    talk.hears(TranscriptDelta(response_id="r", item_id="a", delta=PRIVATE), audio(2000))
    shown = [repr(talk.drops()), repr(talk.memory), *map(repr, talk.memory), repr(talk.memory.entries())]
    assert "sounding=(Utterance" in shown[0]
    assert PRIVATE not in " ".join(shown)


# ------------------------------------------------------------------------------------------ restore


def conversation(provider: Provider = OPENAI, words: str = "What time is it?") -> Conversation:
    """One that has been held for a while and lost its connection in a quiet moment."""
    talk = Conversation(provider)
    talk.goes_live()
    talk.user_speaks(words, "u1")
    talk.hears(begun("r1"), call("clock", "c1", "r1"))
    talk.answers_tool("c1", '{"time": "12:00"}')
    talk.agent_answers(words="It is noon and the sun is out", ms=2000)
    talk.waits(1.0)
    talk.hears(SpeechStarted(item_id="u2"), SpeechStopped(item_id="u2"))
    talk.hears(TranscriptionCompleted(item_id="u2", transcript="Thanks"))
    talk.agent_answers(item="b", response="r3", words="You are welcome", ms=500)
    talk.waits(5.0)
    talk.drops()
    return talk


def test_a_connection_that_stands_by_says_nothing_of_the_past() -> None:
    talk = conversation()
    talk.dialogue = talk._dialogue(talk.carried.turn)
    assert talk.waits(60) == []


def test_a_first_connection_has_nothing_to_restore() -> None:
    talk = Conversation()
    assert talk.goes_live() == []


def test_history_is_restored_as_items_where_the_provider_takes_them() -> None:
    talk = conversation()
    commands = talk.reconnects()
    assert restored(sent(commands)) == [
        ("user", "input_text", "What time is it?"),
        ("system", "input_text", '(The tool clock answered: {"time": "12:00"})'),
        ("assistant", "output_text", "It is noon and ..."),
        ("user", "input_text", "Thanks"),
        ("assistant", "output_text", "You are welcome"),
    ]
    assert told(commands, Restored) == [Restored(2, talk.memory.chars)]


def test_history_is_restored_as_one_recap_where_assistant_items_are_refused() -> None:
    ((role, kind, text),) = restored(sent(conversation(YANDEX).reconnects()))
    assert (role, kind) == ("user", "input_text")
    assert "do not answer" in text
    assert "You: It is noon and ...\nI: Thanks\nYou: You are welcome" in text


def test_a_recap_is_told_in_the_language_of_the_conversation() -> None:
    talk = Conversation(YANDEX)
    talk.goes_live()
    talk.user_speaks("Который час?", "u1")
    talk.agent_answers(words="Полдень", ms=100)
    talk.waits(1)
    talk.drops()
    ((_, _, text),) = restored(sent(talk.reconnects()))
    assert "не отвечай" in text
    assert text.splitlines()[1:] == ["Я: Который час?", "Ты: Полдень"]


def test_restored_items_are_never_truncated_or_deleted() -> None:
    talk = conversation()
    talk.reconnects()
    events = sent(talk.hears(SpeechStarted()))
    talk.agent_answers(item="c", response="r9", ms=1000)
    talk.waits(0.5)
    events += sent(talk.hears(SpeechStarted()))
    assert events == [TruncateItem(item_id="c", content_index=0, audio_end_ms=500)]


def refusal(event: CreateItem, **more: str) -> ServerError:
    return ServerError(error=ErrorDetail(code="invalid_value", event_id=str(event.event_id), **more))


def test_a_server_that_refuses_the_items_gets_the_recap_once() -> None:
    talk = conversation()
    items = [event for event in sent(talk.reconnects()) if isinstance(event, CreateItem)]
    first = talk.hears(refusal(items[2]))
    ((role, _, text),) = restored(sent(first))
    assert (role, "You are welcome" in text) == ("user", True)
    assert [fact.kind for fact in told(first, ServerFault)] == ["benign"]
    assert sent(talk.hears(refusal(items[4]))) == []


def test_a_server_that_refuses_the_recap_as_well_is_left_in_peace() -> None:
    talk = conversation(YANDEX)
    (recap,) = sent(talk.reconnects())
    assert isinstance(recap, CreateItem)
    assert sent(talk.hears(refusal(recap))) == []


def test_a_refusal_is_remembered_by_the_next_connection() -> None:
    talk = conversation()
    (item, *_) = sent(talk.reconnects())
    assert isinstance(item, CreateItem)
    talk.hears(refusal(item))
    talk.drops()
    assert len(restored(sent(talk.reconnects()))) == 1


def test_a_server_under_pressure_is_not_taken_for_one_that_refuses_items() -> None:
    talk = conversation()
    (item, *_) = sent(talk.reconnects())
    assert isinstance(item, CreateItem)
    talk.hears(refusal(item, type="server_error"))
    talk.drops()
    assert len(restored(sent(talk.reconnects()))) == 5


def test_a_refusal_that_names_no_event_is_understood() -> None:
    talk = conversation()
    talk.reconnects()
    message = "MessageContentItemOutputText is not supported yet"
    assert len(restored(sent(talk.hears(ServerError(error=ErrorDetail(message=message)))))) == 1


def test_a_complaint_about_something_else_restores_nothing() -> None:
    talk = conversation()
    talk.reconnects()
    assert sent(talk.hears(ServerError(error=ErrorDetail(code="x", event_id="event_7")))) == []
    assert sent(talk.hears(ServerError(error=ErrorDetail(message="bad moon rising")))) == []


def test_a_restored_conversation_is_not_answered_by_itself() -> None:
    talk = conversation()
    events = [*sent(talk.reconnects()), *sent(talk.waits(60))]
    assert not [event for event in events if isinstance(event, CreateResponse)]


def test_every_provider_says_how_it_wants_to_be_told() -> None:
    ours = custom("wss://x", "a", "b", yandex=False), custom("wss://x", "a", "b", yandex=True)
    told_by = [provider.history for provider in (OPENAI, AZURE, LOCAL, YANDEX, *ours)]
    assert told_by == [History.ITEMS] * 3 + [History.RECAP, History.ITEMS, History.RECAP]


def test_the_end_of_an_utterance_is_told_with_all_its_words() -> None:
    talk = Conversation()
    talk.agent_answers(ms=100, words="Hi")
    assert told(talk.waits(1), AgentSaid) == [AgentSaid(0, "a", "Hi", 100, 100)]
    assert not [e for e in sent(talk.commands) if isinstance(e, DeleteItem)]
