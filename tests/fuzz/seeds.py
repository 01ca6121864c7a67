"""Sense, to begin with: what well-behaved peers, operators and disks give."""

import io
import wave
from collections.abc import Sequence

import msgspec

from tests.unit.test_alarms import World
from voice_agent import config
from voice_agent.alarms.book import Book
from voice_agent.alarms.entries import Kept
from voice_agent.realtime.codec import encode, raw
from voice_agent.realtime.events import (
    AudioConfig,
    AudioDelta,
    AudioDone,
    AudioFormat,
    AudioInput,
    AudioOutput,
    Content,
    ErrorDetail,
    Item,
    OutputItemAdded,
    OutputItemDone,
    ResponseCreated,
    ResponseDone,
    ResponseInfo,
    ServerError,
    ServerEvent,
    SessionConfig,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    TranscriptDelta,
    TranscriptDone,
    TranscriptionCompleted,
    Usage,
)

PCM = bytes(960)
AUDIO = AudioConfig(
    input=AudioInput(format=AudioFormat(type="audio/pcm", rate=24000)),
    output=AudioOutput(format=AudioFormat(type="audio/pcm", rate=24000)),
)
SESSION = raw(SessionConfig(audio=AUDIO))
SAID = Item(id="i1", role="assistant", content=[Content(type="output_audio", transcript="Good.")])
CALL = Item(id="i2", type="function_call", call_id="c1", name="get_time", arguments='{"city": "Rome"}')
USAGE = raw(Usage(total_tokens=30, input_tokens=10, output_tokens=20))
BEGINNING: tuple[ServerEvent, ...] = (SessionCreated(session=SESSION), SessionUpdated(session=SESSION))
QUESTION: tuple[ServerEvent, ...] = (
    SpeechStarted(item_id="u1", audio_start_ms=100),
    SpeechStopped(item_id="u1", audio_end_ms=900),
    TranscriptionCompleted(item_id="u1", transcript="How are you?"),
)
ANSWER: tuple[ServerEvent, ...] = (
    ResponseCreated(response=ResponseInfo(id="r1")),
    OutputItemAdded(response_id="r1", item=SAID),
    TranscriptDelta(response_id="r1", item_id="i1", delta="Good."),
    AudioDelta(response_id="r1", item_id="i1", delta=PCM),
    AudioDelta(response_id="r1", item_id="i1", delta=PCM),
    AudioDone(response_id="r1", item_id="i1"),
    TranscriptDone(response_id="r1", item_id="i1", transcript="Good."),
    OutputItemDone(response_id="r1", item=SAID),
    ResponseDone(response=ResponseInfo(id="r1", status="completed", output=[SAID], usage=USAGE)),
)
CALLING: tuple[ServerEvent, ...] = (
    ResponseCreated(response=ResponseInfo(id="r2")),
    OutputItemAdded(response_id="r2", item=CALL),
    OutputItemDone(response_id="r2", item=CALL),
    ResponseDone(response=ResponseInfo(id="r2", status="completed", output=[CALL])),
)
TROUBLE: tuple[ServerEvent, ...] = (
    ServerError(error=ErrorDetail(type="invalid_request_error", code="x", message="m", event_id="e1")),
    ServerError(error=ErrorDetail(type="server_error", code="session_expired", message="m")),
)


def frames() -> Sequence[bytes]:
    """Whole conversations, a frame a line."""
    talks = (
        (*BEGINNING, *QUESTION, *ANSWER),
        (*BEGINNING, *QUESTION, *CALLING, *ANSWER),
        (*BEGINNING, *ANSWER[:4], *QUESTION, *ANSWER[4:], *CALLING),
        (*BEGINNING, *TROUBLE),
    )
    return [b"\n".join(map(encode, talk)) for talk in talks]


def configurations() -> Sequence[bytes]:
    """Every setting at its default, and what has none."""
    yandex = '[provider]\nkind = "yandex"\nfolder = "b1g"\n[session]\nlanguages = ["ru-RU"]\nspeed = 1.2\n'
    return [config.template().encode(), yandex.encode(), DECLARED.encode()]


DECLARED = """
[[tools.http]]
name = "lamp"
description = "Switches."
url = "https://home.example/{room}?level={level}"
headers = {Accept = "text/plain"}
parameters = {properties = {room = {type = "string"}, level = {type = "integer"}}, required = ["room"]}
answer = "rooms[0].name"
key_from = "home"
[[tools.command]]
name = "say"
description = "Says."
argv = ["/bin/echo", "--", "{words}"]
parameters = {properties = {words = {type = "string"}}}
[[tools.mcp]]
name = "files"
url = "https://mcp.example/"
[[tools.provider]]
type = "mcp"
server_url = "https://mcp.example/"
require_approval = "never"
[metrics]
address = "127.0.0.1"
"""


def states() -> Sequence[bytes]:
    """Files that earlier processes left."""
    world = World()
    book = Book(Kept(), world.now)
    book.set_timer(300, "eggs", world.now)
    book.set_alarm("07:00", None, {0, 4}, "work", world.now)
    day = b'{"day":"2026-11-23","begun":["2026-11-23"],"awake_s":1.5,"sent_s":2,"tokens":{"in":3}}'
    return [msgspec.json.encode(book.kept(world.now)), b'{"muted":true,"volume":40}', day]


def sounds() -> Sequence[bytes]:
    """Recordings."""
    made = []
    for rate, channels in ((8000, 1), (44100, 2)):
        file = io.BytesIO()
        with wave.open(file, "wb") as sound:
            sound.setnchannels(channels)
            sound.setsampwidth(2)
            sound.setframerate(rate)
            sound.writeframes(bytes(400))
        made.append(file.getvalue())
    return made


def requests() -> Sequence[bytes]:
    """What is asked over HTTP."""
    host = b"Host: 127.0.0.1:9477\r\n"
    ours = host + b"X-Voice-Agent: cli\r\n"
    return [
        b"GET /metrics HTTP/1.1\r\n" + host + b"Accept: text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n\r\n",
        b"HEAD /healthz HTTP/1.0\r\n\r\n",
        b"POST /control/volume?to=40 HTTP/1.1\r\n" + host + b"X-Voice-Agent: cli\r\n\r\n",
        b"POST /control/tools/call?name=a HTTP/1.1\r\n" + ours + b"Content-Length: 2\r\n\r\n{}",
        b"GET /status?a=%41&b=+ HTTP/1.1\r\n" + host + b"Authorization: Basic YTpi\r\n\r\n",
    ]


def fields() -> Sequence[bytes]:
    """Header values of a refusal: when to come again, and what time it is."""
    date = b"Wed, 21 Oct 2026 07:28:00 GMT"
    return [b"120\n", date + b"\n" + date, b"0\nWed, 21 Oct 2026 07:28:00 -0000"]


def answers() -> Sequence[bytes]:
    """Of the weather service: a place, and a forecast of two days."""
    days = '"2026-11-23","2026-11-24"'
    lists = ["weather_code", "temperature_2m_max", "temperature_2m_min"]
    lists += ["precipitation_probability_max", "wind_speed_10m_max"]
    daily = f'"time":[{days}],' + ",".join(f'"{name}":[1,2]' for name in lists)
    forecast = f'{{"current":{{"time":"2026-11-23T12:00","temperature_2m":3.5}},"daily":{{{daily}}}}}'
    place = '{"results":[{"name":"Rome","latitude":41.9,"longitude":12.5,"country":"Italy"}]}'
    return [forecast.encode(), place.encode()]


def arguments() -> Sequence[bytes]:
    """What a model gives a tool, below the tool's schema."""
    schema = b'{"type":"object","properties":{"city":{"type":"string"},"day":{"type":"integer"}},'
    return [schema + b'"required":["city"]}\n{"city":"Rome","day":2}']
