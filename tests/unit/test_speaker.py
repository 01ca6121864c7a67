"""The speaker: what is heard, what is counted, and how far the listener is."""

import asyncio
import time
from collections.abc import Callable
from itertools import count

import numpy as np
import pytest

from voice_agent.audio.playout import MARKS
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


class Watch:
    """Monotonic seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_sample_comes_out_when_its_callback_took_it_and_the_device_was_through_with_it() -> None:
    clock = Watch()
    speaker = Speaker(RATE, clock=clock)
    speaker.set_latency(40)
    speaker.play(tone(25), starts=True)
    speaker.finish()
    assert speaker.sounded(0) is None, "nothing was given yet"
    clock.now = 100.5
    block(speaker)
    assert speaker.sounded(0) == (100.0, 100.5, 100.54)
    assert speaker.sounded(9) == pytest.approx((100.0, 100.509, 100.549))
    assert speaker.sounded(10) is None
    clock.now = 107.0  # the device stood still
    block(speaker)
    assert speaker.sounded(0) == (100.0, 100.5, 100.54), "what comes later changes nothing"
    assert speaker.sounded(10) == pytest.approx((100.0, 107.0, 107.04))


def test_a_sample_that_no_mark_remembers_came_out_before_the_oldest_that_one_does() -> None:
    clock = Watch()
    speaker = Speaker(RATE, clock=clock)
    speaker.play(tone(BLOCK * (MARKS + 5)), starts=True)
    speaker.finish()
    for number in range(MARKS + 5):
        clock.now = 200.0 + number * BLOCK / RATE
        block(speaker)
    sounded = speaker.sounded(0)
    assert sounded is not None
    assert sounded.given_at == pytest.approx(200.0)


def hold_nothing(_speaker: Speaker) -> None:
    """Nothing more comes for now."""


def get_ahead(speaker: Speaker) -> None:
    speaker.play(tone(5 * BLOCK))
    speaker.play(tone(BLOCK))


@pytest.mark.parametrize(
    ("then", "free_at"), [(hold_nothing, 100.01), (get_ahead, 100.001), (Speaker.finish, 100.001)]
)
def test_how_long_a_beginning_was_held_back_is_remembered(
    then: Callable[[Speaker], None], free_at: float
) -> None:
    clock = Watch()
    speaker = Speaker(RATE, clock=clock)
    speaker.play(tone(BLOCK), starts=True)
    clock.now = 100.001
    then(speaker)
    clock.now = 100.02
    block(speaker)
    sounded = speaker.sounded(0)
    assert sounded is not None
    assert sounded[:2] == pytest.approx((free_at, 100.02))


class Room:
    """A speaker whose device asks every 10 ms; times are told in ms since the order."""

    def __init__(self, **options: float) -> None:
        self.clock = Watch()
        self.speaker = Speaker(RATE, clock=self.clock, **options)
        self.speaker.play(tone(500), starts=True)
        self.speaker.finish()
        self.blocks(5)

    def blocks(self, count: int) -> None:
        for _ in range(count):
            self.clock.now += BLOCK / RATE
            block(self.speaker)

    def measured_ms(self, order: str) -> list[float]:
        times = self.speaker.quiet_s()[order]
        assert sum(times.counts) <= 1
        return [round(times.total * 1000, 3)] * sum(times.counts)


@pytest.mark.parametrize("order", ["flush", "hold"])
@pytest.mark.parametrize("before_ms", [0, 4, 9])
def test_how_soon_it_falls_silent_is_measured_to_the_last_sample_of_the_fade(
    order: str, before_ms: int
) -> None:
    room = Room(fade_ms=5)
    room.clock.now += before_ms / 1000
    {"flush": room.speaker.silence, "hold": room.speaker.hold}[order]()
    room.clock.now -= before_ms / 1000
    room.blocks(1)
    assert room.measured_ms(order) == [], "a callback may have been under way when the order came"
    room.blocks(1)
    assert room.measured_ms(order) == [BLOCK - before_ms + 5]
    room.blocks(5)
    assert room.measured_ms(order) == [BLOCK - before_ms + 5], "once"


def test_silence_after_a_hold_is_measured_once() -> None:
    room = Room()
    room.speaker.hold()
    room.blocks(3)
    room.speaker.silence()
    room.blocks(3)
    assert (room.measured_ms("hold"), room.measured_ms("flush")) == ([15.0], [])


def test_a_flush_right_after_a_hold_belongs_to_the_hold() -> None:
    room = Room()
    room.speaker.hold()
    room.speaker.silence()
    room.blocks(3)
    assert (room.measured_ms("hold"), room.measured_ms("flush")) == ([15.0], [])


@pytest.mark.parametrize("blocks", [45, 60])
def test_what_ends_by_itself_was_not_silenced(blocks: int) -> None:
    room = Room()
    room.blocks(blocks)  # the 45th is the last that sounds: the device has it, and nothing is queued
    room.speaker.silence()
    room.blocks(3)
    assert room.measured_ms("flush") == []


def test_a_beginning_that_is_still_held_back_was_not_silenced() -> None:
    clock = Watch()
    speaker = Speaker(RATE, clock=clock)
    block(speaker)
    speaker.play(tone(50), starts=True)
    speaker.silence()
    for _ in range(3):
        clock.now += BLOCK / RATE
        block(speaker)
    assert sum(speaker.quiet_s()["flush"].counts) == 0


def test_sound_that_begins_again_at_once_leaves_nothing_to_measure() -> None:
    room = Room()
    room.speaker.silence()
    room.speaker.play(tone(500), starts=True)
    room.speaker.finish()
    room.blocks(5)
    assert room.measured_ms("flush") == []


def test_a_chime_that_gives_way_was_not_silenced() -> None:
    room = Room()
    room.speaker.silence()
    room.blocks(3)
    before = room.measured_ms("flush")
    assert room.speaker.chime(tone(300))
    room.blocks(3)
    room.speaker.silence()
    room.blocks(3)
    assert room.measured_ms("flush") == before == [15.0]


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


def test_a_tail_that_fills_a_block_is_not_followed_by_another_one() -> None:
    speaker = make(fade_ms=8)
    speaker.play(tone(8))
    block(speaker)
    assert any(block(speaker, 6))
    assert block(speaker) == [0] * BLOCK


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


def test_a_new_stream_does_not_begin_with_the_tail_of_the_old_one() -> None:
    speaker = make(fade_ms=5)
    speaker.play(tone(8))
    assert block(speaker)[-1] > 0
    speaker.set_latency(20)
    assert block(speaker) == [0] * BLOCK


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


# ------------------------------------------------------------------------------------ torn and held


class Clock:
    """Monotonic seconds; a block takes its time."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def block(self, speaker: Speaker) -> list[int]:
        heard = block(speaker)
        self.now += BLOCK / RATE
        return heard


def test_content_that_runs_dry_goes_on_backwards_fading_and_comes_back_rising() -> None:
    speaker = make(fade_ms=4)
    speaker.play(pcm(*[10] * 6, 100, 200, 300, 400))
    assert block(speaker)[-1] == 400
    assert block(speaker) == [300, 150, 50, 0] + [0] * 6
    speaker.play(tone(10))
    assert block(speaker) == [250, 500, 750, 1000] + [1000] * 6
    assert (speaker.statistics().gaps, speaker.statistics().gap_samples) == (1, 10)
    assert speaker.statistics().played == 20, "and nothing of it twice"


def test_a_tail_that_does_not_fit_into_the_block_ends_in_the_next_one() -> None:
    speaker = make(fade_ms=4)
    speaker.play(tone(8))
    assert block(speaker) == [1000] * 8 + [750, 500]
    speaker.play(tone(8, 2000))
    assert block(speaker) == [250, 0, 500, 1000, 1500, 2000, 2000, 2000, 2000, 2000]
    assert speaker.statistics().gap_samples == 4


def test_a_piece_shorter_than_the_fade_fades_together_with_what_came_before() -> None:
    speaker = make(fade_ms=4)
    speaker.play(tone(12))
    block(speaker)
    assert block(speaker) == [1000, 1000, 750, 500, 250, 0] + [0] * 4


def test_where_a_stretch_has_ended_the_next_one_begins_without_a_fade_and_without_a_gap() -> None:
    speaker = make()
    speaker.play(tone(10), starts=True)
    speaker.finish()
    block(speaker)
    assert block(speaker) == [0] * BLOCK
    speaker.play(tone(10))
    assert block(speaker) == [1000] * BLOCK
    assert speaker.statistics().gaps == 0


def test_a_stretch_that_begins_with_a_rest_of_a_fade_in_begins_exactly() -> None:
    speaker = make(fade_ms=8)
    speaker.play(tone(10))
    block(speaker)
    block(speaker)
    speaker.play(tone(4))  # torn: rises, but does not get there
    block(speaker)
    block(speaker)
    speaker.play(tone(10), starts=True)
    assert block(speaker) == [1000] * BLOCK


def test_a_beginning_is_held_back_for_a_little_while_and_no_longer() -> None:
    clock = Clock()
    speaker = Speaker(RATE, clock=clock)
    speaker.play(tone(20), starts=True)
    assert clock.block(speaker) == [0] * BLOCK
    clock.now += 0.005
    assert clock.block(speaker) == [1000] * BLOCK


def test_a_beginning_that_is_held_back_does_not_stop_what_still_sounds() -> None:
    clock = Clock()
    speaker = Speaker(RATE, clock=clock)
    speaker.play(tone(2 * BLOCK), starts=True)
    speaker.finish()
    clock.block(speaker)
    speaker.play(tone(BLOCK), starts=True)
    assert clock.block(speaker) == [1000] * BLOCK


def test_a_stretch_that_ran_dry_is_held_back_again() -> None:
    clock = Clock()
    speaker = Speaker(RATE, clock=clock)
    speaker.play(tone(BLOCK), starts=True)
    while speaker.positions().played < BLOCK:
        clock.block(speaker)
    clock.now += 1
    clock.block(speaker)
    speaker.play(tone(2 * BLOCK))
    assert clock.block(speaker) == [0] * BLOCK
    clock.now += 1
    assert any(clock.block(speaker))


def test_a_pause_after_the_end_of_a_stretch_is_not_lateness() -> None:
    clock = Clock()
    speaker = Speaker(RATE, clock=clock)
    for _ in range(3):
        speaker.play(tone(BLOCK))
        speaker.finish()
        clock.now += 5
        clock.block(speaker)
    assert speaker.statistics().lateness_s == 0


def test_the_end_of_a_stretch_opens_what_is_held_back() -> None:
    clock = Clock()
    speaker = Speaker(RATE, clock=clock)
    speaker.play(tone(BLOCK), starts=True)
    speaker.finish()
    assert clock.block(speaker) == [1000] * BLOCK


def test_what_arrives_ahead_of_its_pace_opens_it_too() -> None:
    clock = Clock()
    speaker = Speaker(RATE, clock=clock)
    for first in (True, False):
        speaker.play(tone(20), starts=first)
    assert clock.block(speaker) == [1000] * BLOCK


def test_jitter_that_was_met_is_waited_for_by_the_next_answer() -> None:
    clock = Clock()
    speaker = Speaker(RATE, clock=clock)
    for delay_ms in [0, *[60, 20] * 20]:
        due = clock.now
        while clock.now < due + delay_ms / 1000:
            clock.block(speaker)
        speaker.play(tone(40), starts=not delay_ms)
    assert 0.02 < speaker.statistics().lateness_s <= speaker.statistics().hold_s <= 0.1
    speaker.finish()
    while speaker.positions().played < speaker.positions().queued:
        clock.block(speaker)
    gaps, hold_s = speaker.statistics().gaps, speaker.statistics().hold_s
    speaker.play(tone(40), starts=True)
    began = clock.now
    while not any(clock.block(speaker)):
        assert clock.now < began + 0.2
    assert clock.now - began >= hold_s
    assert speaker.statistics().gaps == gaps


def test_a_hold_fades_rests_and_goes_on_with_the_next_sample() -> None:
    speaker = make(fade_ms=4)
    speaker.play(tone(30))
    block(speaker)
    speaker.hold()
    assert block(speaker) == [750, 500, 250, 0] + [0] * 6
    assert block(speaker) == [0] * BLOCK
    assert speaker.held
    assert speaker.positions().played == 10
    speaker.resume()
    assert block(speaker) == [250, 500, 750, 1000] + [1000] * 6
    speaker.finish()
    assert block(speaker) == [1000] * BLOCK
    assert (speaker.statistics().played, speaker.statistics().gaps) == (30, 0)


def test_silence_while_held_forgets_what_was_queued_and_ends_the_hold() -> None:
    speaker = make()
    speaker.play(tone(30))
    block(speaker)
    speaker.hold()
    block(speaker)
    speaker.silence()
    assert not speaker.held
    assert block(speaker) == [0] * BLOCK
    block(speaker)
    assert speaker.positions() == Positions(30, 30)
    speaker.play(tone(10))
    assert block(speaker) == [1000] * BLOCK


def test_a_hold_that_silence_ends_before_the_next_block_fades_as_silence_does() -> None:
    speaker = make(fade_ms=5)
    speaker.play(tone(100))
    block(speaker)
    speaker.hold()
    speaker.silence()
    assert block(speaker) == [800, 600, 400, 200, 0] + [0] * 5


# ------------------------------------------------------------------------------- volume, tap, clock


def test_volume_and_ducking_multiply_on_a_ramp_while_something_sounds() -> None:
    speaker = make()
    speaker.play(tone(100))
    block(speaker)
    speaker.set_volume(0.5)
    assert block(speaker) == list(range(950, 450, -50))
    assert block(speaker) == [500] * BLOCK
    speaker.duck(20)
    block(speaker)
    assert block(speaker) == [50] * BLOCK
    speaker.duck(0)
    speaker.set_volume(1)
    block(speaker)
    assert block(speaker) == [1000] * BLOCK


def test_a_volume_set_in_silence_holds_from_the_first_sample_on() -> None:
    speaker = make()
    speaker.set_volume(0.25)
    speaker.play(tone(10))
    assert block(speaker) == [250] * BLOCK


def test_sound_that_is_silenced_fades_from_the_volume_it_has() -> None:
    speaker = make(fade_ms=5)
    speaker.set_volume(0.5)
    speaker.play(tone(100))
    block(speaker)
    speaker.silence()
    assert block(speaker) == [400, 300, 200, 100, 0] + [0] * 5


def test_a_tap_gets_what_the_device_gets_and_refuses_what_it_cannot_hold() -> None:
    speaker = make(fade_ms=4)
    tap = speaker.tap(0.045)
    speaker.set_volume(0.5)
    speaker.play(tone(8))
    given = [block(speaker) for _ in range(6)]
    got = memoryview(bytearray(120)).cast("h")
    assert tap.read_into(got) == 45
    assert got.tolist()[:45] == [value for each in given for value in each][:45]
    assert given[0] == [500] * 8 + [375, 250]
    assert speaker.statistics().untapped == 15


def test_a_new_tap_takes_over_from_the_one_before() -> None:
    speaker = make()
    old = speaker.tap(0.01)
    new = speaker.tap(0.02)
    block(speaker)
    assert (old.written, new.written) == (0, BLOCK)
    block(speaker)
    assert speaker.statistics().untapped == 0, "nobody waits for what the old one would have refused"


def test_when_it_last_sounded_is_known() -> None:
    clock = Clock()
    speaker = Speaker(RATE, clock=clock)
    assert speaker.sounding_at == 0.0
    speaker.play(tone(BLOCK), starts=True)
    speaker.finish()
    sounded_at = clock.now
    for _ in range(3):
        clock.block(speaker)
    assert speaker.sounding_at == sounded_at


def test_the_level_is_the_peak_of_what_was_played_in_the_last_second_at_the_volume() -> None:
    speaker = make()
    assert speaker.level_db() == pytest.approx(-90.3, abs=0.01)
    speaker.play(tone(20, -16_384) + tone(20, 8_192), starts=True)
    assert speaker.level_db() == pytest.approx(-90.3, abs=0.01), "none of it was played yet"
    block(speaker)
    assert speaker.level_db() == pytest.approx(-6.02, abs=0.01)
    speaker.set_volume(0.5)
    assert speaker.level_db() == pytest.approx(-12.04, abs=0.01)
    block(speaker, 1000)
    assert speaker.level_db() == pytest.approx(-12.04, abs=0.01), "its end is within the second"
    block(speaker, 1000)
    assert speaker.level_db() == pytest.approx(-90.3, abs=0.01)
    speaker.set_volume(0)
    speaker.play(tone(20, 16_384), starts=True)
    block(speaker)
    assert speaker.level_db() == pytest.approx(-90.3, abs=0.01)
