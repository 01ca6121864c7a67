"""Says no the way providers do: what is wrong with a client event, as the ``error`` detail they would send.

Works on the decoded JSON, before types: a provider names the offending path, and unknown keys are part of
the offence. Codes and texts follow OpenAI's GA service.
"""

from collections.abc import Iterator
from typing import Any

from voice_agent.embedded.dialects import Dialect, JsonObject
from voice_agent.embedded.settings import Settings
from voice_agent.realtime.events import ClientEvent, ErrorDetail, Malformed, Unrecognised

Shape = dict[str, Any]
"""Known keys; a nested shape under a key is checked in turn, ``None`` ends the check."""

_FORMAT: Shape = {"type": None, "rate": None}
_SESSION: Shape = {
    "type": None,
    "model": None,
    "instructions": None,
    "output_modalities": None,
    "tools": None,
    "tool_choice": None,
    "parallel_tool_calls": None,
    "reasoning": None,
    "max_output_tokens": None,
    "truncation": None,
    "prompt": None,
    "tracing": None,
    "include": None,
    "audio": {
        "input": {
            "format": _FORMAT,
            "noise_reduction": None,
            "transcription": {"model": None, "language": None, "languages": None, "prompt": None}
            | {"keywords": None, "delay": None},
            "turn_detection": {"type": None, "threshold": None, "prefix_padding_ms": None}
            | {"silence_duration_ms": None, "create_response": None, "interrupt_response": None}
            | {"idle_timeout_ms": None, "eagerness": None},
        },
        "output": {"format": _FORMAT, "voice": None, "speed": None},
    },
}
_RESPONSE: Shape = dict.fromkeys(
    [
        "audio",
        "conversation",
        "input",
        "instructions",
        "max_output_tokens",
        "metadata",
        "output_modalities",
        "parallel_tool_calls",
        "prompt",
        "reasoning",
        "tool_choice",
        "tools",
    ]
)
_ITEM: Shape = dict.fromkeys(
    ["id", "object", "type", "status", "role", "content", "name", "call_id", "arguments", "output"]
)
_EVENTS: dict[str, Shape] = {
    "session.update": {"session": _SESSION},
    "input_audio_buffer.append": {"audio": None},
    "input_audio_buffer.commit": {},
    "input_audio_buffer.clear": {},
    "conversation.item.create": {"item": _ITEM, "previous_item_id": None},
    "conversation.item.truncate": {"item_id": None, "content_index": None, "audio_end_ms": None},
    "conversation.item.delete": {"item_id": None},
    "conversation.item.retrieve": {"item_id": None},
    "response.create": {"response": _RESPONSE},
    "response.cancel": {"response_id": None},
}
_OPTIONAL = {"previous_item_id", "response", "response_id"}


def invalid(
    code: str | None, message: str, param: str | None = None, event_id: str | None = None
) -> ErrorDetail:
    """An ``invalid_request_error``."""
    return ErrorDetail(
        type="invalid_request_error", code=code, message=message, param=param, event_id=event_id
    )


def structural(frame: object, event: ClientEvent | Unrecognised | Malformed) -> ErrorDetail | None:
    """What makes a frame no client event at all: no type, an unknown one, a missing or ill-typed field."""
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
        return invalid("invalid_event", "The 'type' field is missing.", "type")
    kind = frame["type"]
    if kind not in _EVENTS:
        names = ", ".join(f"'{name}'" for name in _EVENTS)
        return invalid("invalid_value", f"Invalid value: '{kind}'. Supported values are: {names}.", "type")
    for key in _EVENTS[kind]:
        if key not in _OPTIONAL and frame.get(key) is None:
            return _missing(key)
    if isinstance(event, Malformed):
        return invalid("invalid_type", f"Invalid event '{kind}': {event.reason}.")
    return None


def objection(frame: JsonObject, dialect: Dialect, settings: Settings, *, spoke: bool) -> ErrorDetail | None:
    """The first thing a strict provider minds in a well-typed event. ``spoke``: audio was sent before."""
    return next(_objections(frame, dialect, settings, spoke), None)


def _objections(
    frame: JsonObject, dialect: Dialect, settings: Settings, spoke: bool
) -> Iterator[ErrorDetail]:
    kind = frame["type"]
    if not dialect.unknown_keys:
        yield from _unknown({"type": None, "event_id": None, **_EVENTS[kind]}, frame, "")
    if kind == "session.update":
        yield from _session(frame["session"], dialect, settings, spoke)


def _unknown(shape: Shape, value: JsonObject, path: str) -> Iterator[ErrorDetail]:
    for key, inner in value.items():
        where = f"{path}.{key}" if path else key
        if key not in shape:
            yield invalid("unknown_parameter", f"Unknown parameter: '{where}'.", where)
        elif shape[key] is not None and isinstance(inner, dict):
            yield from _unknown(shape[key], inner, where)


def _session(session: JsonObject, dialect: Dialect, settings: Settings, spoke: bool) -> Iterator[ErrorDetail]:
    if dialect.typed_session and "type" not in session:
        yield _missing("session.type")
    if session.get("type", "realtime") != "realtime":
        yield _value("session.type", session["type"], "'realtime'")
    if session.get("model", settings.effective["model"]) != settings.effective["model"]:
        yield invalid("invalid_value", "The session's model cannot be changed.", "session.model")
    modalities = session.get("output_modalities", ["audio"])
    if modalities not in (["audio"], ["text"]) and not dialect.both_modalities:
        yield _value("session.output_modalities", modalities, "['text'] and ['audio']")
    yield from _tools(session.get("tools") or [], dialect)
    audio = session.get("audio") or {}
    for direction in ("input", "output"):
        yield from _format((audio.get(direction) or {}).get("format"), f"session.audio.{direction}", dialect)
    yield from _detection((audio.get("input") or {}).get("turn_detection"))
    voice = (audio.get("output") or {}).get("voice", settings.voice)
    if spoke and voice != settings.voice:
        message = "Cannot update a conversation's voice if assistant audio is present."
        yield invalid("cannot_update_voice", message, "session.audio.output.voice")


def _tools(tools: list[Any], dialect: Dialect) -> Iterator[ErrorDetail]:
    for index, tool in enumerate(tools):
        where = f"session.tools[{index}]"
        if not isinstance(tool, dict) or "type" not in tool:
            yield _missing(f"{where}.type")
        elif tool["type"] == "function" and not tool.get("name"):
            yield _missing(f"{where}.name")
        elif isinstance(tool.get("parameters"), str) and not dialect.builtins:
            message = f"Invalid type for '{where}.parameters': expected an object, but got a string instead."
            yield invalid("invalid_type", message, f"{where}.parameters")


def _format(form: object, where: str, dialect: Dialect) -> Iterator[ErrorDetail]:
    if not isinstance(form, dict):
        return
    if form.get("type") != "audio/pcm":
        yield _value(f"{where}.format.type", form.get("type"), "'audio/pcm'")
    rate = form.get("rate")
    if rate is not None and rate not in dialect.rates:
        low, high = dialect.rates[0], dialect.rates[-1]
        yield _value(f"{where}.format.rate", rate, f"{low}" if low == high else f"{low} to {high}")


def _detection(detection: object) -> Iterator[ErrorDetail]:
    if not isinstance(detection, dict):
        return
    where = "session.audio.input.turn_detection"
    if detection.get("type", "server_vad") not in ("server_vad", "semantic_vad"):
        yield _value(f"{where}.type", detection["type"], "'server_vad' and 'semantic_vad'")
    threshold = detection.get("threshold", 0.5)
    if not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
        yield _value(f"{where}.threshold", threshold, "0 to 1")
    for key in ("prefix_padding_ms", "silence_duration_ms"):
        value = detection.get(key, 0)
        if not isinstance(value, int) or value < 0:
            yield _value(f"{where}.{key}", value, "integers from 0")


def _missing(path: str) -> ErrorDetail:
    return invalid("missing_required_parameter", f"Missing required parameter: '{path}'.", path)


def _value(path: str, value: object, supported: str) -> ErrorDetail:
    return invalid("invalid_value", f"Invalid value: {value!r}. Supported values are: {supported}.", path)
