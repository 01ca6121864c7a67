"""The day's account: caps, midnights that lie, and a file that may be anything."""

import errno
import json
import logging
import os
from datetime import date, timedelta
from pathlib import Path

import pytest

from voice_agent.budget import FILE, SAVE_EVERY_S, Budget, Day
from voice_agent.storage import state_directory

D = date(2026, 5, 10)
MIDNIGHT_1970 = date(1970, 1, 1)
HOUR_S = 3600.0


class World:
    """A calendar and a monotonic clock, which do as they like."""

    def __init__(self, directory: Path | None = None) -> None:
        self.today = D
        self.now = 1000.0
        self.directory = directory

    def budget(self) -> Budget:
        return Budget(
            audio_minutes=60,
            tokens=1000,
            directory=self.directory,
            today=lambda: self.today,
            clock=lambda: self.now,
        )


def used(budget: Budget, *steps: tuple[date, float], world: World) -> list[float]:
    """Sound used of the present allowance after each step: a date, and seconds sent on it."""
    seen = []
    for today, sent_s in steps:
        world.today = today
        budget.streamed(sent_s=sent_s)
        seen.append(budget.statistics().sent_s)
    return seen


# ----------------------------------------------------------------------------------------- counting


def test_sound_of_both_directions_fills_the_cap() -> None:
    budget = World().budget()
    budget.streamed(sent_s=2000, received_s=1599)
    assert not budget.exhausted
    budget.streamed(received_s=1)
    assert budget.exhausted
    assert budget.statistics() == (2000, 1600, {}, "audio")


def test_tokens_are_kept_by_kind_and_capped_together() -> None:
    budget = World().budget()
    budget.spent({"input_audio": 600, "output_audio": 300})
    budget.spent({"input_audio": 99})
    assert budget.statistics().exhausted == ""
    budget.spent({"output_text": 1})
    assert budget.statistics() == (
        0,
        0,
        {"input_audio": 699, "output_audio": 300, "output_text": 1},
        "tokens",
    )


def test_without_caps_nothing_is_ever_used_up() -> None:
    budget = Budget()
    budget.streamed(sent_s=1e9)
    budget.spent({"input": 10**12})
    assert not budget.exhausted
    assert budget.statistics().sent_s == 1e9


# ---------------------------------------------------------------------------------- dates that lie


def day(offset: int) -> date:
    return D + timedelta(days=offset)


def test_a_new_date_begins_a_new_allowance() -> None:
    world = World()
    budget = world.budget()
    budget.streamed(sent_s=4000)
    assert budget.exhausted
    world.today = day(1)
    assert not budget.exhausted
    assert used(budget, (day(1), 5), (day(3), 6), (day(3), 1), world=world) == [5, 6, 7]


def test_a_date_that_goes_back_takes_the_count_with_it() -> None:
    world = World()
    assert used(world.budget(), (D, 10), (day(-1), 1), (day(-400), 1), world=world) == [10, 11, 12]


def test_a_boot_in_1970_does_not_give_the_day_a_second_time() -> None:
    world = World()
    assert used(
        world.budget(),
        (D, 100),
        (MIDNIGHT_1970, 1),
        (D, 1),
        (MIDNIGHT_1970, 1),
        (D, 1),
        (day(1), 7),
        world=world,
    ) == [100, 101, 102, 103, 104, 7]


def test_a_boot_in_1970_on_another_day_gives_that_day() -> None:
    world = World()
    assert used(world.budget(), (D, 100), (MIDNIGHT_1970, 1), (day(1), 2), world=world) == [100, 101, 2]


def test_the_first_boot_of_all_may_be_in_1970() -> None:
    world = World()
    world.today = MIDNIGHT_1970
    steps = ((MIDNIGHT_1970, 1.0), (D, 2.0), (MIDNIGHT_1970, 1.0), (D, 1.0))
    assert used(world.budget(), *steps, world=world) == [1, 2, 3, 4]


def test_two_hours_forward_and_back_around_midnight_begin_the_next_day_once() -> None:
    world = World()
    steps = ((D, 100.0), (day(1), 10.0), (D, 1.0), (day(1), 1.0), (day(2), 5.0))
    assert used(world.budget(), *steps, world=world) == [100, 10, 11, 12, 5]


def test_the_year_2099_and_back_costs_one_allowance_and_locks_nobody_out() -> None:
    world = World()
    far = date(2099, 1, 1)
    steps = ((D, 100.0), (far, 5000.0), (D, 1.0), (far, 1.0), (D, 1.0), (day(1), 3.0))
    assert used(world.budget(), *steps, world=world) == [100, 5000, 5001, 5002, 5003, 3]


def test_a_clock_set_back_for_good_has_midnights_again_after_a_day_of_life() -> None:
    world = World()
    budget = world.budget()
    assert used(budget, *((day(n), 1.0) for n in range(6)), world=world) == [1] * 6
    assert used(budget, (day(1), 1), (day(2), 1), world=world) == [2, 3]
    world.now += 24 * HOUR_S
    assert used(budget, (day(3), 1), world=world) == [1]
    world.now += 24 * HOUR_S
    assert used(budget, (day(4), 1), world=world) == [1]


def test_however_the_clock_flaps_between_two_dates_there_are_two_allowances_a_day() -> None:
    world = World()
    budget = world.budget()
    used(budget, *(pair for _ in range(200) for pair in ((D, 10.0), (day(1), 10.0))), world=world)
    assert budget.statistics().sent_s == 400 * 10 - 10, "all but the first ten seconds are in the second"


# --------------------------------------------------------------------------------------- the file


def test_the_count_survives_a_restart(tmp_path: Path) -> None:
    world = World(tmp_path / "not" / "yet")
    before = world.budget()
    before.streamed(sent_s=3000, received_s=601)
    before.spent({"input_text": 5})
    before.close()
    after = world.budget()
    assert after.statistics() == (3000, 601, {"input_text": 5}, "audio")
    world.today = day(1)
    assert after.statistics() == (0, 0, {}, "")


def test_rebooting_into_1970_and_to_the_day_again_does_not_begin_it_again(tmp_path: Path) -> None:
    world = World(tmp_path)
    budget = world.budget()
    budget.streamed(sent_s=100)
    budget.close()
    for boot in range(1, 4):
        world.today = MIDNIGHT_1970
        budget = world.budget()
        assert used(budget, (D, 1), world=world) == [100 + boot]
        budget.close()


def test_life_in_one_allowance_is_counted_across_restarts(tmp_path: Path) -> None:
    world = World(tmp_path)
    for _ in range(3):
        budget = world.budget()
        world.now += 8 * HOUR_S
        budget.close()
        world.now = 5.0  # a new machine's clock begins anywhere
    assert json.loads((tmp_path / FILE).read_text())["awake_s"] == 24 * HOUR_S


def test_the_file_is_written_once_a_minute_at_most(tmp_path: Path) -> None:
    world = World(tmp_path)
    budget = world.budget()
    budget.streamed(sent_s=1)
    world.now += SAVE_EVERY_S - 1
    budget.streamed(sent_s=1)
    assert budget._store
    assert budget._store._writer is None
    world.now += 1
    assert not budget.exhausted
    writer = budget._store._writer
    assert writer
    writer.join(5)
    assert json.loads((tmp_path / FILE).read_text())["sent_s"] == 2
    budget.streamed(sent_s=1)
    assert budget._store._writer is writer


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b"null",
        b"[]",
        b'{"day": "yesterday"}',
        b'{"day": "2026-05-10", "sent_s": -5}',
        b'{"day": "2026-05-10", "tokens": {"input": "many"}}',
        b'{"day": "2026-05-10", "tokens": {"input": NaN}}',
        b"\x00" * 100_000,
    ],
)
def test_nonsense_in_the_file_is_told_once_and_counted_from_zero(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).write_bytes(content)
    world = World(tmp_path)
    budget = world.budget()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    budget.streamed(sent_s=4000)
    assert budget.exhausted
    budget.close()
    assert world.budget().exhausted, "the file has been mended"


def test_what_a_later_version_may_have_added_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"day": "2026-05-10", "sent_s": 7, "moon": "full"}')
    assert World(tmp_path).budget().statistics().sent_s == 7


def test_a_pipe_or_a_directory_in_place_of_the_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / FILE)
    assert World(tmp_path).budget().statistics().sent_s == 0
    (tmp_path / "other" / FILE).mkdir(parents=True)
    budget = World(tmp_path / "other").budget()
    budget.close()
    budget.streamed(sent_s=1)
    assert budget.statistics().sent_s == 1


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_disk_that_takes_nothing_is_told_once_and_the_count_goes_on(
    tmp_path: Path, code: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path, _data: bytes) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    budget = World(tmp_path).budget()
    for _ in range(3):
        budget.streamed(sent_s=1)
        budget.close()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert os.strerror(code) in caplog.records[0].__dict__["reason"]
    assert budget.statistics().sent_s == 3


def test_the_file_holds_numbers_and_dates_alone(tmp_path: Path) -> None:
    budget = World(tmp_path).budget()
    budget.spent({"input_text": 3})
    budget.close()
    assert json.loads((tmp_path / FILE).read_text()) == {
        "day": "2026-05-10",
        "begun": ["2026-05-10"],
        "awake_s": 0.0,
        "sent_s": 0.0,
        "received_s": 0.0,
        "tokens": {"input_text": 3},
    }


def test_dates_remembered_stay_few() -> None:
    present = Day(D)
    for offset in range(100):
        present = present.at(day(offset + 1))
    assert len(present.begun) == 8
    assert present.begun[-1] == day(100)


def test_the_directory_is_the_service_managers_then_the_users() -> None:
    assert state_directory({"STATE_DIRECTORY": "/var/lib/voice-agent:/x"}) == Path("/var/lib/voice-agent")
    assert state_directory({"XDG_STATE_HOME": "/s", "HOME": "/h"}) == Path("/s/voice-agent")
    assert state_directory({"XDG_STATE_HOME": "s", "HOME": "/h"}) == Path("/h/.local/state/voice-agent")
    assert state_directory({}) is None
