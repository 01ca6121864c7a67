"""The microphone: frames in order, one bell, and honest counting of what nobody took."""

import asyncio
import threading

import numpy as np

from voice_agent.audio.microphone import Microphone

RATE = 1000
FRAME = 20  # samples


def counter(position: int, count: int) -> bytes:
    return np.arange(position, position + count).astype("<i2").tobytes()


def feed(microphone: Microphone, position: int, count: int, status: int = 0) -> None:
    data, flag = microphone.callback(counter(position, count), count, {}, status)
    assert (data, flag) == (None, 0)


def feed_all(microphone: Microphone, positions: range) -> None:
    for position in positions:
        feed(microphone, position, positions.step)


def test_frames_come_whole_and_in_order_from_blocks_of_any_size() -> None:
    microphone = Microphone(RATE)
    feed(microphone, 0, 7)
    assert microphone.frame_nowait() is None
    feed(microphone, 7, 50)
    assert microphone.frame_nowait() == counter(0, FRAME)
    assert microphone.frame_nowait() == counter(20, FRAME)
    assert microphone.frame_nowait() is None
    assert microphone.statistics().queued == 17


def test_a_waiting_task_gets_the_frame_that_another_thread_completes() -> None:
    async def listen() -> list[bytes]:
        microphone = Microphone(RATE)
        first = asyncio.create_task(microphone.frame())
        await asyncio.sleep(0)  # now it waits
        capture = threading.Thread(target=feed_all, args=(microphone, range(0, 100, 10)))
        capture.start()
        async with asyncio.timeout(5):
            frames = [await first] + [await microphone.frame() for _ in range(4)]
        capture.join()
        return frames

    assert asyncio.run(listen()) == [counter(p, FRAME) for p in range(0, 100, 20)]


def test_a_thousand_frames_cross_the_threads_bit_exact() -> None:
    async def listen() -> bytes:
        microphone = Microphone(RATE, capacity_s=30)
        capture = threading.Thread(target=feed_all, args=(microphone, range(0, 20_000, 16)))
        capture.start()
        async with asyncio.timeout(10):
            frames = [await microphone.frame() for _ in range(1000)]
        capture.join()
        assert microphone.statistics().lost_samples == 0
        return b"".join(frames)

    assert asyncio.run(listen()) == counter(0, 20_000)


def test_the_bell_is_rung_once_until_it_is_answered() -> None:
    async def listen() -> int:
        microphone = Microphone(RATE)
        waiting = asyncio.create_task(microphone.frame())
        await asyncio.sleep(0)
        loop, rings = asyncio.get_running_loop(), 0
        ring = loop.call_soon_threadsafe

        def count_rings(*args: object) -> asyncio.Handle:
            nonlocal rings
            rings += 1
            return ring(*args)  # type: ignore[arg-type]

        loop.call_soon_threadsafe = count_rings  # type: ignore[method-assign,assignment]
        for position in range(0, 200, FRAME):
            feed(microphone, position, FRAME)
        await waiting
        return rings

    assert asyncio.run(listen()) == 1


def test_a_closed_loop_does_not_disturb_the_callback_and_a_new_one_hears_the_bell() -> None:
    microphone = Microphone(RATE)

    async def listen() -> bytes:
        feed(microphone, 0, FRAME)
        return await microphone.frame()

    async def wait_for_more() -> bytes:
        waiting = asyncio.create_task(microphone.frame())
        await asyncio.sleep(0)
        feed(microphone, 60, FRAME)
        async with asyncio.timeout(5):
            return await waiting

    assert asyncio.run(listen()) == counter(0, FRAME)
    feed(microphone, 20, FRAME)
    feed(microphone, 40, FRAME)
    assert microphone.statistics().callback_errors == 0
    microphone.discard()
    assert asyncio.run(wait_for_more()) == counter(60, FRAME)


def test_a_cancelled_wait_leaves_the_frame_to_the_next() -> None:
    async def listen() -> bytes:
        microphone = Microphone(RATE)
        waiting = asyncio.create_task(microphone.frame())
        await asyncio.sleep(0)
        feed(microphone, 0, FRAME)
        waiting.cancel()
        await asyncio.wait([waiting])
        return await microphone.frame()

    assert asyncio.run(listen()) == counter(0, FRAME)


def test_when_nobody_takes_frames_the_oldest_are_dropped() -> None:
    async def listen() -> tuple[bytes, int]:
        microphone = Microphone(RATE, capacity_s=0.1)
        feed(microphone, 0, FRAME)
        assert await microphone.frame() == counter(0, FRAME)  # the microphone knows its loop
        for position in range(20, 320, FRAME):
            feed(microphone, position, FRAME)
            await asyncio.sleep(0)  # the loop turns, but nobody takes frames
        return await microphone.frame(), microphone.statistics().lost_samples

    frame, lost = asyncio.run(listen())
    assert frame == counter(220, FRAME)
    assert lost == 200


def test_when_the_loop_stands_still_the_newest_is_refused_and_counted() -> None:
    microphone = Microphone(RATE, capacity_s=0.1)
    for position in range(0, 1200, FRAME):
        feed(microphone, position, FRAME)
    assert microphone.frame_nowait() == counter(0, FRAME)
    assert microphone.statistics().captured == 1200
    assert microphone.statistics().lost_samples == 100


def test_discarding_forgets_without_calling_it_a_loss() -> None:
    microphone = Microphone(RATE)
    feed(microphone, 0, 30)
    microphone.discard()
    feed(microphone, 30, FRAME)
    assert microphone.frame_nowait() == counter(30, FRAME)
    assert microphone.statistics().lost_samples == 0


def test_overflows_are_counted_and_errors_kept_inside() -> None:
    microphone = Microphone(RATE)
    feed(microphone, 0, FRAME, status=2)
    feed(microphone, 0, FRAME, status=4)
    microphone.callback(b"\x01", 1, {}, 0)
    assert microphone.statistics().overflows == 1
    assert microphone.statistics().callback_errors == 1
