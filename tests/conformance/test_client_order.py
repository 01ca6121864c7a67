"""The dialogue against recorded event orders: it says what the recorded clients said, when they did."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.model_speaker import ModelSpeaker
from voice_agent.dialogue import Command, Dialogue, RunTool, Send, State, ToolOutcome
from voice_agent.realtime.codec import decode_server, encode
from voice_agent.realtime.events import ServerEvent
from voice_agent.realtime.providers import OPENAI, SessionSettings

SEQUENCES: dict[str, list[str]] = json.loads((Path(__file__).parent / "recorded_sequences.json").read_text())[
    "sequences"
]
OURS = {"session.update", "conversation.item.create", "response.create", "conversation.item.truncate"}


def steps(name: str) -> Iterator[tuple[str, str]]:
    """``("<" or ">", wire name)``, one for each event."""
    for entry in SEQUENCES[name]:
        match = re.fullmatch(r"([<>])(\S+)(?: x(\d+))?", entry)
        assert match, entry
        for _ in range(int(match[3] or 1)):
            yield match[1], match[2]


class Server:
    """Writes plausible events with recorded names: ids that fit together, and little else."""

    def __init__(self, *, calls: bool) -> None:
        self._responses = 0
        self._calls = calls

    def event(self, kind: str) -> ServerEvent:
        fields: dict[str, Any] = {"type": kind, "event_id": "e"}
        if kind == "response.created":
            self._responses += 1
        response, item = f"r{self._responses}", self._item()
        fields |= {"response_id": response, "item_id": item["id"], "item": item, "output_index": 0}
        fields |= {"response": {"id": response, "status": "completed", "output": []}, "session": {}}
        fields |= {"delta": "AAA=" if kind.endswith("audio.delta") else "x", "content_index": 0}
        event = decode_server(json.dumps(fields))
        assert isinstance(event, ServerEvent), event
        return event

    def _item(self) -> dict[str, Any]:
        if self._calls and self._responses == 1:
            call = {"type": "function_call", "name": "tool", "call_id": "c1", "arguments": "{}"}
            return {"id": "i1", **call}
        return {"id": f"i{self._responses}", "type": "message", "role": "assistant"}


def spoken_turns() -> list[str]:
    """Recordings in which the user speaks; in the others the client asks in writing, which we never do."""
    return [name for name in SEQUENCES if "<input_audio_buffer.speech_started" in SEQUENCES[name]]


def test_there_are_recordings_with_and_without_tools() -> None:
    assert len(spoken_turns()) >= 3
    assert any(calls_in(name) for name in spoken_turns())
    assert not all(calls_in(name) for name in spoken_turns())


def calls_in(name: str) -> bool:
    return any("function_call_arguments" in entry for entry in SEQUENCES[name])


@pytest.mark.parametrize("name", spoken_turns())
def test_we_say_what_recorded_clients_said_in_the_same_order(name: str) -> None:
    server, speaker = Server(calls=calls_in(name)), ModelSpeaker()
    dialogue = Dialogue(OPENAI, SessionSettings())
    said: list[str] = []

    def obey(commands: list[Command]) -> None:
        speaker.obey(commands)
        for command in commands:
            match command:
                case Send(event):
                    said.append(json.loads(encode(event))["type"])
                case RunTool(call):
                    outcome = ToolOutcome(call.call_id, "{}", outcome="ok", seconds=0.0)
                    obey(list(dialogue.tool_finished(outcome, speaker.moment())))

    for direction, kind in steps(name):
        if direction == "<":
            obey(list(dialogue.receive(server.event(kind), speaker.moment())))
        speaker.elapse(0.01)
    speaker.elapse(10)
    dialogue.wake(speaker.moment())

    assert said == [kind for direction, kind in steps(name) if direction == ">" and kind in OURS]
    assert dialogue.state is State.IDLE
