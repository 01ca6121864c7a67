"""The real daemon through drops, limits, silence and spent allowances: nothing is lost, nothing is deaf."""

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest

from tests.chaos.proxy import Proxy
from tests.system.harness import RATE, Daemon, conversation, daemon, loud, received, scene, until_streaming
from voice_agent.embedded import Fault, Script, Server, ServerOptions, Turn, running
from voice_agent.embedded.connection import Connection
from voice_agent.embedded.programs import english_voice
from voice_agent.realtime.events import AppendAudio, CreateItem, CreateResponse, TruncateItem

pytestmark = [pytest.mark.system, pytest.mark.audio]

DROP_IN_MID_ANSWER = Fault(after="response.output_audio.delta", nth=2, do="drop", after_ms=150, connection=1)
"""Late enough to have been read: a reset takes with it what still lies in the receiver's buffer."""


TRANSCRIBED = '[session]\ntranscription_model = "embedded"\n'


def spoken(text: str) -> bytes:
    """A real voice: the gate on this device is not opened by tones."""
    return english_voice().speak(text, RATE)


async def until_answered(voice: Daemon, times: int = 1) -> None:
    await voice.until_logged("agent said", times)


async def first_turn(server: Server, voice: Daemon) -> None:
    await until_streaming(server)
    voice.card.speak(loud(500))
    await until_answered(voice)


def items(connection: Connection) -> list[tuple[str, str, str]]:
    """Role, kind and text of the items that the daemon created."""
    found = []
    for event in received(connection, CreateItem):
        assert isinstance(event, CreateItem)
        (content,) = event.item.content  # type: ignore[misc]
        found.append((str(event.item.role), content.type, str(content.text)))
    return found


def heard(connection: Connection) -> bytes:
    """The sound that has reached the server."""
    return b"".join(event.audio for event in connection.received if isinstance(event, AppendAudio))


def loud_ms(pcm: bytes) -> int:
    """How much of it is loud."""
    return int(np.count_nonzero(np.abs(np.frombuffer(pcm, "<i2").astype(int)) > 300) * 1000 // RATE)


@scene
async def test_a_new_session_is_told_what_was_said_before_it(tmp_path: Path) -> None:
    turns = (
        Turn(heard="my name is Ann", say="Hello Ann.", ms=300),
        Turn(heard="who am I", say="Ann.", ms=200),
    )
    async with conversation(tmp_path, *turns, shared=True, settings=TRANSCRIBED) as (server, voice):
        await first_turn(server, voice)
        server.strike(Fault(after="now", do="drop"))
        second = await until_streaming(server, connection=2)
        assert items(second) == [
            ("user", "input_text", "my name is Ann"),
            ("assistant", "output_text", "Hello Ann."),
        ]
        voice.card.speak(loud(500))
        await until_answered(voice, 2)
        assert "Ann" not in voice.log


@scene
async def test_yandex_is_told_in_one_recap_because_it_refuses_the_assistants_words(tmp_path: Path) -> None:
    script = Script(turns=(Turn(heard="меня зовут Анна", say="Привет.", ms=300),), shared=True)
    async with running(ServerOptions(script=script, dialect="yandex")) as server:
        with daemon(tmp_path, server.url + "?dialect=yandex") as voice:
            await first_turn(server, voice)
            server.strike(Fault(after="now", do="drop"))
            second = await until_streaming(server, connection=2)
            ((role, kind, text),) = items(second)
            assert (role, kind) == ("user", "input_text")
            assert "меня зовут Анна" in text
            assert "Привет." in text


@scene
async def test_an_utterance_cut_by_a_drop_is_heard_whole_and_answered_after_it(tmp_path: Path) -> None:
    drop = Fault(after="input_audio_buffer.speech_started", do="drop", after_ms=300, connection=1)
    answer = Turn(heard="a long question", say="Yes.", ms=200, wave="counter")
    async with conversation(tmp_path, answer, faults=(drop,), shared=True) as (server, voice):
        await until_streaming(server)
        voice.card.speak(loud(1500))
        await until_answered(voice)
        assert 4000 in voice.card.played()
        assert loud_ms(heard(server.connections[-1])) >= 1450, "from its first word to its last"


@scene
async def test_what_had_arrived_of_an_answer_plays_to_its_end_over_a_drop(tmp_path: Path) -> None:
    story = Turn(heard="a story", say="Once upon a time", ms=4000, wave="counter", delta_bytes=(48_000,))
    async with conversation(tmp_path, story, faults=(DROP_IN_MID_ANSWER,), shared=True) as (server, voice):
        await until_streaming(server)
        voice.card.speak(loud(500))
        await until_streaming(server, connection=2)
        await until_answered(voice)
        played = voice.card.played()
        assert played.max() >= 48_000 - 1 - 24_000, "at least the two deltas that were certainly there"
        (start,) = np.flatnonzero(played == 1)[:1]
        whole = int(played.max())
        assert np.array_equal(played[start : start + whole], np.arange(1, whole + 1)), "without a gap"


@scene
async def test_an_answer_of_the_last_session_can_be_interrupted_in_the_next(tmp_path: Path) -> None:
    story = Turn(
        heard="a story", say="Once upon a time " * 20, ms=20_000, wave="counter", delta_bytes=(480_000,)
    )
    turns = (story, Turn(heard="stop", say="Well.", ms=100))
    async with conversation(tmp_path, *turns, faults=(DROP_IN_MID_ANSWER,), shared=True) as (server, voice):
        await until_streaming(server)
        voice.card.speak(loud(500))
        second = await until_streaming(server, connection=2)
        await voice.until_logged("answering")
        voice.card.speak(loud(500))
        await voice.until_logged("interrupted")
        await until_answered(voice, 2)
        assert received(second, TruncateItem) == [], "the item is not this session's"


@scene
async def test_a_finished_question_is_asked_again_in_words(tmp_path: Path) -> None:
    drop = Fault(after="response.created", do="drop", connection=1)
    answer = Turn(heard="what time is it", say="Noon.", ms=200, wave="counter")
    turns = (answer, Turn(say="Noon.", ms=200, wave="counter"))
    async with conversation(tmp_path, *turns, faults=(drop,), shared=True, settings=TRANSCRIBED) as (
        server,
        voice,
    ):
        await until_streaming(server)
        voice.card.speak(loud(500))
        second = await until_streaming(server, connection=2)
        await until_answered(voice)
        asked = [text for _, _, text in items(second)]
        resent = loud_ms(heard(second)) > 400
        assert resent or (asked == ["what time is it"] and received(second, CreateResponse))


@scene
async def test_a_session_is_renewed_before_its_limit_and_nobody_notices(tmp_path: Path) -> None:
    turns = (Turn(heard="one", say="One.", ms=200), Turn(heard="two", say="Two.", ms=200, wave="counter"))
    script = Script(turns=turns, shared=True)
    async with running(ServerOptions(script=script)) as server:
        with daemon(tmp_path, server.url, settings=TRANSCRIBED + "max_session_s = 6\n") as voice:
            await first_turn(server, voice)
            second = await until_streaming(server, connection=2)
            await voice.until_logged("session renewed")
            voice.card.speak(loud(500))
            await until_answered(voice, 2)
            assert items(second)[0][2] == "one"
            assert "no session" not in voice.log


@scene
async def test_an_expired_session_is_routine(tmp_path: Path) -> None:
    expiry = Fault(
        after="session.updated",
        do="error",
        error="session_expired",
        text="Your session hit the maximum duration of 60 minutes.",
        code=1001,
        after_ms=1500,
        connection=1,
    )
    answer = Turn(heard="hello", say="Hello.", ms=200)
    async with conversation(tmp_path, answer, faults=(expiry,), shared=True) as (server, voice):
        await until_streaming(server, connection=2)
        await voice.until_logged("cause=session_expired")
        voice.card.speak(loud(500))
        await until_answered(voice)
        assert "ERROR" not in voice.log


@scene
async def test_a_parked_daemon_wakes_at_the_first_word_and_loses_none_of_it(tmp_path: Path) -> None:
    answer = Turn(heard="hello", say="Hello.", ms=200, wave="counter")
    script = Script(turns=(answer,), shared=True)
    async with running(ServerOptions(script=script)) as server:
        with daemon(tmp_path, server.url, settings="[session]\npark_after_s = 2\n") as voice:
            await until_streaming(server)
            await voice.until_logged("parked")
            await asyncio.sleep(1)
            assert len(server.connections) == 1
            question = spoken("What is the weather like?")
            before = loud_ms(question)
            voice.card.speak(question)
            second = await until_streaming(server, connection=2)
            await until_answered(voice)
            assert loud_ms(heard(second)) >= before


@scene
async def test_a_spent_allowance_ends_in_a_state_that_survives_a_restart(tmp_path: Path) -> None:
    settings = "[budget]\naudio_minutes = 0.05\n"
    async with running(ServerOptions(script=Script())) as server:
        with daemon(tmp_path, server.url, settings=settings) as voice:
            await until_streaming(server)
            voice.card.speak(loud(300))
            await voice.until_logged("ERROR.*allowance")
            await voice.until(lambda: int(np.count_nonzero(voice.card.played())) > RATE)  # it says so
            voice.stop()
        connections = len(server.connections)
        with daemon(tmp_path, server.url, settings=settings) as voice:
            await voice.until_logged("ERROR.*allowance")
            assert len(server.connections) == connections


@scene
async def test_a_renewed_token_is_used_at_the_next_connection(tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text("AQVN-first")
    key_file.chmod(0o600)
    async with running(ServerOptions(script=Script())) as server:
        with daemon(tmp_path, server.url, key_file=key_file) as voice:
            await until_streaming(server)
            key_file.write_text("AQVN-second")
            server.strike(Fault(after="now", do="drop"))
            await until_streaming(server, connection=2)
            assert [headers["Authorization"] for headers in server.headers] == [
                "Bearer AQVN-first",
                "Bearer AQVN-second",
            ]
            assert "AQVN" not in voice.log


@pytest.mark.slow
@pytest.mark.parametrize("pongs", [True, False], ids=["answers pings", "never answers"])
def test_a_path_that_has_died_is_found_within_fifteen_seconds(tmp_path: Path, *, pongs: bool) -> None:
    async def play() -> None:
        script = Script(turns=(Turn(heard="hello", say="Hello.", ms=200),), shared=True, pongs=pongs)
        async with running(ServerOptions(script=script)) as server, Proxy(server.port) as proxy:
            with daemon(tmp_path, f"ws://127.0.0.1:{proxy.port}/v1/realtime") as voice:
                await first_turn(server, voice)
                await asyncio.sleep(5)  # long enough for a pong, or the lack of one
                proxy.black_hole()
                began = time.monotonic()
                await voice.until_logged("no session.*cause=silent", timeout_s=20)
                found_s = time.monotonic() - began
                await proxy.heal()
                await until_streaming(server, connection=2)
        assert found_s <= 15

    asyncio.run(play())


@pytest.mark.slow
@scene
async def test_an_idle_link_to_a_server_that_answers_no_pings_lives(tmp_path: Path) -> None:
    async with running(ServerOptions(script=Script(pongs=False))) as server:
        with daemon(tmp_path, server.url) as voice:
            await until_streaming(server)
            await asyncio.sleep(32)  # a probe after 20 s of silence, and no verdict 10 s later
            assert len(server.connections) == 1
            assert "no session" not in voice.log
            assert server.connections[0].outbox.sent.count("session.updated") >= 2, "the probe was answered"
