"""What the daemon says, judged by the types of the ``openai`` package and by what Yandex is known to take."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from msgspec import Raw
from openai.types.realtime import RealtimeClientEvent
from pydantic import TypeAdapter

from tests.fakes.wire_client import ask, connected
from voice_agent.embedded import Script, ServerOptions, Turn, running
from voice_agent.realtime.codec import decode_client, encode
from voice_agent.realtime.events import (
    AppendAudio,
    AudioFormat,
    CancelResponse,
    ClearAudio,
    ClientEvent,
    CommitAudio,
    CreateItem,
    CreateResponse,
    DeleteItem,
    Item,
    RetrieveItem,
    ToolSpec,
    TruncateItem,
    TurnDetection,
)
from voice_agent.realtime.providers import (
    AZURE,
    LOCAL,
    OPENAI,
    YANDEX,
    Provider,
    SessionSettings,
    custom,
    session_update,
    tools_update,
)

JUDGE: TypeAdapter[Any] = TypeAdapter(RealtimeClientEvent)
WEATHER = ToolSpec(
    name="get_weather",
    description="Current weather in a city.",
    parameters=Raw(b'{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}'),
)
SETTINGS = SessionSettings(
    instructions="Be brief.",
    voice="marin",
    tools=(WEATHER,),
    turn_detection=TurnDetection(threshold=0.5, prefix_padding_ms=300, silence_duration_ms=400),
)
EVENTS: Sequence[ClientEvent] = (
    AppendAudio(audio=bytes(960)),
    CommitAudio(),
    ClearAudio(),
    CreateItem(item=Item(type="function_call_output", call_id="call_1", output="{}")),
    CreateItem(
        item=Item(id="a_1", type="mcp_approval_response", approval_request_id="mcpr_1", approve=False)
    ),
    TruncateItem(item_id="item_1", content_index=0, audio_end_ms=1250),
    DeleteItem(item_id="item_1"),
    RetrieveItem(item_id="item_1"),
    CreateResponse(event_id="create_1"),
    CancelResponse(response_id="resp_1"),
)


def test_every_client_event_is_judged_here() -> None:
    judged = {type(event) for event in (*EVENTS, session_update(OPENAI, SETTINGS))}
    assert judged == set(ClientEvent.__subclasses__())


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_a_client_event_validates_with_the_official_types(event: ClientEvent) -> None:
    JUDGE.validate_json(encode(event))
    assert decode_client(encode(event)) == event


@pytest.mark.parametrize(
    "provider", [OPENAI, AZURE, LOCAL, custom("wss://x", "X-Key", "", yandex=False)], ids=lambda p: p.name
)
@pytest.mark.parametrize("settings", [SETTINGS, SessionSettings(), SessionSettings(turn_detection=None)])
def test_the_session_update_of_a_ga_provider_validates(provider: Provider, settings: SessionSettings) -> None:
    JUDGE.validate_json(encode(session_update(provider, settings)))
    JUDGE.validate_json(encode(tools_update(provider, settings)))


def test_tools_that_run_at_the_provider_are_declared_in_their_own_words() -> None:
    declaration = (
        b'{"type":"mcp","server_label":"docs","server_url":"https://x.example/","allowed_tools":["a"]}'
    )
    settings = SessionSettings(tools=(WEATHER,), passed=(Raw(declaration),))
    for update in (session_update(OPENAI, settings), tools_update(YANDEX, settings)):
        tools = json.loads(encode(update))["session"]["tools"]
        assert tools == [json.loads(msgspec.json.encode(WEATHER)), json.loads(declaration)]
    JUDGE.validate_json(encode(session_update(OPENAI, settings)))


def test_an_audio_frame_is_base64_of_its_samples() -> None:
    assert json.loads(encode(AppendAudio(audio=b"\0\1\2\3"))) == {
        "type": "input_audio_buffer.append",
        "audio": "AAECAw==",
    }


def test_the_session_update_for_yandex_has_yandex_s_shape() -> None:
    settings = SessionSettings(
        voice="dasha",
        role="friendly",
        languages=("ru-RU",),
        output_rate=44100,
        tools=(WEATHER,),
        web_search=True,
        file_search="fvt123",
    )
    session = json.loads(encode(session_update(YANDEX, settings)))["session"]
    assert "type" not in session
    assert session["output_modalities"] == ["audio"]
    assert session["audio"]["input"]["languages"] == ["ru-RU"]
    assert "transcription" not in session["audio"]["input"]
    assert session["audio"]["output"] == {
        "format": {"type": "audio/pcm", "rate": 44100},
        "voice": "dasha",
        "role": "friendly",
    }
    assert [tool["name"] for tool in session["tools"]] == ["get_weather", "web_search", "file_search"]
    assert session["tools"][2]["description"] == "fvt123"
    assert session["tools"][1]["parameters"] == {}


def test_server_side_tools_are_not_declared_to_servers_that_have_none() -> None:
    settings = SessionSettings(web_search=True, file_search="fvt123")
    assert json.loads(encode(session_update(OPENAI, settings)))["session"]["tools"] == []


def test_formats_are_always_explicit() -> None:
    for provider in (OPENAI, YANDEX, AZURE, LOCAL):
        audio = session_update(provider, SessionSettings(input_rate=16000, output_rate=44100)).session.audio
        assert getattr(audio, "input").format == AudioFormat(rate=16000)  # noqa: B009 - UNSET has no fields
        assert getattr(audio, "output").format == AudioFormat(rate=44100)  # noqa: B009


@pytest.mark.parametrize(("provider", "dialect"), [(OPENAI, "openai"), (YANDEX, "yandex")])
def test_a_strict_server_accepts_our_session_update(provider: Provider, dialect: str) -> None:
    async def scene() -> list[str]:
        options = ServerOptions(script=Script(turns=(Turn(say="Hi", ms=100),)), dialect=dialect, strict=True)
        async with running(options) as server, connected(server) as client:
            await client.socket.send_bytes(encode(session_update(provider, SETTINGS)))
            await client.until("session.updated")
            await ask(client, "hello")
            await client.until("response.done")
            await client.socket.send_bytes(encode(tools_update(provider, SessionSettings())))
            nth = 2 if dialect == "openai" else 3  # Yandex confirms the first one twice
            updated = await client.until("session.updated", nth)
            assert updated["session"]["tools"] == []
            assert updated["session"]["instructions"] == SETTINGS.instructions, "it is a patch"
        return client.types

    assert "error" not in asyncio.run(scene())
