"""The embedded server says things in the order in which live services were recorded saying them."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.fakes.wire_client import WireClient, ask, converse, settings, shape
from voice_agent.embedded import Script, ScriptedCall, Turn

RECORDED = json.loads((Path(__file__).parent / "recorded_sequences.json").read_text())["sequences"]
TRANSCRIBED = {"audio": {"input": {"transcription": {"model": "whisper-1"}}}}
CALL = ScriptedCall("get_weather", {"city": "Moscow", "units": "metric"})


async def one_utterance(client: WireClient) -> None:
    await client.audio(300)
    await client.audio(500, loud=True)
    await client.audio(900)


async def voice_turn(client: WireClient) -> None:
    await settings(client, **TRANSCRIBED)
    await one_utterance(client)
    await client.until("response.done")


async def three_voice_turns(client: WireClient) -> None:
    await settings(client, **TRANSCRIBED)
    for nth in (1, 2, 3):
        await one_utterance(client)
        await client.until("rate_limits.updated", nth)


async def answer_call(client: WireClient) -> None:
    call = (await client.until("response.output_item.done"))["item"]
    item = {"type": "function_call_output", "call_id": call["call_id"], "output": "-3"}
    await client.until("response.done")
    await client.say("conversation.item.create", item=item)
    await client.say("response.create")
    await client.until("response.done", 2)


async def voice_turn_with_tool(client: WireClient) -> None:
    await settings(client, **TRANSCRIBED)
    await one_utterance(client)
    await answer_call(client)


async def text_turn_with_tool(client: WireClient) -> None:
    await settings(client, output_modalities=["text"])
    await ask(client, "How cold is it?")
    await answer_call(client)


async def text_in_audio_out(client: WireClient) -> None:
    await settings(client)
    await ask(client, "Hello.")
    await client.until("response.done")


async def history(client: WireClient) -> None:
    await settings(client, output_modalities=["text"])
    for role, kind in (("user", "input_text"), ("assistant", "output_text")):
        item = {"type": "message", "role": role, "content": [{"type": kind, "text": "My cat is called Tom."}]}
        await client.say("conversation.item.create", item=item)
    await ask(client, "What is my cat called?")
    await client.until("response.done")


Talk = Callable[[WireClient], Awaitable[None]]
SAY = Turn(heard="Hello.", say="Hello to you.", ms=400)
TALKS: dict[str, tuple[Talk, tuple[Turn, ...]]] = {
    "openai: voice turn": (voice_turn, (SAY,)),
    "azure: voice turn": (voice_turn, (SAY,)),
    "openai: three voice turns": (three_voice_turns, (SAY, SAY, SAY)),
    "azure: voice turn with a tool": (voice_turn_with_tool, (Turn(heard="How cold?", calls=(CALL,)), SAY)),
    "openai: text turn with a tool": (text_turn_with_tool, (Turn(calls=(CALL,)), SAY)),
    "openai: text in, audio out": (text_in_audio_out, (SAY,)),
    "openai: history, text out": (history, (SAY,)),
}


@pytest.mark.parametrize("name", TALKS)
def test_events_come_in_the_recorded_order(name: str) -> None:
    talk, turns = TALKS[name]
    recorded: list[str] = []
    for line in RECORDED[name]:
        kind, _, count = line.partition(" x")
        if kind.startswith("<"):
            recorded += [kind[1:]] * int(count or 1)
    client = converse(talk, Script(turns=turns))
    assert shape(client.types) == shape(recorded)


def test_every_recorded_sequence_is_tried() -> None:
    assert set(TALKS) == set(RECORDED)
