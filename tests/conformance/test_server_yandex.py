"""The Yandex dialect: names, order and refusals as documented and as seen on the live service."""

import asyncio

import pytest

from tests.fakes.wire_client import Json, Talk, WireClient, ask, connected, converse, shape
from voice_agent.embedded import Script, ScriptedCall, ServerOptions, Turn, running

SAMPLE: Json = {
    "instructions": "You are a helpful assistant.",
    "output_modalities": ["text", "audio"],
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24000, "channels": 1},
            "turn_detection": {"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 400},
        },
        "output": {"format": {"type": "audio/pcm", "rate": 44100}, "voice": "dasha"},
    },
    "tools": [
        {
            "type": "function",
            "name": "get_weather",
            "description": "Short weather in a city",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
        {"type": "function", "name": "web_search", "description": "Search the web", "parameters": "{}"},
        {"type": "function", "name": "file_search", "description": "vs-id", "parameters": "{}"},
    ],
}
"""What the original sample sends."""

TURN = Turn(heard="Hello.", say="Hello to you.", ms=400)


def yandex(talk: Talk, script: Script | None = None) -> WireClient:
    return converse(talk, script, dialect="yandex")


async def sample_voice_turn(client: WireClient) -> None:
    await client.say("session.update", session=SAMPLE)
    await client.until("session.updated", 2)
    await client.audio(300)
    await client.audio(500, loud=True)
    await client.audio(900)
    await client.until("response.done")


def test_the_original_samples_session_is_accepted_and_reported_twice() -> None:
    async def talk(client: WireClient) -> None:
        await client.say("session.update", session=SAMPLE)
        await client.until("session.updated", 2)
        tools = client.server.connections[0].settings.tools
        assert [tool.name for tool in tools] == ["get_weather"]
        assert tools[0].required == ("city",)

    client = yandex(talk)
    assert client.all("error") == []
    first, second = (event["session"] for event in client.all("session.updated"))
    assert first == second
    assert first["audio"]["output"]["format"]["rate"] == 44100
    assert first["audio"]["output"]["voice"] == "dasha"
    assert first["tools"] == SAMPLE["tools"]


def test_a_voice_turn_has_the_order_seen_on_the_live_service() -> None:
    client = yandex(sample_voice_turn, Script(turns=(TURN,)))
    assert shape(client.types) == [
        "session.created",
        "session.updated",
        "session.updated",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "conversation.item.created",
        "response.created",
        "response.output_item.added",
        "response.content_part.added",
        "(deltas)",
        "response.output_audio.done",
        "response.output_text.done",
        "response.output_item.done",
        "response.done",
    ]
    order = client.types
    completed = "conversation.item.input_audio_transcription.completed"
    assert order[order.index(completed) + 1] == "conversation.item.created"


def test_words_of_a_spoken_answer_are_text() -> None:
    client = yandex(sample_voice_turn, Script(turns=(TURN,)))
    words = [event["delta"] for event in client.all("response.output_text.delta")]
    assert "".join(words).strip() == "Hello to you."
    assert client.all("response.output_text.done")[0]["text"] == "Hello to you."
    assert len(client.pcm()) == 44100 * 2 * 400 // 1000


def test_a_function_calls_end_does_not_name_the_function() -> None:
    async def talk(client: WireClient) -> None:
        await ask(client, "How cold is it?")
        await client.until("response.done")

    client = yandex(talk, Script(turns=(Turn(calls=(ScriptedCall("get_weather"),)),)))
    assert "name" not in client.all("response.function_call_arguments.done")[0]
    assert client.all("response.output_item.done")[0]["item"]["name"] == "get_weather"


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_any_rate_is_granted(rate: int) -> None:
    async def talk(client: WireClient) -> None:
        form = {"type": "audio/pcm", "rate": rate}
        audio = {"input": {"format": form}, "output": {"format": form}}
        await client.say("session.update", session={"audio": audio})
        await client.audio(300, rate=rate)
        await client.audio(500, loud=True, rate=rate)
        await client.audio(900, rate=rate)
        await client.until("response.done")
        assert client.server.connections[0].listener.heard_ms == 1700

    client = yandex(talk, Script(turns=(TURN,)))
    assert len(client.pcm()) == rate * 2 * 400 // 1000


def test_a_client_that_names_no_format_gets_no_rate_and_44100_hz() -> None:
    async def talk(client: WireClient) -> None:
        await client.say("session.update", session={"instructions": "Be brief."})
        await client.until("session.updated")
        await ask(client, "Hello.")
        await client.until("response.done")

    client = yandex(talk, Script(turns=(TURN,)))
    assert client.all("session.updated")[0]["session"]["audio"]["output"]["format"]["rate"] is None
    assert len(client.pcm()) == 44100 * 2 * 400 // 1000


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        ("input_audio_buffer.clear", {}, "not supported"),
        (
            "conversation.item.create",
            {
                "item": {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "Hello."}],
                }
            },
            "MessageContentItemOutputText",
        ),
        ("response.cancel", {"response_id": "resp_1"}, "no such response"),
        ("response.stop", {}, "response.stop"),
    ],
)
def test_what_yandex_does_not_support_is_an_error_without_a_code(
    kind: str, fields: Json, message: str
) -> None:
    async def talk(client: WireClient) -> None:
        await client.say(kind, event_id="mine", **fields)
        await client.until("error")

    error = yandex(talk).all("error")[0]["error"]
    assert message in error["message"]
    assert error["code"] is None
    assert error["event_id"] == "mine"


def test_the_dialect_can_be_chosen_in_the_url() -> None:
    async def run() -> list[str]:
        async with running(ServerOptions(script=Script())) as server:
            async with connected(server, "&dialect=yandex") as client:
                await client.say("session.update", session={})
                await client.until("session.updated", 2)
            return client.types

    assert asyncio.run(run()) == ["session.created", "session.updated", "session.updated"]
