"""Tools that a server refuses: they are left out, and the device is not deaf for their sake."""

from collections.abc import Sequence

import pytest
from msgspec import UNSET

from tests.fakes.talk import Conversation, sent, told
from voice_agent.dialogue import Abandon, Command, Granted, ToolsRefused
from voice_agent.realtime.events import (
    ErrorDetail,
    ServerError,
    SessionCreated,
    SessionUpdate,
    SessionUpdated,
    ToolSpec,
)
from voice_agent.realtime.providers import TOOLS_ID, SessionSettings

TOOLS = tuple(ToolSpec(name=name) for name in ("good", "bad", "stop"))


def introduced(error: ErrorDetail, tools: tuple[ToolSpec, ...] = TOOLS) -> tuple[Conversation, list[Command]]:
    talk = Conversation(settings=SessionSettings(tools=tools))
    talk.hears(SessionCreated())
    return talk, list(talk.hears(ServerError(error=error)))


def declared(commands: Sequence[Command]) -> list[object]:
    (update,) = sent(commands)
    assert isinstance(update, SessionUpdate)
    return [tool.name for tool in update.session.tools or () if isinstance(tool, ToolSpec)]


@pytest.mark.parametrize(
    "error",
    [
        ErrorDetail(event_id="session_update", param="session.tools[1].parameters", message="no object"),
        ErrorDetail(event_id="session_update", message="Invalid 'session.tools[1].name': too long"),
        ErrorDetail(event_id="session_update", message="Invalid schema for function 'bad': no object"),
        ErrorDetail(param="session.tools[1]", message="a server that names no event"),
        ErrorDetail(message="session.tools[1]: likewise"),
    ],
)
def test_a_tool_that_the_server_refuses_is_left_out_and_the_others_are_declared(error: ErrorDetail) -> None:
    talk, commands = introduced(error)
    assert declared(commands) == ["good", "stop"]
    (update,) = sent(commands)
    assert isinstance(update, SessionUpdate)
    assert (update.event_id, update.session.audio is UNSET) == ("session_update", False), (
        "the whole introduction"
    )
    assert [fact.names for fact in told(commands, ToolsRefused)] == [("bad",)]
    assert any(isinstance(command, Granted) for command in talk.hears(SessionUpdated()))
    assert talk.dialogue.redeclare(TOOLS, talk.speaker.moment()) == [], "it is refused for good"


def test_an_introduction_that_is_refused_without_a_reason_is_tried_without_tools() -> None:
    talk, commands = introduced(ErrorDetail(event_id="session_update", message="invalid"))
    assert declared(commands) == []
    again = talk.hears(ServerError(error=ErrorDetail(event_id="session_update", message="invalid")))
    assert sent(again) == []
    assert any(isinstance(command, Abandon) for command in again), "then it was not the tools"


def test_a_refusal_of_something_else_is_not_blamed_on_the_tools() -> None:
    param = "session.audio.output.voice"
    _, commands = introduced(ErrorDetail(event_id="session_update", param=param, message="no such voice"))
    assert sent(commands) == []
    assert any(isinstance(command, Abandon) for command in commands)


def test_a_server_that_refuses_one_tool_after_another_is_soon_left_with_none() -> None:
    many = tuple(ToolSpec(name=f"tool_{number}") for number in range(40))
    error = ErrorDetail(event_id="session_update", param="session.tools[0]")
    talk, commands = introduced(error, many)
    tries = 1
    while declared(commands):
        commands = list(talk.hears(ServerError(error=error)))
        tries += 1
    assert tries == 9


def test_a_change_of_tools_that_is_refused_is_made_without_the_one_that_is_wrong() -> None:
    talk = Conversation()
    talk.hears(SessionCreated(), SessionUpdated())
    talk.dialogue.redeclare(TOOLS, talk.speaker.moment())
    error = ErrorDetail(code="invalid_value", event_id=TOOLS_ID, param="session.tools[1]")
    commands = talk.hears(ServerError(error=error))
    assert declared(commands) == ["good", "stop"]
    (update,) = sent(commands)
    assert isinstance(update, SessionUpdate)
    assert update.session.audio is UNSET, "and nothing else is changed"
