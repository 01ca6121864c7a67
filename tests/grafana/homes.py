"""Homes where somebody lives: a real daemon each, its room, its network and its provider."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from time import sleep

import numpy as np

from tests.chaos.proxy import Proxy
from tests.page.stage import port_of, speech
from tests.system.harness import Daemon, daemon
from voice_agent.embedded import Script, ScriptedCall, Server, ServerOptions, Turn, running
from voice_agent.embedded.engines import HEARING_RATE, Engines
from voice_agent.embedded.mind import Action, Call, End, Line, Mind, Tool
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
COMMAND_S = 20.0
READY = "metrics are served"

INTERRUPTED: Mapping[str, float] = {"studio": 1.0}
"""Over which share of the answers people speak; over few of them elsewhere."""
SELDOM = 0.15
SESSION_S: Mapping[str, int] = {"kitchen": 70, "office": 75}
"""After how long a provider is said to end a session, where it is."""

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
    Turn(heard="once more", say="Good day."),
    Turn(heard="what time", calls=(ScriptedCall("get_time", {}),)),
    Turn(say="Ten minutes past eight."),
    Turn(heard="thanks", say="You are welcome."),
)
"""What every provider here answers, round and round."""
SLOW = 0.06
"""Share of the answers for which a tired one thinks longer."""
BROKEN_OFF = 9
"""Of so many answers of a tired one, one ends in the middle."""


@dataclass
class Mood:
    """Of a provider: a ``tired`` one is slow now and then, and breaks some of its answers off."""

    slowest_s: float
    tired: bool = False
    said: int = 0


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
                if self.draw.random() < INTERRUPTED.get(self.name, SELDOM):
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
        async with asyncio.timeout(COMMAND_S):
            await process.wait()


class Thinker:
    """Thinks for as long as models do, and as well as the mood is."""

    def __init__(self, mind: Mind, draw: Random, mood: Mood) -> None:
        self._mind = mind
        self._draw = draw
        self._mood = mood

    def answer(self, lines: Sequence[Line], tools: Sequence[Tool], instructions: str, /) -> Sequence[Action]:
        """What the script says, a while later."""
        slow = self._mood.tired and self._draw.random() < SLOW
        sleep(self._draw.uniform(1.0, self._mood.slowest_s) if slow else self._draw.uniform(0.15, 0.5))
        actions = self._mind.answer(lines, tools, instructions)
        if not self._mood.tired or any(isinstance(each, Call) for each in actions):
            return actions
        self._mood.said += 1
        return actions if self._mood.said % BROKEN_OFF else [*actions, End("incomplete", "max_output_tokens")]


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


def _engines(name: str, script: Script, mood: Mood) -> Callable[[], Engines]:
    scripted, worker = ScriptedEngines(script), ThreadPoolExecutor(1)

    def engines() -> Engines:
        made = scripted()
        thinker = Thinker(made.mind, Random(name), mood)
        return replace(made, mind=thinker, tts=Voice(), new_resampler=Thinner, worker=worker)

    return engines


@asynccontextmanager
async def home(directory: Path, name: str, site: str, mood: Mood) -> AsyncIterator[Home]:
    """A device in session."""
    draw, echoes = Random(name), name == "studio"
    await asyncio.to_thread(directory.mkdir, parents=True)
    async with AsyncExitStack() as stack:
        script = Script(turns=TURNS, shared=True, loop=True)
        options = ServerOptions(script=script, pace=2.0)
        server = await stack.enter_async_context(running(options, engines=_engines(name, script, mood)))
        network = await stack.enter_async_context(Proxy(server.port))
        echo_db = -6 if echoes else None
        room = VirtualCard(directory / "room", elastic=True, noise_db=-54, echo_db=echo_db, echo_ms=60)
        settings = SETTINGS.format(
            directory=directory, session_s=SESSION_S.get(name, 0), echo="auto" if echoes else "off"
        )
        url = server.url.replace(str(server.port), str(network.port))
        voice = stack.enter_context(daemon(directory, url, settings=settings, room=room))
        one = Home(name, site, directory, server, network, voice, draw)
        await voice.until(lambda: READY in voice.log and bool(server.live), START_S)
        yield one


def targets(homes: Iterable[Home]) -> list[dict[str, object]]:
    """As Prometheus finds them in a file; a device keeps its name whatever port it has."""
    return [
        {
            "targets": [f"127.0.0.1:{port_of(each.voice)}"],
            "labels": {"instance": each.name, "site": each.site, "fleet": "homes"},
        }
        for each in homes
    ]
