"""Ending by signals: a process of its own each time, because that is what ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic

import pytest

from voice_agent import foreground

pytestmark = [pytest.mark.system]

PROGRAM = """
import asyncio, os, signal, threading, time
from voice_agent.foreground import run_in_foreground
from voice_agent.telemetry import logs
logs.setup()
{before}

async def polite(stop):
    await stop.wait()
    print("closed", flush=True)

async def deaf(stop):
    await asyncio.Event().wait()

async def hung(stop):
    await stop.wait()
    time.sleep(60)  # as a C library does that waits for a device that has gone

async def hung_thread(stop):
    threading.Thread(target=time.sleep, args=[60]).start()
    await stop.wait()

async def main(stop):
    print("up", flush=True)
    await {work}(stop)

run_in_foreground(main)
"""


class Process:
    """The program above, up and running."""

    def __init__(self, work: str, before: str = "") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM.replace("{work}", work).replace("{before}", before)],
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(Path(foreground.__file__).parents[1])},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._line() == "up"

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait_for(self, words: str) -> None:
        while words not in self._line():
            assert self._process.poll() is None

    def end(self) -> tuple[int, str, float]:
        """Exit code, the rest of what it said, and the seconds until then."""
        began = monotonic()
        said, _ = self._process.communicate(timeout=20)
        return self._process.returncode, said, monotonic() - began


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_and_the_work_ends_in_its_own_way(number: signal.Signals) -> None:
    process = Process("polite")
    process.signal(number)
    code, said, _ = process.end()
    assert code == 0
    assert "closed" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("nohup", [False, True])
def test_a_terminal_that_is_closed_ends_the_work_in_its_own_way_but_not_under_nohup(*, nohup: bool) -> None:
    ours, theirs = os.openpty()
    # It leads a session, so that the first terminal it opens is the one that controls it.
    before = f"os.open({os.ttyname(theirs)!r}, os.O_RDWR); "
    before += f"signal.signal(signal.SIGHUP, signal.SIG_{'IGN' if nohup else 'DFL'})"
    process = Process("polite", before)
    os.close(theirs)
    os.close(ours)
    if nohup:
        process.signal(signal.SIGTERM)
    code, said, _ = process.end()
    assert code == 0
    assert f"stopping signal={'SIGTERM' if nohup else 'SIGHUP'}" in said
    assert "closed" in said


@pytest.mark.parametrize(("work", "expected"), [("deaf", 0), ("hung", 143), ("hung_thread", 143)])
@pytest.mark.slow
def test_whatever_hangs_the_process_is_gone_within_three_seconds(work: str, expected: int) -> None:
    process = Process(work)
    process.signal(signal.SIGTERM)
    code, said, seconds = process.end()
    assert code == expected
    assert "cut short" in said or "something hangs" in said
    assert seconds < 3.0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(second: signal.Signals) -> None:
    process = Process("hung")
    process.signal(signal.SIGTERM)
    process.wait_for("stopping")
    process.signal(second)
    code, said, _ = process.end()
    assert code == -second
    assert said == ""
