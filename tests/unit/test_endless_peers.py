"""A peer that never comes to an end costs no more than one that does."""

from voice_agent.dialogue.answers import MAX_CHARS, Answer
from voice_agent.realtime.events import TranscriptDelta


def test_words_without_end_are_not_listened_to() -> None:
    answer = Answer(turn=1)
    for _ in range(2 * MAX_CHARS // 1000):
        answer.write(TranscriptDelta(response_id="r", item_id="i", delta="x" * 1000))
    assert len(answer.words_of("i").text) == MAX_CHARS
