"""Who is fed with nonsense, and what must hold whatever comes. A target raises when it does not."""

import asyncio
import atexit
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, NoReturn

import msgspec

from tests.fuzz import seeds
from tests.unit.test_alarms import World
from voice_agent import config
from voice_agent.alarms.book import Book
from voice_agent.alarms.entries import Kept as KeptAlarms
from voice_agent.assembly import endpoint_for, lifetime_for, provider_for, settings_for
from voice_agent.audio.recordings import UNREADABLE, examine, recording
from voice_agent.budget import Budget, Day
from voice_agent.config import Config, InvalidConfig
from voice_agent.controls.panel import Kept as KeptControls
from voice_agent.dialogue import (
    Abandon,
    Command,
    Dialogue,
    Moment,
    Play,
    RunTool,
    Send,
    Silence,
    State,
    ToolOutcome,
)
from voice_agent.errors import ConfigError, ToolError
from voice_agent.realtime.codec import (
    decode_client,
    decode_server,
    effective_rates,
    encode,
    session_id,
    usage_of,
)
from voice_agent.realtime.events import (
    ClientEvent,
    Malformed,
    ResponseDone,
    ServerEvent,
    SessionUpdated,
    Unrecognised,
)
from voice_agent.realtime.providers import OPENAI, YANDEX, Provider, SessionSettings
from voice_agent.storage import Excuses, Store
from voice_agent.telemetry import http
from voice_agent.telemetry.exchange import Caller, encoded, parsed
from voice_agent.telemetry.local import UnixServer
from voice_agent.telemetry.site import Site
from voice_agent.tools.schema import Checker, InvalidArguments, schema_fault
from voice_agent.wire.failures import LONGEST_RETRY_AFTER_S, retry_after_s

RATE = 24_000
MAX_EVENTS = 200
ANSWER_S = 10.0


class Target(NamedTuple):
    """``feed`` raises if the bytes do harm; ``seeds`` do none."""

    feed: Callable[[bytes], None]
    seeds: Callable[[], Sequence[bytes]]


# ------------------------------------------------------------------------------- the speech model


def codec(data: bytes) -> None:
    """Every frame becomes an event or a value that says why not; an event survives the way back."""
    for frame in data.split(b"\n"):
        for decode in (decode_server, decode_client):
            event = decode(frame)
            assert isinstance(event, ServerEvent | ClientEvent | Unrecognised | Malformed)
            if isinstance(event, ResponseDone):
                usage_of(event.response)
            if isinstance(event, SessionUpdated):
                effective_rates(event.session)
                session_id(event.session)
        with suppress(UnicodeDecodeError):
            decode_server(frame.decode())


def dialogue(data: bytes) -> None:
    """A server may say anything in any order: the core goes on, and what it sends makes sense."""
    talk = _Talk(YANDEX if data[:1] == b" " else OPENAI)
    for index, frame in enumerate(data.split(b"\n")[:MAX_EVENTS]):
        talk.passes(0.3 * (index % 7), RATE // 50 * (index % 3))
        talk.receive(frame)
        if talk.is_over:
            break
    talk.core.leave(talk.at, healthy=not talk.queued)


class _Talk:
    """A core whose commands are carried out at once: sound by counting it, tools by an empty answer."""

    def __init__(self, provider: Provider) -> None:
        self.core = Dialogue(provider, SessionSettings(output_rate=RATE))
        self.now = 100.0
        self.queued = self.played = 0
        self.is_over = False
        self._carry_out(self.core.go_live(self.at))

    @property
    def at(self) -> Moment:
        return Moment(self.now, self.queued, self.played)

    def passes(self, seconds: float, samples: int) -> None:
        self.now += seconds
        self.played = min(self.queued, self.played + samples)

    def receive(self, frame: bytes) -> None:
        turn = self.core.turn
        self._carry_out(self.core.receive(decode_server(frame), self.at))
        self._carry_out(self.core.wake(self.at))
        assert self.core.turn >= turn
        assert self.core.state in State

    def _carry_out(self, commands: Sequence[Command]) -> None:
        for command in commands:
            match command:
                case Send(event):
                    assert not isinstance(decode_client(encode(event)), Malformed | Unrecognised)
                case Play(pcm):
                    assert pcm
                    assert len(pcm) % 2 == 0
                    self.queued += len(pcm) // 2
                case Silence():
                    self.queued = self.played
                case RunTool(call):
                    outcome = ToolOutcome(call.call_id, "{}", "ok", 0.1)
                    self._carry_out(self.core.tool_finished(outcome, self.at))
                case Abandon():
                    self.is_over = True


def retry_after(data: bytes) -> None:
    """A pause is one that somebody can wait for."""
    wanted, _, date = data.decode("latin-1").partition("\n")
    pause_s = retry_after_s({"Retry-After": wanted, "Date": date})
    assert pause_s is None or 0 <= pause_s <= LONGEST_RETRY_AFTER_S


# ------------------------------------------------------------------------------------- the operator


def configuration(data: bytes) -> None:
    """All problems are told, with place and remedy; a sound configuration can be used."""
    file = scratch() / "config.toml"
    file.write_bytes(data)
    try:
        settings = config.load(file)
    except InvalidConfig as error:
        problems = error.problems
    else:
        _used(settings)
        return
    assert problems
    for problem in problems:
        assert problem.path
        assert problem.what
        assert problem.remedy
        str(problem).encode(errors="backslashreplace")


def _used(settings: Config) -> None:
    """What follows from the settings alone."""
    provider_for(settings)
    settings_for(settings, ())
    lifetime_for(settings)
    with suppress(ConfigError):
        endpoint_for(settings, None)


def sound(data: bytes) -> None:
    """A recording can be played, or says why not; and the short look says the same as the long one."""
    file = scratch() / "cue.wav"
    file.write_bytes(data)
    try:
        examine(file)
    except UNREADABLE:
        return
    with suppress(*UNREADABLE):
        assert len(recording(file, RATE)) % 2 == 0


# ------------------------------------------------------------------------------------------ the disk


def state(data: bytes) -> None:
    """What is on the disk is used or is not; what it says is lived with."""
    folder = scratch()
    for name in ("timers", "controls", "budget"):
        (folder / f"{name}.json").write_bytes(data)
    excuses = Excuses("cannot read", "cannot write")
    controls = Store(folder / "controls.json", KeptControls, excuses).read()
    assert controls is None or controls.volume is None or 0 <= controls.volume <= 130
    alarms = Store(folder / "timers.json", KeptAlarms, excuses).read()
    world = World()
    book = Book(alarms or KeptAlarms(), world.now)
    for later_s in (0.0, 3600.0, 86_400.0 * 400):
        after = world.later(later_s)
        look = book.look(after.now)
        for entry in (*look.due, *look.missed, *book.entries):
            entry.due_at(after.now)
        book.settle(look.due, after.now)
    msgspec.json.encode(book.kept(world.now))
    kept = Store(folder / "budget.json", Day, excuses).read()
    if kept is not None:
        budget = Budget(audio_minutes=1, tokens=1, directory=folder)
        budget.spent({"in": 1})
        budget.statistics()


# -------------------------------------------------------------------------------- the neighbourhood


def request(data: bytes) -> None:
    """Whatever is asked, an answer goes back; its head cannot be broken apart by what was asked."""
    head, _, _ = data.partition(b"\r\n\r\n")
    answer = _SITE.answer(parsed(head + b"\r\n\r\n"), Caller(is_local=True, is_known=False))
    status, _, _ = encoded(answer).partition(b"\r\n\r\n")
    assert status.startswith(b"HTTP/1.1 ")
    assert all(b": " in line for line in status.split(b"\r\n")[1:])


def listener(data: bytes) -> None:
    """Whatever comes over the control socket, its server still listens; the next one gets an answer."""
    loop, server, path = _listening()
    loop.run_until_complete(_sent(path, data))
    assert not server.done()


async def _sent(path: Path, data: bytes) -> None:
    answer = b""
    for words in (data, b"GET /control/tools HTTP/1.1\r\nHost: localhost\r\nX-Voice-Agent: cli\r\n\r\n"):
        reader, writer = await asyncio.open_unix_connection(str(path))
        with suppress(ConnectionError):  # what is too long is not read to its end
            writer.write(words)
            writer.write_eof()
            answer = await asyncio.wait_for(reader.read(), ANSWER_S)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 200 OK")


@cache
def _listening() -> tuple[asyncio.AbstractEventLoop, "asyncio.Task[NoReturn]", Path]:
    """A server that is not in the habit of pausing, on a loop that turns while somebody asks."""
    http.PACE_S = 0.0
    path = scratch() / "control"
    loop = asyncio.new_event_loop()
    atexit.register(loop.close)
    server = loop.create_task(UnixServer(path, _SITE, NoTools()).run())

    async def begun() -> None:
        while not path.exists():
            await asyncio.sleep(0)

    loop.run_until_complete(begun())
    return loop, server, path


class NoTools:
    """None, and each of them says what it was given."""

    def listed(self) -> bytes:
        return b"[]"

    async def called(self, _name: str, arguments: str) -> bytes:
        return arguments.encode()

    async def tried(self, _limit_s: float) -> bytes:
        return b"{}"

    async def reloaded(self) -> bytes:
        return b"{}"


_SITE = Site(render=lambda accept: ("text/plain" if accept else "text/html", b""))


def arguments(data: bytes) -> None:
    """A model's arguments for a foreign tool's schema: right, or wrong with a reason."""
    schema, _, given = data.partition(b"\n")
    try:
        parameters = msgspec.json.decode(schema, type=dict[str, object])
        values = msgspec.json.decode(given, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return
    if schema_fault(parameters) is None:
        with suppress(InvalidArguments):
            Checker(parameters, foreign=True).check(values)


def weather(data: bytes) -> None:
    """A service's answer is a forecast or nonsense, and nothing else."""
    from voice_agent.tools.weather.service import Forecast, _decoded, _Search

    for shape in (Forecast, _Search):
        with suppress(ToolError):
            _decoded(data, shape)


@cache
def scratch() -> Path:
    """A folder for this process; and the log is hushed, as there would be much to say."""
    logging.getLogger("voice_agent").setLevel(logging.CRITICAL)
    _KEEP.append(TemporaryDirectory(prefix="voice-agent-fuzz-"))
    return Path(_KEEP[-1].name)


_KEEP: list[TemporaryDirectory[str]] = []
"""Until the process ends."""

TARGETS = {
    "codec": Target(codec, seeds.frames),
    "dialogue": Target(dialogue, seeds.frames),
    "retry_after": Target(retry_after, seeds.fields),
    "configuration": Target(configuration, seeds.configurations),
    "sound": Target(sound, seeds.sounds),
    "state": Target(state, seeds.states),
    "request": Target(request, seeds.requests),
    "listener": Target(listener, seeds.requests),
    "arguments": Target(arguments, seeds.arguments),
    "weather": Target(weather, seeds.answers),
}
