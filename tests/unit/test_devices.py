"""The keeper of the streams, in a world of sound devices that come, go, stall and hang."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from voice_agent.audio.devices import AudioDevices, Condition, DevicesState
from voice_agent.audio.edge import Callback
from voice_agent.audio.microphone import Microphone
from voice_agent.audio.portaudio import Direction, Gate, Shape, Stream
from voice_agent.audio.speaker import Speaker
from voice_agent.backoff import Backoff
from voice_agent.errors import DeviceUnavailable

RATE = 8000
LOOK_S = 0.01
OUTPUT, INPUT = Direction.OUTPUT, Direction.INPUT


class World:
    """The hardware: what is plugged in, what stalls, and every stream ever opened."""

    def __init__(self, *present: Direction) -> None:
        self.present = set(present)
        self.stalled: set[Direction] = set()
        self.streams: list[FakeStream] = []
        self.initialised = 0
        self.open_hangs = threading.Event()
        self.open_hangs.set()  # set: does not hang
        self.close_hangs = threading.Event()
        self.close_hangs.set()

    def portaudio(self) -> "FakePortAudio":
        self.initialised += 1
        return FakePortAudio(self)

    def turn(self) -> None:
        """One block for every stream whose device is there, PortAudio's way."""
        for stream in list(self.streams):
            if stream.running and stream.direction in self.present - self.stalled:
                stream.block()

    def running(self, direction: Direction) -> "list[FakeStream]":
        return [stream for stream in self.streams if stream.running and stream.direction is direction]


class FakePortAudio:
    """Sees the devices that are there when it is made."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._present = set(world.present)

    def open(
        self,
        direction: Direction,
        wanted: str,
        *,
        rate: int,
        frames_per_block: int,
        callback: Callback,
        channel: int = 0,
    ) -> Stream:
        self._world.open_hangs.wait(10)
        if direction not in self._present:
            raise DeviceUnavailable(f"no {wanted}")
        gate = Gate(callback)
        raw = FakeStream(self._world, direction, rate, frames_per_block, gate)
        self._world.streams.append(raw)
        return Stream(raw, gate, f"{direction.value} of brass", 0.02, shape=Shape(rate, 1))

    def terminate(self) -> None:
        pass


class FakeStream:
    """A stream in PyAudio's shape, driven by ``World.turn``."""

    def __init__(
        self, world: World, direction: Direction, rate: int, frames_per_block: int, gate: Gate
    ) -> None:
        self.direction = direction
        self.rate = rate
        self.frames_per_block = frames_per_block
        self.running = False
        self.closed = False
        self.heard = b""
        self._world = world
        self._gate = gate

    def block(self) -> None:
        data = bytes(2 * self.frames_per_block) if self.direction is INPUT else None
        block, flag = self._gate(data, self.frames_per_block, {}, 0)
        self.heard += block or b""
        self.running = flag == 0

    def start_stream(self) -> None:
        self.running = True

    def close(self) -> None:
        self._world.close_hangs.wait(10)
        self.running = False
        self.closed = True

    def get_output_latency(self) -> float:
        return 0.02

    def get_input_latency(self) -> float:
        return 0.02


def keeper(world: World, **options: object) -> AudioDevices:
    options = {"look_s": LOOK_S, "backoff": Backoff(0.01, 0.02), "portaudio": world.portaudio} | options
    return AudioDevices(Speaker(RATE), Microphone(RATE), **options)  # type: ignore[arg-type]


@asynccontextmanager
async def running(world: World, devices: AudioDevices) -> AsyncIterator[AudioDevices]:
    """The keeper at work in a world whose clock runs."""

    async def clock() -> None:
        while True:
            world.turn()
            await asyncio.sleep(LOOK_S / 4)

    tasks = [asyncio.create_task(devices.run()), asyncio.create_task(clock())]
    try:
        yield devices
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)


def conditions(devices: AudioDevices) -> tuple[Condition, Condition]:
    state = devices.state()
    return state.output.condition, state.input.condition


def both_open(devices: AudioDevices) -> Callable[[], bool]:
    return lambda: conditions(devices) == (Condition.OPEN, Condition.OPEN)


def test_both_streams_are_opened_with_their_rates_and_blocks() -> None:
    world = World(OUTPUT, INPUT)

    async def live() -> None:
        async with running(world, keeper(world)) as devices:
            assert conditions(devices) == (Condition.CLOSED, Condition.CLOSED)
            await until(both_open(devices))
            assert devices.state().output.device == "output of brass"
        assert [(s.direction, s.rate, s.frames_per_block) for s in world.streams] == [
            (OUTPUT, RATE, RATE // 100),
            (INPUT, RATE, RATE // 50),
        ]
        assert all(stream.closed for stream in world.streams)

    asyncio.run(live())


@pytest.mark.parametrize(("measured_ms", "expected_ms"), [(None, 20), (300.0, 300)])
def test_a_measured_latency_counts_more_than_what_portaudio_says(
    measured_ms: float | None, expected_ms: int
) -> None:
    world = World(OUTPUT, INPUT)

    async def live() -> int:
        devices = keeper(world, latency_ms=measured_ms)
        speaker = devices._speaker
        speaker.play(b"\x01\x00" * RATE)
        async with running(world, devices):
            await until(lambda: speaker.positions().played > 0)
            read = speaker.statistics().played
            return (read - speaker.positions().played) * 1000 // RATE

    block_ms = 10  # the newest block counts as read, but its first sample is still to come
    assert asyncio.run(live()) == expected_ms + block_ms


def test_no_device_at_all_is_a_state_and_not_an_error() -> None:
    world = World()

    async def live() -> None:
        async with running(world, keeper(world, output="horn")) as devices:
            await until(lambda: world.initialised > 3)
            assert conditions(devices) == (Condition.ABSENT, Condition.ABSENT)
            assert devices.state().output.reason == "no horn"
            world.present = {OUTPUT, INPUT}
            await until(both_open(devices))

    asyncio.run(live())


def test_a_stream_that_stops_calling_back_is_replaced_by_a_fresh_portaudio() -> None:
    world = World(OUTPUT, INPUT)

    async def live() -> list[DevicesState]:
        changes: list[DevicesState] = []
        devices = keeper(world, on_change=changes.append)
        async with running(world, devices):
            await until(both_open(devices))
            world.stalled = {OUTPUT}
            await until(lambda: devices.state().output.condition is Condition.FAILED)
            assert "stopped calling back" in devices.state().output.reason
            world.stalled = set()
            await until(lambda: both_open(devices)() and world.initialised == 2)
            assert [stream.closed for stream in world.streams] == [True, True, False, False]
        return changes

    assert Condition.FAILED in [change.output.condition for change in asyncio.run(live())]


def test_with_one_device_the_other_is_tried_again_until_it_comes() -> None:
    world = World(INPUT)

    async def live() -> None:
        async with running(world, keeper(world)) as devices:
            await until(lambda: conditions(devices) == (Condition.ABSENT, Condition.OPEN))
            world.present = {OUTPUT, INPUT}
            await until(both_open(devices))

    asyncio.run(live())


def test_a_missing_microphone_is_not_looked_for_while_the_loudspeaker_speaks() -> None:
    world = World(OUTPUT)

    async def live() -> None:
        devices = keeper(world)
        devices._speaker.play(bytes(2 * RATE * 60))
        async with running(world, devices):
            await until(lambda: conditions(devices) == (Condition.OPEN, Condition.ABSENT))
            callbacks = devices._speaker.statistics().callbacks
            await until(lambda: devices._speaker.statistics().callbacks > callbacks + 60)
            assert world.initialised == 1
            devices._speaker.silence()
            await until(lambda: world.initialised > 1)

    asyncio.run(live())


def test_what_waits_for_an_absent_loudspeaker_does_not_stop_the_search_for_it() -> None:
    world = World(INPUT)

    async def live() -> None:
        devices = keeper(world)
        devices._speaker.play(b"\x01\x00" * RATE)
        async with running(world, devices):
            await until(lambda: world.initialised > 2)
            world.present = {OUTPUT, INPUT}
            await until(both_open(devices))
            await until(lambda: devices._speaker.positions().played == RATE)

    asyncio.run(live())


def test_opening_that_hangs_is_left_behind_and_what_it_brings_late_is_closed() -> None:
    world = World(OUTPUT, INPUT)
    world.open_hangs.clear()

    async def live() -> None:
        devices = keeper(world, deadline_s=0.05)
        async with running(world, devices):
            await until(lambda: devices.state().abandoned > 0)
            assert conditions(devices) == (Condition.FAILED, Condition.FAILED)
            assert "took more than" in devices.state().output.reason
            world.open_hangs.set()
            await until(both_open(devices))
            await until(lambda: sum(not stream.closed for stream in world.streams) == 2)

    asyncio.run(live())


def test_how_long_portaudio_has_hung_is_known_until_it_answers_again() -> None:
    world = World(OUTPUT, INPUT)

    async def live() -> None:
        devices = keeper(world, deadline_s=0.05)
        world.open_hangs.clear()
        async with running(world, devices):
            assert devices.hanging_s == 0
            await until(lambda: devices.state().abandoned >= 3)
            assert devices.hanging_s > 0.1, "from the first call on that hung"
            world.open_hangs.set()
            await until(lambda: devices.hanging_s == 0)

    asyncio.run(live())


def test_the_keeper_stirs_all_the_time_and_reopens_when_told_to() -> None:
    world = World(OUTPUT, INPUT)

    async def live() -> None:
        devices = keeper(world)
        async with running(world, devices):
            await until(both_open(devices))
            openings = devices.state().opened
            stirred = devices._stirred
            await until(lambda: devices._stirred > stirred)
            assert devices.idle_s < 1
            devices.reopen()
            await until(lambda: both_open(devices)() and devices.state().opened == openings + 1)
        idle_s = devices.idle_s
        assert devices.idle_s > idle_s, "it has ended: nothing stirs"

    asyncio.run(live())


def test_a_stream_that_cannot_be_closed_does_not_play_its_successors_audio() -> None:
    world = World(OUTPUT, INPUT)

    async def live() -> None:
        devices = keeper(world, deadline_s=0.05)
        async with running(world, devices):
            await until(both_open(devices))
            old = world.running(OUTPUT)[0]
            world.close_hangs.clear()
            world.stalled = {OUTPUT}
            await until(lambda: devices.state().abandoned == 1)
            world.stalled = set()
            world.close_hangs.set()
            await until(both_open(devices))
            old.heard = b""
            devices._speaker.play(b"\x01\x00" * RATE)
            old.block()
            assert not any(old.heard)
            assert not old.running

    asyncio.run(live())


def test_while_one_stream_hangs_in_closing_the_other_brings_nothing_any_more() -> None:
    world = World(OUTPUT, INPUT)

    async def live() -> None:
        devices = keeper(world, deadline_s=0.05)
        async with running(world, devices):
            await until(both_open(devices))
            old = world.running(INPUT)[0]
            world.close_hangs.clear()
            world.stalled = {OUTPUT}
            await until(lambda: devices.state().abandoned == 1)
            captured = devices._microphone.statistics().captured
            old.block()
            assert devices._microphone.statistics().captured == captured
            world.close_hangs.set()

    asyncio.run(live())


def test_other_ends_at_other_rates_reopen_the_streams_at_once() -> None:
    world = World(OUTPUT, INPUT)

    async def live() -> None:
        async with running(world, keeper(world, backoff=Backoff(60, 60))) as devices:
            await until(both_open(devices))
            devices.use(speaker=Speaker(16_000))
            await until(lambda: world.initialised == 2 and both_open(devices)())
            devices.use(microphone=Microphone(48_000))
            await until(lambda: world.initialised == 3 and both_open(devices)())
            assert (world.running(OUTPUT)[0].rate, world.running(INPUT)[0].rate) == (16_000, 48_000)

    asyncio.run(live())


def test_on_the_way_out_the_loudspeaker_fades_and_both_streams_are_closed_within_a_second() -> None:
    world = World(OUTPUT, INPUT)

    async def live() -> float:
        devices = keeper(world)
        loop = asyncio.get_running_loop()
        devices._speaker.play(b"\x00\x10" * RATE * 10)
        async with running(world, devices):
            await until(lambda: devices._speaker.statistics().played > 0)
            started = loop.time()
            # The world's clock still runs here: leaving the block cancels the keeper first.
        assert devices._speaker.statistics().faded == RATE // 200
        assert all(stream.closed for stream in world.streams)
        return loop.time() - started

    assert asyncio.run(live()) < 1.0


def test_a_device_that_hangs_on_the_way_out_is_left_behind_within_a_second() -> None:
    world = World(OUTPUT, INPUT)

    async def live() -> float:
        devices = keeper(world)
        loop = asyncio.get_running_loop()
        async with running(world, devices):
            await until(both_open(devices))
            world.close_hangs.clear()
            started = loop.time()
        assert devices.state().abandoned == 1
        return loop.time() - started

    try:
        assert asyncio.run(live()) < 1.0
    finally:
        world.close_hangs.set()


def test_a_device_that_stayed_for_long_is_news_again_when_it_is_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(OUTPUT, INPUT)
    backoff = Backoff(0.001, 0.002)

    async def lose_and_regain(devices: AudioDevices) -> None:
        world.stalled = {OUTPUT}
        await until(lambda: devices.state().output.condition is Condition.FAILED)
        world.stalled = set()
        await until(both_open(devices))

    async def live() -> None:
        async with running(world, keeper(world, backoff=backoff)) as devices:
            await until(both_open(devices))
            await lose_and_regain(devices)
            await lose_and_regain(devices)  # too soon to be news
            assert backoff.failures >= 2
            await until(lambda: backoff.failures == 0)  # stable
            await lose_and_regain(devices)

    with caplog.at_level(logging.WARNING, logger="voice_agent.audio.devices"):
        asyncio.run(live())
    assert [record.getMessage() for record in caplog.records] == ["sound device failed"] * 2


def test_trouble_is_said_aloud_once_and_its_end_once(caplog: pytest.LogCaptureFixture) -> None:
    world = World(INPUT)

    async def live() -> None:
        async with running(world, keeper(world)) as devices:
            await until(lambda: world.initialised > 4)
            world.present = {OUTPUT, INPUT}
            await until(both_open(devices))

    with caplog.at_level(logging.DEBUG, logger="voice_agent.audio.devices"):
        asyncio.run(live())
    loud = [
        (record.levelname, record.__dict__["direction"], record.getMessage())
        for record in caplog.records
        if record.levelno > logging.DEBUG
    ]
    assert sorted(loud) == [
        ("INFO", "input", "sound device open"),
        ("INFO", "output", "sound device open"),
        ("WARNING", "output", "sound device absent"),
    ]
