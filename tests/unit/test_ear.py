"""The ear: what was said while nobody could take it is taken later, in order, and what is lost is counted."""

import asyncio
from collections.abc import Iterator
from math import log10

import numpy as np
import pytest

from voice_agent.audio.ear import Chunk, Ear, Reader
from voice_agent.audio.microphone import Microphone
from voice_agent.audio.valve import Flow, Heard, Open, Shut, Verdict, Withheld

RATE = 1000
FRAME = 20  # samples


def counter(position: int, count: int) -> bytes:
    return np.arange(position, position + count).astype("<i2").tobytes()


class Room:
    """An ear, its microphone, and somebody who says where the sound stands."""

    def __init__(self, *, keep_s: float = 0.2, capacity_s: float = 0.1, silence_ms: float = 0) -> None:
        self.microphone = Microphone(RATE, capacity_s=capacity_s)
        self.ear = Ear(self.microphone, keep_s=keep_s, silence_ms=silence_ms)
        self.said = 0

    def capture(self, samples: int) -> None:
        """The callback's blocks; nobody has looked yet."""
        for _ in range(samples // FRAME):
            self.microphone.callback(counter(self.said, FRAME), FRAME, {}, 0)
            self.said += FRAME

    async def hear(self, samples: int) -> None:
        """Captured, and lined up by a running ear."""
        for _ in range(samples // FRAME):
            self.capture(FRAME)
            async with asyncio.timeout(5):
                while self.microphone.statistics().queued >= FRAME:
                    await asyncio.sleep(0)


def all_of(reader: Reader) -> Iterator[Chunk]:
    while (chunk := reader.take()) is not None:
        yield chunk


async def running(ear: Ear) -> "asyncio.Task[None]":
    task = asyncio.create_task(ear.run())
    await asyncio.sleep(0)
    return task


def hear(room: Room, samples: int) -> None:
    """As much, in a loop of its own."""

    async def listen() -> None:
        task = await running(room.ear)
        await room.hear(samples)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(listen())


def test_frames_are_taken_one_by_one_while_the_reader_keeps_up() -> None:
    async def listen() -> list[Chunk]:
        room, taken = Room(), list[Chunk]()
        reader, task = room.ear.listen(), await running(room.ear)
        for _ in range(3):
            room.capture(FRAME)
            async with asyncio.timeout(5):
                await reader.wait()
            taken += all_of(reader)
        task.cancel()
        return taken

    assert asyncio.run(listen()) == [Chunk(at, counter(at, FRAME)) for at in (0, 20, 40)]


def test_a_backlog_is_taken_in_chunks_of_up_to_200_ms() -> None:
    room = Room(keep_s=10)
    hear(room, 500)
    taken = list(all_of(room.ear.listen()))
    assert [(chunk.position, len(chunk.pcm) // 2) for chunk in taken] == [(0, 200), (200, 200), (400, 100)]
    assert b"".join(chunk.pcm for chunk in taken) == counter(0, 500)
    assert room.ear.position == room.ear.now == 500


def test_of_a_backlog_too_long_the_oldest_is_lost_and_counted() -> None:
    room = Room(keep_s=0.2)
    hear(room, 300)
    assert room.ear.position == 100
    assert room.ear.statistics() == (300, 100, 200, 200, 0)
    assert next(all_of(room.ear.listen())) == Chunk(100, counter(100, 200))


def test_what_was_sent_may_leave_the_line_and_is_no_loss() -> None:
    room = Room(keep_s=0.2)
    hear(room, 200)
    list(all_of(room.ear.listen()))
    hear(room, 200)
    assert room.ear.statistics() == (400, 0, 200, 200, 0)


def test_a_rewind_takes_the_same_audio_again_from_a_whole_frame() -> None:
    room = Room()
    hear(room, 200)
    reader = room.ear.listen()
    list(all_of(reader))
    assert room.ear.rewind(130) == 120
    assert list(all_of(reader)) == [Chunk(120, counter(120, 80))]
    assert room.ear.statistics().resent == 80
    hear(room, FRAME)
    assert list(all_of(reader)) == [Chunk(200, counter(200, FRAME))]


def test_a_rewind_further_than_is_kept_says_where_it_stands_and_what_is_lost() -> None:
    room = Room(keep_s=0.2)
    reader = room.ear.listen()
    hear(room, 200)
    list(all_of(reader))
    hear(room, 100)
    assert room.ear.rewind(50) == 100
    assert room.ear.statistics().lost == 50
    assert room.ear.rewind(-500) == 100
    assert room.ear.statistics().lost == 100, "what was counted is not counted twice"


def test_rewinding_to_what_is_still_to_come_skips_nothing() -> None:
    room = Room()
    hear(room, 100)
    assert room.ear.rewind(80) == 0
    assert room.ear.statistics().backlog == 100


def test_a_waiting_reader_is_woken_by_a_rewind() -> None:
    async def listen() -> Chunk | None:
        room = Room()
        task, reader = await running(room.ear), room.ear.listen()
        await room.hear(100)
        list(all_of(reader))
        waiting = asyncio.create_task(reader.wait())
        await asyncio.sleep(0)
        room.ear.rewind(60)
        async with asyncio.timeout(5):
            await waiting
        task.cancel()
        return reader.take()

    assert asyncio.run(listen()) == Chunk(60, counter(60, 40))


def test_the_next_reader_goes_on_where_the_last_one_stopped_and_no_frame_goes_to_both() -> None:
    async def listen() -> tuple[list[Chunk], list[Chunk], bool]:
        room = Room(keep_s=10)
        task, old = await running(room.ear), room.ear.listen()
        await room.hear(100)
        before = list(all_of(old))
        waiting = asyncio.create_task(old.wait())
        await asyncio.sleep(0)
        new = room.ear.listen()
        await room.hear(60)
        assert old.take() is None
        async with asyncio.timeout(5):
            await new.wait()
        after = list(all_of(new))
        woken = waiting.done()
        waiting.cancel()
        task.cancel()
        return before, after, woken

    before, after, woken = asyncio.run(listen())
    assert before == [Chunk(0, counter(0, 100))]
    assert after == [Chunk(100, counter(100, 60))]
    assert not woken


def test_while_parked_nothing_is_lost_and_the_line_is_the_pre_roll() -> None:
    room = Room(keep_s=0.2)
    room.ear.park()
    hear(room, 1000)
    assert room.ear.statistics() == (1000, 0, 200, 0, 0)
    reader = room.ear.listen()
    assert reader.take() is None
    assert room.ear.rewind(910) == 900
    assert not room.ear.parked
    assert list(all_of(reader)) == [Chunk(900, counter(900, 100))]
    assert room.ear.statistics().lost == 0


def test_parking_lets_go_of_the_backlog_without_calling_it_a_loss() -> None:
    room = Room()
    hear(room, 100)
    room.ear.park()
    hear(room, 20)
    assert room.ear.listen().take() is None
    room.ear.skip_to_now()
    hear(room, 20)
    assert room.ear.listen().take() == Chunk(120, counter(120, 20))
    assert room.ear.statistics().lost == 0


def test_what_a_slow_loop_lost_shows_as_a_jump_and_is_counted() -> None:
    room = Room(keep_s=10, capacity_s=0.1)
    hear(room, 40)
    room.capture(1500)  # the loop stands still; the microphone's ring holds 1.1 s of it
    hear(room, 0)

    async def look() -> None:
        task = await running(room.ear)
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(look())
    hear(room, 40)
    taken = list(all_of(room.ear.listen()))
    assert taken[-1] == Chunk(1540, counter(1540, 40)), "and no chunk reaches over the hole"
    assert sum(len(chunk.pcm) // 2 for chunk in taken) == 1580 - 400
    assert room.ear.statistics().lost == room.microphone.statistics().lost_samples == 400


def test_a_hole_while_parked_is_lost_only_to_who_asks_for_it() -> None:
    room = Room(keep_s=10, capacity_s=0.1)
    room.ear.park()
    hear(room, 40)
    room.capture(1500)
    hear(room, 40)
    assert room.ear.statistics().lost == 0
    assert room.ear.rewind(1550) == 1540
    assert room.ear.statistics().lost == 0
    room.ear.rewind(1500)
    assert room.ear.statistics().lost == 40
    room.ear.rewind(0)
    assert room.ear.statistics().lost == 400


def test_a_microphone_at_another_rate_begins_a_new_line_and_what_was_not_sent_is_lost() -> None:
    room = Room(keep_s=10)
    reader = room.ear.listen()
    hear(room, 60)
    reader.take()
    hear(room, 40)
    room.capture(20)  # still in the old microphone
    room.microphone.callback(counter(0, 7), 7, {}, 0)  # not even a frame
    other = Microphone(2 * RATE)
    room.ear.use(other)
    assert room.ear.rate == 2 * RATE
    assert room.ear.statistics() == (127, 67, 0, 0, 0)
    other.callback(counter(0, 40), 40, {}, 0)
    room.microphone = other
    hear(room, 0)
    assert reader.take() == Chunk(127, counter(0, 40))


def test_a_microphone_at_the_same_rate_loses_nothing() -> None:
    room = Room(keep_s=10)
    hear(room, 60)
    room.capture(40)
    other = Microphone(RATE)
    room.ear.use(other)
    other.callback(counter(100, 20), 20, {}, 0)
    room.microphone, room.said = other, 120
    hear(room, 0)
    assert room.ear.listen().take() == Chunk(0, counter(0, 120))
    assert room.ear.statistics().lost == 0


def test_a_running_ear_turns_to_the_new_microphone_at_once() -> None:
    async def listen() -> Chunk | None:
        room = Room()
        task, reader = await running(room.ear), room.ear.listen()
        other = Microphone(RATE)
        room.ear.use(other)
        await asyncio.sleep(0)
        other.callback(counter(0, 20), 20, {}, 0)
        async with asyncio.timeout(5):
            await reader.wait()
        task.cancel()
        return reader.take()

    assert asyncio.run(listen()) == Chunk(0, counter(0, 20))


def test_every_frame_is_shown_as_it_comes_parked_or_not() -> None:
    room, seen = Room(), list[Chunk]()
    room.ear.on_frame = seen.append
    hear(room, 40)
    room.ear.park()
    hear(room, 20)
    assert seen == [Chunk(at, counter(at, FRAME)) for at in (0, 20, 40)]


def test_a_long_loss_is_one_loss_however_many_frames_it_had() -> None:
    room = Room(keep_s=0.2)
    hear(room, 3000)
    assert room.ear.statistics().lost == 2800
    room.ear.listen().take()
    room.ear.rewind(0)
    assert room.ear.statistics().lost == 2800


# ------------------------------------------------------------------------------------------- the valve


class Tap:
    """A valve that the test turns by hand."""

    def __init__(self, room: Room) -> None:
        self.flow: Flow = Open()
        self.seen: list[tuple[Chunk, Verdict, int | None]] = []
        room.ear.judge = self._judge

    def _judge(self, chunk: Chunk, verdict: Verdict, onset: int | None) -> Flow:
        self.seen.append((chunk, verdict, onset))
        flow = self.flow
        if isinstance(flow, Open):
            self.flow = Open()  # a valve opens once
        return flow


def gated(**kept: float) -> tuple[Room, Tap, Reader]:
    room = Room(**kept)
    return room, Tap(room), room.ear.listen()


def test_what_the_valve_withholds_is_not_taken_and_no_loss() -> None:
    room, tap, reader = gated()
    hear(room, 40)
    assert list(all_of(reader)) == [Chunk(0, counter(0, 40))]
    tap.flow = Shut(Withheld.QUIET)
    hear(room, 400)
    assert list(all_of(reader)) == []
    assert room.ear.position == room.ear.now == 440
    assert room.ear.withheld == {Withheld.QUIET: 200}, "the last 200 ms are kept, and may still be sent"
    tap.flow = Open()
    hear(room, 20)
    assert list(all_of(reader)) == [Chunk(440, counter(440, 20))]
    assert room.ear.statistics().lost == 0


def test_an_opening_valve_lets_flow_what_it_withheld_last() -> None:
    room, tap, reader = gated()
    hear(room, 40)
    tap.flow = Shut(Withheld.QUIET)
    hear(room, 100)
    tap.flow = Open(since=95)
    hear(room, 40)
    assert list(all_of(reader)) == [Chunk(0, counter(0, 40)), Chunk(80, counter(80, 100))]
    assert room.ear.statistics().resent == 0


def test_what_flowed_already_is_not_sent_twice_however_far_back_the_valve_opens() -> None:
    room, tap, reader = gated()
    hear(room, 40)
    tap.flow = Shut(Withheld.QUIET)
    hear(room, 20)
    tap.flow = Open(since=0)
    hear(room, 20)
    assert b"".join(chunk.pcm for chunk in all_of(reader)) == counter(0, 80)


def test_neither_what_was_muted_nor_what_lies_before_it_flows_later() -> None:
    room, tap, reader = gated()
    for why in (Withheld.QUIET, Withheld.MUTED, Withheld.QUIET):
        tap.flow = Shut(why)
        hear(room, 40)
    tap.flow = Open(since=0)
    hear(room, 20)
    assert list(all_of(reader)) == [Chunk(80, counter(80, 60))]


def test_a_backlog_is_sent_though_the_valve_has_shut_behind_it() -> None:
    room, tap, reader = gated()
    hear(room, 60)
    tap.flow = Shut(Withheld.ECHO)
    hear(room, 60)
    tap.flow = Open()
    hear(room, 40)
    assert list(all_of(reader)) == [Chunk(0, counter(0, 60)), Chunk(120, counter(120, 40))]


def test_a_rewind_passes_over_what_is_withheld_and_calls_none_of_it_a_loss() -> None:
    room, tap, reader = gated()
    hear(room, 40)
    tap.flow = Shut(Withheld.QUIET)
    hear(room, 60)
    tap.flow = Open()
    hear(room, 40)
    list(all_of(reader))
    assert room.ear.rewind(20) == 20
    assert list(all_of(reader)) == [Chunk(20, counter(20, 20)), Chunk(100, counter(100, 40))]
    tap.flow = Shut(Withheld.QUIET)
    hear(room, 600)
    assert room.ear.rewind(100) == 740
    assert room.ear.statistics().lost == 40, "100 to 140; the rest was withheld"


def test_a_waiting_reader_sleeps_on_while_nothing_flows_and_wakes_for_the_pre_roll() -> None:
    async def listen() -> tuple[bool, Chunk | None]:
        room, tap, reader = gated()
        tap.flow = Shut(Withheld.QUIET)
        task, waiting = await running(room.ear), asyncio.create_task(reader.wait())
        await room.hear(100)
        early = waiting.done()
        tap.flow = Open(since=60)
        await room.hear(20)
        async with asyncio.timeout(5):
            await waiting
        task.cancel()
        return early, reader.take()

    assert asyncio.run(listen()) == (False, Chunk(60, counter(60, 60)))


def test_what_was_flowing_is_ended_by_silence_and_what_follows_stands_behind_it() -> None:
    room, tap, reader = gated(keep_s=1, silence_ms=50)
    hear(room, 40)
    tap.flow = Shut(Withheld.BUTTON)
    hear(room, 40)
    taken = list(all_of(reader))
    assert [chunk.position for chunk in taken] == [0, 60], (
        "the frame that the valve shut before is passed over"
    )
    assert taken[1].pcm == bytes(2 * 60), "whole frames"
    tap.flow = Open()
    hear(room, 20)
    assert list(all_of(reader)) == [Chunk(140, counter(80, 20))]
    assert room.ear.statistics().lost == 0


def test_silence_is_put_in_once_and_only_behind_sound() -> None:
    room, tap, reader = gated(keep_s=1, silence_ms=50)
    tap.flow = Shut(Withheld.BUTTON)
    hear(room, 40)
    room.ear.shut(Withheld.MUTED)
    assert list(all_of(reader)) == []
    tap.flow = Open()
    hear(room, 20)
    room.ear.shut(Withheld.MUTED)
    room.ear.shut(Withheld.MUTED)
    assert [chunk.pcm for chunk in all_of(reader)] == [counter(40, 20) + bytes(2 * 60)]


def test_while_parked_the_valve_decides_what_the_next_session_will_get() -> None:
    room, tap, reader = gated()
    room.ear.park()
    tap.flow = Shut(Withheld.BUTTON)
    hear(room, 60)
    tap.flow = Open()
    hear(room, 60)
    tap.flow = Shut(Withheld.BUTTON)
    hear(room, 20)
    assert list(all_of(reader)) == []
    assert room.ear.rewind(0) == 60
    assert list(all_of(reader)) == [Chunk(60, counter(60, 60))]


def test_a_stage_cleans_frames_in_the_microphone_s_positions_and_the_valve_sees_the_ear_s() -> None:
    room, tap, reader = gated(keep_s=1, silence_ms=20)
    seen: list[int] = []

    def stage(position: int, pcm: bytes) -> Heard:
        seen.append(position)
        return Heard(bytes(len(pcm)), Verdict.CONFIRMED, position - 10)

    hear(room, 20)
    tap.flow = Shut(Withheld.ECHO)
    hear(room, 20)
    room.ear.stage = stage
    tap.flow = Open()
    hear(room, 20)
    assert seen == [40]
    assert tap.seen[-1] == (Chunk(60, bytes(40)), Verdict.CONFIRMED, 50)
    assert list(all_of(reader))[-1] == Chunk(40, bytes(80)), "the silence and the clean frame"


def test_another_rate_drops_what_is_withheld_without_calling_it_a_loss() -> None:
    room, tap, _ = gated(keep_s=10)
    tap.flow = Shut(Withheld.QUIET)
    hear(room, 60)
    room.ear.use(Microphone(2 * RATE))
    assert room.ear.statistics().lost == 0
    assert room.ear.withheld == {Withheld.QUIET: 60}


def test_the_level_is_the_peak_of_the_last_second_that_was_heard() -> None:
    room = Room(keep_s=5, capacity_s=3)
    assert room.ear.level_db() == pytest.approx(-90.3, abs=0.01)
    room.said = 16_000
    hear(room, 2 * FRAME)
    assert room.ear.level_db() == pytest.approx(20 * log10(16_039 / 32_768), abs=0.01)
    room.said = 100
    hear(room, RATE)
    assert room.ear.level_db() == pytest.approx(20 * log10(1_099 / 32_768), abs=0.05)


# ------------------------------------------------------------------------------------------- delays


class Late:
    """Monotonic seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_how_long_sound_has_waited_is_counted_from_its_capture_and_once() -> None:
    clock = Late()
    microphone = Microphone(RATE, clock=clock)
    ear = Ear(microphone, keep_s=1.0)
    reader = ear.listen()

    async def hear() -> None:
        (await running(ear)).cancel()

    microphone.callback(counter(0, 3 * FRAME), 3 * FRAME, {}, 0)  # a block of three frames
    clock.now += 0.001
    asyncio.run(hear())
    chunk = reader.take()
    assert chunk is not None
    assert chunk.end == 3 * FRAME, "a backlog comes in one piece"
    assert ear.delays_s.total == pytest.approx(0.001)
    ear.rewind(FRAME)
    clock.now += 5.0
    assert reader.take() is not None
    assert sum(ear.delays_s.counts) == 1, "what is sent again has not waited for the socket"
    microphone.callback(counter(3 * FRAME, 2 * FRAME), 2 * FRAME, {}, 0)
    clock.now += 0.5
    asyncio.run(hear())
    microphone.callback(counter(5 * FRAME, FRAME), FRAME, {}, 0)
    asyncio.run(hear())
    clock.now += 0.1
    assert reader.take() is not None
    assert ear.delays_s.total == pytest.approx(0.101), "of what is taken together, the end counts"


def test_the_age_of_a_sample_in_the_middle_of_a_block_goes_by_the_rate() -> None:
    clock = Late()
    microphone = Microphone(RATE, clock=clock)
    microphone.callback(counter(0, 50), 50, {}, 0)
    assert microphone.frame_nowait() is not None
    assert microphone.age_s(FRAME) == pytest.approx(0.03), "30 ms of the block were captured after it"
