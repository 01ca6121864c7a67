"""The speaker: what is heard, what is counted, and how far the listener is."""

import asyncio
import time
from itertools import count

import numpy as np
import pytest

from voice_agent.audio.speaker import Positions, Speaker

RATE = 1000  # one sample is one millisecond
BLOCK = 10


def make(**options: float) -> Speaker:
    """A speaker by whose clock a second passes from look to look, so that no beginning is held back."""
    return Speaker(RATE, clock=count(1.0).__next__, **options)


def pcm(*values: int) -> bytes:
    return np.array(values, "<i2").tobytes()


def tone(count: int, value: int = 1000) -> bytes:
    return pcm(*[value] * count)


def block(speaker: Speaker, count: int = BLOCK, status: int = 0) -> list[int]:
    data, _flag = speaker.callback(None, count, {}, status)
    assert data is not None
    return [int(value) for value in np.frombuffer(data, "<i2")]


def waiting(speaker: Speaker) -> int:
    """Samples in the ring."""
    counted = speaker.statistics()
    return speaker.positions().queued - counted.spilled - counted.played - counted.flushed


def test_without_audio_the_speaker_is_silent() -> None:
    assert block(make()) == [0] * BLOCK


def test_audio_ends_in_silence_without_a_fade() -> None:
    speaker = make()
    speaker.play(pcm(*range(1, 14)))
    speaker.finish()
    assert block(speaker) == list(range(1, 11))
    assert block(speaker) == [11, 12, 13] + [0] * 7


def test_silence_fades_what_is_sounding_and_nothing_more() -> None:
    speaker = make(fade_ms=5)
    speaker.play(tone(100))
    block(speaker)
    speaker.silence()
    assert block(speaker) == [800, 600, 400, 200, 0] + [0] * 5
    assert block(speaker) == [0] * BLOCK
    assert speaker.statistics().faded == 5
    assert speaker.statistics().flushed == 85


def test_newer_audio_follows_the_fade_in_the_same_block() -> None:
    speaker = make(fade_ms=5)
    speaker.play(tone(100))
    block(speaker)
    speaker.silence()
    speaker.play(pcm(1, 2, 3))
    speaker.finish()
    assert block(speaker) == [800, 600, 400, 200, 0, 1, 2, 3, 0, 0]


def test_audio_flushed_before_it_sounded_is_not_heard_at_all() -> None:
    speaker = make()
    block(speaker)
    speaker.play(tone(100))
    speaker.silence()
    assert block(speaker) == [0] * BLOCK
    assert speaker.statistics().flushed == 100


def test_audio_cut_while_no_stream_was_running_is_not_heard_when_one_opens() -> None:
    speaker = make()
    speaker.play(tone(100))
    block(speaker)
    speaker.silence()
    speaker.set_latency(20)  # a new stream
    assert block(speaker) == [0] * BLOCK


def test_played_follows_the_blocks_by_the_latency() -> None:
    speaker = make()
    speaker.set_latency(15)
    speaker.play(tone(25))
    seen = []
    for _ in range(6):
        block(speaker)
        seen.append(speaker.positions().played)
    assert seen == [0, 0, 5, 15, 25, 25]


def test_played_is_exact_across_an_underrun() -> None:
    speaker = make()
    speaker.set_latency(10)
    speaker.play(tone(4))
    block(speaker)
    speaker.play(tone(20))
    block(speaker)
    assert speaker.positions().played == 0  # the first sample is at the loudspeaker's door
    block(speaker)
    assert speaker.positions().played == 4  # four samples and six of silence
    block(speaker)
    assert speaker.positions().played == 14


def test_played_passes_what_was_flushed_once_the_fade_is_heard() -> None:
    speaker = make(fade_ms=5)
    speaker.set_latency(10)
    speaker.play(tone(100))
    block(speaker)
    speaker.silence()
    seen = []
    for _ in range(3):
        block(speaker)
        seen.append(speaker.positions().played)
    assert seen == [0, 10, 100]


def test_played_rests_while_no_callback_comes_and_never_falls() -> None:
    speaker = make()
    speaker.play(tone(40))
    block(speaker)
    block(speaker)
    assert speaker.positions().played == 10
    speaker.set_latency(500)
    assert speaker.positions().played == 10
    block(speaker)
    assert speaker.positions().played == 10


def test_a_latency_beyond_reason_does_not_stop_the_clock() -> None:
    speaker = make()
    speaker.set_latency(10**9)
    speaker.play(tone(10))
    for _ in range(2 * RATE // BLOCK + 2):
        block(speaker)
    assert speaker.positions() == Positions(queued=10, played=10)


def test_silence_inside_a_stretch_is_one_gap_of_its_length() -> None:
    speaker = make()
    speaker.play(tone(5), starts=True)
    block(speaker)
    block(speaker)
    speaker.play(tone(20))
    block(speaker)
    assert (speaker.statistics().gaps, speaker.statistics().gap_samples) == (1, 15)


def test_silence_before_a_stretch_is_no_gap_even_if_another_one_waits_behind_it() -> None:
    speaker = make()
    speaker.play(tone(5), starts=True)
    block(speaker)
    speaker.play(tone(7), starts=True)
    speaker.play(tone(7), starts=True)
    block(speaker)
    block(speaker)
    assert speaker.statistics().gaps == 0


def test_silence_after_a_flush_is_no_gap() -> None:
    speaker = make()
    speaker.play(tone(50), starts=True)
    block(speaker)
    speaker.silence()
    block(speaker)
    speaker.play(tone(10))
    block(speaker)
    assert speaker.statistics().gaps == 0


def test_a_stream_that_died_within_a_stretch_left_a_gap() -> None:
    speaker = make()
    speaker.play(tone(50), starts=True)
    block(speaker)
    speaker.set_latency(20)
    block(speaker)
    assert speaker.statistics().gaps == 1


def test_the_devices_underflows_are_counted() -> None:
    speaker = make()
    block(speaker, status=4)
    block(speaker, status=2)
    assert speaker.statistics().xruns == 1


def test_a_callback_answers_with_silence_whatever_happens() -> None:
    speaker = make()
    speaker.play(tone(10))
    impossible = "no status"
    data, flag = speaker.callback(None, BLOCK, {}, impossible)  # type: ignore[arg-type]
    assert (data, flag) == (bytes(2 * BLOCK), 0)
    assert speaker.statistics().callback_errors == 1
    assert block(speaker) == [1000] * BLOCK


def test_a_callback_is_remembered_by_its_time() -> None:
    speaker = Speaker(RATE)
    assert speaker.statistics().last_callback == 0.0
    before = time.monotonic()
    block(speaker)
    assert before <= speaker.statistics().last_callback <= time.monotonic()


def test_blocks_of_any_size_are_filled_exactly() -> None:
    speaker = make()
    speaker.play(pcm(*range(1, 31)))
    assert [len(block(speaker, n)) for n in (1, 7, 16, 3, 9)] == [1, 7, 16, 3, 9]


def test_half_a_sample_is_a_bug_of_the_caller() -> None:
    with pytest.raises(TypeError, match="multiple of itemsize"):
        make().play(b"\x01")


def test_an_answer_longer_than_the_ring_stays_whole() -> None:
    async def listen() -> list[int]:
        speaker = make(capacity_s=0.1)
        speaker.play(pcm(*range(1, 151)), starts=True)
        speaker.play(pcm(*range(151, 251)))
        assert speaker.positions().queued == 250
        assert speaker.statistics().spilled == 150
        heard: list[int] = []
        async with asyncio.timeout(5):
            while len(heard) < 250:
                heard += block(speaker) if waiting(speaker) else []
                await asyncio.sleep(0)
        assert speaker.statistics().spilled == 0
        assert speaker.positions().queued == 250
        return heard

    assert asyncio.run(listen()) == list(range(1, 251))


def test_newer_audio_does_not_overtake_what_waits_for_room() -> None:
    async def listen() -> list[int]:
        speaker = make(capacity_s=0.1)
        speaker.play(pcm(*range(1, 151)))
        heard = block(speaker, 40)  # now the ring has room, but the next in line are in the spill
        speaker.play(pcm(*range(151, 161)))
        async with asyncio.timeout(5):
            while len(heard) < 160:
                heard += block(speaker) if waiting(speaker) else []
                await asyncio.sleep(0)
        return heard

    assert asyncio.run(listen()) == list(range(1, 161))


def test_silence_empties_the_spill_too() -> None:
    async def listen() -> None:
        speaker = make(capacity_s=0.1)
        speaker.play(tone(150))
        speaker.silence()
        assert speaker.positions().queued == 100
        assert block(speaker) == [0] * BLOCK
        speaker.play(pcm(1, 2, 3))
        assert block(speaker)[:3] == [1, 2, 3]
        assert speaker.statistics().flushed == 150
        assert speaker.statistics().spilled == 0

    asyncio.run(listen())


def test_what_not_even_the_spill_can_hold_is_counted_as_lost() -> None:
    async def listen() -> None:
        speaker = make(capacity_s=0.1, spill_s=0.05)
        speaker.play(tone(170))
        assert speaker.positions().queued == 150
        assert speaker.statistics().lost_samples == 20

    asyncio.run(listen())
