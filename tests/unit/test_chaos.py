"""The chaos suite's own parts: what judges the daemon must itself be right."""

import asyncio
import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Self

import numpy as np
import pytest

from tests.chaos.kinds import KINDS, QUICK, deal
from tests.chaos.mind import Heads, Plan
from tests.chaos.proxy import HOST, Proxy
from tests.chaos.report import Report
from tests.chaos.resolver import HOST as NAME
from tests.chaos.resolver import TRY_AGAIN, Resolver
from tests.chaos.rounds import Outcome
from tests.chaos.soak import Limit, judged
from tests.chaos.trend import Trend
from tests.chaos.voices import RATE, Recogniser, answer, runs, uncovered, utterance
from voice_agent.embedded import Fault
from voice_agent.embedded.mind import Call, Called, Returned, Said, Say
from voice_agent.embedded.script import LOUD, Decimator
from voice_agent.embedded.sound import waveform

# -------------------------------------------------------------------------------------------- voices


def played(number: int, ms: int) -> "np.ndarray[tuple[int], np.dtype[np.int16]]":
    return np.frombuffer(waveform(answer(number, ms), RATE), np.int16)


def test_pieces_of_answers_are_told_apart_wherever_they_begin() -> None:
    silence = np.zeros(1000, np.int16)
    room = np.concatenate([silence, played(7, 100)[30:], silence, played(8, 50)[:-7], played(9, 50)])
    found = [(run.which, run.begin, len(run)) for run in runs(room, offset=50)]
    assert found == [(7, 1050, 2370), (8, 4420, 1193), (9, 5613, 1200)]


def test_a_missing_sample_splits_a_piece() -> None:
    whole = played(7, 100)
    assert len(list(runs(np.delete(whole, 1000)))) == 2


def test_speech_and_silence_are_nobodys_answer() -> None:
    room = np.concatenate([utterance(3, 500), np.zeros(5000, np.int16)])
    assert list(runs(room)) == []


def test_an_utterance_is_loud_and_like_no_other() -> None:
    one, two = utterance(1, 300), utterance(2, 300)
    assert np.abs(one).mean() > 3 * LOUD
    assert np.abs(one).max() < 32_000
    assert uncovered(one, [two.tobytes()]) == len(one)


@pytest.mark.parametrize(("begin", "end"), [(0, 480), (1000, 1480), (6720, 7200), (3001, 3002), (15, 7199)])
def test_every_sample_that_is_missing_is_counted(begin: int, end: int) -> None:
    said = utterance(5, 300)
    stream = np.concatenate([np.zeros(333, np.int16), np.delete(said, slice(begin, end))]).tobytes()
    assert abs(uncovered(said, [stream]) - (end - begin)) <= (1 if end - begin < 7000 else 23)


def test_pieces_in_two_connections_are_not_a_whole() -> None:
    said = utterance(5, 300)
    first, second = said[:4000].tobytes(), said[4000:].tobytes()
    assert uncovered(said, [first, second]) == 3200
    assert uncovered(said, [first, second, said[:6000].tobytes()]) == 1200
    assert uncovered(said, [first, said.tobytes()]) == 0


@pytest.mark.parametrize("lead", range(3))
def test_a_piece_of_an_utterance_is_recognised_at_16_khz(lead: int) -> None:
    recogniser = Recogniser()
    said = utterance(4, 400)
    for number in (3, 4, 5):
        recogniser.learn(number, utterance(number, 400))
    room = np.concatenate([np.zeros(lead, np.int16), said[2000:5000], np.zeros(2000, np.int16)])
    assert recogniser.recognise(Decimator(RATE).feed(room.tobytes())) == [4]


def test_noise_is_no_utterance() -> None:
    recogniser = Recogniser()
    recogniser.learn(1, utterance(1, 400))
    assert recogniser.recognise(utterance(2, 300).tobytes()) == []


# -------------------------------------------------------------------------------------------- the mind


def test_the_mind_answers_the_last_utterance_even_from_a_recap() -> None:
    heads = Heads()
    mind = heads().mind
    recap = Said("user", "The connection was renewed. User: utterance 3. You: answer 3. User: utterance 4.")
    assert mind.answer([recap], [], "") == [Say("answer 4", answer(4, 200), (4800,))]


def test_the_mind_asks_its_tool_first_and_spoils_what_is_to_be_spoilt() -> None:
    heads = Heads()
    heads.plans[1] = Plan(tool=True)
    heads.plans[2] = Plan(spoil="written", spoils=1)
    mind = heads().mind
    call, result = Called("c", "get_weather", "{}"), Returned("c", "cold")
    assert [type(each) for each in mind.answer([Said("user", "utterance 1.")], [], "")] == [Call]
    assert [type(each) for each in mind.answer([Said("user", "utterance 1."), call, result], [], "")] == [Say]
    again = [Said("user", "utterance 2.")]
    assert mind.answer(again, [], "") == [Say("answer 2", written=True)]
    assert mind.answer(again, [], "") == [Say("answer 2", answer(2, 200), (4800,))]


# ------------------------------------------------------------------------------------ kinds and figures


def test_a_deck_holds_every_quick_kind_once_and_a_seed_deals_it_again() -> None:
    dealt = [deal(7, index) for index in range(len(QUICK))]
    assert sorted(kind.name for kind in dealt) == sorted(kind.name for kind in QUICK)
    assert dealt == [deal(7, index) for index in range(len(QUICK))]
    assert dealt != [deal(8, index) for index in range(len(QUICK))]


def test_a_thousand_faults_hold_every_kind() -> None:
    names = {deal(7, index).name for index in range(1000)}
    assert names == {kind.name for kind in KINDS}
    assert len(names) > 40


def test_a_slope_is_told_from_noise() -> None:
    noise = Random(1)
    level, rising = Trend(), Trend()
    for x in range(100):
        level.add(x, 50_000 + noise.gauss(0, 300))
        rising.add(x, 50_000 + 40 * x + noise.gauss(0, 300))
    assert abs(rising.slope - 40) < 3 * rising.error
    assert rising.surely_above(20)
    assert not level.surely_above(0)
    assert not Trend().surely_above(0)


def test_a_figure_is_level_unless_it_surely_grows_by_what_matters() -> None:
    memory = Limit("rss_kb", an_hour=2000, in_all=1000)
    noise = Random(2)
    hours = [minute / 60 for minute in range(60)]
    cases = {"noise": (0.0, True), "little": (500.0, True), "leak": (5000.0, False)}
    for name, (an_hour, level) in cases.items():
        trend = Trend((hour, 50_000 + an_hour * hour + noise.gauss(0, 200)) for hour in hours)
        assert judged(trend, memory)["level"] is level, name
    warm_up = Trend((hour, 50_000 - 5_000 * max(0.0, 0.15 - hour)) for hour in hours)
    assert judged(warm_up, memory)["level"]


def test_a_report_counts_what_broke_and_how_soon_all_was_well(tmp_path: Path) -> None:
    outcomes = [Outcome(index, "rst", "idle", recovery_ms=10.0 * index) for index in range(1, 11)]
    outcomes.append(Outcome(11, "stall", "idle", broken=["deaf", "a traceback in the log"]))
    report = Report(7, outcomes, ["memory grows"])
    report.write(tmp_path / "chaos.json")
    told = json.loads((tmp_path / "chaos.json").read_text())
    assert (told["seed"], told["faults"], told["invariants_broken"]) == (7, 11, 3)
    assert told["recovery_ms"] == {"p50": 55.0, "p95": 95.5, "max": 100.0}
    assert told["kinds"]["stall"]["recovered"] == 0
    assert "--seed 7 --only 11" in report.table()


# ----------------------------------------------------------------------------------- the network


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(1000):
            writer.write(data)
    writer.close()


class Line:
    """A client's end through the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def asks(self, words: bytes = b"hello", timeout_s: float = 2.0) -> bytes:
        self.writer.write(words)
        return await asyncio.wait_for(self.reader.readexactly(len(words)), timeout_s)

    async def is_dead(self, timeout_s: float = 0.3) -> bool:
        try:
            await self.asks(timeout_s=timeout_s)
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            return True
        return False


class Net:
    """An echo server behind a proxy."""

    async def __aenter__(self) -> Self:
        self.lines: list[Line] = []
        self.server = await asyncio.start_server(echo, HOST, 0)
        self.proxy = Proxy(self.server.sockets[0].getsockname()[1])
        await self.proxy.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.proxy.__aexit__(*_)
        for line in self.lines:
            line.writer.close()
            with suppress(ConnectionError):
                await line.writer.wait_closed()
        self.server.close()

    async def line(self) -> Line:
        self.lines.append(Line(*await asyncio.open_connection(HOST, self.proxy.port)))
        return self.lines[-1]


def test_a_reset_and_an_end_can_be_told_apart() -> None:
    async def run() -> None:
        async with Net() as net:
            line = await net.line()
            await line.asks()
            net.proxy.reset()
            with pytest.raises(ConnectionResetError):
                await line.reader.read()
            line = await net.line()
            await line.asks()
            net.proxy.finish()
            assert await line.reader.read() == b""

    asyncio.run(run())


def test_a_proxy_that_refuses_comes_back_on_its_port() -> None:
    async def run() -> None:
        async with Net() as net:
            port = net.proxy.port
            net.proxy.refuse()
            with pytest.raises(ConnectionRefusedError):
                await net.line()
            await net.proxy.heal()
            assert net.proxy.port == port
            assert await (await net.line()).asks() == b"hello"

    asyncio.run(run())


@pytest.mark.parametrize("weather", ["black_hole", "stall"])
def test_a_line_that_was_mute_for_a_while_delivers_everything(weather: str) -> None:
    async def run() -> None:
        async with Net() as net:
            line = await net.line()
            await line.asks()
            getattr(net.proxy, weather)()
            assert await line.is_dead()
            await net.proxy.heal()
            line.writer.write(b"world")
            assert await asyncio.wait_for(line.reader.readexactly(10), 5) == b"helloworld"

    asyncio.run(run())


def test_nobody_connects_through_a_black_hole() -> None:
    async def run() -> None:
        async with Net() as net:
            net.proxy.black_hole()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(net.line(), 0.3)

    asyncio.run(run())


def test_a_cut_lets_half_a_piece_through() -> None:
    async def run() -> None:
        async with Net() as net:
            line = await net.line()
            await line.asks()
            net.proxy.cut()
            line.writer.write(b"0123456789")
            assert await line.reader.read() == b"01234"

    asyncio.run(run())


def test_a_thin_line_and_a_long_one_take_their_time() -> None:
    async def run() -> None:
        async with Net() as net:
            line = await net.line()
            net.proxy.drip(2000)
            began = time.monotonic()
            await line.asks(b"x" * 200)
            assert time.monotonic() - began >= 0.07
            await net.proxy.heal()
            net.proxy.delay(0.05)
            began = time.monotonic()
            await line.asks(b"x" * 200)
            assert time.monotonic() - began >= 0.09

    asyncio.run(run())


@pytest.mark.audio  # needs gcc, as the virtual card does
def test_a_name_resolves_as_slowly_and_as_badly_as_asked(tmp_path: Path) -> None:
    resolver = Resolver(tmp_path)
    lines = (
        "import socket, time",
        "began = time.monotonic()",
        f"print(socket.getaddrinfo({NAME!r}, 80)[0][4][0], time.monotonic() - began)",
    )
    program = "\n".join(lines)

    def look_up() -> subprocess.CompletedProcess[str]:
        environ = os.environ | resolver.environment()
        return subprocess.run(
            [sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False
        )

    resolver.answer(delay_ms=200)
    address, seconds = look_up().stdout.split()
    assert address == "127.0.0.1"
    assert float(seconds) >= 0.2
    resolver.answer(error=TRY_AGAIN)
    assert "Temporary failure" in look_up().stderr


# ------------------------------------------------------------------------------------------- the guide


def test_every_recipe_of_the_guide_is_a_fault() -> None:
    from msgspec import json as msgjson

    guide = (Path(__file__).parents[2] / "docs" / "faults.md").read_text()
    recipes = [
        line.split(" | ")[1].split("`")[1]
        for line in guide.splitlines()
        if (line.startswith("|") and "`{" in line) or "`[{" in line
    ]
    assert len(recipes) >= 14
    for recipe in recipes:
        msgjson.decode(recipe.encode(), type=Fault | list[Fault])
