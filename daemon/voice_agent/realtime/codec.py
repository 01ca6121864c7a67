"""Between JSON text and event values. Nothing that a peer sends makes ``decode_*`` raise.

The decoders are built once from the classes in ``events``; msgspec does JSON, base64 and type checks in C.
"""

from functools import reduce
from operator import or_
from typing import Any

import msgspec
from msgspec import Raw

from voice_agent.realtime import events
from voice_agent.realtime.events import (
    AudioFormat,
    ClientEvent,
    Malformed,
    ResponseInfo,
    ServerEvent,
    Unrecognised,
    Usage,
    Wire,
)

MAX_FRAME_BYTES = 32 * 1024 * 1024
"""A frame above this is a fault: OpenAI bounds audio at 15 MiB an event, before base64."""

UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)
"""What decoding may raise, of a ``Raw`` as well: nobody has looked at the letters in that."""


def _tagged(base: type) -> Any:  # noqa: ANN401 - a union made at run time has no type
    """The union of all event classes below ``base``, for a tagged decoder."""
    return reduce(or_, [cls for cls in vars(events).values() if _is_event(cls) and issubclass(cls, base)])


def _is_event(cls: Any) -> bool:  # noqa: ANN401 - whatever stands in a module
    """Wire names are dotted, but for ``error``; the abstract bases have their class names as tags."""
    tag = isinstance(cls, type) and issubclass(cls, msgspec.Struct) and cls.__struct_config__.tag
    return isinstance(tag, str) and ("." in tag or tag == "error")


class _Envelope(msgspec.Struct):
    type: str


_encoder = msgspec.json.Encoder()
_server_decoder = msgspec.json.Decoder(_tagged(ServerEvent))
_client_decoder = msgspec.json.Decoder(_tagged(ClientEvent))
_envelope_decoder = msgspec.json.Decoder(_Envelope)


def encode(event: ClientEvent | ServerEvent) -> bytes:
    """The wire form of an event: one JSON object, UTF-8."""
    return _encoder.encode(event)


def decode_server(frame: str | bytes) -> ServerEvent | Unrecognised | Malformed:
    """What a server said."""
    try:
        event: ServerEvent = _server_decoder.decode(frame)
    except UNREADABLE as error:
        return _explain(frame, error, _SERVER_TYPES)
    return event


def decode_client(frame: str | bytes) -> ClientEvent | Unrecognised | Malformed:
    """What a client said."""
    try:
        event: ClientEvent = _client_decoder.decode(frame)
    except UNREADABLE as error:
        return _explain(frame, error, _CLIENT_TYPES)
    return event


def _tags(base: type) -> frozenset[str]:
    return frozenset(str(cls.__struct_config__.tag) for cls in _tagged(base).__args__)


_SERVER_TYPES = _tags(ServerEvent)
_CLIENT_TYPES = _tags(ClientEvent)


def _explain(frame: str | bytes, error: Exception, types: frozenset[str]) -> Unrecognised | Malformed:
    try:
        kind = _envelope_decoder.decode(frame).type
    except UNREADABLE:
        return Malformed(type="", reason=str(error))
    return Malformed(type=kind, reason=str(error)) if kind in types else Unrecognised(type=kind)


# --------------------------------------------------------------------------------- JSON inside events


def raw(value: Wire) -> Raw:
    """A value as the JSON text that some fields hold."""
    return Raw(_encoder.encode(value))


_usage_decoder = msgspec.json.Decoder(Usage)


def usage_of(response: ResponseInfo) -> Usage | None:
    """What a response cost; ``None`` when the server does not say, or not in the protocol's shape."""
    if not isinstance(response.usage, Raw):
        return None
    try:
        return _usage_decoder.decode(response.usage)
    except UNREADABLE:
        return None


# ------------------------------------------------------------------------------------------ names


class _Named(msgspec.Struct):
    id: str = ""


_named_decoder = msgspec.json.Decoder(_Named)


def session_id(session: Raw) -> str:
    """What a server calls its session; empty if it does not say."""
    try:
        return _named_decoder.decode(session).id
    except UNREADABLE:
        return ""


# ----------------------------------------------------------------------------- effective formats


RATES = range(8000, 48001)
"""Hz: what the providers of the protocol offer. A rate beyond is a fault, not a wish to be obeyed."""


class _Direction(msgspec.Struct):
    format: AudioFormat | None = None


class _Audio(msgspec.Struct):
    input: _Direction | None = None
    output: _Direction | None = None


class _Effective(msgspec.Struct):
    audio: _Audio | None = None


_effective_decoder = msgspec.json.Decoder(_Effective)


def effective_rates(session: Raw) -> tuple[int | None, int | None]:
    """Input and output rate in Hz that a server's session object states; ``None`` if none or absurd."""
    try:
        audio = _effective_decoder.decode(session).audio
    except UNREADABLE:
        return None, None
    if audio is None:
        return None, None
    given = audio.input and audio.input.format, audio.output and audio.output.format
    rate_in, rate_out = (form.rate if form and form.rate in RATES else None for form in given)
    return rate_in, rate_out
