"""The bell: rings until somebody has heard it, over nobody; and the clockwork, which keeps what is set."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.unit.test_alarms import World, unix
from voice_agent.alarms import bell, clockwork
from voice_agent.alarms.bell import Bell
from voice_agent.alarms.book import LATE_S
from voice_agent.alarms.clock import Reading
from voice_agent.alarms.clockwork import EXCUSES, FILE, Clockwork
from voice_agent.alarms.entries import Kept
from voice_agent.storage import Store


@dataclass
class House:
    """A clockwork, its bell, and who lives there."""

    world: World = field(default_factory=World)
    store: Store[Kept] | None = None
    names_in_log: bool = False
    may_ring: bool = True
    is_understood: bool = True
    done: list[str] = field(default_factory=list)
    voices: asyncio.Queue[None] = field(default_factory=asyncio.Queue)

    def __post_init__(self) -> None:
        self.clockwork = Clockwork(self.store, clocks=self._now, names_in_log=self.names_in_log)
        self.bell = Bell(
            self.clockwork,
            sound=self._sound,
            hush=lambda: self.done.append("hush"),
            voice=self.voices.get,
            is_understood=lambda: self.is_understood,
            wake=lambda: self.done.append("wake"),
        )

    def _now(self) -> Reading:
        return self.world.now

    async def _sound(self, cue: str) -> float:
        if not self.may_ring:
            return 0.0
        self.done.append(cue)
        return 0.001

    def sounded(self, cue: str = "timer") -> int:
        return self.done.count(cue)

    def later(self, seconds: float) -> None:
        self.world = self.world.later(seconds)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0)

    async def never(self, condition: Callable[[], bool]) -> None:
        """In many looks of the bell."""
        for _ in range(20):
            await asyncio.sleep(0.001)
            assert not condition()


Scene = Callable[[House], Coroutine[None, None, None]]


def play(monkeypatch: pytest.MonkeyPatch, house: Callable[[], House], scene: Scene) -> None:
    """Run ``scene`` beside a bell in a hurry."""
    monkeypatch.setattr(bell, "PAUSE_S", 0.0)
    monkeypatch.setattr(bell, "TRY_S", 0.001)
    monkeypatch.setattr(clockwork, "LOOK_S", 0.001)

    async def run() -> None:
        made = house()
        task = asyncio.create_task(made.bell.run())
        try:
            await scene(made)
        finally:
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()

    asyncio.run(run())


def at_home(scene: Scene) -> Callable[[pytest.MonkeyPatch], None]:
    def test(monkeypatch: pytest.MonkeyPatch) -> None:
        play(monkeypatch, House, scene)

    return test


@at_home
async def test_a_ring_sounds_again_and_again_until_it_is_stopped_and_then_no_more(house: House) -> None:
    house.clockwork.set_timer(60, "eggs")
    await house.never(lambda: bool(house.done))
    house.later(60)
    await house.until(lambda: house.sounded() >= 3)
    assert house.done[:2] == ["wake", "timer"]
    assert house.bell.stop("stopped")
    await house.until(lambda: house.done[-1] == "hush")
    await house.never(lambda: house.done[-1] != "hush")
    assert not house.bell.stop("stopped"), "and a second press means something else"
    assert house.clockwork.entries == ()


@at_home
async def test_a_ring_that_nobody_has_heard_yet_cannot_be_stopped_by_mistake(house: House) -> None:
    house.may_ring = False
    house.clockwork.set_timer(60, "eggs")
    house.later(60)
    await house.until(lambda: house.done == ["wake"])
    assert not house.bell.stop("stopped")
    house.voices.put_nowait(None)
    house.may_ring = True
    await house.until(lambda: house.sounded() >= 2)


@at_home
async def test_one_stop_is_for_all_that_ring_and_for_nothing_that_does_not(house: House) -> None:
    for seconds, name in ((60, "a"), (60, "b"), (3600, "c")):
        house.clockwork.set_timer(seconds, name)
    house.clockwork.set_alarm("12:01", None, (0,))
    house.later(60)
    await house.until(lambda: house.sounded("alarm") >= 2)
    assert [entry.name for entry in house.clockwork.ringing] == ["a", "b", "alarm 1"]
    assert house.sounded("timer") == 0, "an alarm among them gives the tone"
    house.bell.stop("stopped")
    assert [entry.name for entry in house.clockwork.entries] == ["c", "alarm 1"], "next monday's"


@at_home
async def test_cancelling_what_rings_silences_it_and_what_rings_beside_it_goes_on(house: House) -> None:
    house.clockwork.set_timer(60, "a")
    house.clockwork.set_timer(60, "b")
    house.later(60)
    await house.until(lambda: house.sounded() >= 1)
    house.clockwork.cancel([house.clockwork.find("a")])
    before = house.sounded()
    await house.until(lambda: house.sounded() > before + 1)
    house.clockwork.cancel([house.clockwork.find("b")])
    await house.until(lambda: house.done[-1] == "hush")


@at_home
async def test_a_voice_ends_a_ring_only_where_no_model_understands_it(house: House) -> None:
    house.clockwork.set_timer(60, "eggs")
    house.later(60)
    await house.until(lambda: house.sounded() >= 1)
    house.voices.put_nowait(None)
    await house.until(house.voices.empty)
    await house.never(lambda: not house.clockwork.ringing)
    house.is_understood = False
    house.voices.put_nowait(None)
    await house.until(lambda: house.done[-1] == "hush")


def test_a_ring_to_which_nobody_comes_ends_is_counted_and_its_name_is_not_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "voice_agent")
    monkeypatch.setattr(bell, "RING_S", 0.005)

    async def scene(house: House) -> None:
        house.clockwork.set_timer(60, "eggs")
        house.later(60)
        await house.until(lambda: "hush" in house.done)
        assert house.sounded() == 5
        figures = house.clockwork.statistics()
        assert (figures.rung["timer"], figures.unanswered["timer"]) == (1, 1)

    play(monkeypatch, House, scene)
    assert "eggs" not in str([vars(record) for record in caplog.records])
    play(monkeypatch, lambda: House(names_in_log=True), scene)
    assert "eggs" in str([vars(record) for record in caplog.records])


def test_what_comes_late_to_a_ring_is_rung_for_its_whole_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bell, "RING_S", 0.010)

    async def scene(house: House) -> None:
        house.clockwork.set_timer(60, "a")
        house.clockwork.set_timer(61, "b")
        house.later(60)
        await house.until(lambda: house.sounded() == 6)
        house.later(1)
        await house.until(lambda: "hush" in house.done)
        assert 15 <= house.sounded() <= 17

    play(monkeypatch, House, scene)


@at_home
async def test_a_ring_that_cannot_sound_for_a_quarter_of_an_hour_is_missed_and_listed(house: House) -> None:
    house.may_ring = False
    house.clockwork.set_timer(60, "eggs")
    house.later(60)
    await house.until(lambda: house.done == ["wake"])
    house.later(LATE_S + 1)
    await house.until(lambda: house.done == ["wake", "hush"])
    assert house.clockwork.statistics().missed == {"timer": 1, "alarm": 0}
    assert [(each.name, each.time) for each in house.clockwork.listing().missed] == [("eggs", "12:01")]
    house.clockwork.tell_missed()
    assert house.clockwork.listing().missed == []


def test_a_device_that_comes_to_another_time_zone_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(house: House) -> None:
        await house.until(lambda: time.tzname[0] == "JST")

    with monkeypatch.context() as abroad:
        abroad.setenv("TZ", "Asia/Tokyo")
        play(monkeypatch, House, scene)
    time.tzset()


# ----------------------------------------------------------------------------------- the clockwork


def store(directory: Path) -> Store[Kept]:
    return Store(directory / FILE, Kept, EXCUSES, durable=True)


def test_what_is_set_outlives_the_process(tmp_path: Path) -> None:
    before = House(store=store(tmp_path))
    before.clockwork.set_timer(60, "eggs")
    before.clockwork.set_alarm("07:00", None, (5, 6), "weekend")
    before.clockwork.close()
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0, "names are words that somebody has said"
    after = House(store=store(tmp_path))
    assert after.clockwork.entries == before.clockwork.entries
    after.clockwork.cancel(after.clockwork.entries)
    after.clockwork.close()
    assert House(store=store(tmp_path)).clockwork.entries == ()


def test_a_jump_of_the_clock_is_written_down_for_the_next_boot(tmp_path: Path) -> None:
    house = House(World(wall_s=86_400.0), store=store(tmp_path))
    house.clockwork.set_timer(3600, "roast")
    house.world = house.world.jumps(unix("2026-11-23 12:00"))
    house.clockwork.look()
    house.clockwork.close()
    after = House(house.world.reboots(off_s=600), store=store(tmp_path))
    assert after.clockwork.listing().timers[0].seconds_left == 3000


def test_a_disk_that_cannot_be_written_is_told_once_and_the_timer_rings(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state").write_text("no directory")

    async def scene(house: House) -> None:
        for _ in range(2):
            house.clockwork.set_timer(60, "eggs")
            assert not await house.clockwork.is_kept()
        house.later(60)
        await house.until(lambda: house.sounded() > 0)

    play(monkeypatch, lambda: House(store=store(tmp_path / "state")), scene)
    told = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert told == [EXCUSES.writing]


def test_a_disk_that_works_again_keeps_again(tmp_path: Path) -> None:
    async def run() -> list[bool]:
        house = House(store=store(tmp_path / "state"))
        (tmp_path / "state").write_text("no directory")
        house.clockwork.set_timer(60)
        kept = [await house.clockwork.is_kept()]
        (tmp_path / "state").unlink()
        house.clockwork.set_timer(60)
        return [*kept, await house.clockwork.is_kept()]

    assert asyncio.run(run()) == [False, True]


def test_without_a_directory_nothing_is_kept_and_that_is_said() -> None:
    assert not asyncio.run(House().clockwork.is_kept())
