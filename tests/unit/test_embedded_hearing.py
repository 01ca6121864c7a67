"""Endpointing, on a detector that believes what the samples say."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from voice_agent.embedded.engines import FRAME_SAMPLES
from voice_agent.embedded.hearing import Began, Ended, Heard, Hearing, Paused, Resumed
from voice_agent.embedded.script import Decimator
from voice_agent.realtime.events import TurnDetection

FRAME_MS = 32


class TrustingVad:
    """A frame's first sample is its probability in percent."""

    def probability(self, frame: bytes) -> float:
        return int.from_bytes(frame[:2], "little") / 100


def frames(*percent: int) -> bytes:
    return b"".join(value.to_bytes(2, "little") * FRAME_SAMPLES for value in percent)


def ears(
    *, threshold: float = 0.5, prefix_ms: int = 64, silence_ms: int = 320, rate: int = 16_000
) -> Hearing:
    detection = TurnDetection(
        threshold=threshold, prefix_padding_ms=prefix_ms, silence_duration_ms=silence_ms
    )
    return Hearing(TrustingVad(), Decimator, rate, detection)


def kinds(heard: Iterable[Heard]) -> list[type]:
    return [type(each) for each in heard]


SPEECH = frames(*[0] * 10, *[90] * 5, *[0] * 12)


def test_an_utterance_begins_with_its_padding_and_ends_with_its_silence() -> None:
    began, _paused, ended = ears().feed(SPEECH)
    assert began == Began(10 * FRAME_MS - 64)
    assert isinstance(ended, Ended)
    assert ended.end_ms == (15 + 10) * FRAME_MS
    assert len(ended.pcm) == (ended.end_ms - began.start_ms) * 16 * 2


def test_the_padding_cannot_reach_before_the_first_sample() -> None:
    assert next(ears(prefix_ms=5000).feed(SPEECH)) == Began(0)


def test_one_loud_frame_is_a_click() -> None:
    assert list(ears().feed(frames(0, 90, 0, 90, 0, 90, 0))) == []


def test_between_the_thresholds_speech_goes_on_but_does_not_begin() -> None:
    assert list(ears().feed(frames(*[40] * 40))) == []
    assert kinds(ears().feed(frames(90, 90, *[40] * 40))) == [Began]
    assert kinds(ears().feed(frames(90, 90, *[34] * 40))) == [Began, Paused, Ended]


def test_the_threshold_is_the_clients() -> None:
    assert list(ears(threshold=0.95).feed(SPEECH)) == []
    assert kinds(ears(threshold=0.1).feed(frames(*[10] * 5))) == [Began]


def test_a_pause_is_offered_for_recognition_and_taken_back() -> None:
    heard = list(ears().feed(frames(*[90] * 5, *[0] * 6, *[90] * 3, *[0] * 12)))
    assert kinds(heard) == [Began, Paused, Resumed, Paused, Ended]
    first, second = (each for each in heard if isinstance(each, Paused))
    assert len(second.pcm) > len(first.pcm)


def test_a_short_patience_offers_no_pause_after_the_end() -> None:
    assert kinds(ears(silence_ms=100).feed(SPEECH)) == [Began, Ended]


def test_what_follows_the_end_in_the_same_piece_begins_the_next_utterance() -> None:
    heard = list(ears().feed(SPEECH + SPEECH))
    assert kinds(heard) == [Began, Paused, Ended] * 2
    assert heard[3] == Began((27 + 10) * FRAME_MS - 64)


def test_without_detection_everything_waits_for_the_commit() -> None:
    hearing = Hearing(TrustingVad(), Decimator, 16_000, None)
    assert list(hearing.feed(SPEECH)) == []
    assert hearing.uncommitted_ms == 27 * FRAME_MS
    assert hearing.commit() == SPEECH
    assert hearing.uncommitted_ms == 0


def test_a_commit_takes_what_was_not_judged_yet() -> None:
    hearing = ears()
    list(hearing.feed(frames(90, 90) + bytes(2 * 160)))
    assert len(hearing.commit()) == 2 * (2 * FRAME_SAMPLES + 160)
    assert hearing.uncommitted_ms == 0


def test_time_goes_on_over_commits_and_changes() -> None:
    hearing = Hearing(TrustingVad(), Decimator, 16_000, None)
    list(hearing.feed(frames(*[0] * 10)))
    hearing.commit()
    hearing.configure(8_000, TurnDetection(prefix_padding_ms=0))
    assert hearing.heard_ms == 320
    began = next(hearing.feed(b"\x5a\x00" * 256 * 4))
    assert began == Began(320)


def test_endless_noise_is_cut_into_utterances() -> None:
    hearing = ears()
    ended = [h for h in hearing.feed(frames(*[90] * 4000)) if isinstance(h, Ended)]
    assert [len(each.pcm) // 32 for each in ended] == [60_000, 60_000]


def test_manual_audio_forgets_what_is_older_than_a_minute() -> None:
    hearing = Hearing(TrustingVad(), Decimator, 16_000, None)
    list(hearing.feed(frames(*[0] * 4000)))
    assert hearing.uncommitted_ms == 60_000


@settings(max_examples=30)
@given(st.lists(st.integers(min_value=1, max_value=5000), min_size=1, max_size=30))
def test_the_size_of_pieces_does_not_matter(sizes: list[int]) -> None:
    whole = list(ears().feed(SPEECH + SPEECH))
    hearing, pieces, at = ears(), [], 0
    for size in [*sizes, len(SPEECH) * 2]:
        pieces += list(hearing.feed((SPEECH + SPEECH)[at : at + size]))
        at += size
    assert pieces == whole


@pytest.mark.parametrize("rate", [8_000, 11_025, 24_000, 44_100, 48_000])
@given(sizes=st.lists(st.integers(min_value=0, max_value=999), max_size=20))
def test_decimation_keeps_the_length_whatever_the_pieces(rate: int, sizes: list[int]) -> None:
    decimator = Decimator(rate)
    produced = sum(len(decimator.feed(bytes(2 * size))) // 2 for size in sizes)
    assert produced == -(-sum(sizes) * 16_000 // rate)


def test_unset_detection_fields_have_defaults() -> None:
    hearing = Hearing(TrustingVad(), Decimator, 16_000, TurnDetection(threshold=UNSET))
    began, _paused, ended = hearing.feed(frames(*[0] * 20, *[90] * 5, *[0] * 20))
    assert began == Began(20 * FRAME_MS - 300)
    assert isinstance(ended, Ended)
    assert ended.end_ms == (25 + 16) * FRAME_MS
