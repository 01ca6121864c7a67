"""Tools that run on the server's side: they do not disturb the conversation, and nobody approves of them."""

import pytest

from tests.fakes.talk import Conversation, sent, told
from voice_agent.dialogue import AnswerFailed, Command, ServerFault
from voice_agent.realtime.codec import decode_server
from voice_agent.realtime.events import CreateItem, CreateResponse, Malformed, Unrecognised

ITEM = (
    '"item":{"id":"mcp_1","type":"mcp_call","name":"a","arguments":"{}","server_label":"docs","output":null}'
)
ASKED = (
    '"item":{"id":"mcpr_1234567890123456789012345678","type":"mcp_approval_request",'
    '"name":"a","arguments":"{}"}'
)


def hears(talk: Conversation, *frames: str) -> list[Command]:
    """Frames as a server sends them."""
    commands = []
    for frame in frames:
        event = decode_server(frame)
        assert not isinstance(event, Malformed | Unrecognised), frame
        commands += talk.hears(event)
    return commands


CALL = (
    '{"type":"response.output_item.added","response_id":"r1",' + ITEM + "}",
    '{"type":"response.mcp_call_arguments.delta","response_id":"r1","item_id":"mcp_1","delta":"{}"}',
    '{"type":"response.mcp_call_arguments.done","response_id":"r1","item_id":"mcp_1","arguments":"{}"}',
    '{"type":"response.mcp_call.in_progress","item_id":"mcp_1","output_index":0}',
    '{"type":"response.mcp_call.completed","item_id":"mcp_1","output_index":0}',
    '{"type":"response.output_item.done","response_id":"r1",' + ITEM + "}",
)
DONE = '{"type":"response.done","response":{"id":"r1","status":"completed"}}'
CREATED = '{"type":"response.created","response":{"id":"r1","status":"in_progress"}}'
LISTS = (
    '{"type":"mcp_list_tools.in_progress","item_id":"l"}',
    '{"type":"mcp_list_tools.completed","item_id":"l"}',
)


def question(talk: Conversation) -> None:
    hears(
        talk,
        '{"type":"input_audio_buffer.speech_started","item_id":"u1"}',
        '{"type":"input_audio_buffer.speech_stopped","item_id":"u1"}',
    )


def test_what_the_server_does_by_itself_needs_nothing_from_us() -> None:
    talk = Conversation()
    assert hears(talk, *LISTS) == []
    question(talk)
    commands = hears(talk, CREATED, *CALL, DONE)
    assert sent(commands) == []
    assert told(commands, AnswerFailed) == []
    assert told(commands, ServerFault) == []


def test_a_call_of_the_server_is_progress() -> None:
    talk = Conversation()
    question(talk)
    hears(talk, CREATED)
    for frame in CALL[:3]:
        assert sent(talk.waits(25)) == []
        hears(talk, frame)
    assert sent(talk.waits(25)) == []


@pytest.mark.parametrize("kind", ["mcp_list_tools.failed", "response.mcp_call.failed"])
def test_a_failure_on_the_servers_side_is_told(kind: str) -> None:
    (fault,) = told(hears(Conversation(), f'{{"type":"{kind}","item_id":"x"}}'), ServerFault)
    assert fault.kind == "server_tool"


def test_what_nobody_can_approve_is_refused_and_the_model_asked_to_say_so() -> None:
    talk = Conversation()
    question(talk)
    frames = [
        f'{{"type":"response.output_item.{step}","response_id":"r1",{ASKED}}}' for step in ("added", "done")
    ]
    commands = hears(talk, CREATED, *frames)
    (refusal,) = sent(commands)
    assert isinstance(refusal, CreateItem)
    assert (refusal.item.type, refusal.item.approve) == ("mcp_approval_response", False)
    assert refusal.item.approval_request_id == "mcpr_1234567890123456789012345678"
    assert len(str(refusal.item.id)) <= 32
    assert [fault.code for fault in told(commands, ServerFault)] == ["mcp_approval_request"]
    (request,) = sent(hears(talk, DONE))
    assert isinstance(request, CreateResponse)
