"""The dialogue, one rule at a time: values in, values out."""

import pytest
from msgspec import Raw

from tests.fakes.talk import MS, Conversation, audio, done, sent, told
from voice_agent.dialogue import (
    Abandon,
    AgentSaid,
    AnswerDropped,
    AnswerFailed,
    Finish,
    FirstSound,
    Granted,
    Play,
    ServerFault,
    Silence,
    State,
    UserSaid,
    UserStopped,
)
from voice_agent.errors import ConnectionLost, Unauthorized
from voice_agent.formats import Sounded
from voice_agent.realtime.events import (
    AudioDelta,
    AudioDone,
    CancelResponse,
    CreateResponse,
    DeleteItem,
    ErrorDetail,
    Item,
    Malformed,
    OutputItemAdded,
    OutputItemDone,
    ResponseCreated,
    ResponseDone,
    ResponseInfo,
    ServerError,
    ServerEvent,
    SessionCreated,
    SessionUpdate,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    StatusDetails,
    TextDelta,
    TranscriptDelta,
    TranscriptionCompleted,
    TruncateItem,
    TurnDetection,
    Unrecognised,
)
from voice_agent.realtime.providers import YANDEX, SessionSettings

# ------------------------------------------------------------------------------------------ session


def test_the_session_is_introduced_and_its_granted_rates_are_obeyed() -> None:
    talk = Conversation()
    (update,) = sent(talk.hears(SessionCreated()))
    assert isinstance(update, SessionUpdate)
    session = Raw(b'{"audio":{"input":{"format":{"rate":16000}},"output":{"format":{"rate":44100}}}}')
    assert talk.hears(SessionUpdated(session=session)) == [Granted(16000, 44100)]


def test_a_second_confirmation_of_the_session_changes_nothing() -> None:
    talk = Conversation()
    assert talk.hears(SessionUpdated()) == [Granted(24000, 24000)]
    assert talk.hears(SessionUpdated()) == []


def test_a_server_that_states_no_output_rate_gets_its_own_default() -> None:
    silent = SessionUpdated(session=Raw(b'{"audio":null}'))
    assert Conversation(YANDEX).hears(silent) == [Granted(24000, 44100)]


@pytest.mark.parametrize("rate", [-5, 0, 1, 7999, 48001, 10**12])
def test_an_absurd_rate_is_not_obeyed(rate: int) -> None:
    session = Raw(
        b'{"audio":{"input":{"format":{"rate":%d}},"output":{"format":{"rate":%d}}}}' % (rate, rate)
    )
    assert Conversation().hears(SessionUpdated(session=session)) == [Granted(24000, 24000)]


def test_a_refused_session_update_abandons_the_connection() -> None:
    talk = Conversation()
    talk.hears(SessionCreated())
    commands = talk.hears(ServerError(error=ErrorDetail(event_id="session_update", message="bad rate")))
    assert [type(c.error) for c in commands if isinstance(c, Abandon)] == [Unauthorized]


@pytest.mark.parametrize(
    ("code", "error"), [("session_expired", ConnectionLost), ("insufficient_quota", Unauthorized)]
)
def test_errors_that_end_the_session_abandon_the_connection(code: str, error: type[Exception]) -> None:
    commands = Conversation().hears(ServerError(error=ErrorDetail(code=code)))
    assert [type(c.error) for c in commands if isinstance(c, Abandon)] == [error]


@pytest.mark.parametrize("code", ["response_cancel_not_active", "something_new", None])
def test_other_errors_are_told_and_survived(code: str | None) -> None:
    commands = Conversation().hears(ServerError(error=ErrorDetail(code=code)))
    assert len(told(commands, ServerFault)) == len(commands) == 1


def test_what_is_no_event_is_told_and_survived() -> None:
    commands = Conversation().hears(Unrecognised("ping"), Malformed("", "not JSON"))
    assert [fact.kind for fact in told(commands, ServerFault)] == ["unrecognised", "malformed"]


# ------------------------------------------------------------------------------------------ answers


def test_an_answer_is_played_whole_and_then_nothing_is_owed() -> None:
    talk = Conversation()
    talk.user_speaks()
    assert talk.dialogue.state is State.THINKING
    talk.agent_answers(ms=1000)
    assert talk.dialogue.state is State.SPEAKING
    talk.waits(1.1)
    assert talk.dialogue.state is State.IDLE
    assert talk.dialogue.deadline is None
    assert len(talk.speaker.sounded) == 1000 * MS * 2


def test_an_answer_that_pauses_is_waited_for_without_polling() -> None:
    talk = Conversation()
    talk.user_speaks()
    talk.hears(ResponseCreated(response=ResponseInfo(id="r")), audio(100))
    talk.waits(0.2)
    assert talk.dialogue.deadline is not None
    assert talk.dialogue.deadline > talk.speaker.now + 20
    talk.hears(done())
    assert talk.dialogue.state is State.IDLE


def test_half_samples_wait_for_their_other_halves() -> None:
    talk = Conversation()
    talk.hears(ResponseCreated(response=ResponseInfo(id="r")))
    for piece in (b"\1", b"\2\3", b"\4\5\6", b"\7", b"\x08"):
        talk.hears(AudioDelta(response_id="r", item_id="a", delta=piece))
    talk.waits(1.0)
    assert bytes(talk.speaker.sounded) == bytes(range(1, 9))


def test_the_first_sound_is_measured_at_the_loudspeaker() -> None:
    talk = Conversation()
    talk.user_speaks()
    talk.waits(0.4)
    talk.hears(ResponseCreated(response=ResponseInfo(id="r")), audio(500))
    (fact,) = told(talk.waits(0.3), FirstSound)
    assert isinstance(fact, FirstSound)
    assert fact.model_s == pytest.approx(0.4)
    assert fact.seconds == pytest.approx(0.4, abs=0.001)


def test_the_parts_of_the_first_sound_add_up() -> None:
    talk = Conversation()
    talk.user_speaks()
    talk.waits(0.4)
    talk.hears(ResponseCreated(response=ResponseInfo(id="r")), audio(500))
    began = talk.speaker.now
    talk.speaker.elapse(0.3)
    sounded = Sounded(free_at=began + 0.0625, given_at=began + 0.125, heard_at=began + 0.25)
    at = talk.speaker.moment()._replace(onset=sounded)
    (fact,) = told(talk.dialogue.wake(at), FirstSound)
    assert [fact.model_s, fact.hold_s, fact.own_s, fact.device_s] == pytest.approx(
        [0.4, 0.0625, 0.0625, 0.125]
    )
    assert fact.seconds == pytest.approx(0.65)
    assert talk.dialogue.onset is None, "nothing more is to be told"


def test_a_hold_that_was_over_before_the_answer_came_is_none() -> None:
    talk = Conversation()
    talk.user_speaks()
    talk.hears(ResponseCreated(response=ResponseInfo(id="r")), audio(500))
    began = talk.speaker.now
    talk.speaker.elapse(0.3)
    at = talk.speaker.moment()._replace(onset=Sounded(began - 9.0, began + 0.125, began + 0.125))
    (fact,) = told(talk.dialogue.wake(at), FirstSound)
    assert (fact.hold_s, fact.own_s) == pytest.approx((0.0, 0.125))


@pytest.mark.parametrize(
    ("sent_ms", "named_ms", "late_s"),
    [(2000, 1500, 0.5), (2000, 2000, 0.0), (2000, 0, None), (2000, 2500, None)],
)
def test_how_late_the_end_of_speech_is_told_is_counted_in_sound(
    sent_ms: int, named_ms: int, late_s: float | None
) -> None:
    talk = Conversation()
    talk.goes_live()
    talk.waits(sent_ms / 1000)
    commands = talk.hears(SpeechStarted(), SpeechStopped(audio_end_ms=named_ms))
    assert told(commands, UserStopped) == [UserStopped(1, late_s)]


def test_an_end_of_speech_before_the_session_is_live_is_not_measured() -> None:
    commands = Conversation().hears(SpeechStarted(), SpeechStopped(audio_end_ms=10))
    assert told(commands, UserStopped) == [UserStopped(1, None)]


def test_a_new_rate_forgets_an_onset_that_will_never_sound() -> None:
    talk = Conversation()
    talk.hears(SessionUpdated())
    talk.user_speaks()
    talk.hears(ResponseCreated(response=ResponseInfo(id="r")), audio(500))
    assert talk.dialogue.onset == 0
    talk.hears(SessionUpdated(session=Raw(b'{"audio":{"output":{"format":{"rate":48000}}}}')))
    assert talk.dialogue.onset is None


def test_words_reach_the_observer_with_the_heard_part() -> None:
    talk = Conversation()
    talk.hears(
        ResponseCreated(response=ResponseInfo(id="r")),
        TranscriptDelta(response_id="r", item_id="a", delta="Good "),
        audio(1000),
        TranscriptDelta(response_id="r", item_id="a", delta="day"),
    )
    talk.waits(0.25)
    (fact,) = told(talk.hears(SpeechStarted()), AgentSaid)
    assert fact == AgentSaid(0, "a", "Good day", heard_ms=250, sent_ms=1000)


def test_yandex_words_of_a_spoken_answer_come_as_text() -> None:
    talk = Conversation(YANDEX)
    talk.hears(
        ResponseCreated(response=ResponseInfo(id="r")),
        TextDelta(response_id="r", item_id="a", delta="Добрый день"),
        audio(100),
    )
    assert told(talk.hears(done()), AgentSaid) == []
    assert told(talk.waits(1.0), AgentSaid) == [AgentSaid(0, "a", "Добрый день", 100, 100)]


def test_words_that_come_twice_are_told_once() -> None:
    talk = Conversation()
    talk.hears(
        ResponseCreated(response=ResponseInfo(id="r")),
        TranscriptDelta(response_id="r", item_id="a", delta="Hi"),
        TextDelta(response_id="r", item_id="a", delta="Hi"),
        audio(100),
        done(),
    )
    assert told(talk.waits(1.0), AgentSaid) == [AgentSaid(0, "a", "Hi", 100, 100)]


def test_an_answer_in_text_only_is_told_as_unheard() -> None:
    talk = Conversation()
    talk.hears(ResponseCreated(response=ResponseInfo(id="r")))
    talk.hears(TextDelta(response_id="r", item_id="a", delta="Silence is golden"))
    assert told(talk.hears(done()), AgentSaid) == [AgentSaid(0, "a", "Silence is golden", 0, 0)]


def test_what_the_user_said_belongs_to_the_turn_of_its_item() -> None:
    talk = Conversation()
    talk.hears(SpeechStarted(item_id="u1"), SpeechStopped(), SpeechStarted(item_id="u2"))
    facts = told(talk.hears(TranscriptionCompleted(item_id="u1", transcript=" Hello ")), UserSaid)
    assert facts == [UserSaid(1, "Hello")]


def test_a_server_that_does_not_answer_by_itself_is_asked_to() -> None:
    talk = Conversation(settings=SessionSettings(turn_detection=TurnDetection(create_response=False)))
    talk.hears(SpeechStarted())
    assert [type(event) for event in sent(talk.hears(SpeechStopped()))] == [CreateResponse]


def test_an_answer_that_breaks_off_is_told_with_its_reason() -> None:
    talk = Conversation()
    info = ResponseInfo(id="r", status="incomplete", status_details=StatusDetails(reason="content_filter"))
    begun = ResponseCreated(response=ResponseInfo(id="r"))
    commands = talk.hears(begun, audio(100), ResponseDone(response=info))
    assert told(commands, AnswerFailed) == [AnswerFailed(0, "incomplete", "content_filter")]


# ----------------------------------------------------------------------------------------- barge-in


def test_the_user_silences_the_agent_and_the_server_learns_what_was_heard() -> None:
    talk = Conversation()
    talk.agent_answers(ms=2000)
    talk.waits(0.75)
    commands = talk.hears(SpeechStarted())
    assert Silence() in commands
    assert sent(commands) == [TruncateItem(item_id="a", content_index=0, audio_end_ms=750)]
    assert talk.speaker.silent


def test_silence_precedes_everything_that_is_sent() -> None:
    talk = Conversation()
    talk.agent_answers()
    talk.waits(0.1)
    assert isinstance(talk.hears(SpeechStarted())[0], Silence)


def test_an_item_of_which_nothing_was_heard_is_deleted_not_truncated_to_nothing() -> None:
    talk = Conversation()
    talk.agent_answers(ms=2000)
    assert sent(talk.hears(SpeechStarted())) == [DeleteItem(item_id="a")]


def test_an_item_heard_to_its_end_is_left_alone() -> None:
    talk = Conversation()
    talk.agent_answers(ms=500)
    talk.waits(0.6)
    commands = talk.hears(SpeechStarted())
    assert sent(commands) == []
    assert Silence() not in commands


def test_each_of_several_queued_items_is_corrected() -> None:
    talk = Conversation()
    talk.agent_answers(item="a", ms=300, response="r1")
    talk.agent_answers(item="b", ms=300, response="r2")
    talk.agent_answers(item="c", ms=300, response="r3")
    talk.waits(0.4)
    assert sent(talk.hears(SpeechStarted())) == [
        TruncateItem(item_id="b", content_index=0, audio_end_ms=100),
        DeleteItem(item_id="c"),
    ]


def test_an_item_is_not_deleted_for_an_unheard_second_part() -> None:
    talk = Conversation()
    talk.hears(ResponseCreated(response=ResponseInfo(id="r")), audio(100, index=0), audio(100, index=1))
    talk.waits(0.1)
    assert sent(talk.hears(SpeechStarted())) == [TruncateItem(item_id="a", content_index=0, audio_end_ms=100)]


def test_a_heard_item_of_an_unfinished_answer_is_not_deleted() -> None:
    talk = Conversation()
    talk.hears(
        ResponseCreated(response=ResponseInfo(id="r")),
        OutputItemAdded(response_id="r", item=Item(id="a")),
        audio(200),
        OutputItemDone(response_id="r", item=Item(id="a")),
    )
    talk.waits(0.5)
    assert sent(talk.hears(SpeechStarted())) == []


def test_an_announced_item_without_sound_is_deleted() -> None:
    talk = Conversation()
    talk.hears(
        ResponseCreated(response=ResponseInfo(id="r")),
        OutputItemAdded(response_id="r", item=Item(id="a")),
    )
    assert sent(talk.hears(SpeechStarted())) == [DeleteItem(item_id="a")]


def test_an_item_still_arriving_is_truncated_even_if_all_of_it_was_heard() -> None:
    talk = Conversation()
    talk.hears(ResponseCreated(response=ResponseInfo(id="r")), audio(100))
    talk.waits(0.5)
    assert sent(talk.hears(SpeechStarted())) == [TruncateItem(item_id="a", content_index=0, audio_end_ms=100)]


def test_late_audio_of_a_silenced_answer_is_dropped_and_counted() -> None:
    talk = Conversation()
    talk.hears(ResponseCreated(response=ResponseInfo(id="old")), audio(100, response="old"))
    talk.hears(SpeechStarted())
    commands = talk.hears(audio(40, response="old"))
    assert not [c for c in commands if isinstance(c, Play)]
    assert told(commands, AnswerDropped) == [AnswerDropped(0, 0.04)]


@pytest.mark.parametrize("end", [AudioDone(response_id="r", item_id="a"), done("r")])
def test_the_end_of_what_plays_last_is_told(end: ServerEvent) -> None:
    talk = Conversation()
    talk.hears(ResponseCreated(response=ResponseInfo(id="r")), audio(100))
    assert Finish() in talk.hears(end)


def test_the_end_of_an_item_is_not_told_while_another_one_grows() -> None:
    talk = Conversation()
    talk.hears(ResponseCreated(response=ResponseInfo(id="r")), audio(100, item="a"))
    talk.hears(audio(100, item="b"))
    talk.hears(ResponseCreated(response=ResponseInfo(id="s")), audio(100, item="c", response="s"))
    assert Finish() not in talk.hears(AudioDone(response_id="r", item_id="b"), done("r"))


def test_the_end_of_a_silenced_answer_is_not_told() -> None:
    talk = Conversation()
    talk.hears(ResponseCreated(response=ResponseInfo(id="old")), audio(100, response="old"))
    talk.hears(SpeechStarted())
    assert Finish() not in talk.hears(AudioDone(response_id="old", item_id="a"), done("old", "cancelled"))


def test_sound_left_over_from_an_earlier_connection_is_silenced_too() -> None:
    talk = Conversation()
    talk.speaker.queued = 1000
    assert Silence() in talk.hears(SpeechStarted())


def test_a_server_that_interrupts_itself_is_not_asked_to_cancel() -> None:
    talk = Conversation()
    talk.hears(ResponseCreated(response=ResponseInfo(id="r")), audio(100))
    assert CancelResponse(response_id="r") not in sent(talk.hears(SpeechStarted()))


@pytest.mark.parametrize("detection", [None, TurnDetection(interrupt_response=False)])
def test_a_server_that_does_not_interrupt_is_asked_to_cancel(detection: TurnDetection | None) -> None:
    talk = Conversation(settings=SessionSettings(turn_detection=detection))
    talk.hears(ResponseCreated(response=ResponseInfo(id="r")), audio(100))
    assert CancelResponse(response_id="r") in sent(talk.hears(SpeechStarted()))


def test_an_answer_owed_to_an_older_turn_is_not_spoken_over_the_user() -> None:
    talk = Conversation()
    talk.user_speaks()
    talk.hears(SpeechStarted())
    commands = talk.hears(ResponseCreated(response=ResponseInfo(id="late")), audio(100, response="late"))
    assert sent(commands) == [CancelResponse(response_id="late")]
    assert not [c for c in commands if isinstance(c, Play)]


def test_an_answer_without_an_end_of_speech_is_still_heard() -> None:
    talk = Conversation()
    talk.hears(SpeechStarted(), ResponseCreated(response=ResponseInfo(id="r")))
    assert [type(c) for c in talk.hears(audio(100))] == [Play]
