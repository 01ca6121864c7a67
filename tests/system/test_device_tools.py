"""The real process, and a model that commands the device: mute, repeat, status, stop and goodbye."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.system.harness import RATE, Daemon, conversation, loud, received, scene, until_streaming
from tests.system.test_controls import sent, settings
from voice_agent.controls.client import ask
from voice_agent.embedded import Server, Turn
from voice_agent.embedded.connection import Connection
from voice_agent.embedded.programs import english_voice
from voice_agent.embedded.script import ScriptedCall
from voice_agent.realtime.events import CreateItem, CreateResponse

pytestmark = [pytest.mark.system, pytest.mark.audio]


def calling(heard: str, name: str, *, say: str = "", ms: int | None = None) -> Turn:
    return Turn(heard=heard, say=say, ms=ms, calls=(ScriptedCall(name),))


def outputs(connection: Connection) -> list[dict[str, Any]]:
    """What tools have answered."""
    items = [event.item for event in connection.received if isinstance(event, CreateItem)]
    return [json.loads(str(item.output)) for item in items if item.type == "function_call_output"]


async def output(server: Server, connection: Connection, number: int = 1) -> dict[str, Any]:
    await server.watch.until(lambda: len(outputs(connection)) >= number, 15)
    return outputs(connection)[number - 1]


def is_sounding(voice: Daemon) -> bool:
    return bool(voice.card.played()[-12_000:].any())


@scene
async def test_the_session_is_parked_once_the_goodbye_was_heard_and_a_voice_begins_another(
    tmp_path: Path,
) -> None:
    turns = (calling("goodbye", "end_conversation", say="Goodbye, and good night.", ms=1500),)
    async with conversation(tmp_path, *turns, settings=settings(tmp_path)) as (server, voice):
        connection = await until_streaming(server)
        voice.card.speak(loud(600))
        answer = await output(server, connection)
        assert answer == {"ends_when_quiet": True, "begin_again_by": "speaking"}
        assert "parked until" not in voice.log
        await voice.until_logged("parked until somebody speaks")
        assert voice.log.index("agent said") < voice.log.index("parked until somebody speaks")
        assert not received(connection, CreateResponse), "the goodbye was in the same answer"
        await asyncio.sleep(1.0)  # the voice gate learns what the room sounds like
        voice.card.speak(english_voice().speak("Good morning. What is the weather like?", RATE))
        await until_streaming(server, connection=2)


@scene
async def test_an_answer_that_was_interrupted_is_repeated_as_far_as_it_was_heard(tmp_path: Path) -> None:
    story = " ".join(f"word{number}" for number in range(100))
    turns = (
        Turn(heard="a story", say=story, ms=10_000),
        calling("say that again", "repeat_answer"),
        Turn(say="Once more.", ms=200),
    )
    async with conversation(tmp_path, *turns, settings=settings(tmp_path)) as (server, voice):
        connection = await until_streaming(server)
        voice.card.speak(loud(600))
        await voice.until(lambda: is_sounding(voice))
        await asyncio.sleep(1.0)  # of a story that takes ten seconds
        voice.card.speak(loud(600))
        answer = await output(server, connection)
        assert answer["cut_off"]
        assert story.startswith(answer["text"])
        assert 5 <= len(answer["text"].split()) <= 50
        await voice.until_logged("agent said", times=2)


@scene
async def test_a_microphone_that_is_muted_by_voice_is_closed_and_the_answer_is_heard(tmp_path: Path) -> None:
    turns = (calling("mute", "mute_microphone"), Turn(say="I am deaf now.", ms=400))
    async with conversation(tmp_path, *turns, settings=settings(tmp_path)) as (server, voice):
        connection = await until_streaming(server)
        voice.card.speak(loud(600))
        assert await output(server, connection) == {
            "muted": True,
            "unmute_by": "the command voice-agent unmute",
        }
        await voice.until_logged("sound device muted")
        await voice.until_logged("agent said")
        before = len(sent(connection))
        voice.card.speak(loud(600))
        await asyncio.sleep(1.0)  # it would have been heard by now
        assert len(sent(connection)) == before
        assert (await asyncio.to_thread(ask, "POST", "unmute", tmp_path / "control")).muted is False
        await server.watch.until(lambda: len(sent(connection)) > before)


@scene
async def test_the_device_tells_how_it_is_and_is_quiet_when_it_is_told_to(tmp_path: Path) -> None:
    turns = (
        calling("how are you", "get_device_status"),
        Turn(say="I am well.", ms=10_000),
        calling("stop", "stop"),
    )
    async with conversation(tmp_path, *turns, settings=settings(tmp_path)) as (server, voice):
        connection = await until_streaming(server)
        voice.card.speak(loud(600))
        status = await output(server, connection)
        assert status["connection"] == "connected"
        assert (status["microphone"], status["loudspeaker"], status["muted"]) == ("open", "open", False)
        assert status["reconnects"] == 0
        assert "127.0.0.1" not in json.dumps(status)
        await voice.until(lambda: is_sounding(voice))
        asked = len(received(connection, CreateResponse))
        voice.card.speak(loud(600))
        assert await output(server, connection, 2) == {"stopped": True}
        await voice.until(lambda: not is_sounding(voice))
        await asyncio.sleep(0.5)  # it would have asked for words by now
        assert len(received(connection, CreateResponse)) == asked
        assert "stuck" not in voice.log
