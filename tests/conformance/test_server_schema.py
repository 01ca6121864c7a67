"""Every event of the GA dialect is an event to OpenAI's own library, and that library can talk to us."""

import asyncio
import base64
import json
from typing import Any

import openai
import pytest
from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent
from pydantic import TypeAdapter

from tests.fakes.wire_client import WireClient, ask, converse, settings
from voice_agent.embedded import Fault, Script, ScriptedCall, ServerOptions, Turn, running
from voice_agent.realtime import events

SERVER: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
CLIENT: TypeAdapter[Any] = TypeAdapter(RealtimeClientEvent)

NOT_SAID = {
    "conversation.item.created",  # the beta name of conversation.item.added
    "conversation.item.input_audio_transcription.failed",  # a fault sends it, when asked to
}
SAID = {
    str(cls.__struct_config__.tag)
    for cls in vars(events).values()
    if isinstance(cls, type)
    and issubclass(cls, events.ServerEvent)
    and not cls.__name__.startswith("Beta")
    and "mcp_" not in str(cls.__struct_config__.tag)  # this server runs no tools on its side
} - {"ServerEvent", "ServerWork", "OutputDelta", *NOT_SAID}

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


async def everything(client: WireClient) -> None:
    """One conversation that makes the server say every type of event it has."""
    await settings(client, tools=[WEATHER], audio={"input": {"transcription": {"model": "whisper-1"}}})
    await client.audio(300)
    await client.audio(400, loud=True)
    await client.audio(800)
    item = (await client.until("response.output_item.done"))["item"]
    output = {"type": "function_call_output", "call_id": item["call_id"], "output": "{}"}
    await client.until("response.done")
    await client.say("conversation.item.create", item=output)
    await client.say("response.create")
    await client.until("response.output_audio.delta", 2)
    await client.say("response.cancel")
    await client.until("response.done", 2)
    item_id = client.all("response.output_audio.delta")[0]["item_id"]
    await client.say("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=50)
    await client.say("conversation.item.retrieve", item_id=item_id)
    await client.say("conversation.item.delete", item_id=item_id)
    await client.say("input_audio_buffer.clear")
    await client.say("response.cancel")
    await settings(client, output_modalities=["text"])
    await ask(client, "Write.")
    await client.until("response.done", 3)


SCRIPT = Script(
    turns=(
        Turn(heard="How cold is it?", calls=(ScriptedCall("get_weather", {"city": "Moscow"}),)),
        Turn(say="It is rather cold today.", ms=4000),
        Turn(say="As you wish."),
    )
)


def test_every_event_is_a_realtime_server_event_of_the_openai_library() -> None:
    client = converse(everything, SCRIPT, pace=10)
    for event in client.heard:
        SERVER.validate_python(event)
    assert set(client.types) == SAID


def test_every_event_id_is_new() -> None:
    client = converse(everything, SCRIPT, pace=10)
    ids = [event["event_id"] for event in client.heard]
    assert len(set(ids)) == len(ids)


def test_the_session_is_one_of_the_openai_library() -> None:
    async def talk(client: WireClient) -> None:
        await settings(client, tools=[WEATHER], instructions="Be brief.")

    client = converse(talk)
    for event in client.all("session.created") + client.all("session.updated"):
        shown = {"type": "session.update", "session": event["session"]}
        CLIENT.validate_python(shown)


def test_the_openai_client_holds_a_voice_turn_with_a_tool_call() -> None:
    assert asyncio.run(_turn_of_openai_client()) == {
        "heard": "How cold is it in Moscow?",
        "arguments": {"city": "Moscow"},
        "said": "It is minus three.",
        "audio": 24000 * 2 * 300 // 1000,
    }


async def _turn_of_openai_client() -> dict[str, Any]:
    script = Script(
        turns=(
            Turn(heard="How cold is it in Moscow?", calls=(ScriptedCall("get_weather", {"city": "Moscow"}),)),
            Turn(say="It is minus three.", ms=300),
        )
    )
    facts: dict[str, Any] = {"audio": 0}
    async with running(ServerOptions(script=script)) as server:
        base = f"{server.http_url}/v1"
        client = openai.AsyncOpenAI(
            api_key="test", base_url=base, websocket_base_url=base.replace("http", "ws")
        )
        async with client, client.realtime.connect(model="gpt-realtime") as connection:
            await connection.session.update(
                session={
                    "type": "realtime",
                    "tools": [WEATHER],  # type: ignore[list-item]
                    "audio": {"input": {"transcription": {"model": "whisper-1"}}},
                }
            )
            for pcm in (bytes(9600), b"\x00\x20\x00\xe0" * 6000, bytes(48000)):
                await connection.input_audio_buffer.append(audio=base64.b64encode(pcm).decode())
            async for event in connection:
                if event.type == "conversation.item.input_audio_transcription.completed":
                    facts["heard"] = event.transcript
                elif event.type == "response.function_call_arguments.done":
                    facts["arguments"] = json.loads(event.arguments)
                    output: Any = {"type": "function_call_output", "call_id": event.call_id, "output": "-3"}
                    await connection.conversation.item.create(item=output)
                elif event.type == "response.output_audio.delta":
                    facts["audio"] += len(base64.b64decode(event.delta))
                elif event.type == "response.output_audio_transcript.done":
                    facts["said"] = event.transcript
                elif event.type == "response.done":
                    if "said" in facts:
                        break
                    await connection.response.create()
    return facts


@pytest.mark.parametrize("code", [1001, 1011])
def test_the_openai_client_sees_the_close_code_of_a_fault(code: int) -> None:
    async def run() -> int | None:
        fault = Fault(after="session.created", do="close", code=code, text="bye")
        async with running(ServerOptions(script=Script(faults=(fault,)))) as server:
            base = f"ws://127.0.0.1:{server.port}/v1"
            client = openai.AsyncOpenAI(api_key="test", websocket_base_url=base)
            async with client, client.realtime.connect(model="gpt-realtime") as connection:
                await connection.recv()
                try:
                    await connection.recv()
                except Exception as error:  # noqa: BLE001 - whatever that library's transport raises
                    return getattr(getattr(error, "rcvd", None), "code", None)
        return None

    assert asyncio.run(run()) == code
