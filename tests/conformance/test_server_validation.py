"""A strict server says no as OpenAI does: code, path, and the event at fault."""

import pytest

from tests.fakes.wire_client import Json, WireClient, ask, converse, settings
from voice_agent.embedded import Script, Turn

TYPED = {"type": "realtime"}


def session(**fields: object) -> Json:
    return {"type": "session.update", "session": {**TYPED, **fields}}


def formatted(direction: str, **form: object) -> Json:
    return session(audio={direction: {"format": form}})


IN, OUT = "session.audio.input", "session.audio.output"
OFFENCES: list[tuple[str, Json, str, str | None]] = [
    ("unknown event", {"type": "session.destroy"}, "invalid_value", "type"),
    ("no type", {"session": {}}, "invalid_event", "type"),
    (
        "session without type",
        {"type": "session.update", "session": {}},
        "missing_required_parameter",
        "session.type",
    ),
    ("no session", {"type": "session.update"}, "missing_required_parameter", "session"),
    (
        "another type",
        {"type": "session.update", "session": {"type": "transcription"}},
        "invalid_value",
        "session.type",
    ),
    (
        "both modalities",
        session(output_modalities=["text", "audio"]),
        "invalid_value",
        "session.output_modalities",
    ),
    ("input rate", formatted("input", type="audio/pcm", rate=16000), "invalid_value", f"{IN}.format.rate"),
    ("output rate", formatted("output", type="audio/pcm", rate=44100), "invalid_value", f"{OUT}.format.rate"),
    ("format", formatted("output", type="audio/mp3"), "invalid_value", f"{OUT}.format.type"),
    (
        "channels",
        formatted("input", type="audio/pcm", rate=24000, channels=1),
        "unknown_parameter",
        f"{IN}.format.channels",
    ),
    ("old voice place", session(voice="marin"), "unknown_parameter", "session.voice"),
    ("unknown key beside", {**session(), "modalities": []}, "unknown_parameter", "modalities"),
    (
        "threshold",
        session(audio={"input": {"turn_detection": {"threshold": 7}}}),
        "invalid_value",
        f"{IN}.turn_detection.threshold",
    ),
    (
        "tool without name",
        session(tools=[{"type": "function"}]),
        "missing_required_parameter",
        "session.tools[0].name",
    ),
    (
        "tool parameters as text",
        session(tools=[{"type": "function", "name": "f", "parameters": "{}"}]),
        "invalid_type",
        "session.tools[0].parameters",
    ),
    ("another model", session(model="gpt-5"), "invalid_value", "session.model"),
    ("ill-typed", session(instructions=7), "invalid_type", None),
    ("no audio", {"type": "input_audio_buffer.append"}, "missing_required_parameter", "audio"),
    ("audio that is no base64", {"type": "input_audio_buffer.append", "audio": "%%%"}, "invalid_type", None),
    (
        "truncate without content",
        {"type": "conversation.item.truncate", "item_id": "i", "audio_end_ms": 0},
        "missing_required_parameter",
        "content_index",
    ),
    (
        "beta modalities",
        {"type": "response.create", "response": {"modalities": ["audio"]}},
        "unknown_parameter",
        "response.modalities",
    ),
    (
        "orphaned output",
        {
            "type": "conversation.item.create",
            "item": {"type": "function_call_output", "call_id": "x", "output": ""},
        },
        "invalid_tool_call_id",
        "item.call_id",
    ),
    (
        "nowhere",
        {
            "type": "conversation.item.create",
            "previous_item_id": "x",
            "item": {"type": "message", "role": "user", "content": []},
        },
        "invalid_value",
        "previous_item_id",
    ),
]


@pytest.mark.parametrize(("event", "code", "param"), [o[1:] for o in OFFENCES], ids=[o[0] for o in OFFENCES])
def test_an_offence_is_answered_with_its_code_and_path(event: Json, code: str, param: str | None) -> None:
    async def talk(client: WireClient) -> None:
        await client.socket.send_json({**event, "event_id": "mine"})
        await client.until("error")
        await settings(client)  # the session is as usable as before

    error = converse(talk).all("error")[0]["error"]
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, param)
    assert error["event_id"] == "mine"


def test_a_frame_that_is_no_json_is_answered() -> None:
    async def talk(client: WireClient) -> None:
        await client.socket.send_str('{"type": "session.upd')
        await client.socket.send_str('["session.update"]')
        await client.until("error", 2)

    assert {e["error"]["code"] for e in converse(talk).all("error")} == {"invalid_event"}


def test_a_refused_update_changes_nothing() -> None:
    async def talk(client: WireClient) -> None:
        before = client.server.connections[0].settings
        await client.socket.send_json(session(instructions="Sing.", output_modalities=["audio", "text"]))
        await client.until("error")
        assert client.server.connections[0].settings == before

    assert "session.updated" not in converse(talk).types


def test_the_voice_is_frozen_by_the_first_audio() -> None:
    async def talk(client: WireClient) -> None:
        await settings(client, audio={"output": {"voice": "cedar"}})
        await ask(client, "Hello.")
        await client.until("response.done")
        await settings(client, audio={"output": {"voice": "cedar"}})
        await client.socket.send_json(session(audio={"output": {"voice": "ash"}}))
        await client.until("error")

    client = converse(talk, Script(turns=(Turn(say="Hello.", ms=100),)))
    assert [e["error"]["code"] for e in client.all("error")] == ["cannot_update_voice"]


def test_a_lenient_server_takes_what_it_can_serve() -> None:
    async def talk(client: WireClient) -> None:
        form = {"type": "audio/pcm", "rate": 16000, "channels": 1}
        await client.say("session.update", session={"audio": {"output": {"format": form}}, "extra": 1})
        await client.until("session.updated")
        await ask(client, "Hello.")
        await client.until("response.done")

    client = converse(talk, Script(turns=(Turn(say="Hello.", ms=100),)), strict=False)
    assert len(client.pcm()) == 16000 * 2 // 10


def test_an_update_is_a_patch_and_the_whole_session_is_reported() -> None:
    async def talk(client: WireClient) -> None:
        await settings(client, instructions="Be brief.")
        await settings(client, audio={"input": {"turn_detection": {"silence_duration_ms": 321}}})
        effective = await settings(client, audio={"output": {"voice": "cedar"}})
        detection = effective["audio"]["input"]["turn_detection"]
        assert effective["instructions"] == "Be brief."
        assert (detection["silence_duration_ms"], detection["prefix_padding_ms"]) == (321, 300)
        assert effective["audio"]["output"]["voice"] == "cedar"
        assert effective["model"] == "test"

    assert converse(talk).all("error") == []
