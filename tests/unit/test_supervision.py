"""Supervision: what ends or hangs is noticed, healed and told once; patience is counted in looks."""

import asyncio
import logging
from bisect import bisect_left
from collections.abc import Callable, Coroutine

import pytest

from voice_agent.backoff import Backoff
from voice_agent.errors import ConnectionLost
from voice_agent.supervision import (
    MAX_CURES,
    OVERDUE_LOOKS,
    RECURE_LOOKS,
    Ended,
    Hang,
    LoopGuard,
    Supervisor,
    Vital,
    forever,
)


class Patient:
    """A component whose age the test sets."""

    def __init__(self, name: str = "uplink", limit_s: float = 5.0) -> None:
        self.age_s = 0.0
        self.cures: list[str] = []
        self.vital = Vital(name, lambda: self.age_s, limit_s, self.cures.append)


def look(supervisor: Supervisor, times: int = 1) -> None:
    for _ in range(times):
        supervisor.look()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


# ------------------------------------------------------------------------------------------- hangs


def test_a_component_that_owes_a_sign_of_life_for_too_long_is_cured() -> None:
    supervisor, patient = Supervisor(), Patient()
    with supervisor.watching(patient.vital):
        patient.age_s = 5.1
        look(supervisor, OVERDUE_LOOKS)
        assert patient.cures == ["uplink: no sign of life for 5.1 s, and 5 s is the limit"]
        up, reason, troubles = supervisor.statistics().components["uplink"]
        assert (up, troubles) == (False, 1)
        assert reason == patient.cures[0]


def test_an_age_at_the_limit_is_no_hang() -> None:
    supervisor, patient = Supervisor(), Patient()
    with supervisor.watching(patient.vital):
        patient.age_s = 5.0
        look(supervisor, 100)
    assert patient.cures == []


def test_a_process_that_was_stopped_for_hours_has_hung_nobody() -> None:
    supervisor, patients = Supervisor(), [Patient("uplink"), Patient("sender")]
    with supervisor.watching(*(each.vital for each in patients)):
        for _ in range(10):
            for each in patients:
                each.age_s = 7200.0
            look(supervisor, OVERDUE_LOOKS - 1)
            for each in patients:
                each.age_s = 0.0
            look(supervisor)
        assert all(component.up for component in supervisor.statistics().components.values())
    assert not any(each.cures for each in patients)


def test_what_recovers_is_up_again_and_both_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    supervisor, patient = Supervisor(), Patient()
    with caplog.at_level(logging.INFO, "voice_agent"), supervisor.watching(patient.vital):
        patient.age_s = 60.0
        look(supervisor, OVERDUE_LOOKS + 5)
        patient.age_s = 0.0
        look(supervisor, 5)
        assert supervisor.statistics().components["uplink"] == (True, "", 1)
    assert [record.message for record in caplog.records] == ["component down", "component up"]
    assert len(patient.cures) == 1


def test_a_cure_is_given_time_then_tried_again_and_then_the_process_ends() -> None:
    supervisor, patient = Supervisor(), Patient()
    patient.age_s = 60.0
    with supervisor.watching(patient.vital):
        look(supervisor, OVERDUE_LOOKS + RECURE_LOOKS - 1)
        assert len(patient.cures) == 1
        look(supervisor, RECURE_LOOKS * (MAX_CURES - 1))
        assert len(patient.cures) == MAX_CURES
        with pytest.raises(Hang, match="3 cures did not help"):
            look(supervisor, RECURE_LOOKS)


def test_cures_are_counted_anew_after_a_recovery() -> None:
    supervisor, patient = Supervisor(), Patient()
    with supervisor.watching(patient.vital):
        for _ in range(MAX_CURES + 2):
            patient.age_s = 60.0
            look(supervisor, OVERDUE_LOOKS)
            patient.age_s = 0.0
            look(supervisor)
    assert len(patient.cures) == MAX_CURES + 2


def test_what_only_a_fresh_process_cures_ends_this_one_and_says_where_the_tasks_wait(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def deaf() -> None:
        await asyncio.Event().wait()

    async def play() -> None:
        supervisor = Supervisor(look_s=0.001)
        stuck = asyncio.create_task(deaf(), name="devices")
        with supervisor.watching(Vital("devices", lambda: 60.0, 45.0)):
            async with asyncio.timeout(5):
                await supervisor.run()
        stuck.cancel()

    with pytest.raises(Hang, match="devices: no sign of life"):
        asyncio.run(play())
    (words,) = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert "devices in Event.wait line" in str(words.__dict__["tasks"])


def test_two_sessions_may_each_have_an_uplink_and_one_that_leaves_takes_its_trouble_with_it() -> None:
    supervisor, old, new = Supervisor(), Patient(), Patient()
    with supervisor.watching(new.vital):
        with supervisor.watching(old.vital):
            old.age_s = 60.0
            look(supervisor, OVERDUE_LOOKS)
            assert not supervisor.statistics().components["uplink"].up
        assert supervisor.statistics().components["uplink"] == (True, "", 1)
        look(supervisor, 100)
    assert (len(old.cures), new.cures) == (1, [])


def test_a_component_is_known_from_the_first_moment_and_for_ever() -> None:
    supervisor, patient = Supervisor(), Patient()
    with supervisor.watching(patient.vital):
        assert supervisor.statistics().components == {"uplink": (True, "", 0)}
    assert supervisor.statistics().components == {"uplink": (True, "", 0)}


def test_a_late_loop_is_measured() -> None:
    async def play() -> Supervisor:
        supervisor = Supervisor(look_s=0.001)
        running = asyncio.create_task(supervisor.run())
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(spin, 0.02)
        await until(lambda: supervisor.statistics().lags.total > 0.01)
        running.cancel()
        return supervisor

    lags = asyncio.run(play()).statistics().lags
    assert lags.total >= 0.015
    assert sum(lags.counts[bisect_left(lags.bounds, 0.015) :]) >= 1


def spin(seconds: float) -> None:
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    while clock() < end:
        pass


def test_each_look_is_reported_to_who_guards_the_loop() -> None:
    async def play() -> int:
        beats: list[None] = []
        running = asyncio.create_task(Supervisor(look_s=0.001, on_look=lambda: beats.append(None)).run())
        await until(lambda: len(beats) >= 3)
        running.cancel()
        return len(beats)

    assert asyncio.run(play()) >= 3


def test_the_guard_counts_looks_in_a_row() -> None:
    guard = LoopGuard(15.0, look_s=1.0)
    for _ in range(10):
        guard.beat()
        assert not any(guard.look() for _ in range(15))
    assert guard.look()


def test_a_loop_that_never_turned_at_all_is_not_waited_for() -> None:
    guard = LoopGuard(15.0, look_s=1.0)
    assert [guard.look() for _ in range(15)] == [False] * 14 + [True]


def test_a_guard_that_was_left_is_gone() -> None:
    with LoopGuard(60.0, look_s=0.001) as guard:  # a limit that was met would end the tests themselves
        assert guard._thread.is_alive()
    assert not guard._thread.is_alive()


# -------------------------------------------------------------------------------------------- ends


async def returns() -> None:
    await asyncio.sleep(0)


async def breaks() -> None:
    raise ConnectionLost("by the weather")


async def awaits_what_was_cancelled() -> None:
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.cancel)
    await future


@pytest.mark.parametrize("work", [returns, awaits_what_was_cancelled])
def test_what_should_run_for_ever_and_does_not_ends_its_group(
    work: Callable[[], Coroutine[None, None, None]],
) -> None:
    async def play() -> None:
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            group.create_task(forever("uplink", work()))
            group.create_task(asyncio.Event().wait())

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(play())
    assert caught.group_contains(Ended, match="uplink ended")


def test_what_raises_is_left_to_its_group() -> None:
    with pytest.raises(ConnectionLost):
        asyncio.run(forever("uplink", breaks()))


def test_what_is_cancelled_from_outside_ends_in_peace() -> None:
    async def play() -> bool:
        task = asyncio.create_task(forever("uplink", asyncio.sleep(60)))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(play())


# ---------------------------------------------------------------------------------------- restarts


class Clumsy:
    """Work that ends in the ways given, and then works."""

    def __init__(self, *ends: Exception | None) -> None:
        self.ends = list(ends)
        self.begun = 0
        self.ended = 0

    async def __call__(self) -> None:
        self.begun += 1
        try:
            if not self.ends:
                await asyncio.Event().wait()
            if (end := self.ends.pop(0)) is not None:
                raise end
        finally:
            self.ended += 1


def restart(work: Clumsy, *, settled_s: float = 0.001) -> Supervisor:
    """Let ``work`` be restarted until it works and, if it may settle, is said to be up."""

    async def play() -> Supervisor:
        supervisor = Supervisor(look_s=0.001)
        backoff = Backoff(0.001, 0.001)
        task = asyncio.create_task(
            supervisor.restarting("telemetry", work, backoff, settled_s=settled_s), name="keeper"
        )
        await until(lambda: work.begun > 0 and not work.ends and work.begun > work.ended)
        if settled_s < 1:
            await until(lambda: supervisor.statistics().components["telemetry"].up)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert work.ended == work.begun, "stopping stops it, too"
        return supervisor

    return asyncio.run(play())


def test_telemetry_begins_anew_however_it_ends_and_takes_nobody_with_it() -> None:
    work = Clumsy(OSError("port taken"), None, KeyError("a bug"), asyncio.CancelledError())  # type: ignore[arg-type]
    supervisor = restart(work)
    assert work.begun == 5
    assert supervisor.statistics().components["telemetry"] == (True, "", 4)


def test_what_was_restarted_is_down_until_it_has_settled() -> None:
    supervisor = restart(Clumsy(OSError("port taken")), settled_s=60)
    assert supervisor.statistics().components["telemetry"] == (False, "port taken", 1)


def test_what_a_bug_says_stays_out_of_the_log_and_the_status(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "voice_agent"):
        supervisor = restart(Clumsy(KeyError("somebody's words")), settled_s=60)
    assert supervisor.statistics().components["telemetry"].reason == "a bug: KeyError"
    assert [record.__dict__["reason"] for record in caplog.records] == ["a bug: KeyError"]


def test_the_same_trouble_again_is_whispered_and_a_bug_shows_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    taken = [OSError("port taken") for _ in range(3)]
    with caplog.at_level(logging.DEBUG, "voice_agent"):
        restart(Clumsy(*taken, KeyError("a bug")))
    told = [(record.levelname, record.exc_info is not None) for record in caplog.records]
    whispers = [("DEBUG", False)] * 2
    assert told == [("WARNING", False), *whispers, ("WARNING", True), ("INFO", False)]
