"""A button on an input device: the kernel's records in, presses and releases out."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from voice_agent.backoff import Backoff
from voice_agent.controls.button import DOWN, EV_KEY, EVENT, UP, Button
from voice_agent.controls.panel import Refused

REPEATED, EV_SYN = 2, 0


class Controls:
    """Notes what the button does."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.refuses = False

    def press(self) -> None:
        self.done.append("press")
        if self.refuses:
            raise Refused("muted")

    def release(self) -> None:
        self.done.append("release")


def event(kind: int, code: int, value: int) -> bytes:
    return EVENT.pack(5, 7, kind, code, value)


class Pedal:
    """An input device made of a pipe. Its end stays open, as that of a device does."""

    def __init__(self, path: Path) -> None:
        self.controls = Controls()
        self.path = path
        self._end = -1

    def plug(self) -> None:
        if not self.path.exists():
            os.mkfifo(self.path)
        self._end = os.open(self.path, os.O_RDWR)

    def unplug(self) -> None:
        self.path.unlink()
        os.close(self._end)

    def push(self, *events: bytes) -> None:
        os.write(self._end, b"".join(events))

    async def until(self, *done: str) -> None:
        async with asyncio.timeout(5):
            while self.controls.done[-len(done) :] != list(done):
                await asyncio.sleep(0.001)


def play(scene: Callable[[Pedal], Coroutine[None, None, None]], path: Path, code: int = 0) -> list[str]:
    pedal = Pedal(path / "event0")

    async def run() -> None:
        button = Button(pedal.path, code, pedal.controls, backoff=Backoff(0.01, 0.02))
        task = asyncio.create_task(button.run())
        await scene(pedal)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled(), task.exception()

    asyncio.run(run())
    return pedal.controls.done


def test_a_key_presses_and_releases_and_its_repetitions_do_nothing(tmp_path: Path) -> None:
    async def scene(pedal: Pedal) -> None:
        pedal.plug()
        held = [event(EV_KEY, 28, REPEATED)] * 100
        pedal.push(event(EV_KEY, 28, DOWN), event(EV_SYN, 0, 0), *held)
        await pedal.until("press")
        pedal.push(event(EV_KEY, 28, UP), event(EV_SYN, 0, 0))
        await pedal.until("release")

    assert play(scene, tmp_path) == ["press", "release"]


def test_only_the_key_that_was_named_counts(tmp_path: Path) -> None:
    async def scene(pedal: Pedal) -> None:
        pedal.plug()
        pedal.push(event(EV_KEY, 30, DOWN), event(EV_KEY, 30, UP), event(EV_KEY, 28, DOWN))
        await pedal.until("press")

    assert play(scene, tmp_path, code=28) == ["press", "release"], "what is held when we leave is released"


def test_a_button_that_is_pulled_out_is_released_and_found_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(pedal: Pedal) -> None:
        async with asyncio.timeout(5):
            while not caplog.records:
                await asyncio.sleep(0.001)
        pedal.plug()
        pedal.push(event(EV_KEY, 28, DOWN))
        await pedal.until("press")
        pedal.unplug()
        await pedal.until("press", "release")
        pedal.plug()
        pedal.push(event(EV_KEY, 28, DOWN), event(EV_KEY, 28, UP))
        await pedal.until("press", "release", "press", "release")

    play(scene, tmp_path)
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 2, "news once: missing at first, and gone later"
    assert "group input" in warnings[0].message


def test_a_press_that_is_refused_ends_nothing(tmp_path: Path) -> None:
    async def scene(pedal: Pedal) -> None:
        pedal.controls.refuses = True
        pedal.plug()
        pedal.push(event(EV_KEY, 28, DOWN), event(EV_KEY, 28, UP), event(EV_KEY, 28, DOWN))
        await pedal.until("press", "release", "press")

    play(scene, tmp_path)
