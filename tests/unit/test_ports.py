"""The ends of the sound together: who decides what is sent, and what a change of rate leaves as it was."""

import asyncio

import pytest

from voice_agent.audio.ear import Chunk, Reader
from voice_agent.audio.states import Condition
from voice_agent.audio.volume import gain_of
from voice_agent.config import Config, parse
from voice_agent.ports import Ports

RATE = 24_000
FRAME = 480
SILENCE = (400 + 300) * RATE // 1000  # what ends a turn at the server, and some more


def ports(mode: str = "always", more: str = "") -> Ports:
    config, problems = parse(f'[gate]\nmode = "{mode}"\n{more}')
    assert problems == []
    return Ports(config, RATE, RATE)


class Listening:
    """Ports whose ear runs, and a reader."""

    def __init__(self, ends: Ports) -> None:
        self.ends = ends
        self.reader: Reader = ends.ear.listen()
        self._pumping = asyncio.create_task(ends.ear.run())

    async def capture(self, frames: int = 1) -> None:
        for _ in range(frames):
            self.ends.microphone.callback(b"\1\0" * FRAME, FRAME, {}, 0)
            async with asyncio.timeout(5):
                while self.ends.microphone.statistics().queued >= FRAME:
                    await asyncio.sleep(0)

    def taken(self) -> list[Chunk]:
        chunks = []
        while (chunk := self.reader.take()) is not None:
            chunks.append(chunk)
        return chunks

    async def leave(self) -> None:
        self._pumping.cancel()
        await asyncio.wait([self._pumping])


def test_without_a_button_pressed_nothing_is_taken_and_a_press_wakes_whoever_waits() -> None:
    async def run() -> None:
        room = Listening(ports("push-to-talk"))
        waiting = asyncio.create_task(room.ends.speech())
        await room.capture(10)
        assert room.taken() == []
        assert not waiting.done()
        room.ends.valve.press()
        await room.capture(2)
        assert await waiting == 10 * FRAME, "nothing from before the press"
        room.ends.valve.release()
        await room.capture(2)
        sound = b"".join(chunk.pcm for chunk in room.taken())
        assert sound == b"\1\0" * 2 * FRAME + bytes(2 * SILENCE), "the server hears the end at once"
        await room.leave()

    asyncio.run(run())


def test_a_press_while_parked_is_heard_by_the_session_that_it_opens() -> None:
    async def run() -> None:
        room = Listening(ports("push-to-talk"))
        room.ends.park()
        waiting = asyncio.create_task(room.ends.speech())
        await room.capture(5)
        room.ends.valve.press()
        room.ends.wake()
        await room.capture(3)
        room.ends.valve.release()
        await room.capture(5)
        assert room.taken() == [], "nobody is there yet"
        room.ends.resume(await waiting)
        room.ends.resume(await waiting)  # again, when the session is live
        assert b"".join(chunk.pcm for chunk in room.taken()) == b"\1\0" * 3 * FRAME + bytes(2 * SILENCE)
        assert room.ends.lost_s == 0
        await room.leave()

    asyncio.run(run())


@pytest.mark.parametrize("mode", ["always", "voice", "push-to-talk"])
def test_whoever_waits_for_speech_can_be_woken_by_hand(mode: str) -> None:
    async def run() -> int:
        room = Listening(ports(mode))
        waiting = asyncio.create_task(room.ends.speech())
        await room.capture(3)
        assert not waiting.done()
        room.ends.wake()
        position = await waiting
        await room.leave()
        return position

    assert asyncio.run(run()) == 3 * FRAME


def test_a_muted_microphone_is_closed_and_what_was_said_is_ended() -> None:
    async def run() -> None:
        room = Listening(ports())
        await room.capture(2)
        room.ends.mute(muted=True)
        assert b"".join(chunk.pcm for chunk in room.taken()) == b"\1\0" * 2 * FRAME + bytes(2 * SILENCE)
        await room.capture(2)  # on its way when it was muted
        assert room.taken() == []
        room.ends.mute(muted=False)
        await room.capture(1)
        assert [chunk.pcm for chunk in room.taken()] == [b"\1\0" * FRAME]
        assert room.ends.lost_s == 0
        await room.leave()

    asyncio.run(run())


def test_a_device_that_is_muted_from_the_start_opens_no_microphone() -> None:
    async def run() -> None:
        ends = ports()
        ends.mute(muted=True)
        keeping = asyncio.create_task(ends.devices.run())
        async with asyncio.timeout(10):
            while ends.devices.state().input.condition is not Condition.MUTED:
                await asyncio.sleep(0.01)
        assert ends.hearing, "it is closed on purpose, not missing"
        keeping.cancel()
        await asyncio.wait([keeping])

    asyncio.run(run())


def test_volume_and_mute_outlive_a_change_of_rate() -> None:
    ends = ports()
    ends.set_volume(60, by_mixer=False)
    ends.retune(16_000, 48_000)
    assert ends.speaker.rate == 48_000
    assert ends.speaker._volume == gain_of(60)


@pytest.mark.parametrize(("level", "gain"), [(0, 1.0), (50, 1.0), (100, 1.0), (130, gain_of(130))])
def test_a_mixer_does_what_it_can_and_the_samples_the_rest(level: int, gain: float) -> None:
    ends = ports()
    ends.set_volume(level, by_mixer=True)
    assert ends.speaker._volume == gain


def test_every_reason_to_withhold_has_a_figure_from_the_start() -> None:
    expected = dict.fromkeys(["quiet", "button", "echo", "muted", "parked"], 0.0)
    assert Ports(Config(), RATE, RATE).withheld_s == expected
