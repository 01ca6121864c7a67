"""A voice speaks to every tool that is built in: synthesised, recognised, called, really run, and spoken of.

All but the sound card and the device around the session is real, and nothing waits for the time that speech
takes: the room below hands over sound as fast as the server takes it.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import pytest

from voice_agent.assembly import clockwork_for, endpoint_for, provider_for, settings_for, toolbox_for
from voice_agent.config import Config
from voice_agent.config.schema import Provider, Tools, Weather
from voice_agent.demo.voices import synthesised
from voice_agent.dialogue import AgentSaid, Dialogue, Fact, Memory, State, ToolAnswered, ToolCalled, UserSaid
from voice_agent.embedded import Server, ServerOptions, running
from voice_agent.heartbeat import Heartbeat
from voice_agent.realtime.providers import probe
from voice_agent.session import Session
from voice_agent.tools.device import Said
from voice_agent.wire import connect

pytestmark = [pytest.mark.system, pytest.mark.models, pytest.mark.slow]

RATE = 24_000
FRAME_BYTES = RATE // 50 * 2
SILENCE = bytes(RATE * 2)
DEADLINE_S = 20.0


class Piece(NamedTuple):
    """What the room's ear hands out."""

    pcm: bytes


class Room:
    """A loudspeaker and a microphone without time: what is played has been heard."""

    def __init__(self) -> None:
        self.position = 0
        self._played = 0
        self._frames: deque[bytes] = deque()
        self._more = asyncio.Event()

    @property
    def speaker(self) -> "Room":
        return self

    @property
    def ear(self) -> "Room":
        return self

    def speak(self, pcm: bytes) -> None:
        """Somebody speaks, and is silent for a second."""
        sound = pcm + SILENCE
        self._frames += (sound[at : at + FRAME_BYTES] for at in range(0, len(sound), FRAME_BYTES))
        self._more.set()

    def listen(self) -> "Room":
        return self

    def take(self) -> Piece | None:
        if not self._frames:
            return None
        pcm = self._frames.popleft()
        self.position += len(pcm) // 2
        return Piece(pcm)

    async def wait(self) -> None:
        while not self._frames:
            self._more.clear()
            await self._more.wait()

    def retune(self, input_rate: int, output_rate: int) -> None:
        assert (input_rate, output_rate) == (RATE, RATE)

    def play(self, pcm: bytes, *, starts: bool = False) -> None:
        del starts
        self._played += len(pcm) // 2

    def finish(self) -> None: ...

    def silence(self) -> None: ...

    def positions(self) -> tuple[int, int]:
        return self._played, self._played

    def sounded(self, _position: int) -> None: ...


class Body:
    """The device that the tools turn, and what was done to it."""

    def __init__(self) -> None:
        self.volume = 100
        self.done: list[str] = []

    def set_volume(self, level: int) -> int:
        self.volume = level
        return level

    def mute(self) -> str:
        self.done.append("muted")
        return "pressing the button"

    def stop(self) -> None:
        self.done.append("stopped")

    def last_answer(self) -> Said | None:
        return Said("Peter Piper.", cut=False)

    def status(self) -> Mapping[str, object]:
        return {"connection": "connected", "connected_s": 90, "round_trip_ms": 20, "muted": False}

    def end(self) -> str:
        self.done.append("ended")
        return "speaking"


class Conversation:
    """One session with a server, whoever speaks."""

    def __init__(self, room: Room, session: Session, facts: list[Fact], body: Body) -> None:
        self._room, self._session, self.facts, self.body = room, session, facts, body

    async def ask(self, pcm: bytes) -> list[Fact]:
        """Say something; what came of it once all is at rest."""
        begin = len(self.facts)
        self._room.speak(pcm)
        await self.until(lambda: self._at_rest(self.facts[begin:]))
        return self.facts[begin:]

    def _at_rest(self, facts: list[Fact]) -> bool:
        heard = {fact.turn for fact in facts if isinstance(fact, UserSaid)}
        # On a busy machine the last words of the answer before are told only now.
        answered = {fact.turn for fact in facts if isinstance(fact, (AgentSaid, ToolAnswered))}
        return bool(answered & heard) and self._session.dialogue.state is State.IDLE

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                await asyncio.sleep(0.01)


@asynccontextmanager
async def conversation(server: Server, state: Path) -> AsyncIterator[Conversation]:
    weather = Weather(
        geocoding_url=f"{server.http_url}/v1/search", forecast_url=f"{server.http_url}/v1/forecast"
    )
    config = Config(provider=Provider(kind="local", url=server.url), tools=Tools(weather=weather))
    room, body, facts = Room(), Body(), list[Fact]()
    clockwork = clockwork_for(config, state)
    toolbox, provider = toolbox_for(config, body, clockwork), provider_for(config)
    settings = settings_for(config, toolbox.specs())
    async with connect(endpoint_for(config, None)) as socket:
        session = Session(
            socket,
            Dialogue(provider, settings, memory=Memory(), manners=toolbox.manners),
            room,
            toolbox,
            facts.append,
            Heartbeat(now=monotonic()),
            probe=probe(provider, settings),
        )
        running_session = asyncio.create_task(session.run())
        try:
            await session.wait_ready()
            session.go_live(None)
            yield Conversation(room, session, facts, body)
        finally:
            running_session.cancel()
            await asyncio.wait([running_session])
            clockwork.close()


class Talk(NamedTuple):
    """What is said, what must be called for it and how that ends, and words of the answer."""

    text: str
    calls: tuple[tuple[str, dict[str, Any]], ...]
    answer: tuple[str, ...]
    outcome: str = "ok"


ENGLISH = (
    Talk("What is the weather in Moscow tomorrow?", (("get_weather", {"city": "Moscow", "day": 1}),),
         ("in moscow tomorrow", "degree")),
    Talk("What time is it?", (("get_time", {}),), ("it is ",)),
    Talk("Turn the volume down and set a timer for five minutes.",
         (("set_volume", {"change": -20}), ("set_timer", {"minutes": 5})),
         ("the volume is 80 percent", "timer 1 is set: 5 minutes")),
    Talk("Wake me up every day at seven thirty.", (("set_alarm", {"time": "07:30", "repeat": ...}),),
         ("alarm 1 is set for 07:30 every day",)),
    Talk("Which timers are set?", (("get_timers", {}),),
         ("timer 1: ", "left. alarm 1: 07:30 every day")),
    Talk("Say that again.", (("repeat_answer", {}),), ("peter piper",)),
    Talk("Cancel the timer.", (("cancel_timer", {}),),
         ("sorry", "several are set: timer 1, alarm 1"), outcome="failed"),
    Talk("Cancel all timers.", (("cancel_timer", {"all": True}),), ("timer 1, alarm 1: cancelled",)),
    Talk("How is your connection?", (("get_device_status", {}),), ("connected for 1 minute",)),
    Talk("Please mute the microphone.", (("mute_microphone", {}),), ("off", "pressing the button")),
    Talk("Please stop.", (("stop", {}),), ()),
    Talk("Goodbye.", (("end_conversation", {}),), ("goodbye!",)),
)  # fmt: skip

RUSSIAN = (
    Talk("Какая погода завтра в Москве?", (("get_weather", {"city": "Москва", "day": 1}),),
         ("москва, завтра", "градус")),
    Talk("Который час?", (("get_time", {}),), ("сейчас ",)),
    Talk("Сделай тише и поставь таймер на пять минут.",
         (("set_volume", {"change": -20}), ("set_timer", {"minutes": 5})),
         ("громкость 80 процентов", "таймер 1 поставлен: 5 минут")),
    Talk("Буди меня каждый день в половине восьмого.", (("set_alarm", {"time": "07:30", "repeat": ...}),),
         ("будильник 1 поставлен: 07:30, каждый день",)),
    Talk("Какие таймеры стоят?", (("get_timers", {}),),
         ("таймер 1: осталось ", "будильник 1: 07:30, каждый день")),
    Talk("Повтори, пожалуйста.", (("repeat_answer", {}),), ("peter piper",)),
    Talk("Отмени таймер.", (("cancel_timer", {}),),
         ("извините", "поставлено несколько: timer 1, alarm 1"), outcome="failed"),
    Talk("Отмени все таймеры.", (("cancel_timer", {"all": True}),), ("таймер 1, будильник 1: отменено",)),
    Talk("Как твоё соединение?", (("get_device_status", {}),), ("связь есть, уже 1 минута",)),
    Talk("Выключи микрофон.", (("mute_microphone", {}),), ("микрофон выключен",)),
    Talk("Хватит.", (("stop", {}),), ()),
    Talk("До свидания.", (("end_conversation", {}),), ("до свидания!",)),
)  # fmt: skip


def fits(made: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether arguments are those that were wanted; ``...`` stands for any value."""
    return made.keys() == wanted.keys() and all(
        value is ... or made[name] == value for name, value in wanted.items()
    )


@pytest.mark.timeout(150)
@pytest.mark.parametrize(("speech", "talks"), [("en", ENGLISH), ("ru", RUSSIAN)])
def test_a_voice_speaks_to_every_tool(speech: str, talks: tuple[Talk, ...], tmp_path: Path) -> None:
    sheet = tuple(talk.text for talk in talks)

    async def hold() -> tuple[list[list[Fact]], list[str]]:
        voices = asyncio.create_task(synthesised(speech, sheet, RATE))
        options = ServerOptions(speech=speech, sheet=sheet)
        async with running(options) as server, conversation(server, tmp_path) as held:
            return [await held.ask(pcm) for pcm in await voices], held.body.done

    heard, done = asyncio.run(hold())
    for talk, facts in zip(talks, heard, strict=True):
        calls = [(each.name, json.loads(each.arguments)) for each in facts if isinstance(each, ToolCalled)]
        assert [name for name, _ in calls] == [name for name, _ in talk.calls], talk.text
        arguments = zip(calls, talk.calls, strict=True)
        assert all(fits(made, wanted) for (_, made), (_, wanted) in arguments), calls
        outcomes = {each.outcome for each in facts if isinstance(each, ToolAnswered)}
        assert outcomes == {talk.outcome}, talk.text
        said = " ".join(each.text for each in facts if isinstance(each, AgentSaid)).lower()
        assert all(words in said for words in talk.answer), (talk.text, said)
        assert bool(said) == bool(talk.answer), talk.text
    assert done == ["muted", "stopped", "ended"]
    asked = {call for talk in talks for call, _ in talk.calls}
    assert asked == {spec.name for spec in toolbox_for(Config()).specs()}
