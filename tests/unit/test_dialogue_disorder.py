"""Events that come twice, too early or too late, and servers whose ids mean nothing."""

from msgspec import Raw

from tests.fakes.talk import Conversation, audio, begun, done, sent, told
from voice_agent.dialogue import AnswerDropped, Granted, Play, ServerFault, State, TurnStarted, UserStopped
from voice_agent.realtime.events import (
    CreateResponse,
    ResponseCreated,
    ResponseInfo,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
)
from voice_agent.realtime.providers import YANDEX


def test_an_event_that_comes_twice_counts_once() -> None:
    talk = Conversation()
    started = SpeechStarted(event_id="e1", item_id="u1", audio_start_ms=500)
    talk.hears(started, SpeechStopped(event_id="e2", item_id="u1"), begun())
    commands = talk.hears(started)
    assert told(commands, TurnStarted) == []
    assert [fact.code for fact in told(commands, ServerFault)] == ["duplicate"]
    assert [type(command) for command in talk.hears(audio(100))] == [Play]


def test_a_late_copy_of_the_end_of_speech_asks_for_nothing() -> None:
    talk = Conversation()
    stopped = SpeechStopped(event_id="e2", item_id="u1")
    talk.hears(SpeechStarted(event_id="e1", item_id="u1"), stopped)
    talk.agent_answers(ms=100)
    talk.hears(stopped)
    assert not [event for event in sent(talk.waits(60)) if isinstance(event, CreateResponse)]


def test_a_server_that_gives_all_events_one_id_is_still_heard() -> None:
    talk = Conversation()
    talk.hears(SessionUpdated(event_id="e"))
    for _ in range(3):
        assert len(told(talk.hears(SpeechStarted(event_id="e", item_id="u")), TurnStarted)) == 1
        talk.hears(SpeechStopped(event_id="e", item_id="u"))


def test_a_server_that_gives_all_responses_one_id_is_still_heard() -> None:
    talk = Conversation()
    for _ in range(3):
        talk.user_speaks()
        talk.agent_answers(ms=100)
        talk.waits(1)
    assert told(talk.commands, AnswerDropped) == []
    assert len([command for command in talk.commands if isinstance(command, Play)]) == 3


def test_an_answer_that_is_announced_again_after_its_end_is_not_waited_for() -> None:
    talk = Conversation()
    talk.user_speaks()
    talk.agent_answers(ms=100)
    talk.waits(1)
    talk.hears(ResponseCreated(response=ResponseInfo(id="r")))
    assert talk.dialogue.state is State.IDLE


def test_sound_that_comes_after_the_end_of_its_answer_is_not_waited_for() -> None:
    talk = Conversation()
    talk.user_speaks()
    talk.hears(begun(), audio(100), done(), audio(100, item="b"))
    talk.waits(1)
    assert talk.dialogue.state is State.IDLE


def test_an_end_of_speech_that_overtakes_its_beginning_waits_for_it() -> None:
    talk = Conversation()
    assert talk.hears(SpeechStopped(item_id="u1")) == []
    commands = talk.hears(SpeechStarted(item_id="u1"))
    assert [fact.turn for fact in told(commands, UserStopped)] == [1]
    assert talk.dialogue.state is State.THINKING


def test_a_rate_that_is_not_repeated_has_not_changed() -> None:
    talk = Conversation(YANDEX)
    stated = SessionUpdated(session=Raw(b'{"audio":{"output":{"format":{"rate":24000}}}}'))
    assert talk.hears(stated) == [Granted(24000, 24000)]
    assert talk.hears(SessionUpdated(session=Raw(b"{}"))) == []
