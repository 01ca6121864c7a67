"""The session's configuration: the JSON that ``session.updated`` reports and the facts the server acts on."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import msgspec

from voice_agent.embedded.dialects import Dialect, JsonObject
from voice_agent.embedded.mind import Tool
from voice_agent.realtime.events import SessionConfig, ToolSpec, TurnDetection, known

SERVER_VAD: Mapping[str, Any] = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "create_response": True,
    "interrupt_response": True,
    "idle_timeout_ms": None,
}
"""OpenAI's reference defaults."""
SEMANTIC_SILENCE_MS = {"low": 1200, "medium": 600, "auto": 600, "high": 300}
"""semantic_vad waits for meaning; here eagerness only sets the patience."""


@dataclass(frozen=True, slots=True)
class Settings:
    """An effective session. ``effective``: as told to the client; the rest is read from it."""

    effective: JsonObject
    input_rate: int
    output_rate: int
    detection: TurnDetection | None
    transcribes: bool
    spoken: bool
    voice: str = ""
    instructions: str = ""
    tools: tuple[Tool, ...] = field(default=())

    @property
    def creates_responses(self) -> bool:
        """Whether the end of an utterance starts an answer."""
        return self.detection is not None and self.detection.create_response is not False

    @property
    def interrupts(self) -> bool:
        """Whether the user's voice stops an answer."""
        return self.detection is not None and self.detection.interrupt_response is not False


def initial(dialect: Dialect, model: str, session_id: str, expires_at: int) -> Settings:
    """What ``session.created`` reports. ``expires_at``: Unix seconds."""
    rate = dialect.default_rate if dialect.typed_session else None
    pcm = {"type": "audio/pcm", "rate": rate}
    effective: JsonObject = {
        "type": "realtime",
        "object": "realtime.session",
        "id": session_id,
        "model": model,
        "expires_at": expires_at,
        "instructions": "",
        "output_modalities": ["audio"],
        "audio": {
            "input": {
                "format": dict(pcm),
                "noise_reduction": None,
                "transcription": None,
                "turn_detection": dict(SERVER_VAD),
            },
            "output": {"format": dict(pcm), "voice": "marin", "speed": 1.0},
        },
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "truncation": "auto",
        "tracing": None,
        "prompt": None,
        "include": None,
    }
    return _read(effective, dialect)


def patched(settings: Settings, patch: JsonObject, dialect: Dialect) -> Settings:
    """The session after a ``session.update``: objects merge, everything else replaces."""
    return _read(_merged(deepcopy(settings.effective), patch), dialect)


def _merged(base: JsonObject, patch: JsonObject) -> JsonObject:
    for key, value in patch.items():
        if key == "turn_detection" and isinstance(value, dict):
            base[key] = _detection(base.get(key), value)
        elif isinstance(value, dict) and isinstance(base.get(key), dict):
            base[key] = _merged(base[key], value)
        else:
            base[key] = deepcopy(value)
    return base


def _detection(before: JsonObject | None, patch: JsonObject) -> JsonObject:
    kind = patch.get("type", (before or SERVER_VAD)["type"])
    if kind == "semantic_vad":
        return {"eagerness": "auto", "create_response": True, "interrupt_response": True, **patch}
    kept = before if before is not None and before["type"] == kind else SERVER_VAD
    return {**kept, **patch}


def _read(effective: JsonObject, dialect: Dialect) -> Settings:
    config = msgspec.json.decode(msgspec.json.encode(effective), type=SessionConfig)
    audio = effective["audio"]
    modalities = effective["output_modalities"]
    return Settings(
        effective=effective,
        input_rate=audio["input"]["format"].get("rate") or dialect.default_rate,
        output_rate=audio["output"]["format"].get("rate") or dialect.default_rate,
        detection=_endpointing(audio["input"]["turn_detection"]),
        transcribes=dialect.always_transcribes or audio["input"]["transcription"] is not None,
        spoken="audio" in modalities,
        voice=audio["output"].get("voice") or "",
        instructions=known(config.instructions),
        tools=tuple(
            _tool(spec)
            for spec in config.tools or ()
            if isinstance(spec, ToolSpec) and spec.type == "function" and spec.name not in dialect.builtins
        ),
    )


def _endpointing(detection: JsonObject | None) -> TurnDetection | None:
    if detection is None:
        return None
    if detection["type"] == "semantic_vad":
        patience = SEMANTIC_SILENCE_MS.get(detection["eagerness"], 600)
        detection = {**SERVER_VAD, **detection, "silence_duration_ms": patience}
    return msgspec.convert({k: v for k, v in detection.items() if v is not None}, TurnDetection)


class _Schema(msgspec.Struct):
    properties: dict[str, Any] = {}
    required: list[str] = []


def _tool(spec: ToolSpec) -> Tool:
    try:
        schema = msgspec.json.decode(bytes(spec.parameters or b"{}"), type=_Schema)
    except msgspec.DecodeError:
        schema = _Schema()
    return Tool(known(spec.name), tuple(schema.properties), tuple(schema.required))
