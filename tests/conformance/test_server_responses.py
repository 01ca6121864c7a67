"""The response state machine: one at a time, one end for each beginning, interruption, truncation."""

import asyncio
import base64
import struct

import aiohttp
import pytest

from tests.fakes.wire_client import Json, WireClient, ask, converse, settings, shape
from voice_agent.embedded import Script, ServerOptions, Turn, running

LONG = Turn(say="one two three four five six seven eight nine ten", ms=10_000, wave="counter")
SLOWLY = 20.0  # times real time: 100 ms of sound every 5 ms


async def begin_long_answer(client: WireClient) -> str:
    await ask(client, "Count.")
    item_id: str = (await client.until("response.output_audio.delta", 3))["item_id"]
    return item_id


def last_response(client: WireClient) -> Json:
    response: Json = client.all("response.done")[-1]["response"]
    return response


def errors(client: WireClient) -> list[Json]:
    return [event["error"] for event in client.all("error")]


def test_a_second_response_is_refused_while_one_is_active() -> None:
    async def talk(client: WireClient) -> None:
        await begin_long_answer(client)
        await client.say("response.create", event_id="again")
        await client.until("error")
        await client.say("response.cancel")
        await client.until("response.done")

    client = converse(talk, Script(turns=(LONG,)), pace=SLOWLY)
    assert errors(client)[0]["code"] == "conversation_already_has_active_response"
    assert errors(client)[0]["event_id"] == "again"
    assert client.types.count("response.created") == client.types.count("response.done") == 1


def test_cancel_ends_the_response_in_order_and_at_once() -> None:
    async def talk(client: WireClient) -> None:
        await begin_long_answer(client)
        await client.say("response.cancel")
        await client.until("response.done")
        await ask(client, "And now?")
        await client.until("response.done", 2)

    client = converse(talk, Script(turns=(LONG, Turn(say="Yes.", ms=100))), pace=SLOWLY)
    cancelled = client.all("response.done")[0]["response"]
    assert cancelled["status"] == "cancelled"
    assert cancelled["status_details"]["reason"] == "client_cancelled"
    assert cancelled["output"][0]["status"] == "incomplete"
    first = client.types[: client.types.index("response.done") + 1]
    assert shape(first)[-7:] == [
        "(deltas)",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    late = [e for e in client.heard[len(first) :] if e.get("response_id") == cancelled["id"]]
    assert late == []


def test_cancel_without_a_response_is_an_error() -> None:
    async def talk(client: WireClient) -> None:
        await client.say("response.cancel", event_id="nothing")
        await client.until("error")

    client = converse(talk)
    assert errors(client) == [
        {
            "type": "invalid_request_error",
            "code": "response_cancel_not_active",
            "message": "Cancellation failed: no active response found",
            "param": None,
            "event_id": "nothing",
        }
    ]


def test_the_users_voice_cancels_the_response() -> None:
    async def talk(client: WireClient) -> None:
        await begin_long_answer(client)
        await client.audio(200)
        await client.audio(300, loud=True)
        await client.until("response.done")

    client = converse(talk, Script(turns=(LONG,)), pace=SLOWLY)
    assert last_response(client)["status_details"] == {
        "type": "cancelled",
        "reason": "turn_detected",
    }
    order = client.types
    assert order.index("input_audio_buffer.speech_started") < order.index("response.done")


def test_the_users_voice_does_not_cancel_when_interruption_is_off() -> None:
    async def talk(client: WireClient) -> None:
        detection = {"type": "server_vad", "interrupt_response": False, "create_response": False}
        await settings(client, audio={"input": {"turn_detection": detection}})
        await begin_long_answer(client)
        await client.audio(200)
        await client.audio(300, loud=True)
        await client.audio(900)
        await client.until("conversation.item.done", 3)

    client = converse(talk, Script(turns=(LONG,)), pace=SLOWLY)
    assert last_response(client)["status"] == "completed"
    assert client.types.count("response.created") == 1
    assert errors(client) == []


def test_a_listener_who_is_slow_can_still_cancel_what_was_not_sent() -> None:
    async def run() -> Json:
        script = Script(turns=(Turn(say="Long.", ms=600_000, wave="silence"),))
        async with (
            running(ServerOptions(script=script)) as server,
            aiohttp.ClientSession() as session,
            session.ws_connect(server.url, max_msg_size=0) as socket,
        ):
            for kind in ("response.create", "response.cancel"):
                await socket.send_json({"type": kind})
                await server.watch.until(
                    lambda: len(server.connections[0].outbox.sent) > 4  # the answer has begun
                )
            while (event := await socket.receive_json())["type"] != "response.done":
                pass
        response: Json = event["response"]
        return response

    assert asyncio.run(run())["status"] == "cancelled"


def test_scripted_late_deltas_leave_after_the_cancellation_and_before_its_end() -> None:
    async def talk(client: WireClient) -> None:
        await begin_long_answer(client)
        await client.say("response.cancel")
        await client.until("response.done")

    late = Turn(say="Late.", ms=10_000, late_deltas=2)
    client = converse(talk, Script(turns=(late,)), pace=SLOWLY)
    end = client.types.index("response.output_audio.done")
    silent = [not any(base64.b64decode(event["delta"])) for event in client.heard[end - 3 : end]]
    assert silent == [False, True, True]  # the late ones hold silence, the answer a tone


def test_audio_is_whole_whatever_the_size_of_its_deltas() -> None:
    async def talk(client: WireClient) -> None:
        await ask(client, "Count.")
        await client.until("response.done")

    turn = Turn(say="Odd.", ms=500, wave="counter", delta_bytes=(1, 333, 4801, 7))
    client = converse(talk, Script(turns=(turn,)))
    samples = struct.unpack("<12000h", client.pcm())
    assert samples == tuple(range(1, 12001))
    assert last_response(client)["status"] == "completed"


def test_truncation_cuts_the_text_that_the_server_remembers() -> None:
    async def talk(client: WireClient) -> None:
        item_id = await begin_long_answer(client)
        await client.until("response.output_audio.delta", 60)
        await client.say("response.cancel")
        await client.until("response.done")
        where = {"item_id": item_id, "content_index": 0, "audio_end_ms": 3500}
        await client.say("conversation.item.truncate", **where)
        assert (await client.until("conversation.item.truncated"))["audio_end_ms"] == 3500
        entry = client.server.connections[0].conversation.get(item_id)
        assert entry is not None
        assert entry.text == "one two three"
        assert entry.heard_ms == 3500
        await client.say("conversation.item.retrieve", item_id=item_id)
        retrieved = await client.until("conversation.item.retrieved")
        assert retrieved["item"]["content"][0]["transcript"] == "one two three"

    converse(talk, Script(turns=(LONG,)), pace=50)


@pytest.mark.parametrize(
    ("heard_ms", "role", "code", "message"),
    [
        (401, "assistant", None, "Audio content of 400ms is already shorter than 401ms"),
        (0, "user", "unsupported_content_type", "Only model output audio messages can be truncated"),
    ],
)
def test_a_truncation_that_cannot_be_is_refused(
    heard_ms: int, role: str, code: str | None, message: str
) -> None:
    async def talk(client: WireClient) -> None:
        await ask(client, "Hello.")
        await client.until("response.done")
        item = next(e["item"] for e in client.all("conversation.item.done") if e["item"]["role"] == role)
        where = {"item_id": item["id"], "content_index": 0, "audio_end_ms": heard_ms}
        await client.say("conversation.item.truncate", **where)
        await client.until("error")

    client = converse(talk, Script(turns=(Turn(say="Hello.", ms=400),)))
    assert (errors(client)[0]["code"], errors(client)[0]["message"]) == (code, message)


def test_without_endpointing_the_client_commits_and_asks() -> None:
    async def talk(client: WireClient) -> None:
        await settings(client, audio={"input": {"turn_detection": None}})
        await client.audio(500, loud=True)
        await client.say("input_audio_buffer.commit")
        committed = await client.until("input_audio_buffer.committed")
        await client.say("response.create")
        await client.until("response.done")
        entry = client.server.connections[0].conversation.get(committed["item_id"])
        assert entry is not None
        assert entry.text == "Hello?"

    client = converse(talk, Script(turns=(Turn(heard="Hello?", say="Hello!"),)))
    assert "input_audio_buffer.speech_started" not in client.types


def test_an_empty_commit_is_refused() -> None:
    async def talk(client: WireClient) -> None:
        await settings(client, audio={"input": {"turn_detection": None}})
        await client.audio(500)
        await client.say("input_audio_buffer.clear")
        await client.until("input_audio_buffer.cleared")
        await client.say("input_audio_buffer.commit")
        await client.until("error")

    assert errors(converse(talk))[0]["code"] == "input_audio_buffer_commit_empty"


def test_an_utterance_is_placed_on_the_sessions_clock() -> None:
    async def talk(client: WireClient) -> None:
        detection = {"type": "server_vad", "prefix_padding_ms": 200, "silence_duration_ms": 320}
        await settings(client, audio={"input": {"turn_detection": detection}})
        await client.audio(3000)
        await client.until("input_audio_buffer.speech_stopped")

    client = converse(talk, Script(speech_ms=((1000, 1500),)))
    assert client.all("input_audio_buffer.speech_started")[0]["audio_start_ms"] == 1024 - 200
    assert client.all("input_audio_buffer.speech_stopped")[0]["audio_end_ms"] == 1504 + 320


def test_one_response_can_be_written_in_a_spoken_session() -> None:
    async def talk(client: WireClient) -> None:
        await client.say("response.create", response={"output_modalities": ["text"]})
        await client.until("response.done")
        await client.say("response.create")
        await client.until("response.done", 2)

    client = converse(talk, Script(turns=(Turn(say="Hello."),), loop=True))
    assert [e["text"] for e in client.all("response.output_text.done")] == ["Hello."]
    assert [e["transcript"] for e in client.all("response.output_audio_transcript.done")] == ["Hello."]


def test_paced_audio_takes_its_time() -> None:
    async def talk(client: WireClient) -> None:
        await ask(client, "Slowly.")
        await client.until("response.output_audio.delta", 9)
        assert client.server.connections[0].responder.active_id is not None

    converse(talk, Script(turns=(Turn(say="Slow.", ms=60_000),)), pace=1.0)


def test_a_deleted_item_is_gone() -> None:
    async def talk(client: WireClient) -> None:
        await ask(client, "Hello.")
        await client.until("response.done")
        item_id = client.all("conversation.item.done")[0]["item"]["id"]
        await client.say("conversation.item.delete", item_id=item_id)
        await client.until("conversation.item.deleted")
        assert client.server.connections[0].conversation.get(item_id) is None
        await client.say("conversation.item.retrieve", item_id=item_id)
        await client.until("error")

    assert errors(converse(talk))[0]["code"] == "item_retrieve_invalid_item_id"


def test_items_go_where_the_client_wants_them() -> None:
    async def talk(client: WireClient) -> None:
        for name, before in (("b", None), ("c", "b"), ("a", "root")):
            item = {"id": name, "type": "message", "role": "user", "content": []}
            await client.say("conversation.item.create", item=item, previous_item_id=before)
        await client.until("conversation.item.done", 3)
        assert [entry.item.id for entry in client.server.connections[0].conversation] == ["a", "b", "c"]

    client = converse(talk)
    assert [e["previous_item_id"] for e in client.all("conversation.item.added")] == [None, "b", None]
