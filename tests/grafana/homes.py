"""A few real daemons with a fate each, so that every panel has something to show.

kitchen   nothing goes wrong; sessions are renewed, tools are called, an allowance is being used up
hall      a bad network: a thin line, a delay, resets
studio    it hears its own loudspeaker, and people speak over its answers
lobby     its loudspeaker is unplugged for a while; somebody closes the microphone
office    the provider is away for a while, then the process is killed and begins anew
attic     from some moment on its key is refused
cellar    from some moment on it is gone
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from time import monotonic, sleep

import numpy as np

from tests.chaos.proxy import Proxy
from tests.page.stage import port_of, speech
from tests.system.harness import Daemon, daemon
from voice_agent.embedded import Fault, Script, ScriptedCall, Server, ServerOptions, Turn, running
from voice_agent.embedded.engines import HEARING_RATE, Engines
from voice_agent.embedded.mind import Action, Line, Mind, Tool
from voice_agent.embedded.script import ScriptedEngines
from voice_agent.lab.card import VirtualCard

SETTINGS = """\
[control]
socket = "{directory}/control"

[reconnect]
first_s = 0.5
cap_s = 4

[cues]
enabled = false

[session]
max_session_s = {session_s}

[budget]
audio_minutes = 12
tokens = 60000

[audio]
echo = "{echo}"

[audio.input]
"""
START_S = 30.0
ANSWER_S = 12.0
READY = "metrics are served"

TURNS = (
    Turn(heard="hello", say="Good day to you."),
    Turn(heard="how late is it", calls=(ScriptedCall("get_time", {}),)),
    Turn(say="It is rather late."),
    Turn(heard="tell me something", say="Once upon a time there was a king who had three daughters."),
    Turn(heard="what", say="A king, I said."),
    Turn(heard="my timers", calls=(ScriptedCall("get_timers", {}),)),
    Turn(say="There are none."),
    Turn(heard="and the weather", say="Mostly sunny, with a light wind."),
    Turn(heard="a timer", calls=(ScriptedCall("set_timer", {"minutes": -3}),)),
    Turn(say="I cannot do that."),
    Turn(heard="once more", say="Good day.", status="incomplete", error="max_output_tokens"),
    Turn(heard="what time", calls=(ScriptedCall("get_time", {}),)),
    Turn(say="Ten minutes past eight."),
    Turn(heard="thanks", say="You are welcome."),
)
"""What every provider here answers, round and round."""


@dataclass
class Home:
    """A device where somebody lives: its process, its room, its network and its provider."""

    name: str
    site: str
    directory: Path
    server: Server
    network: Proxy
    voice: Daemon
    draw: Random

    @property
    def answers(self) -> int:
        """That its provider has finished."""
        return sum(each.outbox.sent.count("response.done") for each in self.server.connections)

    async def lived_in(self) -> None:
        """People talk to it, whatever becomes of it."""
        while True:
            self.voice.card.speak(speech(self.draw.randint(500, 1100), self.draw.randrange(999)))
            with suppress(TimeoutError):
                await self.answered(self.answers + 1)
                if self.draw.random() < (0.5 if self.name == "studio" else 0.15):
                    self.voice.card.speak(speech(600, 7))  # over the answer, which is still being played
            await asyncio.sleep(self.draw.uniform(6, 10))  # the longest answer takes five

    async def answered(self, times: int) -> None:
        """In all."""
        await self.until(lambda: self.answers >= times, ANSWER_S)

    async def until(self, condition: Callable[[], bool], timeout_s: float) -> None:
        async with asyncio.timeout(timeout_s):
            while not condition():
                await asyncio.sleep(0.05)

    async def says(self, *words: str) -> None:
        """On its command line."""
        command = (sys.executable, "-m", "voice_agent", *words, "--socket", f"{self.directory}/control")
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
        await process.wait()


class Thinker:
    """Thinks for as long as models do: now and then far too long."""

    def __init__(self, mind: Mind, draw: Random, slowest_s: float) -> None:
        self._mind = mind
        self._draw = draw
        self._slowest_s = slowest_s

    def answer(self, lines: Sequence[Line], tools: Sequence[Tool], instructions: str, /) -> Sequence[Action]:
        """What the script says, a while later."""
        slow = self._draw.random() < 0.06
        sleep(self._draw.uniform(1.0, self._slowest_s) if slow else self._draw.uniform(0.15, 0.5))
        return self._mind.answer(lines, tools, instructions)


class Voice:
    """Speaks at about the pace of people."""

    def speak(self, sentence: str, _rate: int) -> bytes:
        return speech(60 * len(sentence), seed=1)


class Thinner:
    """From the daemon's rate to that of hearing, as the script's own does it, and faster: there are seven."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._taken = self._given = 0

    def feed(self, pcm: bytes) -> bytes:
        """The samples that ``pcm`` completes."""
        samples = np.frombuffer(pcm, "<i2")
        end = self._taken + len(samples)
        wanted = np.arange(self._given, -(-end * HEARING_RATE // self._rate))
        thin = samples[wanted * self._rate // HEARING_RATE - self._taken]
        self._taken, self._given = end, self._given + len(wanted)
        return thin.tobytes()


def _engines(name: str, script: Script) -> Callable[[], Engines]:
    scripted, worker = ScriptedEngines(script), ThreadPoolExecutor(1)

    def engines() -> Engines:
        made = scripted()
        thinker = Thinker(made.mind, Random(name), 4.0 if name == "hall" else 1.8)
        return replace(made, mind=thinker, tts=Voice(), new_resampler=Thinner, worker=worker)

    return engines


@asynccontextmanager
async def home(directory: Path, name: str, site: str) -> AsyncIterator[Home]:
    """A device in session."""
    draw, echoes = Random(name), name == "studio"
    await asyncio.to_thread(directory.mkdir, parents=True)
    async with AsyncExitStack() as stack:
        script = Script(turns=TURNS, shared=True, loop=True)
        options = ServerOptions(script=script, pace=2.0)
        server = await stack.enter_async_context(running(options, engines=_engines(name, script)))
        network = await stack.enter_async_context(Proxy(server.port))
        echo_db = -6 if echoes else None
        room = VirtualCard(directory / "room", elastic=True, noise_db=-54, echo_db=echo_db, echo_ms=60)
        settings = SETTINGS.format(
            directory=directory, session_s=70 if name == "kitchen" else 0, echo="auto" if echoes else "off"
        )
        url = server.url.replace(str(server.port), str(network.port))
        voice = stack.enter_context(daemon(directory, url, settings=settings, room=room))
        one = Home(name, site, directory, server, network, voice, draw)
        await voice.until(lambda: READY in voice.log and bool(server.live), START_S)
        yield one


# -------------------------------------------------------------------------------------- their fates


class Play:
    """All homes, for ``seconds``. ``changed`` is told whenever one of them begins anew."""

    def __init__(self, directory: Path, seconds: float, changed: Callable[[Iterable[Home]], None]) -> None:
        self._directory = directory
        self._seconds = seconds
        self._changed = changed
        self._homes: dict[str, Home] = {}
        self._began = 0.0

    async def perform(self) -> None:
        """From the first session to the end of the last."""
        self._began = monotonic()
        async with asyncio.TaskGroup() as group:
            for name, (site, fate) in FATES.items():
                group.create_task(self._live(name, site, fate))

    async def at(self, share: float) -> None:
        """Wait until so much of the play is over."""
        await asyncio.sleep(max(self._began + share * self._seconds - monotonic(), 0))

    async def _live(self, name: str, site: str, fate: "Fate") -> None:
        """A home whose fate ends early has a second life, if that says so."""
        life = 1
        while True:
            async with home(self._directory / f"{name}-{life}", name, site) as one:
                self._homes[name] = one
                self._changed(self._homes.values())
                people = asyncio.create_task(one.lived_in())
                again = await fate(self, one, life)
                people.cancel()
            if not again:
                break
            life += 1
        await self.at(1)


async def _kitchen(play: Play, _home: Home, _life: int) -> bool:
    await play.at(1)
    return False


async def _hall(play: Play, home: Home, _life: int) -> bool:
    await play.at(0.3)
    home.network.drip(34_000)  # speech at 24 kHz needs 64 kB a second as base64
    await play.at(0.45)
    await home.network.heal()
    home.network.delay(0.35)
    await play.at(0.65)
    await home.network.heal()
    for share in (0.7, 0.76, 0.9):
        await play.at(share)
        home.network.reset()
    await play.at(1)
    return False


async def _lobby(play: Play, home: Home, _life: int) -> bool:
    await play.at(0.35)
    home.voice.card.fault("spk-gone")
    await play.at(0.55)
    home.voice.card.heal()
    await play.at(0.75)
    await home.says("mute")
    await play.at(1)
    return False


async def _office(play: Play, home: Home, life: int) -> bool:
    if life == 1:
        await play.at(0.4)
        home.network.refuse()
        await play.at(0.6)
        await home.network.heal()
        await play.at(0.8)
        return True
    await play.at(1)
    return False


async def _attic(play: Play, home: Home, _life: int) -> bool:
    await play.at(0.6)
    home.server.strike(Fault(after="upgrade", do="refuse", code=401, times=None))
    home.network.reset()
    await play.at(1)
    return False


async def _cellar(play: Play, _home: Home, _life: int) -> bool:
    await play.at(0.85)
    return False


Fate = Callable[[Play, Home, int], Awaitable[bool]]
"""Until it ends; whether the device begins anew then."""

FATES: Mapping[str, tuple[str, Fate]] = {
    "kitchen": ("riverside", _kitchen),
    "hall": ("riverside", _hall),
    "studio": ("riverside", _kitchen),
    "lobby": ("hilltop", _lobby),
    "office": ("hilltop", _office),
    "attic": ("hilltop", _attic),
    "cellar": ("hilltop", _cellar),
}


def targets(homes: Iterable[Home]) -> list[dict[str, object]]:
    """As Prometheus finds them in a file; a device keeps its name whatever port it has."""
    return [
        {
            "targets": [f"127.0.0.1:{port_of(each.voice)}"],
            "labels": {"instance": each.name, "site": each.site, "fleet": "homes"},
        }
        for each in homes
    ]
