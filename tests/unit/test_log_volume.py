"""How much a day writes, as docs/logs.md says: SD cards wear out."""

import io
import logging
from collections.abc import Iterator
from weakref import WeakSet

import pytest

from voice_agent import repeats
from voice_agent.audio.speaker import Speaker
from voice_agent.dialogue import (
    AgentSaid,
    FirstSound,
    ServerFault,
    Silenced,
    ToolAnswered,
    ToolCalled,
    UserSaid,
)
from voice_agent.errors import Cause, ConnectFailed, Unauthorized
from voice_agent.herald import Herald
from voice_agent.reconnect import Retry, Temper
from voice_agent.sessions import Live, Lost
from voice_agent.telemetry import logs
from voice_agent.telemetry.counters import Counters
from voice_agent.telemetry.facts import FactLog

DAY_S = 86_400
TRY_S = 5
TURNS = 200


class Silent:
    """A room and its sounds, of which nothing is asked here."""

    speaker = Speaker(24_000)
    lost_s = 0.0
    audible = hearing = True

    def pcm(self, _name: str, _rate: int) -> bytes:
        return b""

    def review(self) -> None:
        pass

    async def utterance(self) -> None:
        pass


class Day:
    """A clock, a herald, and what is written at level info."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(
            repeats.Repeats, "_all", WeakSet()
        )  # those of other tests have a clock of their own
        monkeypatch.setattr(repeats, "monotonic", lambda: self.now)
        self._stream = io.StringIO()
        logs.setup(stream=self._stream)
        self.herald = Herald("openai", Silent(), Silent(), Counters(), lambda: None)
        self.facts = FactLog()

    @property
    def lines(self) -> list[str]:
        return self._stream.getvalue().splitlines()


@pytest.fixture
def day(monkeypatch: pytest.MonkeyPatch) -> Iterator[Day]:
    yield Day(monkeypatch)
    logging.getLogger("voice_agent").setLevel(logging.NOTSET)


def test_a_day_without_a_network_is_a_line_an_hour(day: Day) -> None:
    for _ in range(DAY_S // TRY_S):
        day.now += TRY_S
        day.herald.news(Lost(ConnectFailed("no such name", cause=Cause.DNS), Retry(TRY_S, Temper.OFFLINE, 1)))
        repeats.Repeats.look_everywhere()
    assert len(day.lines) == 24
    assert sum(map(len, day.lines)) < 5_000


def test_a_day_with_a_wrong_key_is_a_line_an_hour(day: Day) -> None:
    for _ in range(DAY_S // 300):
        day.now += 300
        day.herald.news(
            Lost(Unauthorized("check the key", cause=Cause.UNAUTHORIZED), Retry(300, Temper.REFUSED, 1))
        )
        repeats.Repeats.look_everywhere()
    assert len(day.lines) == 24
    assert all(" ERROR " in line for line in day.lines)


def test_a_day_of_talk_is_a_few_lines_a_turn(day: Day) -> None:
    for turn in range(1, TURNS + 1):
        day.now += DAY_S / TURNS
        if turn % 8 == 0:
            day.herald.news(Live(0.3, renewed=True))
        for fact in (
            UserSaid(turn, "what is the weather"),
            ToolCalled(turn, "get_weather", "{}", here=True),
            ToolAnswered(turn, "get_weather", "ok", 0.3),
            FirstSound(turn, 1.2, 1.0),
            AgentSaid(turn, "item", "words", 2000, 2000),
            Silenced(turn, 1, 100),
            ServerFault("complaint", "odd", "the same every time"),
        ):
            day.facts(fact)
        repeats.Repeats.look_everywhere()
    assert len(day.lines) <= 7 * TURNS
    assert sum(map(len, day.lines)) < 100 * len(day.lines)
