"""The keeper of the streams, in a world of sound devices that come, go, stall and hang."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from voice_agent.audio.devices import AudioDevices, Condition, DevicesState, Restart
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
        self.hung: set[Direction] = set()
        self.hangs = 0
        self.streams: list[FakeStream] = []
        self.initialised = 0
        self.terminate_s = 0.0
        self.channel = 0
        self.cards: set[str] = set()
        self.sound = b""
        """What the microphone brings, over and over; silence if empty."""
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
        assert channel == self._world.channel
        self._world.open_hangs.wait(10)
        while direction in self._world.hung:
            self._world.hangs += 1
            time.sleep(0.002)
        if direction not in self._present & self._world.present:
            raise DeviceUnavailable(f"no {wanted}")
        gate = Gate(callback)
        raw = FakeStream(self._world, direction, rate, frames_per_block, gate)
        self._world.streams.append(raw)
        return Stream(raw, gate, f"{direction.value} of brass", 0.02, shape=Shape(rate, 1))

    def terminate(self) -> None:
        time.sleep(self._world.terminate_s)


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
        data = None
        if self.direction is INPUT:
            noise = self._world.sound or bytes(2)
            data = (noise * self.frames_per_block)[: 2 * self.frames_per_block]
        block, flag = self._gate(data, self.frames_per_block, {}, 0)
        self.heard += block or b""
        self.running = flag == 0

    def start_stream(self) -> None:
        self.running = True
        self.block()

    def close(self) -> None:
        self._world.close_hangs.wait(10)
        self.running = False
        self.closed = True

    def get_output_latency(self) -> float:
        return 0.02

    def get_input_latency(self) -> float:
        return 0.02


def keeper(world: World, **options: object) -> AudioDevices:
    options = {
        "look_s": LOOK_S,
        "backoff": lambda: Backoff(0.01, 0.02),
        "portaudio": world.portaudio,
        "cards": lambda: frozenset(world.cards),
        "flat_after_s": 0.0,
    } | options
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


def test_a_stream_that_stops_calling_back_is_reopened_and_the_other_one_is_left_alone() -> None:
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
            await until(both_open(devices))
            assert [(s.direction, s.closed) for s in world.streams if s.direction is INPUT] == [
                (INPUT, False)
            ]
            assert len(world.running(OUTPUT)) == 1
            assert world.initialised == 1
            assert devices.state().restarts == {(OUTPUT, Restart.STOPPED): devices.state().opened - 2}
        return changes

    changes = asyncio.run(live())
    assert Condition.FAILED in [change.output.condition for change in changes]
    assert {change.input.condition for change in changes} <= {Condition.CLOSED, Condition.OPEN}


def test_with_one_device_the_other_is_tried_again_until_it_comes() -> None:
    world = World(INPUT)

    async def live() -> None:
        async with running(world, keeper(world)) as devices:
            await until(lambda: conditions(devices) == (Condition.ABSENT, Condition.OPEN))
            world.present = {OUTPUT, INPUT}
            world.cards = {"a loudspeaker"}
            await until(both_open(devices))
            assert devices.state().restarts == {(INPUT, Restart.RENEWED): 1}, "the price of seeing it"

    asyncio.run(live())


def test_a_microphone_is_not_disturbed_to_look_for_a_loudspeaker_of_which_nothing_is_heard() -> None:
    world = World(INPUT)

    async def live() -> None:
        devices = keeper(world)
        async with running(world, devices):
            await until(lambda: conditions(devices) == (Condition.ABSENT, Condition.OPEN))
            captured = devices._microphone.statistics().captured
            await until(lambda: devices._microphone.statistics().captured > captured + 60 * RATE // 50)
            assert world.initialised == 1
            assert len(world.streams) == 1

    asyncio.run(live())


def test_what_comes_without_a_word_is_found_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(INPUT)
    monkeypatch.setattr("voice_agent.audio.keeper.BLIND_S", 0.1)

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


def test_a_microphone_that_is_plugged_in_is_not_kept_waiting_by_a_long_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(OUTPUT)
    monkeypatch.setattr("voice_agent.audio.devices.PATIENCE_S", 0.1)

    async def live() -> None:
        changes: list[DevicesState] = []
        devices = keeper(world, on_change=changes.append)
        devices._speaker.play(b"\1\0" * RATE * 60)
        async with running(world, devices):
            await until(lambda: conditions(devices) == (Condition.OPEN, Condition.ABSENT))
            await until(lambda: devices._speaker.positions().played > 0)
            world.present, world.cards = {OUTPUT, INPUT}, {"a microphone"}
            waits = asyncio.get_running_loop().time()
            await until(both_open(devices))
            assert asyncio.get_running_loop().time() - waits > 0.1, "first it waits for a pause"
            assert devices.state().restarts == {(OUTPUT, Restart.RENEWED): 1}
            assert devices._speaker.positions().queued == RATE * 60, "nothing of the answer is given up"
            assert changes[-2].output.condition is Condition.OPEN, "the lender is served first"
            assert changes[-2].input.condition is Condition.ABSENT
            played = devices._speaker.positions().played
            await until(lambda: devices._speaker.positions().played > played)

    asyncio.run(live())


def test_what_was_plugged_in_again_is_reopened_without_a_word_to_the_other() -> None:
    world = World(OUTPUT, INPUT)
    world.cards = {"a microphone"}

    async def live() -> None:
        devices = keeper(world)
        devices._speaker.play(b"\1\0" * RATE * 60)
        async with running(world, devices):
            await until(both_open(devices))
            world.present, world.cards = {OUTPUT}, set()
            await until(lambda: devices.state().input.condition is Condition.ABSENT)
            world.present, world.cards = {OUTPUT, INPUT}, {"a microphone"}
            await until(both_open(devices))
            assert world.initialised == 1
            assert devices._speaker.statistics().gaps == 0
            assert set(devices.state().restarts) == {(INPUT, Restart.STOPPED)}

    asyncio.run(live())


def test_what_waits_for_an_absent_loudspeaker_does_not_stop_the_search_for_it() -> None:
    world = World(INPUT)

    async def live() -> None:
        devices = keeper(world)
        devices._speaker.play(b"\x01\x00" * RATE)
        async with running(world, devices):
            await until(lambda: conditions(devices) == (Condition.ABSENT, Condition.OPEN))
            world.present, world.cards = {OUTPUT, INPUT}, {"a loudspeaker"}
            await until(both_open(devices))
            await until(lambda: devices._speaker.positions().played == RATE)

    asyncio.run(live())


def test_a_lender_waits_for_a_renewal_that_takes_its_time_and_opens_nothing_meanwhile() -> None:
    world = World(OUTPUT)
    world.terminate_s = 20 * LOOK_S

    async def live() -> None:
        async with running(world, keeper(world)) as devices:
            await until(lambda: conditions(devices) == (Condition.OPEN, Condition.ABSENT))
            world.present, world.cards = {OUTPUT, INPUT}, {"a microphone"}
            await until(both_open(devices))
            callbacks = devices._speaker.statistics().callbacks
            await until(lambda: devices._speaker.statistics().callbacks > callbacks + 30)
            assert len(world.running(OUTPUT)) == 1
            assert devices.state().opened == 3

    asyncio.run(live())


def test_a_renewal_after_which_the_lender_is_missing_leaves_both_to_their_patience() -> None:
    world = World(OUTPUT)

    async def live() -> None:
        async with running(world, keeper(world)) as devices:
            await until(lambda: conditions(devices) == (Condition.OPEN, Condition.ABSENT))
            world.present, world.cards = {INPUT}, {"a microphone"}
            await until(lambda: conditions(devices) == (Condition.ABSENT, Condition.OPEN))
            world.present, world.cards = {INPUT, OUTPUT}, {"a microphone", "a loudspeaker"}
            await until(both_open(devices))

    asyncio.run(live())


def test_a_stream_that_opens_and_dies_again_gets_a_fresh_portaudio() -> None:
    world = World(OUTPUT, INPUT)

    async def live() -> None:
        async with running(world, keeper(world)) as devices:
            await until(both_open(devices))
            world.stalled = {INPUT}
            await until(lambda: world.initialised == 2)
            assert devices.state().restarts[INPUT, Restart.STOPPED] == 2
            world.stalled = set()
            await until(both_open(devices))

    asyncio.run(live())


# -------------------------------------------------------------------------------- muted and flat


def test_a_muted_microphone_is_closed_and_captures_nothing_from_that_moment_on() -> None:
    world = World(OUTPUT, INPUT)

    async def live() -> None:
        devices = keeper(world)
        async with running(world, devices):
            await until(both_open(devices))
            await until(lambda: devices._microphone.statistics().captured > 0)
            (stream,) = world.running(INPUT)
            devices.mute(muted=True)
            captured = devices._microphone.statistics().captured
            stream.block()  # a callback that was on its way
            await until(lambda: conditions(devices) == (Condition.OPEN, Condition.MUTED))
            assert devices._microphone.statistics().captured == captured
            assert stream.closed
            assert devices.state().input.reason == "muted"
            openings = devices.state().opened
            callbacks = devices._speaker.statistics().callbacks
            await until(lambda: devices._speaker.statistics().callbacks > callbacks + 60)
            assert devices.state().opened == openings, "nothing heals it"
            devices.mute(muted=False)
            await until(both_open(devices))

    asyncio.run(live())


def test_a_daemon_that_starts_muted_does_not_open_the_microphone_for_a_moment() -> None:
    world = World(OUTPUT, INPUT)

    async def live() -> None:
        devices = keeper(world)
        devices.mute(muted=True)
        async with running(world, devices):
            await until(lambda: conditions(devices) == (Condition.OPEN, Condition.MUTED))
        assert {stream.direction for stream in world.streams} == {OUTPUT}

    asyncio.run(live())


def test_muting_while_the_microphone_is_being_opened_lets_nothing_through() -> None:
    world = World(OUTPUT, INPUT)
    world.open_hangs.clear()

    async def live() -> None:
        devices = keeper(world)
        async with running(world, devices):
            await until(lambda: world.initialised == 1)
            devices.mute(muted=True)
            world.open_hangs.set()
            await until(lambda: conditions(devices) == (Condition.OPEN, Condition.MUTED))
            assert devices._microphone.statistics().captured == 0
        assert {stream.direction for stream in world.streams} == {OUTPUT}

    asyncio.run(live())


def test_muting_while_the_system_opens_the_microphone_lets_nothing_through() -> None:
    world = World(OUTPUT, INPUT)
    world.hung = {INPUT}

    async def live() -> None:
        devices = keeper(world)
        async with running(world, devices):
            await until(lambda: world.hangs > 0)
            devices.mute(muted=True)
            world.hung = set()
            await until(lambda: conditions(devices) == (Condition.OPEN, Condition.MUTED))
            assert devices._microphone.statistics().captured == 0
        assert {stream.direction for stream in world.streams} == {OUTPUT, INPUT}

    asyncio.run(live())


@pytest.mark.parametrize("stuck_at", [b"\0\0", b"\7\1"])
def test_a_microphone_that_brings_one_value_is_said_to_fail_until_samples_move(stuck_at: bytes) -> None:
    world = World(OUTPUT, INPUT)
    world.sound = b"\1\0\2\0"

    async def live() -> None:
        devices = keeper(world, flat_after_s=0.2)
        async with running(world, devices):
            await until(both_open(devices))
            world.sound = stuck_at
            await until(lambda: devices.state().input.condition is Condition.FAILED)
            assert "muted in hardware" in devices.state().input.reason
            assert len(world.running(INPUT)) == 1, "it stays open, to notice when it is unmuted"
            assert devices.hanging_s == 0
            world.sound = b"\1\0\2\0"
            await until(both_open(devices))
            assert devices.state().opened == 2

    asyncio.run(live())


def test_a_flat_microphone_is_reopened_now_and_then_and_not_called_open_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(OUTPUT, INPUT)
    monkeypatch.setattr("voice_agent.audio.keeper.FLAT_FIRST_S", 0.05)
    monkeypatch.setattr("voice_agent.audio.keeper.FLAT_CAP_S", 0.05)

    async def live() -> list[DevicesState]:
        changes: list[DevicesState] = []
        devices = keeper(world, flat_after_s=0.1)
        async with running(world, devices):
            await until(lambda: devices.state().input.condition is Condition.FAILED)
            devices.on_change = changes.append
            await until(lambda: devices.state().restarts.get((INPUT, Restart.FLAT), 0) >= 3)
            assert len(world.running(OUTPUT)) == 1
            assert devices.state().restarts.keys() == {(INPUT, Restart.FLAT)}
            assert not changes, "no news"
            world.sound = b"\1\0\2\0"
            await until(both_open(devices))
        return changes

    asyncio.run(live())


# --------------------------------------------------------------------------------------- hanging


def test_opening_that_hangs_is_left_behind_and_what_it_brings_late_is_closed() -> None:
    world = World(OUTPUT, INPUT)
    world.open_hangs.clear()

    async def live() -> None:
        devices = keeper(world, deadline_s=0.05)
        async with running(world, devices):
            await until(lambda: devices.state().abandoned > 0)
            await until(lambda: conditions(devices) == (Condition.FAILED, Condition.FAILED))
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


def test_a_call_that_came_back_is_forgiven_though_the_device_is_gone() -> None:
    world = World(OUTPUT, INPUT)
    world.hung = {INPUT}

    async def live() -> None:
        devices = keeper(world, deadline_s=0.05)
        async with running(world, devices):
            await until(lambda: devices.hanging_s > 0)
            world.present, world.hung = {OUTPUT}, set()
            await until(lambda: devices.hanging_s == 0)
            assert devices.state().input.condition is not Condition.OPEN

    asyncio.run(live())


def test_the_keeper_stirs_all_the_time_and_reopens_when_told_to() -> None:
    world = World(OUTPUT, INPUT)

    async def live() -> None:
        devices = keeper(world)
        async with running(world, devices):
            await until(both_open(devices))
            openings = devices.state().opened
            stirred = devices._output.stirred
            await until(lambda: devices._output.stirred > stirred)
            assert devices.idle_s < 1
            devices.reopen(INPUT)
            await until(lambda: both_open(devices)() and devices.state().opened == openings + 1)
            assert devices.state().restarts == {(INPUT, Restart.ASKED): 1}
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


def test_while_one_stream_hangs_in_closing_the_other_goes_on() -> None:
    world = World(OUTPUT, INPUT)

    async def live() -> None:
        devices = keeper(world, deadline_s=0.05)
        async with running(world, devices):
            await until(both_open(devices))
            world.close_hangs.clear()
            world.stalled = {OUTPUT}
            await until(lambda: devices.state().abandoned == 1)
            captured = devices._microphone.statistics().captured
            await until(lambda: devices._microphone.statistics().captured > captured + RATE // 5)
            assert devices.state().input.condition is Condition.OPEN
            world.stalled = set()
            await until(both_open(devices))
            assert devices.hanging_s == 0, "nothing is missing, though a call has not come back"
            world.close_hangs.set()

    asyncio.run(live())


def test_a_microphone_that_hangs_for_ever_leaves_the_loudspeaker_alone_and_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(OUTPUT, INPUT)
    world.hung = {INPUT}
    monkeypatch.setattr("voice_agent.audio.keeper.BLIND_S", 0.0)

    async def live() -> None:
        devices = keeper(world, deadline_s=0.05)
        async with running(world, devices):
            await until(lambda: devices.state().abandoned >= 3)
            assert devices.state().output.condition is Condition.OPEN
            assert devices.hanging_s > 0.1, "the watchdog will want to know"
            assert world.initialised == 1, "a PortAudio that somebody is inside of is not ended"
            assert devices.state().restarts == {}
            world.hung = set()
            world.open_hangs.set()
            await until(both_open(devices))
            assert devices.hanging_s == 0

    asyncio.run(live())


def test_other_ends_at_other_rates_reopen_the_streams_at_once() -> None:
    world = World(OUTPUT, INPUT)

    async def live() -> None:
        async with running(world, keeper(world, backoff=lambda: Backoff(60, 60))) as devices:
            await until(both_open(devices))
            devices.use(speaker=Speaker(16_000))
            await until(lambda: devices.state().opened == 3 and both_open(devices)())
            devices.use(microphone=Microphone(48_000))
            await until(lambda: devices.state().opened == 4 and both_open(devices)())
            assert world.initialised == 1
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
    backoffs = [Backoff(0.001, 0.002), Backoff(0.001, 0.002)]
    backoff, rest = backoffs[0], iter(backoffs)

    async def lose_and_regain(devices: AudioDevices) -> None:
        world.stalled = {OUTPUT}
        await until(lambda: devices.state().output.condition is Condition.FAILED)
        world.stalled = set()
        await until(both_open(devices))

    async def live() -> None:
        async with running(world, keeper(world, backoff=lambda: next(rest))) as devices:
            await until(both_open(devices))
            await lose_and_regain(devices)
            await lose_and_regain(devices)  # too soon to be news
            assert backoff.failures >= 2
            await until(lambda: backoff.failures == 0)  # stable
            await lose_and_regain(devices)

    with caplog.at_level(logging.WARNING, logger="voice_agent.audio.states"):
        asyncio.run(live())
    assert [record.getMessage() for record in caplog.records] == ["sound device failed"] * 2


def test_trouble_is_said_aloud_once_and_its_end_once(caplog: pytest.LogCaptureFixture) -> None:
    world = World(INPUT)

    async def live() -> None:
        async with running(world, keeper(world)) as devices:
            await until(lambda: devices._output._backoff.failures > 4)
            world.present, world.cards = {OUTPUT, INPUT}, {"a loudspeaker"}
            await until(both_open(devices))

    with caplog.at_level(logging.DEBUG, logger="voice_agent.audio.states"):
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
