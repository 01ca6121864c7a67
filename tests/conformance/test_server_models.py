"""The embedded server with real models hears a real voice, calls the right tool and speaks."""

import asyncio
import base64
import json

import pytest

from tests.fakes.wire_client import Json, WireClient, connected, settings
from voice_agent.embedded import ServerOptions, running

pytestmark = [pytest.mark.models, pytest.mark.slow]

RATE = 24_000
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"type": "function", "name": name, "parameters": CITY} for name in ("get_weather", "get_time")]
OUTPUTS: dict[str, Json] = {
    "get_weather": {"city": "Moscow", "temperature_c": -3, "condition": "light snow"},
    "get_time": {"place": "Tokyo", "time": "14:05", "date": "2026-11-22"},
}


class Speaker:
    """A person with Hibari's voice who answers tool calls."""

    def __init__(self, client: WireClient) -> None:
        from voice_agent.embedded.hibari import HibariTts

        self._voice = HibariTts()
        self._client = client

    async def say(self, sentence: str) -> None:
        """Speak at four times real time, then be silent for a second."""
        pcm = self._voice.speak(sentence, RATE) + bytes(2 * RATE)
        step = RATE // 50 * 2
        for at in range(0, len(pcm), step):
            piece = base64.b64encode(pcm[at : at + step]).decode()
            await self._client.say("input_audio_buffer.append", audio=piece)
            await asyncio.sleep(0.005)

    async def ask(self, sentence: str) -> tuple[str, list[Json], str]:
        """What the server heard, called and finally said."""
        begin = len(self._client.heard)
        await self.say(sentence)
        calls = await self._answer_calls(begin)
        new = self._client.heard[begin:]
        heard = [e["transcript"] for e in new if e["type"].endswith("transcription.completed")]
        said = [e["transcript"] for e in new if e["type"].endswith("audio_transcript.done")]
        return " ".join(heard), calls, " ".join(said)

    async def _answer_calls(self, begin: int) -> list[Json]:
        calls: list[Json] = []
        while True:
            items = (await self._response(begin))["output"]
            asked = [item for item in items if item["type"] == "function_call"]
            if not asked:
                return calls
            begin = len(self._client.heard)
            for call in asked:
                calls.append({call["name"]: json.loads(call["arguments"])})
                output = json.dumps(OUTPUTS[call["name"]])
                item = {"type": "function_call_output", "call_id": call["call_id"], "output": output}
                await self._client.say("conversation.item.create", item=item)
            await self._client.say("response.create")

    async def _response(self, begin: int) -> Json:
        def done() -> list[Json]:
            return [e for e in self._client.heard[begin:] if e["type"] == "response.done"]

        await self._client.wait(lambda: bool(done()))
        response: Json = done()[0]["response"]
        return response


async def demo(speech: str) -> list[tuple[str, list[Json], str]]:
    async with running(ServerOptions(speech=speech)) as server, connected(server) as client:
        detection = {"type": "server_vad", "silence_duration_ms": 400}
        hearing = {"transcription": {"model": "whisper-1"}, "turn_detection": detection}
        await settings(client, tools=TOOLS, audio={"input": hearing})
        speaker = Speaker(client)
        return [
            await speaker.ask("What is the weather in Moscow?"),
            await speaker.ask("What is the weather in London and what time is it in Tokyo?"),
            await speaker.ask("Which city did I ask about first?"),
        ]


@pytest.mark.parametrize(("speech", "package"), [("en", "moonshine_voice"), ("light", "pocketsphinx")])
def test_a_spoken_question_is_heard_looked_up_and_answered(speech: str, package: str) -> None:
    for needed in ("hibari", package):
        pytest.importorskip(needed)
    weather, both, first = asyncio.run(demo(speech))
    assert weather[0].lower().rstrip("?") == "what is the weather in moscow"
    assert weather[1] == [{"get_weather": {"city": "Moscow"}}]
    assert weather[2] == "In Moscow it is minus 3 degrees, light snow."
    assert both[1] == [{"get_weather": {"city": "London"}}, {"get_time": {"city": "Tokyo"}}]
    assert both[2].endswith("In Tokyo it is 14:05.")
    assert first[2] == "You asked about Moscow first."


def test_the_story_can_be_interrupted_and_goes_on_from_where_it_was_heard() -> None:
    for needed in ("hibari", "moonshine_voice"):
        pytest.importorskip(needed)

    async def run() -> tuple[str, str, str]:
        async with running(ServerOptions(pace=8.0)) as server, connected(server) as client:
            await settings(client)
            speaker = Speaker(client)
            await speaker.say("Tell me a long story.")
            delta = await client.until("response.output_audio.delta", 60)
            await speaker.say("Please stop.")
            cancelled = (await client.until("response.done"))["response"]
            assert cancelled["status_details"]["reason"] == "turn_detected"
            where = {"item_id": delta["item_id"], "content_index": 0, "audio_end_ms": 5000}
            await client.say("conversation.item.truncate", **where)
            await client.until("conversation.item.truncated")
            await client.until("response.done", 2)
            entry = server.connections[0].conversation.get(delta["item_id"])
            assert entry is not None
            await speaker.say("Continue.")
            await client.until("response.output_audio_transcript.delta", 1)
            await client.wait(lambda: client.types.count("response.created") == 3)
            third = client.all("response.created")[2]["response"]["id"]
            words = "response.output_audio_transcript.delta"
            rest = [e["delta"] for e in client.all(words) if e["response_id"] == third]
            while len(rest) < 5:
                await client.until(words, client.types.count(words) + 1)
                rest = [e["delta"] for e in client.all(words) if e["response_id"] == third]
            okay = client.all("response.output_audio_transcript.done")[1]["transcript"]
            return entry.text, okay, "".join(rest)

    heard, okay, rest = asyncio.run(run())
    assert okay == "Okay."
    from voice_agent.embedded.policy.english_phrases import STORY

    assert STORY.startswith(f"{heard} {rest.strip()}")
    assert 20 < len(heard) < 150
