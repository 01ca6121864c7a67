"""Whatever hangs or ends in a process, the process ends with it and says why: a fresh process each time."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest

from voice_agent import supervision

pytestmark = [pytest.mark.system]

LIMIT_S = 0.6
PROGRAM = f"""
import asyncio, logging, os, sys, threading, time
from voice_agent import cli
from voice_agent.foreground import run_in_foreground
from voice_agent.supervision import LoopGuard, Supervisor, Vital, forever

sys.excepthook = cli._end_on_bug
logging.basicConfig(level="INFO")

def say(text):
    print(text, flush=True)

async def blocks_outside_of_python():
    say("up")
    time.sleep(60)  # as a C library does that waits for a device that has gone

async def spins():
    say("up")
    while True:
        pass

async def drowns_in_its_own_log():
    say("up")
    while True:
        os.write(2, b"x" * 4096)  # nobody reads: soon this waits for ever, and so would any last words

async def returns():
    say("up")

async def awaits_what_was_cancelled():
    say("up")
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future

async def works():
    say("up")
    await asyncio.Event().wait()

async def leaves_a_thread_that_hangs():
    say("up")
    asyncio.get_running_loop().run_in_executor(None, time.sleep, 60)
    raise KeyError("a bug elsewhere")

async def keeps_the_supervisor_from_looking():
    say("up")
    supervisor._look_s = 60
    await asyncio.Event().wait()

async def hangs():
    say("up")
    with supervisor.watching(Vital("devices", lambda: 60.0, 1.0)):
        await asyncio.Event().wait()

async def main(stop):
    async with asyncio.TaskGroup() as group:
        group.create_task(forever("supervisor", supervisor.run()))
        await asyncio.sleep(0.2)  # it turns first
        group.create_task(forever("component", globals()[sys.argv[1]]()))
        await stop.wait()
        os._exit(0)

with LoopGuard({LIMIT_S}, look_s=0.05) as guard:
    supervisor = Supervisor(look_s=0.05, on_look=guard.beat)
    run_in_foreground(main)
"""


class Process:
    """The program above; ``up`` when its work has begun."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        self._began = monotonic()

    def end(self) -> tuple[int, str, float]:
        """Exit code, what it said on stderr, and the seconds until then."""
        code = self.process.wait(timeout=20)
        seconds = monotonic() - self._began
        assert self.process.stderr is not None
        return code, self.process.stderr.read(), seconds


@contextmanager
def program(work: str) -> Iterator[Process]:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, work],
        env={**os.environ, "PYTHONPATH": str(Path(supervision.__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Process(process)
        finally:
            process.kill()


@pytest.mark.parametrize("work", ["blocks_outside_of_python", "spins"])
def test_a_loop_that_does_not_turn_ends_the_process_with_the_stacks_of_all_threads(work: str) -> None:
    with program(work) as process:
        code, said, seconds = process.end()
    assert code == os.EX_TEMPFAIL
    assert "the event loop has not turned for 0.6 s" in said
    assert f"in {work}\n" in said, "where it hung"
    assert said.count("most recent call first") >= 3, "and the guard, and who writes this"
    assert LIMIT_S / 2 < seconds < 5


@pytest.mark.slow
def test_a_process_whose_log_nobody_reads_ends_without_last_words() -> None:
    with program("drowns_in_its_own_log") as process:
        code, _, seconds = process.end()
    assert code == os.EX_TEMPFAIL
    assert seconds < supervision.REPORT_S + 5


def test_a_thread_that_hangs_while_the_loop_is_wound_up_does_not_keep_the_process() -> None:
    with program("leaves_a_thread_that_hangs") as process:
        code, said, _ = process.end()
    assert code == os.EX_TEMPFAIL
    assert "has not turned" in said


@pytest.mark.slow
def test_a_process_that_was_stopped_for_longer_than_the_limit_lives_on() -> None:
    with program("works") as process:
        process.process.send_signal(signal.SIGSTOP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.process.wait(2 * LIMIT_S)
        process.process.send_signal(signal.SIGCONT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.process.wait(LIMIT_S / 2)
        process.process.send_signal(signal.SIGTERM)
        code, said, _ = process.end()
    assert code == 0
    assert "has not turned" not in said


def test_a_loop_that_turns_without_a_supervisor_who_looks_ends_the_process() -> None:
    with program("keeps_the_supervisor_from_looking") as process:
        code, said, _ = process.end()
    assert code == os.EX_TEMPFAIL
    assert "has not turned" in said


@pytest.mark.parametrize("work", ["returns", "awaits_what_was_cancelled"])
def test_a_component_that_just_ends_is_a_bug(work: str) -> None:
    with program(work) as process:
        code, said, _ = process.end()
    assert code == os.EX_SOFTWARE
    assert "component ended, though nobody had asked it to" in said


def test_a_component_that_hangs_beyond_cure_ends_the_process() -> None:
    with program("hangs") as process:
        code, said, _ = process.end()
    assert code == os.EX_SOFTWARE
    assert "devices: no sign of life for 60.0 s" in said
    assert "Hang" in said
