"""Tools in a conversation: which calls run, in what order, what becomes of their answers, and who is told."""

from collections.abc import Sequence

import pytest

from tests.fakes.talk import Conversation, audio, begun, call, done, sent, told
from voice_agent.dialogue import (
    AnswerFailed,
    CancelTool,
    Command,
    Manners,
    Outcome,
    Reply,
    RunTool,
    Send,
    State,
    Stuck,
    Tell,
    ToolAnswered,
    ToolCalled,
    ToolOutcome,
)
from voice_agent.dialogue.memory import ToolLine, UserLine
from voice_agent.realtime.events import (
    ClientEvent,
    CreateItem,
    CreateResponse,
    ErrorDetail,
    Item,
    OutputItemAdded,
    OutputItemDone,
    ResponseDone,
    ResponseInfo,
    ServerError,
    ServerEvent,
    SessionCreated,
    SessionUpdate,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    ToolSpec,
)
from voice_agent.realtime.providers import BUSY, OPENAI, TOOLS_ID, YANDEX, Provider

SERIAL = Manners(parallel=False)
LASTING = Manners(cancellable=False)
QUIET = Manners(reply=Reply.NEVER)
MODEST = Manners(reply=Reply.IF_SILENT)


def live(**manners: Manners) -> Conversation:
    """The user has asked for something."""
    talk = Conversation(OPENAI, None, **manners)
    talk.hears(SessionCreated(), SessionUpdated())
    talk.goes_live()
    talk.user_speaks("Do it", "u1")
    return talk


def runs(commands: Sequence[Command]) -> list[str]:
    return [command.call.call_id for command in commands if isinstance(command, RunTool)]


def cancels(commands: Sequence[Command]) -> list[str]:
    return [command.call_id for command in commands if isinstance(command, CancelTool)]


def answers(commands: Sequence[Command]) -> dict[str, str]:
    """Which calls were answered, and how."""
    outputs = [event.item for event in sent(commands) if isinstance(event, CreateItem)]
    outcomes = [fact.outcome for fact in told(commands, ToolAnswered)]
    return dict(zip([str(item.call_id) for item in outputs], outcomes, strict=True))


def kinds(commands: Sequence[Command]) -> list[type[ClientEvent]]:
    return [type(event) for event in sent(commands)]


def asks(commands: Sequence[Command]) -> int:
    return kinds(commands).count(CreateResponse)


def settled(talk: Conversation) -> bool:
    """Nothing is owed, healed, ticked for or told as failed, however long one waits."""
    at_rest = talk.dialogue.state is State.IDLE and talk.dialogue.quiet_since is not None
    later = talk.waits(60)
    troubled = bool(told(talk.commands, AnswerFailed)) or bool(told(talk.commands, Stuck))
    return at_rest and not later and not troubled and not talk.drops().owed


# -------------------------------------------------------------------------------------- the batch


def test_parallel_calls_are_all_answered_and_speech_is_asked_for_once() -> None:
    talk = Conversation()
    talk.user_speaks()
    assert runs(talk.hears(begun(), call("x", "1"), call("y", "2"))) == ["1", "2"]
    first = sent(talk.answers_tool("1", "one"))
    assert [type(event) for event in first] == [CreateItem]
    assert sent(talk.hears(done())) == []
    second = sent(talk.answers_tool("2"))
    assert [type(event) for event in second] == [CreateItem, CreateResponse]


def test_speech_is_not_asked_for_before_the_calling_response_is_over() -> None:
    talk = Conversation()
    talk.hears(begun(), call("x", "1"))
    assert [type(event) for event in sent(talk.answers_tool("1"))] == [CreateItem]
    assert [type(event) for event in sent(talk.hears(done()))] == [CreateResponse]


def test_a_call_announced_twice_runs_once() -> None:
    talk = Conversation()
    info = ResponseInfo(id="r", output=[call("x", "1").item])
    commands = talk.hears(begun(), call("x", "1"), ResponseDone(response=info))
    assert len([c for c in commands if isinstance(c, RunTool)]) == 1


def test_a_call_that_only_the_final_event_shows_is_run() -> None:
    talk = Conversation()
    info = ResponseInfo(id="r", output=[call("x", "1").item])
    commands = talk.hears(begun(), ResponseDone(response=info))
    assert len([c for c in commands if isinstance(c, RunTool)]) == 1


def test_a_name_given_only_at_the_beginning_is_remembered() -> None:
    talk = Conversation(YANDEX)
    added = OutputItemAdded(response_id="r", item=Item(type="function_call", name="x", call_id="1"))
    nameless = OutputItemDone(response_id="r", item=Item(type="function_call", call_id="1", arguments="{}"))
    commands = talk.hears(begun(), added, nameless)
    assert [c.call.name for c in commands if isinstance(c, RunTool)] == ["x"]


def test_tools_that_run_on_the_server_are_never_run_or_answered_here() -> None:
    talk = Conversation(YANDEX)
    commands = talk.hears(begun(), call("web_search", "1"), done())
    assert not [c for c in commands if isinstance(c, RunTool | Send)]
    assert told(commands, ToolCalled) == [ToolCalled(0, "web_search", "{}", here=False)]


def test_the_same_name_is_an_ordinary_tool_elsewhere() -> None:
    commands = Conversation(OPENAI).hears(call("web_search", "1"))
    assert [c.call.name for c in commands if isinstance(c, RunTool)] == ["web_search"]


def test_a_cancelled_answer_does_not_ask_for_speech() -> None:
    talk = Conversation()
    talk.hears(begun(), call("x", "1"), done(status="cancelled"))
    assert [type(event) for event in sent(talk.answers_tool("1"))] == [CreateItem]


def test_a_refused_request_is_repeated_when_the_other_response_ends() -> None:
    talk = Conversation()
    talk.hears(begun(), call("x", "1"), done())
    (_, request) = sent(talk.answers_tool("1"))
    assert isinstance(request, CreateResponse)
    busy = ErrorDetail(code="conversation_already_has_active_response", event_id=str(request.event_id))
    assert sent(talk.hears(ServerError(error=busy))) == []
    talk.hears(begun("other"))
    assert [type(event) for event in sent(talk.hears(done("other")))] == [CreateResponse]


def test_a_refused_request_without_any_response_is_repeated_after_a_pause() -> None:
    talk = Conversation()
    talk.hears(begun(), call("x", "1"), done())
    talk.answers_tool("1")
    talk.hears(ServerError(error=ErrorDetail(code="conversation_already_has_active_response")))
    assert sent(talk.waits(0.9)) == []
    assert [type(event) for event in sent(talk.waits(0.2))] == [CreateResponse]


def test_an_older_answer_does_not_displace_a_wanted_request() -> None:
    talk = Conversation(x=Manners(cancellable=False))
    talk.hears(begun("r1"), call("x", "old", "r1"), done("r1"))
    talk.hears(SpeechStarted(), SpeechStopped())
    talk.hears(begun("r2"), call("x", "new", "r2"), done("r2"))
    talk.answers_tool("new")
    talk.hears(ServerError(error=ErrorDetail(code="conversation_already_has_active_response")))
    talk.answers_tool("old")
    assert [type(event) for event in sent(talk.waits(1.5))] == [CreateResponse]


def test_an_answer_to_an_unknown_call_is_ignored() -> None:
    assert Conversation().answers_tool("nobody") == []


def test_a_call_that_comes_after_the_end_of_its_response_is_followed_up_too() -> None:
    talk = live()
    talk.hears(begun(), audio(50), done(), call("x", "1"))
    assert kinds(talk.answers_tool("1")) == [CreateItem, CreateResponse]


def test_a_long_list_of_calls_is_answered_once_though_it_is_told_twice() -> None:
    talk = live()
    items = [call("x", str(n)).item for n in range(100)]
    commands = talk.hears(begun(), *(OutputItemDone(response_id="r", item=item) for item in items))
    assert len(runs(commands)) == 8
    assert set(answers(commands).values()) == {"refused"}
    assert len(answers(commands)) == 92
    again = talk.hears(ResponseDone(response=ResponseInfo(id="r", status="completed", output=items)))
    assert runs(again) == []
    assert answers(again) == {}


# ------------------------------------------------------------------------------------ side by side


def test_calls_of_a_serial_tool_run_one_after_another_in_order_and_across_responses() -> None:
    talk = live(s=SERIAL)
    commands = talk.hears(begun("r1"), call("s", "1", "r1"), call("s", "2", "r1"), call("p", "3", "r1"))
    assert runs(commands) == ["1", "3"]
    assert runs(talk.hears(done("r1"), begun("r2"), call("s", "4", "r2"), call("t", "5", "r2"))) == ["5"]
    assert runs(talk.answers_tool("3")) == []
    assert runs(talk.answers_tool("1")) == ["2"]
    assert runs(talk.answers_tool("2", outcome="failed")) == ["4"]


def test_open_calls_are_bounded_for_the_connection_whether_they_run_or_wait() -> None:
    talk = live(s=SERIAL)
    for n in range(8):
        talk.hears(begun(f"r{n}"), call("s" if n % 2 else "p", f"c{n}", f"r{n}"), done(f"r{n}"))
    commands = talk.hears(begun("more"), call("p", "m1", "more"), call("s", "m2", "more"))
    assert answers(commands) == {"m1": "refused", "m2": "refused"}
    assert runs(commands) == []
    assert talk.answers_tool("m1") == []
    talk.answers_tool("c0")
    assert runs(talk.hears(call("p", "m3", "more"))) == ["m3"]


# ------------------------------------------------------------------------------------ what is said


@pytest.mark.parametrize(
    ("manners", "speaks", "outcome", "asked"),
    [
        (Manners(), False, "ok", 1),
        (Manners(), True, "ok", 1),
        (MODEST, False, "ok", 1),
        (MODEST, True, "ok", 0),
        (MODEST, True, "failed", 1),
        (QUIET, False, "ok", 0),
        (QUIET, True, "ok", 0),
        (QUIET, True, "timeout", 1),
        (QUIET, False, "crashed", 1),
    ],
)
@pytest.mark.parametrize("early", [True, False])
def test_the_model_is_asked_to_speak_if_an_answer_wants_it_or_has_failed(
    manners: Manners, speaks: bool, outcome: Outcome, asked: int, early: bool
) -> None:
    talk = live(x=manners)
    said: list[ServerEvent] = [audio(200)] if speaks else []
    talk.hears(begun(), *said, call("x", "1"))
    if early:
        talk.answers_tool("1", outcome=outcome)
        talk.hears(done())
    else:
        talk.hears(done())
        assert talk.dialogue.state is (State.SPEAKING if speaks else State.THINKING)
        talk.answers_tool("1", outcome=outcome)
    assert asks(talk.commands) == asked
    if not asked:
        talk.waits(1)  # until what was said has sounded
        assert settled(talk)


def test_one_answer_of_a_batch_that_wants_speech_is_enough() -> None:
    talk = live(q=QUIET)
    talk.hears(begun(), call("q", "1"), call("x", "2"), call("q", "3"), done())
    assert [asks(talk.answers_tool(call_id)) for call_id in ("2", "1", "3")] == [0, 0, 1]


def test_a_silent_batch_leaves_alone_what_another_one_of_its_turn_still_owes() -> None:
    talk = live(q=QUIET)
    talk.hears(begun("r1"), call("q", "1", "r1"), call("x", "2", "r1"), done("r1"))
    talk.hears(begun("r2"), call("q", "3", "r2"), done("r2"))
    talk.answers_tool("3")
    assert talk.drops().owed


@pytest.mark.parametrize("answered", [True, False])
def test_a_response_that_breaks_off_is_followed_up_though_its_tool_is_silent(answered: bool) -> None:
    talk = live(q=QUIET)
    talk.hears(begun(), call("q", "1"))
    if answered:
        talk.answers_tool("1")
        assert asks(talk.hears(done(status="incomplete"))) == 1
    else:
        talk.hears(done(status="incomplete"))
        assert asks(talk.answers_tool("1")) == 1


def test_a_call_that_was_announced_and_never_made_is_no_reason_to_be_silent() -> None:
    talk = live()
    added = OutputItemAdded(response_id="r", item=Item(type="function_call", name="x", call_id="1"))
    talk.hears(begun(), added, done())
    assert told(talk.waits(10.1), Stuck) == [Stuck(1, "no_response", "asked")]


# ---------------------------------------------------------------------------------- a new turn


def test_a_new_turn_gives_up_what_may_be_cancelled_and_lets_the_rest_run_on() -> None:
    talk = live(l=LASTING)
    talk.hears(begun(), call("x", "1"), call("l", "2"), done())
    talk.waits(1.5)
    commands = talk.hears(SpeechStarted(item_id="u2"))
    assert cancels(commands) == ["1"]
    assert commands.index(CancelTool("1")) < commands.index(told_answer(commands, "x"))
    assert answers(commands) == {"1": "cancelled"}
    assert told_answer(commands, "x").fact == ToolAnswered(1, "x", "cancelled", 1.5)
    assert talk.answers_tool("1") == [], "too late"
    talk.hears(SpeechStopped(item_id="u2"))
    assert kinds(talk.answers_tool("2")) == [CreateItem], "delivered, and nobody is asked to speak"


def told_answer(commands: Sequence[Command], name: str) -> Tell:
    (found,) = [
        c
        for c in commands
        if isinstance(c, Tell) and isinstance(c.fact, ToolAnswered) and c.fact.name == name
    ]
    return found


def test_an_answer_may_be_delivered_while_the_user_speaks_but_speech_waits() -> None:
    talk = live(l=LASTING)
    talk.hears(begun(), call("l", "1"), done(), SpeechStarted())
    assert kinds(talk.answers_tool("1", outcome="failed")) == [CreateItem]
    assert asks(talk.hears(SpeechStopped())) == 0


def test_calls_that_wait_are_given_up_without_having_run() -> None:
    talk = live(s=SERIAL)
    talk.hears(begun(), call("s", "1"), call("s", "2"), call("s", "3"), done())
    commands = talk.hears(SpeechStarted())
    assert cancels(commands) == ["1"]
    assert runs(commands) == []
    assert answers(commands) == {"1": "cancelled", "2": "cancelled", "3": "cancelled"}


def test_lasting_calls_that_wait_run_in_their_order_though_their_turn_is_over() -> None:
    talk = live(l=Manners(parallel=False, cancellable=False))
    talk.hears(begun(), call("l", "1"), call("l", "2"), done(), SpeechStarted())
    assert runs(talk.answers_tool("1")) == ["2"]
    assert kinds(talk.answers_tool("2")) == [CreateItem]


def test_a_call_that_was_made_while_the_user_already_spoke_is_not_begun() -> None:
    talk = live(l=LASTING)
    talk.hears(begun(), SpeechStarted())
    commands = talk.hears(call("x", "1"), call("l", "2"))
    assert answers(commands) == {"1": "cancelled"}
    assert cancels(commands) == []
    assert runs(commands) == ["2"], "what would not have been cancelled is done"


def test_a_call_of_an_older_turn_is_not_waited_for_but_keeps_the_session() -> None:
    talk = live(l=Manners(cancellable=False, timeout_s=300))
    talk.hears(begun(), call("l", "1"), done())
    assert talk.dialogue.state is State.THINKING
    talk.user_speaks("Something else", "u2")
    talk.agent_answers(ms=100)
    talk.waits(1)
    assert talk.dialogue.state is State.IDLE, "nobody waits for it: no ticks"
    assert talk.dialogue.quiet_since is None, "no moment to renew or park"
    talk.answers_tool("1")
    assert talk.dialogue.quiet_since == talk.speaker.now


def test_a_call_of_a_cancelled_response_is_not_waited_for() -> None:
    talk = live()
    talk.hears(begun(), audio(100), call("x", "1"), done(status="cancelled"))
    talk.waits(1)
    assert talk.dialogue.state is State.IDLE


# --------------------------------------------------------------------------------------- patience


def test_a_tool_that_never_returns_is_answered_for_a_little_after_its_own_limit() -> None:
    talk = live(slow=Manners(timeout_s=30))
    talk.hears(begun(), call("slow", "1"), done())
    assert sent(talk.waits(34.9)) == []
    commands = talk.waits(0.2)
    assert kinds(commands) == [CreateItem, CreateResponse]
    assert told(commands, Stuck) == [Stuck(1, "tool", "answered")]
    (fact,) = told(commands, ToolAnswered)
    assert fact.outcome == "timeout"
    assert fact.seconds == pytest.approx(35, abs=0.1)
    assert talk.answers_tool("1") == []


def test_a_call_that_waits_for_others_is_not_late() -> None:
    talk = live(slow=Manners(parallel=False, timeout_s=30))
    talk.hears(begun(), call("slow", "1"), call("slow", "2"), call("slow", "3"), done())
    for call_id in "123":
        talk.waits(29)
        assert answers(talk.answers_tool(call_id)) == {call_id: "ok"}
    assert told(talk.commands, Stuck) == []


def test_a_call_that_hangs_does_not_hold_up_those_that_wait_for_it() -> None:
    talk = live(slow=Manners(parallel=False, timeout_s=30))
    talk.hears(begun(), call("slow", "1"), call("slow", "2"), done())
    assert runs(talk.waits(35.1)) == ["2"]


# ------------------------------------------------------------------------------- busy with another


def steps() -> list[ServerEvent | str]:
    """A batch of two calls: what the server says, and the answers of tools by call id."""
    return [begun(), audio(50), call("x", "1"), "1", call("y", "2"), done(), "2"]


@pytest.mark.parametrize("when", range(len(steps()) + 1))
@pytest.mark.parametrize("named", [True, False])
def test_a_response_that_comes_between_delays_the_request_and_does_not_swallow_it(
    when: int, named: bool
) -> None:
    """The server begins another response by itself; our request may be on its way already."""
    talk = live()
    for step in steps()[:when]:
        talk.answers_tool(step) if isinstance(step, str) else talk.hears(step)
    asked = [event for event in sent(talk.commands) if isinstance(event, CreateResponse)]
    talk.hears(begun("other"))
    for step in steps()[when:]:
        talk.answers_tool(step) if isinstance(step, str) else talk.hears(step)
    if asked:  # the request lost the race: it is refused before or after the other response is seen
        error = ErrorDetail(code=BUSY, event_id=str(asked[0].event_id) if named else None)
        assert asks(talk.hears(ServerError(error=error))) == 0
    assert asks(talk.commands) == len(asked), "not while the other response is under way"
    talk.hears(audio(50, item="o", response="other"))
    assert asks(talk.hears(done("other"))) == 1
    talk.hears(begun("answer"), audio(50, item="b", response="answer"), done("answer"))
    assert asks(talk.waits(60)) == 0
    assert told(talk.commands, Stuck) == []


def test_a_request_is_not_forgotten_over_several_responses_that_nobody_asked_for() -> None:
    talk = live()
    talk.hears(begun(), call("x", "1"), done())
    (request,) = [event for event in sent(talk.answers_tool("1")) if isinstance(event, CreateResponse)]
    talk.hears(begun("o1"), audio(50, response="o1"), done("o1"), begun("o2"))
    error = ErrorDetail(code=BUSY, event_id=str(request.event_id))
    assert asks(talk.hears(ServerError(error=error), audio(50, item="b", response="o2"))) == 0
    assert asks(talk.hears(done("o2"))) == 1


# ------------------------------------------------------------------------------ a lost connection


def test_a_tool_that_returns_after_the_drop_is_told_to_the_next_session_only() -> None:
    talk = live()
    talk.hears(begun(), call("clock", "c1"), done())
    old = talk.dialogue
    talk.drops()
    outcome = ToolOutcome("c1", '{"time": "12:00"}', outcome="ok", seconds=1.0)
    commands = old.tool_finished(outcome, talk.speaker.moment())
    assert commands == [Tell(ToolAnswered(1, "clock", "ok", 1.0))]
    assert old.tool_finished(outcome, talk.speaker.moment()) == [], "once"
    line = ToolLine(1, "clock", "{}", '{"time": "12:00"}')
    assert list(talk.memory) == [UserLine(1, "Do it"), line]


def test_a_tool_that_runs_on_is_told_to_the_next_session_lest_it_is_called_again() -> None:
    talk = live(unlock=LASTING)
    commands = talk.hears(begun(), call("unlock", "c1"), call("clock", "c2"), done())
    assert [c.lasting for c in commands if isinstance(c, RunTool)] == [True, False]
    old = talk.dialogue
    talk.drops()
    told_next = [
        str(event.item.content) for event in sent(talk.reconnects()) if isinstance(event, CreateItem)
    ]
    assert ["do not call it again" in text for text in told_next] == [False, True]
    assert "unlock" in told_next[1]
    old.tool_finished(ToolOutcome("c1", '{"open": true}', "ok", 9.0), talk.speaker.moment())
    assert [line.text for line in talk.memory if isinstance(line, ToolLine)] == ['{"open": true}']


# ------------------------------------------------------------------------------------- other tools

NEW = (ToolSpec(name="new"),)


@pytest.mark.parametrize(("provider", "type_"), [(OPENAI, "realtime"), (YANDEX, None)])
def test_new_tools_are_declared_in_an_update_that_changes_nothing_else(
    provider: Provider, type_: str | None
) -> None:
    talk = Conversation(provider)
    talk.hears(SessionCreated(), SessionUpdated())
    (update,) = sent(talk.dialogue.redeclare(NEW, talk.speaker.moment()))
    assert isinstance(update, SessionUpdate)
    assert update.event_id == TOOLS_ID
    assert update.session.tools == list(NEW)
    fields = {name for name in update.session.__struct_fields__ if getattr(update.session, name)}
    assert fields == ({"type", "tools"} if type_ else {"tools"})
    assert talk.dialogue.redeclare(NEW, talk.speaker.moment()) == [], "once"


def test_new_tools_before_the_introduction_are_part_of_it() -> None:
    talk = Conversation()
    assert talk.dialogue.redeclare(NEW, talk.speaker.moment()) == []
    (introduction,) = sent(talk.hears(SessionCreated()))
    assert isinstance(introduction, SessionUpdate)
    assert introduction.session.tools == list(NEW)
    assert sent(talk.hears(SessionUpdated())) == []


def test_new_tools_between_introduction_and_confirmation_wait_for_it() -> None:
    talk = Conversation()
    talk.hears(SessionCreated())
    assert talk.dialogue.redeclare(NEW, talk.speaker.moment()) == []
    (update,) = sent(talk.hears(SessionUpdated()))
    assert isinstance(update, SessionUpdate)
    assert update.event_id == TOOLS_ID
    assert sent(talk.hears(SessionUpdated())) == []


def test_a_refusal_of_new_tools_is_told_and_does_not_end_the_session() -> None:
    talk = live()
    talk.dialogue.redeclare(NEW, talk.speaker.moment())
    error = ErrorDetail(type="invalid_request_error", code="invalid_value", event_id=TOOLS_ID)
    (command,) = talk.hears(ServerError(error=error))
    assert isinstance(command, Tell)


def test_a_session_that_has_left_declares_nothing() -> None:
    talk = live()
    talk.drops()
    assert talk.dialogue.redeclare(NEW, talk.speaker.moment()) == []
