"""The real process, as systemd would start it, against the embedded server on a virtual sound card."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.system.harness import KEY, RATE, conversation, daemon, loud, received, scene, until_streaming
from tests.system.manager import manager
from voice_agent.embedded import Fault, Script, ScriptedCall, ServerOptions, Turn, running
from voice_agent.realtime.events import CreateItem, TruncateItem

pytestmark = [pytest.mark.system, pytest.mark.audio]


@scene
async def test_an_answer_to_speech_leaves_the_loudspeaker_bit_for_bit(tmp_path: Path) -> None:
    answer = Turn(heard="hello", say="Good day.", ms=700, wave="counter", delta_bytes=(4801, 7, 960))
    async with conversation(tmp_path, answer) as (server, voice):
        await until_streaming(server)
        voice.card.speak(loud(600))
        await voice.until_logged("agent said")
        assert "chars=" in voice.log
        assert "Good day" not in voice.log, "transcripts are private"
        played = voice.card.played()
        (start,) = np.flatnonzero(played == 1)[:1]
        expected = 1 + np.arange(RATE * 700 // 1000) % 32767
        assert np.array_equal(played[start : start + len(expected)], expected)


@scene
async def test_a_yandex_server_is_spoken_to_in_its_own_way_at_44100_hz(tmp_path: Path) -> None:
    asked = Turn(heard="when", calls=(ScriptedCall("get_time", {"place": "Tokyo"}),))
    answer = Turn(say="Now.", ms=500, wave="counter", delta_bytes=(4801,))
    script = Script(turns=(asked, answer))
    async with running(ServerOptions(script=script, dialect="yandex")) as server:
        with daemon(tmp_path, server.url + "?dialect=yandex") as voice:
            connection = await until_streaming(server)
            voice.card.speak(loud(600))
            await voice.until_logged("agent said")
            played = voice.card.played()
    assert connection.outbox.sent.count("session.updated") == 2
    (start,) = np.flatnonzero(played == 1)[:1]
    assert np.array_equal(played[start : start + 22_050], 1 + np.arange(22_050))
    assert "WARNING" not in voice.log


@scene
async def test_two_tools_are_called_and_both_answers_come_back(tmp_path: Path) -> None:
    calls = (
        ScriptedCall("get_time", {"place": "Tokyo"}),
        ScriptedCall("no_such_tool"),
    )
    async with conversation(tmp_path, Turn(heard="when", calls=calls), Turn(say="Now.", ms=200)) as (
        server,
        voice,
    ):
        connection = await until_streaming(server)
        voice.card.speak(loud(600))
        await voice.until_logged("agent said")
        outputs = [str(event.item.output) for event in received(connection, CreateItem)]  # type: ignore[attr-defined]
        assert len(outputs) == 2
        assert any("Tokyo" in output for output in outputs)
        assert any("no tool named" in output for output in outputs)


@scene
async def test_speech_silences_the_answer_and_the_server_learns_what_was_heard(tmp_path: Path) -> None:
    story = Turn(heard="a story", say="Once upon a time", ms=20_000, wave="counter")
    async with conversation(tmp_path, story, Turn(heard="stop", say="", ms=0)) as (server, voice):
        connection = await until_streaming(server)
        voice.card.speak(loud(600))
        await voice.until(lambda: int(np.count_nonzero(voice.card.played()[-RATE:])) > RATE // 2)
        voice.card.speak(loud(600))
        await voice.until_logged("interrupted")
        await server.watch.until(lambda: bool(received(connection, TruncateItem)))
        (truncate,) = received(connection, TruncateItem)
        await asyncio.sleep(0.2)
        played = np.flatnonzero(voice.card.played())
        sounded_ms = (played[-1] - played[0]) * 1000 // RATE
        heard_ms = truncate.audio_end_ms  # type: ignore[attr-defined]
        assert 0 <= sounded_ms - heard_ms <= 60, (
            "what sounded after the report is what the device had already"
        )


@scene
async def test_a_dropped_connection_is_retried_and_the_conversation_goes_on(tmp_path: Path) -> None:
    drop = Fault(after="response.output_audio.delta", nth=2, do="drop", connection=1)
    turns = (Turn(heard="one", say="One.", ms=400), Turn(heard="two", say="Two.", ms=400, wave="counter"))
    async with conversation(tmp_path, *turns, faults=(drop,), shared=True) as (server, voice):
        await until_streaming(server)
        voice.card.speak(loud(600))
        await voice.until_logged("no session")
        await until_streaming(server, connection=2)
        voice.card.speak(loud(600))
        await voice.until(lambda: 5000 in voice.card.played(), 15)


@scene
async def test_a_server_that_comes_late_is_found(tmp_path: Path) -> None:
    async with running(ServerOptions(script=Script())) as early:
        port = early.port
    with daemon(tmp_path, f"ws://127.0.0.1:{port}/v1/realtime") as voice:
        await voice.until_logged("no session")
        async with running(ServerOptions(script=Script(), port=port)) as late:
            await until_streaming(late)


@scene
async def test_a_refused_key_is_told_loudly_once_and_never_shown(tmp_path: Path) -> None:
    async with running(ServerOptions(script=Script(), api_key="another")) as server:
        with daemon(tmp_path, server.url) as voice:
            await voice.until_logged("ERROR.*cause=http_401")
            assert KEY not in voice.log
            await asyncio.sleep(1.5)  # a tight loop would have asked many times by now
            assert len(server.headers) == 1
            assert voice.stop()[0] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_middle_of_an_answer_ends_the_daemon_cleanly(
    tmp_path: Path, number: signal.Signals
) -> None:
    async def play() -> None:
        async with conversation(tmp_path, Turn(heard="a story", say="Once", ms=20_000)) as (server, voice):
            await until_streaming(server)
            voice.card.speak(loud(600))
            await voice.until_logged("answering")
            code, seconds = await asyncio.to_thread(voice.stop, number)
            assert code == 0
            assert seconds < 3
            assert "Traceback" not in voice.log

    asyncio.run(play())


@scene
async def test_without_any_sound_device_the_daemon_runs_and_says_so(tmp_path: Path) -> None:
    async with running(ServerOptions(script=Script())) as server:
        with daemon(tmp_path, server.url, card=False) as voice:
            await voice.until_logged("WARNING.*sound device absent", times=2)
            await voice.until_logged("session ready")
            code, seconds = await asyncio.to_thread(voice.stop)
            assert code == 0
            assert seconds < 3


@scene
async def test_a_huge_delta_and_frames_that_are_none_are_survived(tmp_path: Path) -> None:
    ping, junk = '{"type":"ping"}', '{"type":"response.output_audio.delta","delta":7}'
    faults = tuple(Fault(after="response.created", do="send", text=text) for text in (ping, junk, "{", ""))
    # 60 s in one event: 2.9 MB of audio, 3.8 MB on the wire
    answer = Turn(heard="hello", say="Good day.", ms=60_000, wave="counter", delta_bytes=(2_880_000,))
    async with conversation(tmp_path, answer, faults=faults) as (server, voice):
        await until_streaming(server)
        voice.card.speak(loud(600))
        await voice.until(lambda: 20_000 in voice.card.played(), 15)
        assert "Traceback" not in voice.log


@scene
async def test_the_service_manager_is_told_in_one_line_how_the_daemon_is(tmp_path: Path) -> None:
    with manager(tmp_path) as systemd:
        async with running(ServerOptions(script=Script())) as early:
            url, port = early.url, early.port
        with daemon(tmp_path, url, environ=systemd.environ) as voice:
            async with running(ServerOptions(script=Script(), port=port)) as server:
                await until_streaming(server)
            await voice.until_logged("no session.*1001")
            code, _ = await asyncio.to_thread(voice.stop)
        assert code == 0
    told = systemd.told
    assert told[-1] == "STOPPING=1"
    assert told[0] == "READY=1", "readiness waits neither for the cloud nor for a microphone"
    assert "STATUS=in session with custom" in told
    lost = "STATUS=no session: the server closed the connection: code 1001, server is stopping"
    assert lost in told[told.index("STATUS=in session with custom") :]


@scene
async def test_a_server_that_grants_another_rate_is_obeyed(tmp_path: Path) -> None:
    granted = '{"type":"session.updated","session":{"audio":{"output":{"format":{"rate":16000}}}}}'
    fault = Fault(after="session.updated", do="replace", text=granted)
    answer = Turn(heard="hello", say="Good day.", ms=500, wave="counter")
    async with conversation(tmp_path, answer, faults=(fault,)) as (server, voice):
        await voice.until_logged("playing at another rate rate=16000 was=24000")
        await until_streaming(server)
        voice.card.speak(loud(600))
        await voice.until(lambda: 7000 in voice.card.played())
        opened = {(event.direction, event.rate) for event in voice.card.events()}
        assert ("speaker", 16_000) in opened


def test_a_wrong_configuration_ends_with_78_and_without_a_traceback(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        '[provider]\nkind = "yandex"\nfoldr = "b1g"\napi_key = "AQVNxxxxxxxxxxxxxxxxxxxxxxxx"\n'
    )
    command = [sys.executable, "-m", "voice_agent", "run", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == os.EX_CONFIG
    assert "provider.foldr" in done.stderr
    assert "AQVN" not in done.stderr
    assert "Traceback" not in done.stderr
