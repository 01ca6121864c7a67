"""A button silences the agent: at once, for good, and without a word of the user."""

from tests.fakes.talk import Conversation, audio, begun, call, done, sent, told
from voice_agent.dialogue import (
    AnswerFailed,
    CancelTool,
    Command,
    Play,
    Silence,
    Silenced,
    State,
    Stuck,
    TurnStarted,
)
from voice_agent.realtime.events import (
    CancelResponse,
    CreateItem,
    CreateResponse,
    DeleteItem,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    TruncateItem,
    TurnDetection,
)
from voice_agent.realtime.providers import OPENAI, SessionSettings


def live(settings: SessionSettings | None = None) -> Conversation:
    talk = Conversation(OPENAI, settings)
    talk.hears(SessionUpdated())
    talk.goes_live()
    return talk


def hushed(talk: Conversation) -> list[Command]:
    commands = list(talk.dialogue.hush(talk.speaker.moment()))
    talk._obey(commands)
    return commands


def plays(commands: list[Command]) -> bool:
    return any(isinstance(command, Play) for command in commands)


def test_what_sounds_is_cut_and_the_server_learns_what_was_heard() -> None:
    talk = live()
    talk.user_speaks("tell me a story")
    talk.hears(begun(), audio(2000))
    talk.waits(0.5)
    commands = hushed(talk)
    assert Silence() in commands
    assert sent(commands) == [
        TruncateItem(item_id="a", content_index=0, audio_end_ms=500),
        CancelResponse(response_id="r"),
    ]
    assert told(commands, Silenced) == [Silenced(2, 1, 500)]
    assert told(commands, TurnStarted) == [], "nobody has begun to speak"
    assert talk.dialogue.state is State.IDLE


def test_what_still_arrives_of_a_silenced_answer_is_not_heard() -> None:
    talk = live()
    talk.user_speaks("tell me a story")
    talk.hears(begun(), audio(2000))
    hushed(talk)
    late = talk.hears(audio(500), audio(500, item="b"), done(status="cancelled"))
    assert not plays(late)
    assert told(late, AnswerFailed) == []
    assert talk.waits(120) == [], "and nothing is missed"


def test_an_answer_that_is_still_to_come_is_cancelled_when_it_comes() -> None:
    talk = live()
    talk.user_speaks("tell me a story")
    assert talk.dialogue.state is State.THINKING
    commands = hushed(talk)
    assert sent(commands) == []
    assert talk.dialogue.state is State.IDLE
    late = talk.hears(begun())
    assert sent(late) == [CancelResponse(response_id="r")]
    assert not plays(talk.hears(audio(500), done(status="cancelled")))
    assert told(talk.waits(120), Stuck) == []


def test_an_answer_that_we_asked_for_is_cancelled_too() -> None:
    talk = live(SessionSettings(turn_detection=TurnDetection(create_response=False)))
    talk.user_speaks("tell me a story")
    hushed(talk)
    assert sent(talk.hears(begun())) == [CancelResponse(response_id="r")]


def test_a_tool_at_work_is_given_up_and_nobody_is_told() -> None:
    talk = live()
    talk.user_speaks("what is the time")
    talk.hears(begun(), call("get_time", "c1"), done())
    commands = hushed(talk)
    assert CancelTool("c1") in commands
    assert [type(event) for event in sent(commands)] == [CreateItem]
    assert talk.answers_tool("c1") == []
    assert CreateResponse not in {type(event) for event in sent(talk.waits(30))}


def test_who_speaks_next_is_heard_and_answered_as_ever() -> None:
    talk = live()
    talk.user_speaks("tell me a story")
    talk.hears(begun(), audio(2000))
    hushed(talk)
    talk.hears(done(status="cancelled"))
    talk.user_speaks("another one")
    assert plays(talk.hears(begun("r2"), audio(500, response="r2", item="b")))


def test_while_the_user_speaks_there_is_nothing_to_silence() -> None:
    talk = live()
    talk.hears(SpeechStarted())
    assert hushed(talk) == []
    talk.hears(SpeechStopped())
    assert plays(talk.hears(begun(), audio(500)))


def test_a_silence_into_silence_changes_nothing_that_is_heard() -> None:
    talk = live()
    assert sent(hushed(talk)) == []
    talk.user_speaks("hello")
    assert plays(talk.hears(begun(), audio(500)))


def test_an_item_of_which_nothing_was_heard_is_deleted() -> None:
    talk = live()
    talk.user_speaks("hello")
    talk.hears(begun(), audio(500))
    assert DeleteItem(item_id="a") in sent(hushed(talk))


def test_what_was_silenced_is_not_owed_to_the_next_connection() -> None:
    talk = live()
    talk.user_speaks("tell me a story")
    hushed(talk)
    carried = talk.drops()
    assert not carried.owed
    assert carried.question is None


def test_where_the_user_spoke_is_known_though_not_all_was_sent() -> None:
    talk = live()
    talk.waits(2)  # sent
    at = talk.speaker.moment()
    skipped = at._replace(sent=at.sent + 30 * 24_000, skipped=30 * 24_000)  # then half a minute was withheld
    talk.dialogue.receive(SpeechStarted(audio_start_ms=1500, item_id="u"), skipped)
    carried = talk.dialogue.leave(skipped)
    assert carried.resend_from == (30_000 + 1500 - 300) * 24
