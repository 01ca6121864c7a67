"""What ought to be true after a conversation, and whether it is. Pure: evidence in, verdicts out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from voice_agent.demo.chronicle import BENIGN, Turn
from voice_agent.demo.measure import (
    Measured,
    answers,
    measured,
    rings,
    sounding,
    stray_samples,
    turns_of,
    waited_ms,
)
from voice_agent.demo.script import Line
from voice_agent.demo.stage import Evidence

BLOCK_MS = 10
FADE_MS = 5
SILENT_WITHIN_BLOCKS = 2
"""One block may be on its way when speech_started arrives, and one is the slack of a busy machine."""
BEARABLE = 0.05
"""A busy machine may be late for a block now and then; nothing in the daemon can help that. Beyond this share
of the speech it is an expectation not met, unless others took at least as much processor time."""
SENTENCE_PAUSE_MS = 700
"""Synthesised speech begins and ends with up to this much silence."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """Something that ought to be. ``reason``: what was seen instead; empty if it is met."""

    name: str
    met: bool
    reason: str = ""


def judged(evidence: Evidence, lines: Sequence[Line]) -> list[Expectation]:
    """All expectations; ``lines`` is empty when a person was talking."""
    found = list(_of_audio(evidence))
    if lines:
        found = [*_of_script(evidence, lines), *_of_recording(evidence), *found]
    return found


def disturbed(evidence: Evidence) -> bool:
    """Whether others, and not the daemon, must be blamed for what the card had to wait for.

    What is measured in milliseconds of the recording is then not judged: it would judge the neighbours.
    """
    late_ms = waited_ms(evidence, answers(evidence))
    return late_ms > _bearable_ms(evidence) and sum(evidence.denied) * 1000 >= late_ms


def _bearable_ms(evidence: Evidence) -> float:
    return BEARABLE * sum(turn.heard_ms for turn in evidence.chronicle.turns)


def silence_bound_ms(latency_ms: float) -> float:
    """The longest that an interrupted answer may go on sounding: device, blocks, fade."""
    return latency_ms + SILENT_WITHIN_BLOCKS * BLOCK_MS + FADE_MS


def _expect(name: str, reasons: Sequence[str]) -> Expectation:
    return Expectation(name, not reasons, "; ".join(reasons))


# -------------------------------------------------------------------------------------- the script


def _of_script(evidence: Evidence, lines: Sequence[Line]) -> Iterator[Expectation]:
    numbers = measured(evidence)
    turns = turns_of(evidence)
    for index, line in enumerate(lines):
        if index >= len(turns) or len(turns[index]) != 1:
            count = len(turns[index]) if index < len(turns) else 0
            heard = (
                f"heard as {count} turns" if index < len(turns) else "never said: the answer before failed"
            )
            yield _expect(f"{line.topic}: heard as one turn", [heard])
            continue
        [turn] = turns[index]
        yield from _of_line(line, turn)
        cuts = index + 1 < len(lines) and lines[index + 1].interrupts_after_s is not None
        yield from _of_end(line, turn, cuts=cuts)
        if line.stops_ring:
            yield _expect(
                f"{line.topic}: the timer rings, and falls silent when told", _ring_faults(evidence)
            )
        if line.ends:
            open_still = [] if evidence.ended else ["it stays open"]
            yield _expect(f"{line.topic}: the session is closed after the last word", open_still)
        if cuts and turn.interrupted and not disturbed(evidence):
            yield from _of_cut(line, turn, numbers[turn.number], evidence.latency_ms)


def _of_line(line: Line, turn: Turn) -> Iterator[Expectation]:
    missing = [word for word in line.words if word not in turn.user.casefold()]
    yield _expect(
        f"{line.topic}: understood", [f"{', '.join(missing)} missing in {turn.user!r}"] if missing else []
    )
    if line.calls:
        names = " and ".join(call.tool for call in line.calls)
        yield _expect(f"{line.topic}: {names} called in one answer", list(_call_faults(line, turn)))
    unsaid = [words for words in line.answer if words not in turn.assistant.casefold()]
    answered = [f"{', '.join(unsaid)} missing in {turn.assistant!r}"] if unsaid else []
    yield _expect(f"{line.topic}: answered", [turn.failure] if turn.failure else answered)


def _call_faults(line: Line, turn: Turn) -> Iterator[str]:
    rest = list(turn.tools)
    for wanted in line.calls:
        use = next((u for u in rest if u.name == wanted.tool and wanted.about in u.arguments), None)
        if use is None:
            yield f"no {wanted.tool} about {wanted.about}"
            continue
        rest.remove(use)
        if not use.ok:
            yield f"{use.name} failed"
    yield from (f"{use.name} called without need" for use in rest)
    if len(turn.answers) != bool(line.answer):
        yield f"{len(turn.answers)} answers"


def _ring_faults(evidence: Evidence) -> list[str]:
    if len(evidence.rang) != 1:
        return [f"{len(evidence.rang)} rings"]
    [ring], [span] = evidence.rang, rings(evidence)
    silent = [] if sounding(evidence.recording.agent, span) else ["nothing of it in the recording"]
    return [*silent, *(["it rings to the end"] if ring.ended_s is None else [])]


def _of_end(line: Line, turn: Turn, *, cuts: bool) -> Iterator[Expectation]:
    if not cuts:
        heard = [] if turn.heard_ms == turn.sent_ms else [f"{turn.heard_ms} of {turn.sent_ms} ms"]
        yield _expect(f"{line.topic}: the whole answer heard", ["interrupted"] if turn.interrupted else heard)
        return
    yield _expect(f"{line.topic}: interrupted by the user", [] if turn.interrupted else ["never"])


def _of_cut(line: Line, turn: Turn, numbers: Measured, latency_ms: float) -> Iterator[Expectation]:
    bound_ms = silence_bound_ms(latency_ms)
    silence_ms = numbers.silence_ms
    late = silence_ms is None or silence_ms > bound_ms
    yield _expect(
        f"{line.topic}: silent within {bound_ms:.0f} ms of speech_started",
        [f"after {silence_ms} ms"] if late else [],
    )
    told_ms, sound_ms = turn.heard_ms, numbers.sound_ms
    wrong = sound_ms is None or not -2 * BLOCK_MS <= sound_ms - told_ms <= bound_ms
    yield _expect(
        f"{line.topic}: the recording holds what the server was told was heard",
        [f"told {told_ms} ms, recorded {sound_ms} ms"] if wrong else [],
    )


# ----------------------------------------------------------------------------------- the recording


def _of_recording(evidence: Evidence) -> Iterator[Expectation]:
    numbers = measured(evidence)
    faults = []
    for turn in evidence.chronicle.turns:
        lead_ms, sound_ms = numbers[turn.number].lead_ms, numbers[turn.number].sound_ms
        if not turn.heard_ms:
            continue
        if lead_ms is None or sound_ms is None:
            faults.append(f"nothing of answer {turn.number}")
        elif lead_ms > SENTENCE_PAUSE_MS or sound_ms < turn.heard_ms - SENTENCE_PAUSE_MS:
            faults.append(f"answer {turn.number}: {lead_ms} to {sound_ms} of {turn.heard_ms} ms")
    yield _expect("every answer's sound is in the recording", faults)
    yield _expect(
        "the loudspeaker sounds as it was told to, sample by sample",
        [] if evidence.faithful else ["something else is in the recording"],
    )
    stray = stray_samples(evidence)
    yield _expect(
        "between the answers the loudspeaker is silent", [f"{stray} samples sound"] if stray else []
    )
    if disturbed(evidence):
        return
    late_ms = waited_ms(evidence, answers(evidence))
    yield _expect(
        f"the machine keeps up: the sound card waits for it for less than {BEARABLE:.0%} of the speech",
        [f"{late_ms:.0f} ms, and nothing else kept it busy"] if late_ms > _bearable_ms(evidence) else [],
    )


# ------------------------------------------------------------------------------------ any conversation


def _of_audio(evidence: Evidence) -> Iterator[Expectation]:
    speaker, microphone = evidence.statistics.speaker, evidence.statistics.microphone
    yield _expect("no gaps in the playout", [f"{speaker.gaps} gaps"] if speaker.gaps else [])
    lost = speaker.lost_samples
    yield _expect("no samples lost on the way to the loudspeaker", [f"{lost} lost"] if lost else [])
    lost = microphone.lost_samples
    yield _expect("no samples lost on the way from the microphone", [f"{lost} lost"] if lost else [])
    yield _expect("one session from beginning to end", [] if evidence.unbroken else ["it was interrupted"])
    faults = [f"{f.kind} {f.code} {f.message}" for f in evidence.chronicle.faults if f.kind != BENIGN]
    yield _expect("the server had nothing to complain about", faults)
