"""The speaker's chimes: sounds that are no part of a conversation, and the first to go."""

from voice_agent.audio.pcm import samples_in
from voice_agent.audio.speaker import Speaker

RATE = 1000  # one sample is one millisecond
BLOCK = 10


def tone(count: int, value: int) -> bytes:
    return value.to_bytes(2, "little") * count


def block(speaker: Speaker, count: int = BLOCK) -> list[int]:
    pcm, _ = speaker.callback(None, count, {}, 0)
    assert pcm is not None
    return samples_in(pcm).tolist()


def test_a_chime_sounds_in_a_silent_room() -> None:
    speaker = Speaker(RATE)
    speaker.chime(tone(15, 7))
    assert block(speaker) + block(speaker) == [7] * 15 + [0] * 5


def test_a_chime_is_refused_while_anything_is_still_to_be_heard() -> None:
    speaker = Speaker(RATE)
    speaker.set_latency(20)
    speaker.play(tone(10, 5), starts=True)
    speaker.finish()
    heard = []
    for _ in range(3):
        speaker.chime(tone(10, 7))
        heard += block(speaker)
    assert heard == [5] * 10 + [0] * 20, "not even while it is on its way through the device"
    block(speaker)
    speaker.chime(tone(10, 7))
    assert block(speaker) == [7] * 10


def test_an_answer_silences_a_chime_within_a_fade_and_follows_at_once() -> None:
    speaker = Speaker(RATE, fade_ms=4)
    speaker.chime(tone(1000, 8000))
    assert block(speaker) == [8000] * BLOCK
    queued = speaker.positions().queued
    speaker.play(tone(6, 5), starts=True)
    speaker.finish()
    assert speaker.positions().queued == queued + 6, "where the books had been told that it would stand"
    fading, answer = (after := block(speaker))[:4], after[4:]
    assert fading == [6000, 4000, 2000, 0]
    assert answer == [5] * 6
    assert speaker.statistics().gaps == 0


def test_more_of_an_answer_does_not_silence_what_came_before_it() -> None:
    speaker = Speaker(RATE)
    speaker.chime(tone(5, 7))
    block(speaker)
    speaker.play(tone(5, 5), starts=True)
    speaker.play(tone(5, 6))
    speaker.finish()
    assert block(speaker) == [5] * 5 + [6] * 5


def test_a_chime_longer_than_the_ring_does_not_spill() -> None:
    speaker = Speaker(RATE, capacity_s=0.05)
    speaker.chime(tone(80, 7))
    assert speaker.positions().queued == 50
    block(speaker)
    speaker.play(tone(5, 5), starts=True)
    speaker.finish()
    assert speaker.positions().queued == 55
    assert block(speaker)[-5:] == [5] * 5


def test_whoever_speaks_over_a_chime_silences_it_for_good() -> None:
    speaker = Speaker(RATE)
    speaker.chime(tone(100, 8000))
    block(speaker)
    speaker.hold()
    assert not speaker.held
    block(speaker)
    assert block(speaker) == [0] * BLOCK
    speaker.resume()
    assert block(speaker) == [0] * BLOCK
    speaker.play(tone(BLOCK, 5), starts=True)
    speaker.finish()
    speaker.hold()
    assert speaker.held, "an answer waits"


def test_a_tick_is_no_echo_that_anybody_would_listen_to() -> None:
    now = [100.0]
    speaker = Speaker(RATE, clock=lambda: now[0])
    speaker.chime(tone(25, 500))
    for _ in range(5):
        block(speaker)
        now[0] += 1.0
    assert speaker.sounding_at == 0
    speaker.chime(tone(120, 500))
    block(speaker)
    assert speaker.sounding_at == 105.0
    now[0] = 200.0
    for _ in range(20):
        block(speaker)
    speaker.chime(tone(25, 500))
    speaker.play(tone(BLOCK, 5), starts=True)
    speaker.finish()
    now[0] = 300.0
    block(speaker)
    assert speaker.sounding_at == 300.0, "an answer counts, whatever it follows"
