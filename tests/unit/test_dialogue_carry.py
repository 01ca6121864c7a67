"""What one connection hands on to the next: nothing that was said is lost, and nothing is said twice."""

from dataclasses import replace

import pytest

from tests.fakes.talk import INPUT_RATE, Conversation, audio, begun, call, done, sent, told
from voice_agent.dialogue import (
    AgentSaid,
    AnswerFailed,
    Carried,
    FirstSound,
    Play,
    Silence,
    Silenced,
    State,
)
from voice_agent.dialogue.memory import AgentLine, UserLine
from voice_agent.realtime.events import (
    CreateItem,
    CreateResponse,
    Item,
    OutputItemAdded,
    SpeechStarted,
    SpeechStopped,
    TranscriptDelta,
    TranscriptionCompleted,
)
from voice_agent.realtime.providers import YANDEX

S = INPUT_RATE


def live(talk: Conversation | None = None) -> Conversation:
    """A connection that went live when ten seconds of sound had been captured."""
    talk = talk or Conversation()
    talk.speaker.sent = 10 * S
    talk.goes_live()
    talk.waits(20)
    return talk


def asks(talk: Conversation) -> int:
    return len([event for event in sent(talk.commands) if isinstance(event, CreateResponse)])


def failures(talk: Conversation) -> list[str]:
    return [fact.status for fact in talk.carried.facts if isinstance(fact, AnswerFailed)]


# ---------------------------------------------------------------------------------- a quiet moment


def test_nothing_is_owed_after_a_quiet_moment_but_the_sound_that_was_on_its_way() -> None:
    talk = live()
    talk.user_speaks("Hello", "u1")
    talk.agent_answers(ms=100)
    talk.waits(3)
    carried = talk.drops()
    assert not carried.owed
    assert carried.attempts == 0
    assert carried.resend_from is not None
    assert 1.0 <= (talk.speaker.sent - carried.resend_from) / S <= 4.0


def test_a_healthy_connection_that_is_renewed_resends_a_second_only() -> None:
    talk = live()
    talk.waits(300)
    carried = talk.dialogue.leave(talk.speaker.moment(), healthy=True)
    assert carried.resend_from == talk.speaker.sent - S


def test_sound_before_the_end_of_the_last_utterance_is_not_sent_again() -> None:
    talk = live()
    talk.user_speaks("Hello", "u1")
    end = talk.speaker.sent
    talk.agent_answers(ms=100)
    talk.waits(0.3)
    assert talk.drops().resend_from == end


def test_a_connection_that_never_went_live_has_nothing_to_hand_on() -> None:
    assert Conversation().drops() == Carried()


def test_the_turn_never_falls_from_connection_to_connection() -> None:
    talk = live()
    talk.user_speaks("one", "u1")
    talk.agent_answers()
    standing_by = talk._dialogue(turn=0)
    talk.user_speaks("two", "u2")
    talk.agent_answers(response="r2", item="b")
    talk.drops()
    talk.dialogue = standing_by
    talk.goes_live()
    assert talk.dialogue.turn == 2


# -------------------------------------------------------------------------------- an answer is owed


def test_an_utterance_whose_words_are_known_is_asked_for_on_the_next_connection() -> None:
    talk = live()
    talk.user_speaks("What time is it?", "u1")
    carried = talk.drops()
    assert carried.owed
    assert carried.resend_from == talk.speaker.sent
    events = sent(talk.reconnects())
    assert [type(event) for event in events] == [CreateItem, CreateResponse]
    assert talk.dialogue.state is State.THINKING


def test_a_recap_ends_with_the_words_that_are_to_be_answered() -> None:
    talk = live(Conversation(YANDEX))
    talk.user_speaks("Hello", "u1")
    talk.agent_answers(ms=100, words="Good day")
    talk.waits(1)
    talk.user_speaks("What time is it?", "u2")
    talk.drops()
    recap, last, request = sent(talk.reconnects())
    assert isinstance(recap, CreateItem)
    assert isinstance(last, CreateItem)
    assert "What time" not in str(recap.item.content)
    assert "What time is it?" in str(last.item.content)
    assert isinstance(request, CreateResponse)


def test_the_time_to_the_first_sound_counts_the_reconnect() -> None:
    talk = live()
    talk.user_speaks("What time is it?", "u1")
    talk.drops()
    talk.waits(2)
    talk.reconnects()
    talk.agent_answers(ms=500)
    (fact,) = told(talk.waits(0.2), FirstSound)
    assert fact.seconds == pytest.approx(2.0, abs=0.01)


def test_an_answer_that_was_begun_without_sound_is_asked_for_again() -> None:
    talk = live()
    talk.user_speaks("What time is it?", "u1")
    talk.hears(begun())
    assert talk.drops().owed


def test_an_answer_that_had_begun_to_sound_is_not_asked_for_again() -> None:
    talk = live()
    talk.user_speaks("What time is it?", "u1")
    talk.hears(begun(), audio(1000))
    carried = talk.drops()
    assert not carried.owed
    assert failures(talk) == ["cut"]


def test_an_answer_that_was_heard_is_not_asked_for_again() -> None:
    talk = live()
    talk.user_speaks("What time is it?", "u1")
    talk.agent_answers(ms=100)
    talk.waits(2)
    assert not talk.drops().owed
    assert failures(talk) == []


@pytest.mark.parametrize("answered", [True, False])
def test_a_drop_during_a_tool_call_is_made_good(answered: bool) -> None:
    talk = live()
    talk.user_speaks("What time is it?", "u1")
    talk.hears(begun(), audio(300), call("clock", "c1"), done())
    if answered:
        talk.answers_tool("c1")
    talk.drops()
    assert talk.carried.owed
    assert failures(talk) == []
    restored = [event for event in sent(talk.reconnects()) if isinstance(event, CreateItem)]
    assert any("clock" in str(event.item.content) for event in restored) is answered


def test_nobody_is_asked_for_ever() -> None:
    talk = live()
    talk.user_speaks("What time is it?", "u1")
    for attempt in (1, 2, 3):
        assert talk.drops().attempts == attempt
        assert talk.carried.owed
        talk.reconnects()
    talk.drops()
    assert failures(talk) == ["given up"]
    assert not talk.carried.owed
    before = asks(talk)
    talk.reconnects()
    assert asks(talk) == before


def test_an_answer_that_came_at_last_is_forgotten_as_owed() -> None:
    talk = live()
    talk.user_speaks("What time is it?", "u1")
    talk.drops()
    talk.reconnects()
    talk.agent_answers(ms=100)
    talk.waits(2)
    assert not talk.drops().owed


# ---------------------------------------------------------------------------------- heard once more


def test_a_user_who_is_cut_off_in_the_middle_is_heard_again_from_his_first_word() -> None:
    talk = live()
    talk.waits(5)
    talk.hears(SpeechStarted(item_id="u1", audio_start_ms=24_500))
    talk.waits(2)
    carried = talk.drops()
    assert carried.resend_from == round((10 + 24.5 - 0.3) * S)
    assert carried.question == 1
    assert not carried.owed


@pytest.mark.parametrize("reported", [0, 3_000, 26_000, 10**9])
def test_a_position_that_cannot_be_true_is_replaced_by_a_second_before_the_news(reported: int) -> None:
    talk = live()
    talk.waits(5)
    talk.hears(SpeechStarted(item_id="u1", audio_start_ms=reported))
    heard = talk.speaker.sent
    talk.waits(2)
    assert talk.drops().resend_from == heard - S


def test_an_utterance_whose_words_are_not_known_is_heard_again() -> None:
    talk = live()
    talk.hears(SpeechStarted(item_id="u1"))
    begin = talk.speaker.sent - S
    talk.waits(3)
    talk.hears(SpeechStopped(item_id="u1"))
    talk.waits(1)
    assert talk.drops().resend_from == begin


def test_words_that_will_be_heard_again_are_not_told_as_well() -> None:
    talk = live()
    talk.hears(SpeechStarted(item_id="u1"))
    talk.waits(1)
    talk.hears(SpeechStopped(item_id="u1"))
    talk.user_speaks("and tomorrow?", "u2")
    assert talk.drops().question == 2
    assert list(talk.memory) == []


def test_words_of_an_older_utterance_are_not_taken_for_those_of_the_last() -> None:
    talk = live()
    talk.user_speaks(item="u1")
    talk.agent_answers(ms=100)
    talk.waits(1)
    talk.user_speaks(item="u2")
    talk.hears(TranscriptionCompleted(item_id="u1", transcript="Hello"))
    assert not talk.drops().owed
    assert talk.carried.question == 2


def test_words_of_an_unknown_item_are_those_of_the_last_utterance() -> None:
    talk = live()
    talk.user_speaks(item="u1")
    talk.hears(TranscriptionCompleted(item_id="x", transcript="Hello"))
    assert talk.drops().owed


def test_an_utterance_whose_end_was_never_told_ends_with_the_next() -> None:
    talk = live()
    talk.hears(SpeechStarted(item_id="u1"))
    talk.waits(1)
    talk.user_speaks(item="u2")
    talk.agent_answers(ms=100)
    talk.waits(1)
    assert talk.drops().question is None


def test_what_was_sent_again_is_kept_until_the_server_hears_it() -> None:
    talk = live()
    talk.hears(SpeechStarted(item_id="u1"))
    first = talk.drops()
    talk.reconnects()
    talk.speaker.sent += 5 * S
    talk.waits(2)
    second = talk.drops()
    assert (second.resend_from, second.attempts) == (first.resend_from, 1)


def test_an_utterance_that_was_sent_again_counts_its_connections() -> None:
    talk = live()
    for attempt in (1, 2, 3):
        talk.user_speaks(item=f"u{attempt}")
        assert talk.drops().attempts == attempt
        talk.reconnects()
    talk.user_speaks(item="u4")
    end = talk.speaker.sent
    talk.drops()
    assert failures(talk) == ["given up"]
    assert talk.carried.resend_from == end


def test_a_user_who_speaks_on_through_many_drops_is_not_given_up() -> None:
    talk = live()
    for attempt in range(1, 9):
        talk.hears(SpeechStarted(item_id=f"u{attempt}"))
        assert talk.drops().question == attempt
        talk.reconnects()
    talk.hears(SpeechStarted(item_id="u9"), SpeechStopped(item_id="u9"))
    talk.drops()
    assert failures(talk) == ["given up"]


def test_what_the_server_does_not_hear_when_it_is_sent_again_is_told_as_failed() -> None:
    talk = live()
    talk.hears(SpeechStarted(item_id="u1"))
    talk.drops()
    talk.reconnects()
    assert talk.dialogue.state is State.THINKING
    assert [fact.status for fact in told(talk.waits(15.1), AnswerFailed)] == ["unheard"]
    assert talk.dialogue.state is State.IDLE
    assert talk.drops().attempts == 0


def test_sound_that_was_sent_in_one_go_is_not_proved_by_the_first_sign_of_life() -> None:
    talk = live()
    talk.waits(5)
    talk.drops()
    talk.reconnects()
    base = talk.speaker.sent
    talk.speaker.sent += 8 * S
    talk.waits(0.1)
    talk.hears(OutputItemAdded(item=Item()))
    assert talk.drops().resend_from == base


# -------------------------------------------------------------------------------- still to be heard


def speaking(*, whole: bool) -> Conversation:
    """The connection is lost while the agent speaks."""
    talk = live()
    talk.user_speaks("Tell me", "u1")
    if whole:
        talk.agent_answers(ms=2000, words="one two three four")
    else:
        words = TranscriptDelta(response_id="r", item_id="a", delta="one two three four")
        talk.hears(begun(), words, audio(2000))
    talk.waits(0.5)
    talk.drops()
    talk.reconnects()
    return talk


def test_what_had_arrived_plays_to_its_end_and_is_told_there() -> None:
    talk = speaking(whole=True)
    assert talk.dialogue.state is State.SPEAKING
    assert told(talk.waits(2), AgentSaid) == [AgentSaid(1, "a", "one two three four", 2000, 2000)]
    assert talk.dialogue.state is State.IDLE
    assert not [c for c in talk.commands if isinstance(c, Silence)]


def test_what_had_arrived_can_be_interrupted_and_is_unknown_to_the_new_server() -> None:
    talk = speaking(whole=True)
    talk.waits(0.5)
    commands = talk.hears(SpeechStarted())
    assert commands[0] == Silence()
    assert sent(commands) == []
    assert told(commands, AgentSaid) == [AgentSaid(1, "a", "one two three four", 1000, 2000)]
    assert told(commands, Silenced) == [Silenced(2, 1, 1000)]
    assert list(talk.memory) == [UserLine(1, "Tell me"), AgentLine(1, "one two", cut=True)]


def test_the_memory_holds_what_will_be_heard_even_if_more_was_to_come() -> None:
    talk = speaking(whole=False)
    assert failures(talk) == ["cut"]
    expected = AgentLine(1, "one two three four", cut=True)
    assert list(talk.memory)[1:] == [expected]
    assert len(told(talk.waits(3), AgentSaid)) == 1
    assert talk.dialogue.state is State.IDLE
    assert list(talk.memory)[1:] == [expected]


def test_an_item_of_the_new_server_with_the_same_name_is_another_one() -> None:
    talk = speaking(whole=True)
    commands = talk.hears(begun(), audio(100))
    assert [command.starts for command in commands if isinstance(command, Play)] == [True]


def test_what_is_still_to_be_heard_is_handed_on_again_and_again() -> None:
    talk = speaking(whole=True)
    talk.drops()
    talk.reconnects()
    assert talk.dialogue.state is State.SPEAKING
    assert len(told(talk.waits(3), AgentSaid)) == 1


def test_a_first_sound_that_is_still_to_come_is_told_by_the_next_connection() -> None:
    talk = live()
    talk.user_speaks("Tell me", "u1")
    talk.hears(begun(), audio(500))
    talk.drops()
    talk.reconnects()
    assert len(told(talk.waits(1), FirstSound)) == 1


def test_sound_whose_loudspeaker_is_gone_is_not_waited_for() -> None:
    talk = speaking(whole=True)
    talk.drops()
    talk.speaker.queued = talk.speaker.played = 0
    talk.reconnects()
    assert talk.dialogue.state is State.IDLE


# ------------------------------------------------------------------------------------------- quiet


def test_quiet_lasts_from_the_last_sound_on() -> None:
    talk = Conversation()
    assert talk.dialogue.quiet_since is None
    talk.goes_live()
    assert talk.dialogue.quiet_since == talk.speaker.now
    talk.hears(SpeechStarted())
    assert talk.dialogue.quiet_since is None
    talk.hears(SpeechStopped())
    talk.agent_answers(ms=500)
    end = talk.speaker.now + 0.5
    talk.waits(10)
    assert talk.dialogue.quiet_since == pytest.approx(end, abs=0.03)


def test_a_position_that_the_lead_moves_is_obeyed() -> None:
    talk = live()
    talk.drops()
    talk.carried = replace(talk.carried, resend_from=42)
    talk.reconnects()
    assert talk.drops().resend_from == 42
