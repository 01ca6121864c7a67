"""Whatever order clocks jump, devices restart and people edit in: nothing that was set is lost or doubled."""

from collections import Counter
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.unit.test_alarms import BERLIN, DAY_S, HOUR_S, LORD_HOWE, MOSCOW, NEW_YORK, World, restarted, unix
from voice_agent.alarms.book import BELIEVED_S, LATE_S, MOST, SET_BACK_S, Book
from voice_agent.alarms.clock import DAY, moment
from voice_agent.alarms.entries import Alarm, Entry, Kept, Timer
from voice_agent.errors import ToolError

ZONES = st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE, MOSCOW])
STARTS = st.floats(unix("2026-01-01 00:00"), unix("2027-01-01 00:00"))
YEARS_S = st.sampled_from([-56.0, 73.0, -1.0, 1.0]).map(lambda years: years * 365 * DAY_S)
JUMPS_S = st.one_of(st.floats(-3 * HOUR_S, 3 * HOUR_S), YEARS_S)
TIMES = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
PASSES_S = st.one_of(st.floats(0, 120), st.floats(0, 2 * HOUR_S), st.floats(0, 3 * DAY_S))


LOOKS = 6 * 24 * 6
"""One every ten minutes, for six days."""


@dataclass
class Fate:
    """What has become of one name."""

    rang: list[float] = field(default_factory=list)
    """When, in seconds that have really passed."""
    cancelled: bool = False


class Life(RuleBasedStateMachine):
    """A device that is looked at now and then, and set about by everything."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.passed_s = 0.0
        self.book = Book(Kept(), self.world.now)
        self.fates: dict[str, Fate] = {}
        self.due_s: dict[str, float] = {}
        self.repeating: set[str] = set()

    @rule(seconds=PASSES_S)
    def time_passes(self, seconds: float) -> None:
        self.world = self.world.later(seconds)
        self.passed_s += seconds

    @rule(seconds=JUMPS_S)
    def the_clock_jumps(self, seconds: float) -> None:
        if 0 < self.world.wall_s + seconds < 6e9:
            self.world = self.world.jumps(seconds)

    @rule()
    def the_process_restarts(self) -> None:
        self.book = restarted(self.book, self.world, self.world)

    @rule(off_s=PASSES_S)
    def the_device_restarts(self, off_s: float) -> None:
        after = self.world.reboots(off_s)
        self.book = restarted(self.book, self.world, after)
        self.world = after
        self.passed_s += off_s
        self.due_s = {}  # a wrong clock may be all that it has

    @rule(seconds=st.floats(1, 7 * DAY_S))
    def a_timer_is_set(self, seconds: float) -> None:
        name = self._new()
        try:
            self.book.set_timer(seconds, name, self.world.now)
        except ToolError:
            assert len(self.book.entries) == MOST
            return
        self.fates[name], self.due_s[name] = Fate(), self.passed_s + seconds

    @rule(at=TIMES, repeat=st.sets(st.integers(0, 6)))
    def an_alarm_is_set(self, at: str, repeat: set[int]) -> None:
        name = self._new()
        try:
            self.book.set_alarm(at, None, repeat, name, self.world.now)
        except ToolError:
            assert len(self.book.entries) == MOST or not self.world.now.is_plausible
            return
        self.fates[name] = Fate()
        if repeat:
            self.repeating.add(name)

    @rule(which=st.integers(0, 100))
    def one_is_cancelled(self, which: int) -> None:
        if self.book.entries:
            entry = self.book.entries[which % len(self.book.entries)]
            self.book.cancel([entry])
            self.fates[entry.name].cancelled = True

    @rule()
    def the_bell_looks(self) -> None:
        found = self.book.look(self.world.now)
        for entry in found.due:
            assert entry.late_s(self.world.now) <= LATE_S
            self._rings(entry)
        self.book.settle(found.due, self.world.now)
        assert self.book.look(self.world.now) == ((), ()), "what was dealt with is done"

    def _rings(self, entry: Entry) -> None:
        fate = self.fates[entry.name]
        assert not fate.cancelled
        if isinstance(entry, Timer):
            assert self.passed_s >= self.due_s.get(entry.name, 0.0) - 1e-3, "never too soon"
        if not (isinstance(entry, Alarm) and entry.repeat):
            assert not fate.rang, "never twice"
        fate.rang.append(self.passed_s)

    def _new(self) -> str:
        return f"n{len(self.fates)}"

    @invariant()
    def everything_is_somewhere(self) -> None:
        there = Counter(entry.name for entry in self.book.entries)
        missed = {entry.name for entry in self.book.missed}
        assert all(count == 1 for count in there.values())
        for name, fate in self.fates.items():
            if fate.cancelled:
                assert name not in there
            elif name in self.repeating:
                assert name in there
            else:
                assert (name in there) + (name in missed) + bool(fate.rang) == 1


def test_whatever_was_set_is_set_or_cancelled_or_has_rung_or_was_missed() -> None:
    run_state_machine_as_test(Life, settings=settings(max_examples=60, stateful_step_count=30, deadline=None))


@given(
    start=STARTS,
    zone=ZONES,
    at=TIMES,
    repeat=st.sets(st.integers(0, 6), min_size=1),
    troubles=st.lists(st.one_of(JUMPS_S, st.none()), max_size=4),
    restarts=st.sets(st.integers(0, LOOKS), max_size=3),
)
@settings(max_examples=40, deadline=None)
def test_an_alarm_rings_each_of_its_days_once_when_the_clock_has_come_to_rest(
    start: float, zone: ZoneInfo, at: str, repeat: set[int], troubles: list[float | None], restarts: set[int]
) -> None:
    """Whatever has happened to the clock before; and processes may restart at any time."""
    world = World(start, zone=zone)
    book = Book(Kept(), world.now)
    book.set_alarm(at, None, repeat, "a", world.now)
    for trouble in troubles:
        after = world.reboots() if trouble is None else world.jumps(trouble)
        if 0 < after.wall_s < 6e9:
            book = restarted(book, world, after)
            world = after
        book.settle(book.look(world.now).due, world.now)
    world = World(start + DAY_S, world.boot_s + 60, world.boot, zone)
    for _ in range(int(BELIEVED_S + SET_BACK_S) // 60):
        world = world.later(60)
        book.settle(book.look(world.now).due, world.now)
    began_s, rang = world.wall_s, []
    for look in range(LOOKS):
        if look in restarts:
            book = restarted(book, world, world)
        world = world.later(600)
        found = book.look(world.now)
        assert not found.missed
        rang += [world.wall_s - entry.late_s(world.now) for entry in found.due]
        book.settle(found.due, world.now)
    first = world.now.local.date() - DAY * 8
    days = [day for day in (first + DAY * count for count in range(10)) if day.weekday() in repeat]
    expected = [time for day in days if began_s < (time := moment(day, at, zone)) <= world.wall_s]
    assert rang == expected


@given(
    due_s=st.floats(1, 3000),
    jumps=st.lists(st.tuples(st.floats(0, 200), JUMPS_S, st.booleans()), max_size=8),
)
@settings(max_examples=100, deadline=None)
def test_a_timer_rings_once_and_in_time_whatever_the_wall_clock_does(
    due_s: float, jumps: list[tuple[float, float, bool]]
) -> None:
    world = World()
    book = Book(Kept(), world.now)
    book.set_timer(due_s, "eggs", world.now)
    set_at_s, rang = world.boot_s, []
    for seconds, jump_s, restarts in [*jumps, *[(60.0, 0.0, False)] * 60]:
        world = world.later(seconds).jumps(jump_s if 0 < world.wall_s + jump_s < 6e9 else 0.0)
        if restarts:
            book = restarted(book, world, world)
        found = book.look(world.now)
        rang += [world.boot_s - seconds - set_at_s for _ in found.due]
        book.settle(found.due, world.now)
    assert len(rang) == 1
    assert rang[0] < due_s, "at the first look after its time"
