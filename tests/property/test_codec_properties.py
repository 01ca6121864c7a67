"""The codec: what goes in comes out, and nothing that a peer sends raises."""

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from voice_agent.dialogue.playout import Utterance
from voice_agent.realtime.codec import decode_client, decode_server, effective_rates, encode
from voice_agent.realtime.events import (
    AppendAudio,
    AudioDelta,
    CreateItem,
    Item,
    Malformed,
    ServerEvent,
    TranscriptionCompleted,
    TruncateItem,
    Unrecognised,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda below: st.lists(below) | st.dictionaries(st.text(), below),
    max_leaves=20,
)
KNOWN_TYPES = sorted(str(cls.__struct_config__.tag) for cls in ServerEvent.__subclasses__())
FIELDS = ["type", "event_id", "delta", "item", "response", "response_id", "session", "error", "content_index"]
ALMOST_EVENTS = st.builds(
    lambda kind, fields: {**fields, "type": kind},
    st.sampled_from(KNOWN_TYPES),
    st.dictionaries(st.sampled_from(FIELDS), JSON),
)


@given(st.binary(max_size=5000))
def test_audio_survives_the_wire_in_both_directions(pcm: bytes) -> None:
    assert decode_client(encode(AppendAudio(audio=pcm))) == AppendAudio(audio=pcm)
    delta = AudioDelta(response_id="r", item_id="i", delta=pcm)
    assert decode_server(encode(delta)) == delta


@given(st.text(), st.text(), st.integers(min_value=0, max_value=10**9))
def test_texts_and_numbers_survive_the_wire(item: str, text: str, ms: int) -> None:
    truncate = TruncateItem(item_id=item, content_index=0, audio_end_ms=ms)
    assert decode_client(encode(truncate)) == truncate
    output = CreateItem(item=Item(type="function_call_output", call_id=item, output=text))
    assert decode_client(encode(output)) == output
    said = TranscriptionCompleted(item_id=item, transcript=text)
    assert decode_server(encode(said)) == said


@given(st.binary() | st.text())
def test_no_frame_raises(frame: bytes | str) -> None:
    assert isinstance(decode_server(frame), ServerEvent | Unrecognised | Malformed)
    decode_client(frame)


@given(JSON | ALMOST_EVENTS)
def test_no_json_raises_and_what_is_wrong_keeps_its_type(value: object) -> None:
    event = decode_server(json.dumps(value))
    assert isinstance(event, ServerEvent | Unrecognised | Malformed)
    if isinstance(event, Malformed) and isinstance(value, dict):
        assert event.type in ("", value.get("type"))
        assert event.reason


@given(JSON)
def test_no_session_object_raises(session: object) -> None:
    for rate in effective_rates(msgspec.Raw(json.dumps(session).encode())):
        assert rate is None or 8000 <= rate <= 48000


@given(st.lists(st.binary(max_size=9)))
def test_samples_cut_anywhere_are_whole_again(deltas: list[bytes]) -> None:
    utterance = Utterance("i", 0, "r", 1)
    played = [utterance.whole_samples(delta) for delta in deltas]
    assert all(len(pcm) % 2 == 0 for pcm in played)
    everything = b"".join(deltas)
    assert b"".join(played) == everything[: len(everything) // 2 * 2]
