"""Blocking calls off the loop: results, errors, deadlines and what comes too late."""

import asyncio
import threading

import pytest

from voice_agent.audio.helper import in_helper
from voice_agent.errors import DeviceUnavailable


def test_the_result_comes_back_from_another_thread() -> None:
    thread = asyncio.run(in_helper(threading.current_thread, name="audio-test", deadline_s=5))
    assert thread.name == "audio-test"
    assert thread.daemon


def test_an_audio_error_is_raised_where_the_result_was_wanted() -> None:
    def fail() -> None:
        raise DeviceUnavailable("unplugged")

    with pytest.raises(DeviceUnavailable, match="unplugged"):
        asyncio.run(in_helper(fail, name="audio-test", deadline_s=5))


def test_a_bug_in_the_helper_fails_the_one_who_waits_and_shows_its_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    printed: list[type[BaseException]] = []
    monkeypatch.setattr(threading, "excepthook", lambda failure: printed.append(failure.exc_type))
    threads: list[threading.Thread] = []

    def fail() -> None:
        threads.append(threading.current_thread())
        raise ZeroDivisionError

    with pytest.raises(RuntimeError, match="audio-test ended with a bug"):
        asyncio.run(in_helper(fail, name="audio-test", deadline_s=5))
    threads[0].join(5)
    assert printed == [ZeroDivisionError]


def test_a_call_that_hangs_is_left_behind_and_undone_when_it_returns() -> None:
    release, undone = threading.Event(), threading.Event()

    def hang() -> str:
        release.wait(10)
        return "late"

    def undo(result: str) -> None:
        assert result == "late"
        undone.set()

    async def call() -> bool:
        with pytest.raises(TimeoutError):
            await in_helper(hang, name="audio-test", deadline_s=0.05, undo=undo)
        release.set()
        return await asyncio.to_thread(undone.wait, 5)

    assert asyncio.run(call())


def test_a_late_return_after_the_loop_is_closed_disturbs_nobody() -> None:
    release, entered = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def hang() -> None:
        threads.append(threading.current_thread())
        entered.set()
        release.wait(10)

    async def call() -> None:
        with pytest.raises(TimeoutError):
            await in_helper(hang, name="audio-test", deadline_s=0.05)

    asyncio.run(call())
    entered.wait(5)
    release.set()
    threads[0].join(5)
    assert not threads[0].is_alive()  # an exception in it would fail this test as a warning
