"""The real daemon while its wall clock jumps: a device has no battery, and learns the time late."""

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.fakes.wall_clock import WallClock
from tests.system.harness import Daemon, daemon, loud, scene, until_streaming
from voice_agent.embedded import Script, ServerOptions, Turn, running

pytestmark = [pytest.mark.system, pytest.mark.audio]

HOURS = timedelta(hours=1)
BEFORE_NTP = datetime(1970, 6, 1, tzinfo=UTC)


def error_s(voice: Daemon, clock: WallClock) -> float:
    """By how much the last line of the log is off from what the daemon should believe, within half a day."""
    stamps = re.findall(r"^(\d\d):(\d\d):(\d\d)", voice.log, re.MULTILINE)
    hours, minutes, seconds = map(int, stamps[-1])
    believed = clock.now()
    off_s = (believed.hour - hours) * 3600 + (believed.minute - minutes) * 60 + believed.second - seconds
    return abs((off_s + 43_200) % 86_400 - 43_200)


@pytest.mark.slow
@scene
async def test_a_conversation_does_not_notice_that_the_clock_jumps(tmp_path: Path) -> None:
    clock = WallClock(tmp_path)
    now = datetime.now(UTC)
    jumps = (now + 2 * HOURS, now - 2 * HOURS, BEFORE_NTP, now)
    turns = tuple(Turn(heard="hello", say="Good day.", ms=800, wave="counter") for _ in (*jumps, "after"))
    async with running(ServerOptions(script=Script(turns=turns))) as server:
        with daemon(tmp_path, server.url, environ=clock.environment()) as voice:
            connection = await until_streaming(server)
            for turn, time in enumerate((*jumps, None), start=1):
                voice.card.speak(loud(400))
                await voice.until_logged("answering", times=turn)
                if time:
                    clock.set(time)  # with deadlines under way
                await voice.until_logged("agent said.*heard_ms=800", times=turn)
                assert error_s(voice, clock) < 60, "the daemon's clock has really moved"
            played = voice.card.played()
            log = voice.log
    assert server.connections == [connection]
    assert connection.outbox.sent.count("response.done") == len(turns)
    assert (played == 19_000).sum() == len(turns), "each answer has sounded to its end"
    assert "no session" not in log
    assert "WARNING" not in log


@pytest.mark.slow
@scene
async def test_a_device_starts_in_1970_and_learns_the_time_in_the_middle_of_an_answer(tmp_path: Path) -> None:
    clock = WallClock(tmp_path)
    clock.set(BEFORE_NTP)
    story = Turn(heard="a story", say="Once upon a time", ms=2000, wave="counter")
    async with running(ServerOptions(script=Script(turns=(story,)))) as server:
        with daemon(tmp_path, server.url, environ=clock.environment()) as voice:
            await until_streaming(server)
            assert error_s(voice, clock) < 60
            voice.card.speak(loud(400))
            await voice.until_logged("answering")
            clock.move(0)
            await voice.until_logged("agent said")
            heard_ms = re.findall(r"agent said.*heard_ms=(\d+)", voice.log)
            log = voice.log
    assert heard_ms == ["2000"]
    assert len(server.connections) == 1
    assert "WARNING" not in log


def test_the_moved_clock_moves_the_wall_clock_and_nothing_else(tmp_path: Path) -> None:
    clock = WallClock(tmp_path)
    clock.move(7200)
    program = "import time; print(time.time(), time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME))"
    command = [sys.executable, "-c", program]
    told = [
        [float(word) for word in subprocess.check_output(command, env=environment).split()]
        for environment in (clock.environment(), {})
    ]
    assert [round(moved - true, -2) for moved, true in zip(*told, strict=True)] == [7200, 0, 0]
