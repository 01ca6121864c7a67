r"""From turns and a recording to milliseconds. Where there is no exact recording there is no number.

user   __/question\_________________________/new question\____
agent  _______________/answer ..... answer\___________________
                 |---| response_ms          ^
                      ^ sounded      ^ onset ^ speech_started: the next turn began
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voice_agent.demo.chronicle import Turn
from voice_agent.demo.stage import Evidence, Recording, Span, Utterance
from voice_agent.formats import ms_to_samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VOICE = 200
"""From this amplitude (of 32767) on a synthetic user is heard; below are breath and rounding."""
MARGIN_MS = 60
"""Around an answer: what the device and the blocks on their way to it may add."""
RING_MARGIN_MS = 150
"""The same around a ring, and how late it is noticed that it began."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What an exact recording tells about one turn; ``None`` where there is nothing to tell.

    ``response_ms``: from the user's last sound to the answer's first. ``silence_ms``: from the arrival of
    ``speech_started`` to the last sounding sample of the answer that it cut. ``onset_to_silence_ms``: the
    same from the interrupter's first sound. ``lead_ms``, ``sound_ms``: from the moment at which the answer
    began, as the daemon reckons, to its first and after its last sounding sample. All of it is time of the
    recording; how long its card waited for a busy machine is not in it.
    """

    response_ms: float | None = None
    silence_ms: float | None = None
    onset_to_silence_ms: float | None = None
    lead_ms: float | None = None
    sound_ms: float | None = None


def measured(evidence: Evidence) -> dict[int, Measured]:
    """For each turn, by its number."""
    if not evidence.recording.exact:
        return {turn.number: Measured() for turn in evidence.chronicle.turns}
    return {turn.number: _measured(evidence, turn, after) for turn, after in evidence.chronicle.with_next()}


def turns_of(evidence: Evidence) -> list[list[Turn]]:
    """For each line that was said, the turns that began while it was the last one said."""
    begins = [utterance.began_s for utterance in evidence.said]
    ends = [*begins[1:], float("inf")]
    return [
        [turn for turn in evidence.chronicle.turns if begin <= turn.began_s < end]
        for begin, end in zip(begins, ends, strict=False)
    ]


def stray_samples(evidence: Evidence) -> int:
    """Sounding samples outside all answers and rings: the loudspeaker had nothing to say then."""
    import numpy as np

    recording = evidence.recording
    silent = np.ones(len(recording.agent), bool)
    for span in (*answers(evidence), *rings(evidence)):
        silent[span.begin : span.end] = False
    return int(np.count_nonzero(recording.agent[silent]))


def waited_ms(evidence: Evidence, within: Sequence[Span]) -> float:
    """For how long the card waited for the machine in these spans, all in all."""
    waits = evidence.recording.waits
    found = [wait.ms for wait in waits for span in within if span.begin <= wait.position < span.end]
    return round(sum(found), 1)


def answers(evidence: Evidence) -> list[Span]:
    """Where the answers may sound in the recording."""
    recording = evidence.recording
    margin = ms_to_samples(MARGIN_MS, recording.rate)
    return [
        Span(recording.position(turn.sounded_s) - margin, recording.position(turn.ended_s) + margin)
        for turn in evidence.chronicle.turns
        if turn.sounded_s is not None and turn.ended_s is not None
    ]


def rings(evidence: Evidence) -> list[Span]:
    """Where timers may sound in the recording."""
    recording = evidence.recording
    margin = ms_to_samples(RING_MARGIN_MS, recording.rate)
    last = len(recording.agent)
    ends = [last if ring.ended_s is None else recording.position(ring.ended_s) for ring in evidence.rang]
    return [
        Span(recording.position(ring.began_s) - margin, end + margin)
        for ring, end in zip(evidence.rang, ends, strict=True)
    ]


def sounding(samples: "NDArray[np.int16]", within: Span, floor: int = 0) -> Span | None:
    """From the first to after the last sample louder than ``floor``; ``None`` if all is quiet."""
    import numpy as np

    begin = max(within.begin, 0)
    loud = np.flatnonzero(np.abs(samples[begin : max(within.end, begin)].astype(np.int32)) > floor)
    return Span(begin + int(loud[0]), begin + int(loud[-1]) + 1) if len(loud) else None


def _measured(evidence: Evidence, turn: Turn, after: Turn | None) -> Measured:
    recording = evidence.recording
    if turn.sounded_s is None:
        return Measured()
    begins = recording.position(turn.sounded_s)
    sound = sounding(recording.agent, Span(begins, _limit(evidence, turn, after)))
    if sound is None:
        return Measured()
    question = _voice(evidence, turn)
    interrupter = _voice(evidence, after) if turn.interrupted else None
    cut_at = recording.position(after.began_s) if turn.interrupted and after else None
    return Measured(
        response_ms=_between(recording, question and question.end, sound.begin),
        silence_ms=_between(recording, cut_at, max(sound.end, cut_at or 0)),
        onset_to_silence_ms=_between(recording, interrupter and interrupter.begin, sound.end),
        lead_ms=_between(recording, begins, sound.begin),
        sound_ms=_between(recording, begins, sound.end),
    )


def _limit(evidence: Evidence, turn: Turn, after: Turn | None) -> int:
    """Where the next answer may begin, at the earliest, or a timer."""
    recording = evidence.recording
    last = len(recording.agent)
    if after is not None and after.stopped_s is not None:
        last = recording.position(after.stopped_s)
    begins = recording.position(turn.ended_s or turn.began_s)
    return min([last, *(ring.begin for ring in rings(evidence) if ring.begin > begins)])


def _voice(evidence: Evidence, turn: Turn | None) -> Span | None:
    """Where the user sounds in the line that began this turn."""
    spoken = [utterance for utterance in evidence.said if turn and utterance.began_s <= turn.began_s]
    if not spoken:
        return None
    return sounding(evidence.recording.user, _span(spoken[-1]), VOICE)


def _span(utterance: Utterance) -> Span:
    return Span(utterance.begin, utterance.end)


def _between(recording: Recording, begin: int | None, end: int) -> float | None:
    return None if begin is None else round((end - begin) * 1000 / recording.rate, 1)
