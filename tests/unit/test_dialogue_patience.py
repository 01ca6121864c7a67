"""What happens when nothing happens: every wait for the server has an end, a remedy and a fact."""

from collections.abc import Sequence

import pytest
from msgspec import Raw

from tests.fakes.talk import Conversation, audio, begun, call, done, sent, told
from voice_agent.dialogue import (
    Abandon,
    AgentSaid,
    AnswerFailed,
    Command,
    Granted,
    ServerFault,
    State,
    Stuck,
    TokensUsed,
)
from voice_agent.errors import Cause, ConnectionLost, RemoteProtocolError, SessionError, Unauthorized
from voice_agent.realtime.events import (
    CancelResponse,
    CommitAudio,
    CreateResponse,
    DeleteItem,
    ErrorDetail,
    ResponseDone,
    ResponseInfo,
    ServerError,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    StatusDetails,
    TextDelta,
    TranscriptDelta,
)
from voice_agent.realtime.providers import BUSY, PROBE_ID, YANDEX


def stuck(commands: Sequence[Command]) -> list[tuple[str, str]]:
    return [(fact.kind, fact.remedy) for fact in told(commands, Stuck)]


def abandoned(commands: Sequence[Command]) -> list[SessionError]:
    return [command.error for command in commands if isinstance(command, Abandon)]


def requests(commands: Sequence[Command]) -> list[CreateResponse]:
    return [event for event in sent(commands) if isinstance(event, CreateResponse)]


def live() -> Conversation:
    talk = Conversation()
    talk.hears(SessionUpdated())
    talk.goes_live()
    return talk


# --------------------------------------------------------------------------------------- the user


def test_a_speech_without_end_is_committed_and_answered() -> None:
    talk = live()
    talk.hears(SpeechStarted())
    assert talk.waits(59.9) == []
    commands = talk.waits(0.2)
    assert [type(event) for event in sent(commands)] == [CommitAudio, CreateResponse]
    assert stuck(commands) == [("endless_speech", "committed")]


def test_a_server_that_says_nothing_to_the_commit_is_abandoned() -> None:
    talk = live()
    talk.hears(SpeechStarted())
    talk.waits(60.1)
    commands = talk.waits(10.1)
    assert stuck(commands) == [("endless_speech", "abandoned")]
    assert [error.cause for error in abandoned(commands)] == [Cause.STUCK]


def test_a_server_that_reacts_to_the_commit_is_given_time() -> None:
    talk = live()
    talk.hears(SpeechStarted())
    talk.waits(60.1)
    talk.hears(SpeechStopped())
    assert abandoned(talk.waits(15)) == []


# ------------------------------------------------------------------------------------- no response


def test_a_server_that_does_not_begin_an_answer_is_asked_and_then_abandoned() -> None:
    talk = live()
    talk.user_speaks()
    assert talk.waits(9.9) == []
    asked = talk.waits(0.2)
    assert stuck(asked) == [("no_response", "asked")]
    assert len(requests(asked)) == 1
    assert talk.waits(19.7) == []
    gone = talk.waits(0.3)
    assert stuck(gone) == [("no_response", "abandoned")]
    assert [type(error) for error in abandoned(gone)] == [ConnectionLost]


def test_a_slow_server_is_not_taken_for_a_stuck_one() -> None:
    talk = live()
    talk.user_speaks()
    talk.waits(9)
    talk.hears(begun())
    assert talk.waits(21.5 - 9) == []
    talk.hears(audio(100), done())
    assert stuck(talk.waits(60)) == []


def test_an_answer_that_was_asked_for_in_vain_may_still_come() -> None:
    talk = live()
    talk.user_speaks()
    talk.waits(20)
    talk.agent_answers()
    talk.waits(60)
    assert talk.dialogue.state is State.IDLE
    assert abandoned(talk.commands) == []


def test_a_user_who_speaks_on_is_not_stuck() -> None:
    talk = live()
    talk.user_speaks()
    talk.waits(9)
    talk.hears(SpeechStarted())
    assert talk.waits(40) == []


# ------------------------------------------------------------------------------------- no progress


def test_an_answer_that_does_not_go_on_is_cancelled_and_asked_for_again() -> None:
    talk = live()
    talk.user_speaks()
    talk.hears(begun())
    assert sent(talk.waits(29.9)) == []
    assert sent(talk.waits(0.2)) == [CancelResponse(response_id="r")]
    commands = talk.hears(done(status="cancelled"))
    assert stuck(talk.commands) == [("no_progress", "cancelled"), ("no_progress", "asked_again")]
    assert len(requests(commands)) == 1


def test_a_server_that_cannot_even_cancel_is_abandoned() -> None:
    talk = live()
    talk.user_speaks()
    talk.hears(begun())
    talk.waits(30.1)
    assert abandoned(talk.waits(4.7)) == []
    assert [error.cause for error in abandoned(talk.waits(0.3))] == [Cause.STUCK]


def test_an_answer_that_breaks_off_in_the_middle_is_told_as_failed() -> None:
    talk = live()
    talk.user_speaks()
    talk.hears(begun(), audio(1000))
    talk.waits(30.1)
    commands = talk.hears(done(status="cancelled"))
    assert [fact.status for fact in told(commands, AnswerFailed)] == ["no_progress"]
    assert requests(commands) == []


def test_whatever_arrives_of_a_long_answer_is_progress() -> None:
    talk = live()
    talk.user_speaks()
    talk.hears(begun())
    for _ in range(20):
        assert stuck(talk.waits(25)) == []
        talk.hears(TranscriptDelta(response_id="r", item_id="a", delta="and "))


def test_an_old_answer_without_an_end_does_not_cost_the_connection() -> None:
    talk = live()
    talk.user_speaks()
    talk.hears(begun("old"), audio(1000, response="old"))
    talk.user_speaks()
    talk.agent_answers(response="new", item="b")
    assert stuck(talk.waits(60)) == [("no_progress", "cancelled")]
    assert abandoned(talk.commands) == []
    assert talk.dialogue.state is State.IDLE


def test_an_old_answer_without_an_end_does_not_hold_up_the_next_one_for_long() -> None:
    talk = live()
    talk.user_speaks()
    talk.hears(begun("old"), audio(1000, response="old"))
    talk.waits(2)
    talk.user_speaks()
    commands = talk.waits(12)
    assert stuck(commands) == [("no_progress", "cancelled"), ("no_response", "asked")]
    assert CancelResponse(response_id="old") in sent(commands)
    assert len(requests(commands)) == 1, "ten seconds after the user has finished, and not forty"
    assert abandoned(commands) == []


def test_an_old_answer_that_goes_on_is_not_cancelled_once_the_new_one_sounds() -> None:
    talk = live()
    talk.user_speaks()
    talk.hears(begun("old"), audio(1000, response="old"))
    talk.user_speaks()
    talk.hears(begun("new"), audio(10_000, response="new", item="b"))
    assert stuck(talk.waits(9)) == []


# ------------------------------------------------------------------------------------- no sound


def test_an_answer_in_text_only_is_deleted_and_asked_for_again_once() -> None:
    talk = live()
    talk.user_speaks()
    talk.hears(begun("r1"), TextDelta(response_id="r1", item_id="t1", delta="Silence"))
    first = talk.hears(done("r1"))
    assert [type(event) for event in sent(first)] == [DeleteItem, CreateResponse]
    assert stuck(first) == [("no_audio", "asked_again")]
    talk.hears(begun("r2"), TextDelta(response_id="r2", item_id="t2", delta="Silence"))
    second = talk.hears(done("r2"))
    assert sent(second) == []
    assert [fact.status for fact in told(second, AnswerFailed)] == ["no_audio"]


def test_the_next_turn_gets_its_own_second_chance() -> None:
    talk = live()
    for turn in ("1", "2"):
        talk.user_speaks()
        talk.hears(begun(turn))
        assert stuck(talk.hears(done(turn))) == [("no_audio", "asked_again")]
        talk.agent_answers(response=f"{turn}b", item=turn)


def test_an_answer_that_calls_a_tool_needs_no_sound() -> None:
    talk = live()
    talk.user_speaks()
    talk.hears(begun(), call("x", "1"))
    assert stuck(talk.hears(done())) == []


def test_an_answer_is_ended_only_once() -> None:
    talk = live()
    talk.user_speaks()
    talk.hears(begun())
    assert stuck(talk.hears(done())) == [("no_audio", "asked_again")]
    assert talk.hears(done()) == []


def test_text_without_sound_is_told_but_not_remembered() -> None:
    talk = live()
    talk.hears(begun(), TextDelta(response_id="r", item_id="a", delta="Silence is golden"))
    assert told(talk.hears(done()), AgentSaid) == [AgentSaid(0, "a", "Silence is golden", 0, 0)]
    assert len(talk.memory) == 0


def failed(code: str, response: str = "r") -> ResponseDone:
    details = StatusDetails(type="failed", error=ErrorDetail(code=code))
    return ResponseDone(response=ResponseInfo(id=response, status="failed", status_details=details))


@pytest.mark.parametrize(
    ("code", "pause_s"), [("server_error", 5.0), ("oops", 1.0), ("inference_rate_limit_exceeded", 5.0)]
)
def test_a_failed_answer_is_asked_for_again_once_after_a_pause(code: str, pause_s: float) -> None:
    talk = live()
    talk.user_speaks()
    talk.hears(begun("r1"))
    assert stuck(talk.hears(failed(code, "r1"))) == [("failed", "asked_again")]
    assert requests(talk.waits(pause_s - 0.1)) == []
    assert len(requests(talk.waits(0.2))) == 1
    talk.hears(begun("r2"))
    assert told(talk.hears(failed(code, "r2")), AnswerFailed) == [AnswerFailed(1, "failed", code)]
    assert requests(talk.waits(60)) == []


def test_an_answer_that_fails_in_its_middle_is_not_asked_for_again() -> None:
    talk = live()
    talk.user_speaks()
    talk.hears(begun(), audio(100))
    assert len(told(talk.hears(failed("oops")), AnswerFailed)) == 1
    assert requests(talk.waits(60)) == []


def test_an_answer_that_fails_for_want_of_money_ends_the_session_loudly() -> None:
    talk = live()
    talk.user_speaks()
    talk.hears(begun())
    (error,) = abandoned(talk.hears(failed("insufficient_quota")))
    assert isinstance(error, Unauthorized)
    assert error.cause is Cause.QUOTA


# ------------------------------------------------------------------------------------------- tools


def test_a_tool_of_the_server_that_leads_to_nothing_is_asked_about() -> None:
    talk = Conversation(YANDEX)
    talk.user_speaks()
    talk.hears(begun(), call("web_search", "1"))
    assert stuck(talk.hears(done())) == []
    assert stuck(talk.waits(10.1)) == [("no_response", "asked")]


# -------------------------------------------------------------------------------- refused requests


def refusal(event: CreateResponse, code: str) -> ServerError:
    return ServerError(error=ErrorDetail(code=code, event_id=str(event.event_id)))


@pytest.mark.parametrize(("code", "times"), [(BUSY, 5), ("invalid_request", 4)])
def test_a_request_that_is_refused_again_and_again_abandons_the_connection(code: str, times: int) -> None:
    talk = live()
    talk.user_speaks()
    commands = talk.waits(10.1)
    for attempt in range(times):
        assert abandoned(commands) == [], attempt
        (request,) = requests(commands)
        commands = talk.hears(refusal(request, code)) + talk.waits(1.1)
    assert [error.cause for error in abandoned(commands)] == [Cause.STUCK]
    assert stuck(commands) == [("refused", "abandoned")]
    assert requests(talk.waits(60)) == []


def test_a_request_that_is_granted_in_the_end_forgives_the_refusals() -> None:
    talk = live()
    for turn in range(3):
        talk.user_speaks()
        (request,) = requests(talk.waits(10.1))
        for _ in range(3):
            talk.hears(refusal(request, BUSY))
            (request,) = requests(talk.waits(1.1))
        talk.agent_answers(response=f"r{turn}", item=f"i{turn}")
        talk.waits(5)
    assert abandoned(talk.commands) == []


def test_a_request_that_the_server_overtook_is_not_answered_over_the_user() -> None:
    talk = live()
    talk.user_speaks()
    talk.hears(begun("mute"), done("mute"))  # asks again, and the request is slow
    talk.user_speaks()
    talk.agent_answers(response="own", item="b", ms=100)
    talk.hears(SpeechStarted())
    assert sent(talk.hears(begun("late"), audio(100, response="late"))) == [
        CancelResponse(response_id="late")
    ]


def test_a_request_is_not_polled_for_while_the_server_is_busy() -> None:
    talk = live()
    talk.hears(begun("r1"), call("x", "1", "r1"), done("r1"), begun("other"))
    talk.answers_tool("1")
    assert talk.dialogue.deadline is not None
    assert talk.dialogue.deadline > talk.speaker.now + 20


# ------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("code", "kind", "cause"),
    [
        ("session_expired", ConnectionLost, Cause.EXPIRED),
        ("insufficient_quota", Unauthorized, Cause.QUOTA),
        ("invalid_api_key", Unauthorized, Cause.KEY),
        ("session_limit_reached", ConnectionLost, Cause.OVERLOADED),
    ],
)
def test_the_end_of_a_session_has_its_cause(code: str, kind: type[SessionError], cause: Cause) -> None:
    (error,) = abandoned(live().hears(ServerError(error=ErrorDetail(code=code))))
    assert (type(error), error.cause) == (kind, cause)


@pytest.mark.parametrize("code", ["server_error", "rate_limit_exceeded"])
def test_a_bad_moment_of_the_server_does_not_end_a_session(code: str) -> None:
    assert abandoned(live().hears(ServerError(error=ErrorDetail(code=code)))) == []


def test_a_server_that_is_overloaded_at_the_handshake_is_left_for_later() -> None:
    talk = Conversation()
    talk.hears(SessionCreated())
    (error,) = abandoned(talk.hears(ServerError(error=ErrorDetail(type="server_error"))))
    assert error.cause is Cause.OVERLOADED


def test_refused_settings_are_named_as_such() -> None:
    talk = Conversation()
    talk.hears(SessionCreated())
    (error,) = abandoned(talk.hears(ServerError(error=ErrorDetail(event_id="session_update"))))
    assert error.cause is Cause.SETTINGS


def test_a_refused_probe_is_benign() -> None:
    commands = live().hears(ServerError(error=ErrorDetail(code="invalid_value", event_id=PROBE_ID)))
    assert [fact.kind for fact in told(commands, ServerFault)] == ["benign"]


def test_a_server_that_goes_on_changing_its_rates_is_abandoned() -> None:
    talk = Conversation()
    commands: list[Command] = []
    for rate in (16000, 24000, 48000, 44100, 8000):
        session = Raw(b'{"audio":{"output":{"format":{"rate":%d}}}}' % rate)
        commands += talk.hears(SessionUpdated(session=session))
    assert len([command for command in commands if isinstance(command, Granted)]) == 4
    (error,) = abandoned(commands)
    assert isinstance(error, RemoteProtocolError)
    assert error.cause is Cause.PROTOCOL


# ------------------------------------------------------------------------------------------ tokens


def bill(usage: bytes) -> list[TokensUsed]:
    info = ResponseInfo(id="r", status="completed", usage=Raw(usage))
    return told(live().hears(begun(), audio(100), ResponseDone(response=info)), TokensUsed)


def test_the_tokens_of_an_answer_are_told() -> None:
    usage = (
        b'{"total_tokens":150,"input_tokens":100,"output_tokens":50,'
        b'"input_token_details":{"text_tokens":30,"audio_tokens":70,"cached_tokens":20},'
        b'"output_token_details":{"text_tokens":10,"audio_tokens":40}}'
    )
    (used,) = bill(usage)
    assert used == TokensUsed(0, 30, 70, 20, 10, 40)
    assert used.total == 150


def test_tokens_without_kinds_are_text() -> None:
    assert bill(b'{"input_tokens":100,"output_tokens":50}') == [TokensUsed(0, 100, 0, 0, 50, 0)]


@pytest.mark.parametrize("usage", [b"null", b"[]", b'"much"', b'{"input_tokens":"many"}', b"7"])
def test_a_bill_in_an_odd_shape_is_ignored(usage: bytes) -> None:
    assert bill(usage) == []
