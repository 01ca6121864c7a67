"""Timers and alarms: when each is due whatever clocks do, and what they are called."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest

from voice_agent.alarms.book import BELIEVED_S, LATE_S, MOST, Book
from voice_agent.alarms.clock import Reading, first_after, moment
from voice_agent.alarms.entries import Kept
from voice_agent.errors import ToolError
from voice_agent.storage import LONGEST_FILE

MOSCOW, BERLIN, NEW_YORK = ZoneInfo("Europe/Moscow"), ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # its summer is half an hour ahead
EVERY_DAY = range(7)
HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


def unix(text: str, zone: ZoneInfo = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


@dataclass(frozen=True)
class World:
    """Clocks that tests turn."""

    wall_s: float = unix("2026-11-23 12:00")
    boot_s: float = 1000.0
    boot: str = "first"
    zone: ZoneInfo = BERLIN

    @property
    def now(self) -> Reading:
        return Reading(self.wall_s, self.boot_s, self.boot, self.zone)

    def later(self, seconds: float) -> "World":
        return replace(self, wall_s=self.wall_s + seconds, boot_s=self.boot_s + seconds)

    def at(self, text: str) -> "World":
        """Time passes until then."""
        return self.later(unix(text, self.zone) - self.wall_s)

    def jumps(self, seconds: float) -> "World":
        """The wall clock does."""
        return replace(self, wall_s=self.wall_s + seconds)

    def reboots(self, off_s: float = 0.0) -> "World":
        return replace(self, wall_s=self.wall_s + off_s, boot_s=20.0, boot=self.boot + "+")


def restarted(book: Book, before: World, after: World) -> Book:
    """Another process reads what this one has written."""
    file = msgspec.json.encode(book.kept(before.now))
    return Book(msgspec.json.decode(file, type=Kept), after.now)


def due(book: Book, world: World) -> list[str]:
    return [entry.name for entry in book.look(world.now).due]


def missed(book: Book, world: World) -> list[str]:
    return [entry.name for entry in book.look(world.now).missed]


def ring(book: Book, world: World) -> list[str]:
    """What rings now; somebody hears it."""
    found = book.look(world.now).due
    book.settle(found, world.now)
    return [entry.name for entry in found]


def world_and_book(world: World | None = None) -> tuple[World, Book]:
    world = world or World()
    return world, Book(Kept(), world.now)


# ------------------------------------------------------------------------------------------ timers


def test_a_timer_is_due_when_its_time_has_passed_and_not_before() -> None:
    world, book = world_and_book()
    book.set_timer(300, "eggs", world.now)
    assert due(book, world.later(299.9)) == []
    assert due(book, world.later(300)) == ["eggs"]


@pytest.mark.parametrize("jump_s", [-40 * 365 * DAY_S, -3600, 3600, 70 * 365 * DAY_S])
def test_a_timer_does_not_care_about_the_wall_clock_even_if_the_process_is_restarted(jump_s: float) -> None:
    world, book = world_and_book()
    book.set_timer(300, "eggs", world.now)
    world = world.later(100).jumps(jump_s)
    book = restarted(book, world, world)
    assert due(book, world.later(199)) == []
    assert due(book, world.later(200)) == ["eggs"]


def test_a_timer_goes_on_while_the_device_is_off_as_far_as_the_wall_clock_knows() -> None:
    world, book = world_and_book()
    book.set_timer(600, "eggs", world.now)
    world = world.later(100)
    after = world.reboots(off_s=400)
    book = restarted(book, world, after)
    assert due(book, after.later(99)) == []
    assert due(book, after.later(100)) == ["eggs"]


def test_a_boot_is_another_one_though_it_lasts_longer_than_that_in_which_a_timer_was_set() -> None:
    world, book = world_and_book()
    book.set_timer(600, "eggs", world.now)
    after = replace(world.reboots(off_s=300), boot_s=50_000.0)
    book = restarted(book, world, after)
    assert due(book, after.later(299)) == []
    assert due(book, after.later(300)) == ["eggs"]


def test_a_timer_waits_for_a_device_without_a_battery_to_learn_the_time() -> None:
    world, book = world_and_book()
    book.set_timer(600, "eggs", world.now)
    after = world.reboots(off_s=580 - 50 * 365 * DAY_S)
    book = restarted(book, world, after)
    assert due(book, after.later(25)) == []
    assert due(book, after.later(25).jumps(50 * 365 * DAY_S)) == ["eggs"]


def test_a_restart_before_the_device_has_learned_the_time_does_not_make_it_forget_what_it_knew() -> None:
    world, book = world_and_book()
    book.set_timer(3600, "roast", world.now)
    after = world.reboots(off_s=1800 - 400 * DAY_S)
    book = restarted(book, world, after)
    book = restarted(book, after.later(10), after.later(10))
    right = after.later(60).jumps(400 * DAY_S)
    assert due(book, right.later(1739)) == []
    assert due(book, right.later(1740)) == ["roast"]


def test_a_timer_of_a_device_that_never_learns_the_time_rings_as_if_it_had_not_been_off() -> None:
    world, book = world_and_book()
    book.set_timer(600, "eggs", world.now)
    after = world.reboots(off_s=-50 * 365 * DAY_S)
    book = restarted(book, world.later(100), after)
    assert due(book, after.later(499)) == []
    assert due(book, after.later(500)) == ["eggs"]


def test_a_timer_that_was_set_before_the_time_was_known_goes_on_in_a_boot_that_knows_it() -> None:
    world, book = world_and_book(World(wall_s=86_400.0))
    book.set_timer(600, "eggs", world.now)
    after = replace(world.reboots(), wall_s=unix("2026-11-23 12:00"))
    book = restarted(book, world, after)
    assert book.look(after.later(599).now) == ((), ())
    assert due(book, after.later(600)) == ["eggs"]


def test_a_timer_that_was_set_before_the_time_was_known_is_written_down_right_once_it_is() -> None:
    world, book = world_and_book(World(wall_s=86_400.0))
    book.set_timer(3600, "roast", world.now)
    world = world.later(60).jumps(unix("2026-11-23 12:00"))
    after = world.reboots(off_s=1000)
    assert due(restarted(book, world, after), after.later(2539)) == []
    assert due(restarted(book, world, after), after.later(2540)) == ["roast"]


def test_what_is_late_by_a_quarter_of_an_hour_still_rings_and_what_is_later_is_missed_and_told_once() -> None:
    for off_s, rings in ((LATE_S + 60, True), (LATE_S + 61, False)):
        world, book = world_and_book()
        book.set_timer(60, "eggs", world.now)
        after = world.later(off_s)
        book = restarted(book, world, after)
        found = book.look(after.now)
        assert [bool(found.due), bool(found.missed)] == [rings, not rings]
        assert [bool(book.tell_missed()), bool(book.tell_missed())] == [not rings, False]


@pytest.mark.parametrize("seconds", [0, 0.9, -5, 7 * DAY_S + 1, float("inf"), float("nan")])
def test_a_timer_is_neither_shorter_than_a_second_nor_longer_than_a_week(seconds: float) -> None:
    world, book = world_and_book()
    with pytest.raises(ToolError, match="1 second to 7 days"):
        book.set_timer(seconds, "", world.now)
    book.set_timer(1, "", world.now)
    book.set_timer(7 * DAY_S, "", world.now)


# ------------------------------------------------------------------------------------------ alarms


def test_an_alarm_rings_the_next_time_the_clock_shows_it() -> None:
    world, book = world_and_book()
    assert str(book.set_alarm("18:30", None, (), "a", world.now).day) == "2026-11-23"
    assert str(book.set_alarm("07:00", None, (), "b", world.now).day) == "2026-11-24"
    assert due(book, world.at("2026-11-23 18:29:59")) == []
    assert ring(book, world.at("2026-11-23 18:30")) == ["a"]
    assert ring(book, world.at("2026-11-24 07:00")) == ["b"]
    assert book.entries == ()


def test_a_repeating_alarm_rings_on_its_days_and_on_no_other() -> None:
    world, book = world_and_book()
    book.set_alarm("07:00", None, [0, 2, 4], "work", world.now)
    rang = []
    for day in range(1, 15):
        for minute in (59, 60, 61):
            at = World(unix("2026-11-23 06:00") + day * DAY_S + minute * 60)
            if ring(book, at):
                rang.append((f"{at.now.local:%a}", minute))
    assert rang == [(day, 60) for day in ("Wed", "Fri", "Mon", "Wed", "Fri", "Mon")]


DST = [
    # a place, a time of day, and what its clock shows when it rings, on the day of a change
    ("2026-03-29", BERLIN, "02:30", ["03:30+0200"]),  # passed over: as much later as the clock is set on
    ("2026-10-25", BERLIN, "02:30", ["02:30+0200"]),  # comes twice: the first
    ("2026-10-25", BERLIN, "03:00", ["03:00+0100"]),
    ("2026-03-08", NEW_YORK, "02:00", ["03:00-0400"]),
    ("2026-11-01", NEW_YORK, "01:59", ["01:59-0400"]),
    ("2026-10-04", LORD_HOWE, "02:15", ["02:45+1100"]),
    ("2026-04-05", LORD_HOWE, "01:45", ["01:45+1100"]),
    ("2026-03-29", MOSCOW, "02:30", ["02:30+0300"]),  # no summer time any more
]


@pytest.mark.parametrize(("day", "zone", "at", "shown"), DST)
@pytest.mark.parametrize("repeats", [False, True])
def test_an_alarm_rings_once_on_the_days_on_which_clocks_are_changed(
    day: str, zone: ZoneInfo, at: str, shown: list[str], repeats: bool
) -> None:
    world, book = world_and_book(World(unix(f"{day} 00:00", zone), zone=zone))
    book.set_alarm(at, None, EVERY_DAY if repeats else (), "a", world.now)
    rang = []
    for _ in range(5 * 60 + 1):
        if ring(book, world):
            rang.append(f"{world.now.local:%H:%M%z}")
        world = world.later(60)
    assert rang == shown


def test_an_alarm_follows_the_device_to_another_time_zone() -> None:
    world, book = world_and_book()
    book.set_alarm("07:00", None, (), "a", world.now)
    there = replace(world, zone=NEW_YORK)
    assert due(book, there.later(20 * HOUR_S)) == []
    assert ring(book, there.at("2026-11-24 07:00")) == ["a"]


def test_an_alarm_that_has_rung_does_not_ring_again_when_the_clock_is_corrected() -> None:
    world, book = world_and_book(World(unix("2026-11-23 06:00")))
    book.set_alarm("07:00", None, EVERY_DAY, "a", world.now)
    world = world.at("2026-11-23 07:00:05")
    assert ring(book, world) == ["a"]
    world = world.jumps(-HOUR_S)
    book = restarted(book, world, world)
    for minutes in range(0, 300, 5):
        assert ring(book, world.later(60 * minutes)) == []
    assert ring(book, World(unix("2026-11-24 07:00"))) == ["a"]


def test_an_alarm_that_a_clock_ahead_of_its_time_has_passed_over_rings_when_the_clock_is_put_right() -> None:
    for repeat in ((), EVERY_DAY):
        world, book = world_and_book(World(unix("2026-11-23 06:30")))
        book.set_alarm("07:00", None, repeat, "a", world.now)
        assert missed(book, world.jumps(70 * 365 * DAY_S)) == ["a"]
        assert due(book, world.later(60)) == []
        assert ring(book, world.at("2026-11-23 07:00")) == ["a"]
        assert book.missed == ()


def test_what_a_wrong_clock_has_rung_is_rung_again_if_the_clock_goes_back_by_hours_and_stays_there() -> None:
    world, book = world_and_book(World(unix("2026-11-23 06:00")))
    book.set_alarm("07:00", None, EVERY_DAY, "a", world.now)
    assert ring(book, world.at("2026-11-23 07:00").jumps(DAY_S)) == ["a"]  # "tomorrow"
    world = world.at("2026-11-23 07:01")
    for seconds in range(0, round(BELIEVED_S) + 120, 60):
        assert ring(book, world.later(seconds)) == []
    assert ring(book, world.at("2026-11-24 07:00")) == ["a"]


def test_a_device_that_begins_in_the_past_at_each_boot_misses_nothing_that_it_has_rung() -> None:
    world, book = world_and_book(World(unix("2026-11-23 06:00")))
    book.set_alarm("07:00", None, EVERY_DAY, "a", world.now)
    world = world.at("2026-11-23 07:00")
    assert ring(book, world) == ["a"]
    after = world.later(60).reboots(off_s=-400 * DAY_S)
    book = restarted(book, world, after)
    for seconds in (10, 30, 50):
        assert book.look(after.later(seconds).now) == ((), ())
    right = replace(after.later(60), wall_s=unix("2026-11-23 07:05"))
    assert book.look(right.now) == ((), ())
    assert ring(book, right.at("2026-11-24 07:00")) == ["a"]


def test_a_device_that_is_without_the_time_for_hours_misses_nothing_that_it_has_rung() -> None:
    world, book = world_and_book(World(unix("2026-11-23 06:00")))
    book.set_alarm("07:00", None, EVERY_DAY, "a", world.now)
    world = world.at("2026-11-23 07:00")
    assert ring(book, world) == ["a"]
    after = replace(world.reboots(), wall_s=86_400.0)
    book = restarted(book, world, after)
    for minutes in range(120):
        assert book.look(after.later(60 * minutes).now) == ((), ())
    right = replace(after.later(2 * HOUR_S), wall_s=unix("2026-11-23 09:02"))
    assert book.look(right.now) == ((), ())


def test_an_alarm_that_was_missed_for_weeks_is_told_once_and_goes_on() -> None:
    world, book = world_and_book()
    book.set_alarm("07:00", None, EVERY_DAY, "a", world.now)
    after = world.reboots(off_s=21 * DAY_S - 4 * HOUR_S - 50 * 60)  # 07:10
    book = restarted(book, world, after)
    assert missed(book, after) == ["a"]
    assert ring(book, after) == ["a"], "and today's is late by no more than ten minutes"
    assert ring(book, after.later(DAY_S - 600)) == ["a"]
    assert len(book.tell_missed()) == 1


def test_nobody_is_promised_an_alarm_by_a_device_that_does_not_know_the_time() -> None:
    world, book = world_and_book(World(wall_s=86_400.0))
    with pytest.raises(ToolError, match="does not know what time it is"):
        book.set_alarm("07:00", None, (), "", world.now)


@pytest.mark.parametrize(
    ("day", "repeat", "words"),
    [
        ("2026-11-22", (), "that has passed: it is 2026-11-23 12:00 now"),
        ("2026-11-23", (), "that has passed"),
        ("2028-11-23", (), "a year ahead"),
        ("2026-11-24", (1,), "either a date or the days"),
    ],
)
def test_an_alarm_that_makes_no_sense_is_refused_in_words(
    day: str, repeat: tuple[int, ...], words: str
) -> None:
    world, book = world_and_book()
    with pytest.raises(ToolError, match=words):
        book.set_alarm("07:00", datetime.fromisoformat(day).date(), repeat, "", world.now)


# ------------------------------------------------------------------------------- ringing, and the rest


def test_what_rings_goes_on_ringing_though_the_clock_jumps_until_it_is_settled() -> None:
    world, book = world_and_book(World(unix("2026-11-23 06:00")))
    book.set_alarm("07:00", None, (), "a", world.now)
    ringing = book.look(world.at("2026-11-23 07:00").now).due
    for jump_s in (-60.0, 2 * LATE_S):
        assert book.look(world.at("2026-11-23 07:00").jumps(jump_s).now, ringing).due == ringing
    book.settle(ringing, world.at("2026-11-23 07:01").now)
    assert book.entries == ()


def test_there_is_an_end_to_how_many_can_be_set_and_the_longest_names_fit_into_the_file() -> None:
    world, book = world_and_book()
    for number in range(MOST):
        book.set_alarm("07:00", None, EVERY_DAY, f"{number:02}" + "Ы" * 58, world.now)
    with pytest.raises(ToolError, match="cancel some first"):
        book.set_timer(60, "", world.now)
    late = world.later(20 * DAY_S)
    book.look(late.now)
    assert len(book.missed) == MOST
    assert len(msgspec.json.encode(book.kept(late.now))) < LONGEST_FILE / 2


def test_a_file_of_nonsense_sets_nothing_that_cannot_be_reached() -> None:
    world = World()
    file = '{"entries":[{"kind":"alarm","name":"a","at":"07:00","day":"0001-01-01"}]}'
    assert Book(msgspec.json.decode(file, type=Kept), world.now).entries == ()
    for wrong in ('"at":"25:00","day":"2026-01-01"', '"at":"07:00","day":"2026-01-01","since_s":1e300'):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(f'{{"entries":[{{"kind":"alarm","name":"a",{wrong}}}]}}', type=Kept)


def test_the_device_zone_is_what_the_c_library_says() -> None:
    here = Reading(unix("2026-11-23 12:00"), 0.0, "")
    assert moment(here.local.date(), f"{here.local:%H:%M}", None) == here.wall_s
    assert first_after(here.wall_s, f"{here.local:%H:%M}", EVERY_DAY, None) - here.wall_s <= 25 * HOUR_S
    assert datetime.fromtimestamp(here.wall_s, UTC) + timedelta(0) == here.local.astimezone(UTC)


# ------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("eggs", "eggs"),
        ("Eggs!", "eggs"),
        ("the egg timer", "eggs"),
        ("wake-up", "wake up"),
        ("wake", "wake up"),
        ("the alarm", "wake up"),
        ("будильник", "wake up"),
        ("timer 1", "timer 1"),
        ("pasta water", "pasta water"),
        ("пельмень", "пельмени"),
    ],
)
def test_names_are_understood_as_people_say_them(said: str, found: str) -> None:
    assert named().find(said).name == found


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("pasta", "'pasta' may be one of several: pasta water, pasta sauce; ask which"),
        ("the timer", "may be one of several: eggs, timer 1, pasta water, pasta sauce, пельмени"),
        ("laundry", "nothing is set that is called 'laundry'; set are: eggs, timer 1"),
    ],
)
def test_a_name_that_could_be_several_or_none_is_answered_by_those_that_there_are(
    said: str, words: str
) -> None:
    with pytest.raises(ToolError, match=words):
        named().find(said)


def named() -> Book:
    world, book = world_and_book()
    for name in ("eggs", "", "pasta water", "pasta sauce", "пельмени"):
        book.set_timer(60, name, world.now)
    book.set_alarm("07:00", None, (), "wake up", world.now)
    return book


def test_a_name_that_is_taken_gets_a_number_and_one_that_is_missing_is_made() -> None:
    world, book = world_and_book()
    names = [book.set_timer(60, name, world.now).name for name in ("", "", "eggs", "Eggs", " eggs\n", "\x07")]
    assert names == ["timer 1", "timer 2", "eggs", "Eggs 2", "eggs 3", "timer 3"]
    assert book.set_alarm("07:00", None, (), "", world.now).name == "alarm 1"
    with pytest.raises(ToolError, match="at most 60"):
        book.set_timer(60, "x" * 61, world.now)
