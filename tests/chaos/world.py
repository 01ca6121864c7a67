"""One daemon's world: its process, its room, its network, its name server and the server it talks to."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Self

from aiohttp import web
from aiohttp.typedefs import Handler

from tests.chaos.loudspeaker import Loudspeaker
from tests.chaos.mind import Heads, Plan
from tests.chaos.process import METRICS_USER, DaemonProcess
from tests.chaos.proxy import HOST, Proxy
from tests.chaos.resolver import HOST as NAME
from tests.chaos.resolver import Resolver
from tests.chaos.voices import RATE, Samples, utterance
from voice_agent.embedded import Script, Server, ServerOptions, running, weather
from voice_agent.embedded.connection import Connection
from voice_agent.embedded.outbox import FOR_EVER_S
from voice_agent.lab.card import VirtualCard
from voice_agent.lab.mouth import Spoken
from voice_agent.realtime.events import AppendAudio

LOOK_S = 0.01
TOOL_S = 0.5
"""How long the weather takes: long enough to strike in the middle of it."""
START_TIMEOUT_S = 20.0
ONSET = "input_audio_buffer.speech_started"
SERVED_S = 5.0
"""The daemon is slow to come back to a server that ends sessions again and again, and rightly so."""
TIDY_SAMPLES = 3_000_000
"""Two minutes of recording: also what the mouth reads through after each utterance grows with time."""

CONFIG = """\
[provider]
kind = "custom"
url = "ws://{name}:{port}/v1/realtime?tenant={query}"
dialect = "{dialect}"
insecure = true

[session]
input_rate = {rate}
output_rate = {rate}

[session.turn_detection]
silence_duration_ms = 200

# What is said is compared sample by sample: the room has no echo, and no noise, which is no fault of the
# microphone.
[audio]
echo = "off"

[audio.input]
flat_after_s = 0

# The ring's memory is touched while it is first gone round: with 120 s that would look like a leak for long.
[audio.output]
buffer_s = 20

[tools.weather]
geocoding_url = "{weather}/v1/search"
forecast_url = "{weather}/v1/forecast"

[[tools.http]]
name = "look_up"
description = "Look a word up; nobody is there."
url = "{weather}/v1/words/{{word}}"
key_from = "chaos-tool"
parameters = {{ properties = {{ word = {{ type = "string" }} }}, required = ["word"] }}

[metrics]
port = {metrics}
user = "{user}"

[log]
level = "debug"
transcripts = {transcripts}
"""
QUERY = "a-query-that-nobody-needs-to-see"


class World:
    """``async with World(directory) as world``: a daemon in session, ready for a fault.

    ``speed``: seconds of sound in a second. ``dialect``: the server's manners, ``openai`` or ``yandex``.
    ``onsets``: where the loudspeaker stood whenever the server said that somebody speaks. ``complaints``:
    what a fault itself found to be wrong. ``transcripts``: the log holds what was said.
    """

    server: Server
    proxy: Proxy
    daemon: DaemonProcess

    def __init__(
        self,
        directory: Path,
        seed: int = 0,
        *,
        speed: float = 1.0,
        dialect: str = "openai",
        transcripts: bool = False,
    ) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.heads = Heads()
        self.card = VirtualCard(directory / "room", elastic=True, speed=speed)
        self.resolver = Resolver(directory)
        self.loudspeaker = Loudspeaker(self.card)
        self.tool_requests = 0
        self.said: dict[int, Samples] = {}
        self.onsets: list[int] = []
        self.complaints: list[str] = []
        self._seed = seed
        self._dialect = dialect
        self._transcripts = transcripts
        self._numbers = 0
        self._stack = AsyncExitStack()
        self._weather_url = ""
        self._serving, self._serves_since = 0, 0.0
        self._speaking: Future[Spoken] | None = None

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            options = ServerOptions(script=Script(), dialect=self._dialect)
            self.server = await stack.enter_async_context(running(options, engines=self.heads))
            self.proxy = await stack.enter_async_context(Proxy(self.server.port, self._seed))
            self._weather_url = await stack.enter_async_context(_slow_weather(self._asked))
            stack.enter_context(self.card)
            self.start()
            stack.callback(self._kill)
            stack.callback(asyncio.create_task(self._note_onsets()).cancel)
            await self.until(self.streaming, START_TIMEOUT_S)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def start(self) -> None:
        """A new daemon process."""
        metrics = _free_port()
        config = CONFIG.format(
            name=NAME,
            port=self.proxy.port,
            dialect="ga" if self._dialect == "openai" else self._dialect,
            rate=RATE,
            weather=self._weather_url,
            metrics=metrics,
            user=METRICS_USER,
            query=QUERY,
            transcripts=str(self._transcripts).lower(),
        )
        environ = self.card.environment() | self.resolver.environment()
        self.daemon = DaemonProcess(self.directory, config, environ, metrics)

    async def restart(self) -> None:
        """A new process in place of one that cannot go on."""
        self.daemon.kill()
        await self.heal()
        known = self.latest
        self.start()
        await self.until(lambda: self.latest > known and self.streaming(), START_TIMEOUT_S)

    async def heal(self) -> None:
        """Nothing is wrong any more."""
        self.server.calm()
        self.card.heal()
        self.resolver.answer()
        await self.proxy.heal()

    # ---------------------------------------------------------------------------------------- talking

    def say(self, ms: int, plan: Plan) -> int:
        """Begin to say something that is to be answered so; its number."""
        self._numbers += 1
        number = self._numbers
        said = utterance(number, ms)
        self.heads.recogniser.learn(number, said)
        self.heads.plans[number] = plan
        self.said[number] = said
        self._speaking = self.card.speak(said.tobytes())
        return number

    def forget(self) -> None:
        """A new round: what was said and sent before matters no more."""
        self.said.clear()
        self.onsets.clear()
        self.complaints.clear()
        self.heads.plans.clear()
        self.heads.merged.clear()
        self.server.headers.clear()
        self.server.connections[:] = self.server.live[-1:]
        for connection in self.server.connections:
            connection.received.clear()
        self._tidy()
        self.loudspeaker.begin()

    # ---------------------------------------------------------------------------------------- watching

    @property
    def latest(self) -> int:
        """The number of the latest connection; 0 before the first."""
        return self.server.connections[-1].number if self.server.connections else 0

    def streaming(self) -> bool:
        """Whether a session is live and sound arrives in it."""
        return any(_appends(connection) for connection in self.server.live)

    def served(self) -> bool:
        """Whether the present session has served long enough for its end to be nobody's fault."""
        if self.latest != self._serving:
            self._serving, self._serves_since = self.latest, monotonic()
        return self.streaming() and monotonic() - self._serves_since > SERVED_S

    def emitted(self, kind: str) -> int:
        """How often the latest connection was sent that event."""
        return self.server.live[-1].outbox.sent.count(kind) if self.server.live else 0

    def received(self) -> list[bytes]:
        """The sound that came in on each connection of this round."""
        return [
            b"".join(event.audio for event in connection.received if isinstance(event, AppendAudio))
            for connection in self.server.connections
        ]

    async def until(self, condition: Callable[[], bool], timeout_s: float) -> None:
        """Wait for ``condition``; TimeoutError if it does not come true, Ended if the daemon ends first."""
        deadline = monotonic() + timeout_s
        while not condition():
            if not self.daemon.alive:
                raise Ended(f"the daemon has ended with {self.daemon.code}")
            if monotonic() > deadline:
                raise TimeoutError
            await asyncio.sleep(LOOK_S)

    async def usable(self, after: int, timeout_s: float) -> float:
        """Monotonic seconds at which sound arrives again, in a connection with a number above ``after``."""
        heard = {each.number: _appends(each) for each in self.server.connections}

        def streams() -> bool:
            fresh = [each for each in self.server.live if each.number > after]
            return any(_appends(each) > heard.get(each.number, 0) for each in fresh)

        await self.server.watch.until(streams, timeout_s)
        return monotonic()

    def _tidy(self) -> None:
        """The room's recordings begin again when they are long, lest hours of talk fill the disk."""
        if self._speaking is not None and self._speaking.done() and self.card.played_samples() > TIDY_SAMPLES:
            for name in ("speaker.raw", "mic.raw", "events.log"):
                os.truncate(self.card.directory / name, 0)

    async def _note_onsets(self) -> None:
        seen: dict[int, int] = {}

        def heard() -> bool:
            new = {each.number: each.outbox.sent.count(ONSET) for each in self.server.live}
            more = any(count > seen.get(number, 0) for number, count in new.items())
            seen.update(new)
            return more

        while True:
            await self.server.watch.until(heard, FOR_EVER_S)
            self.onsets.append(self.card.played_samples())

    def _kill(self) -> None:
        self.daemon.kill()

    def _asked(self) -> None:
        self.tool_requests += 1


class Ended(Exception):
    """The process is gone, which it never may be."""


def _appends(connection: Connection) -> int:
    return sum(isinstance(event, AppendAudio) for event in connection.received)


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@asynccontextmanager
async def _slow_weather(asked: Callable[[], None]) -> AsyncIterator[str]:
    """The weather service, thinking for a while; its address."""

    @web.middleware
    async def think(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.endswith("search"):
            return await handler(request)
        asked()
        await asyncio.sleep(TOOL_S)
        city = request.query["name"].partition(" ")[0]
        return await handler(request.clone(rel_url=request.rel_url.update_query(name=city)))

    app = web.Application(middlewares=[think])
    app.add_routes(weather.routes())
    runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, 0).start()
        yield f"http://{HOST}:{runner.addresses[0][1]}"
    finally:
        with suppress(asyncio.CancelledError):
            await runner.cleanup()


SAMPLES_PER_MS = RATE // 1000
