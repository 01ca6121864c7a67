"""One PortAudio whose calls may take too long."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from voice_agent.audio.names import Direction
from voice_agent.audio.portaudio import Stream
from voice_agent.audio.soundsystem import SoundSystem, Wish
from voice_agent.errors import DeviceUnavailable, StreamFailed

WISH = Wish(Direction.INPUT, "default", 24_000, 480, lambda *_: (None, 0))


class SlowPortAudio:
    """Is not there before ``there`` is set, nor gone before ``gone`` is. Has no device."""

    there = threading.Event()
    gone = threading.Event()
    made = 0

    def __init__(self) -> None:
        SlowPortAudio.made += 1
        self.there.wait(10)

    def open(self, direction: Direction, wanted: str, **_: object) -> Stream:
        raise DeviceUnavailable(f"no {direction.value} device is called {wanted}")

    def terminate(self) -> None:
        self.gone.wait(10)


@pytest.fixture(autouse=True)
def _anew(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("there", "gone"):
        monkeypatch.setattr(SlowPortAudio, name, threading.Event())
    monkeypatch.setattr(SlowPortAudio, "made", 0)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def test_a_portaudio_that_was_long_in_starting_is_used_once_it_is_there() -> None:
    async def live() -> None:
        system = SoundSystem(SlowPortAudio, deadline_s=0.02)
        with pytest.raises(StreamFailed, match="took more than"):
            await system.open(WISH)
        with pytest.raises(StreamFailed, match="still hangs"):
            await system.open(WISH)
        assert system.hanging_s > 0
        SlowPortAudio.there.set()
        await until(lambda: not system.hangs)
        assert system.hanging_s == 0, "nobody needs to call it to know that it is back"
        with pytest.raises(DeviceUnavailable):
            await system.open(WISH)
        assert SlowPortAudio.made == 1
        assert system.made_at > 0

    asyncio.run(live())


def test_a_portaudio_that_was_long_in_ending_is_followed_by_another() -> None:
    async def live() -> None:
        SlowPortAudio.there.set()
        system = SoundSystem(SlowPortAudio, deadline_s=0.02)
        with pytest.raises(DeviceUnavailable):
            await system.open(WISH)
        with pytest.raises(StreamFailed, match="ending"):
            await system.forget()
        with pytest.raises(StreamFailed, match="still hangs"):
            await system.open(WISH)
        SlowPortAudio.gone.set()
        await until(lambda: not system.hangs)
        with pytest.raises(DeviceUnavailable):
            await system.open(WISH)
        assert SlowPortAudio.made == 2

    asyncio.run(live())


def test_how_long_something_hangs_is_counted_anew_for_what_hangs_later() -> None:
    async def live() -> None:
        SlowPortAudio.there.set()
        system = SoundSystem(SlowPortAudio, deadline_s=0.02)
        with pytest.raises(DeviceUnavailable):
            await system.open(WISH)
        with pytest.raises(StreamFailed):
            await system.forget()
        SlowPortAudio.gone.set()
        await until(lambda: not system.hangs)
        await asyncio.sleep(0.2)
        SlowPortAudio.there.clear()
        with pytest.raises(StreamFailed):
            await system.open(WISH)
        assert 0 < system.hanging_s < 0.2
        SlowPortAudio.there.set()

    asyncio.run(live())
