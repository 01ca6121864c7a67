"""``summary.json``: what a conversation came to, for programs.

Fields beyond the obvious:

* ``mode`` is ``virtual`` or ``live``; ``recognition`` says what understood the user; ``told`` means that
  nothing did: the server was told the words.
* ``turns[]``: ``heard_ms`` of the answer's ``sent_ms`` were heard, the same number that the server was told
  when the answer was interrupted. ``silence_ms``, ``onset_to_silence_ms``, ``response_ms``: see
  ``measure.Measured``; ``null`` where there is nothing to measure, as on real devices.
* ``playout.gaps`` are the daemon's: it had nothing to play in the middle of an answer. ``waited_ms`` is the
  machine's: it was late, and the virtual card's clock waited for it in the middle of an answer.
* ``machine.withheld_s``: processor seconds that a hypervisor kept from this machine meanwhile, ``others_s``
  those that programs other than the daemon and its server used. Is it ``disturbed``, so that the card waited
  for such a reason, the milliseconds of the recording are not judged.
"""

from pathlib import Path

import msgspec

from voice_agent.demo.chronicle import Turn
from voice_agent.demo.expectations import Expectation, disturbed
from voice_agent.demo.measure import Measured, answers, measured, waited_ms
from voice_agent.demo.stage import Evidence
from voice_agent.formats import samples_to_s


class ToolSummary(msgspec.Struct, frozen=True):
    """One tool call."""

    name: str
    arguments: str
    ok: bool
    ms: int | None


class TurnSummary(msgspec.Struct, frozen=True):
    """What the user said and what came of it."""

    user: str
    assistant: str
    tools: list[ToolSummary]
    first_audio_ms: int | None
    interrupted: bool
    silence_ms: float | None
    heard_ms: int
    sent_ms: int
    onset_to_silence_ms: float | None
    response_ms: float | None


class PlayoutSummary(msgspec.Struct, frozen=True):
    """The loudspeaker."""

    gaps: int
    gap_seconds: float
    lost_samples: int
    xruns: int
    waited_ms: float | None
    latency_ms: float


class UplinkSummary(msgspec.Struct, frozen=True):
    """The microphone."""

    lost_samples: int
    overflows: int


class MachineSummary(msgspec.Struct, frozen=True):
    """What it all ran on."""

    withheld_s: float
    others_s: float
    disturbed: bool


class Summary(msgspec.Struct, frozen=True):
    """The whole file."""

    ok: bool
    mode: str
    speech: str
    recognition: str
    turns: list[TurnSummary]
    playout: PlayoutSummary
    uplink: UplinkSummary
    machine: MachineSummary
    expectations: list[Expectation]


def summarised(
    evidence: Evidence, expectations: list[Expectation], *, mode: str, speech: str, recognition: str
) -> Summary:
    """The summary of a conversation."""
    numbers = measured(evidence)
    speaker, microphone = evidence.statistics.speaker, evidence.statistics.microphone
    return Summary(
        ok=all(expectation.met for expectation in expectations),
        mode=mode,
        speech=speech,
        recognition=recognition,
        turns=[_turn(turn, numbers[turn.number]) for turn in evidence.chronicle.turns],
        playout=PlayoutSummary(
            gaps=speaker.gaps,
            gap_seconds=round(samples_to_s(speaker.gap_samples, evidence.recording.rate), 3),
            lost_samples=speaker.lost_samples,
            xruns=speaker.xruns,
            waited_ms=waited_ms(evidence, answers(evidence)) if evidence.recording.exact else None,
            latency_ms=round(evidence.latency_ms, 1),
        ),
        uplink=UplinkSummary(microphone.lost_samples, microphone.overflows),
        machine=MachineSummary(
            withheld_s=round(evidence.denied.withheld_s, 2),
            others_s=round(evidence.denied.others_s, 2),
            disturbed=disturbed(evidence),
        ),
        expectations=expectations,
    )


def write_summary(path: Path, summary: Summary) -> None:
    """As indented JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n")


def _turn(turn: Turn, numbers: Measured) -> TurnSummary:
    return TurnSummary(
        user=turn.user,
        assistant=turn.assistant,
        tools=[
            ToolSummary(use.name, use.arguments, bool(use.ok), milliseconds(use.seconds))
            for use in turn.tools
        ],
        first_audio_ms=milliseconds(turn.first_audio_s),
        interrupted=turn.interrupted,
        silence_ms=numbers.silence_ms,
        heard_ms=turn.heard_ms,
        sent_ms=turn.sent_ms,
        onset_to_silence_ms=numbers.onset_to_silence_ms,
        response_ms=numbers.response_ms,
    )


def milliseconds(seconds: float | None) -> int | None:
    """Rounded; ``None`` stays."""
    return None if seconds is None else round(seconds * 1000)
