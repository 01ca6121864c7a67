"""What a person sees: progress before, a timeline during, a summary after the conversation.

    time     who     what
      3.7 s  user    What is the weather in Moscow?
      3.8 s  tool    get_weather {"city":"Moscow"} -> ok in 9 ms
      3.9 s  agent   begins to answer, 194 ms after the user's turn ended

Colours only on a terminal, and not if NO_COLOR is set (no-color.org).
"""

import os
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from textwrap import shorten, wrap
from typing import TextIO

from voice_agent.demo.chronicle import BENIGN
from voice_agent.demo.summary import Summary, TurnSummary
from voice_agent.dialogue import (
    AgentSaid,
    AnswerFailed,
    Fact,
    FirstSound,
    ServerFault,
    Silenced,
    ToolAnswered,
    ToolCalled,
    UserSaid,
)

WIDTH = 96
COLOURS = {"user": "36", "agent": "32", "tool": "33", "cut": "35", "fault": "31", "dim": "2", "bold": "1"}
"""SGR codes (ECMA-48)."""


class Screen:
    """Prints on ``out``."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._colourful = out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._zero_s = 0.0

    # ---------------------------------------------------------------------------------- beforehand

    def line(self, text: str = "", style: str = "") -> None:
        """Any line."""
        print(self._painted(text, style), file=self._out, flush=True)

    def progress(self, what: str, text: str) -> None:
        """Something that took place before the conversation."""
        self.line(f"  {self._painted(f'{what:<9}', 'dim')} {text}")

    def note(self, text: str) -> None:
        """Something that a person ought to know, however long."""
        for line in wrap(text, WIDTH - 2):
            self.line(f"  {line}")

    # -------------------------------------------------------------------------------- the timeline

    def begin(self, zero_s: float) -> None:
        """The timeline's head; its zero in monotonic seconds."""
        self._zero_s = zero_s
        self.line()
        self.line(f"  {'time':>7}  {'who':<6} what", "bold")

    def show(self, fact: Fact, at_s: float) -> None:
        """One fact, as one line or none."""
        match fact:
            case UserSaid(text=text):
                self._row(at_s, "user", text)
            case FirstSound(seconds=seconds):
                self._row(
                    at_s, "agent", self._painted(f"... begins to answer after {seconds * 1000:.0f} ms", "dim")
                )
            case AgentSaid(text=text, heard_ms=heard, sent_ms=sent):
                self._row(
                    at_s, "agent", f"{shorten(text, WIDTH - 30)}  {self._painted(_heard(heard, sent), 'dim')}"
                )
            case Silenced(heard_ms=heard):
                self._row(at_s, "cut", f"the user interrupts: silence; {heard} ms had been heard")
            case ToolCalled(name=name, arguments=arguments, here=here):
                self._row(at_s, "tool", f"{name} {arguments}" + ("" if here else " (on the server)"))
            case ToolAnswered(name=name, seconds=seconds):
                self._row(
                    at_s, "tool", f"{name} {'answered' if fact.ok else 'failed'} in {seconds * 1000:.0f} ms"
                )
            case AnswerFailed(status=status, reason=reason):
                self._row(at_s, "fault", f"no answer: {status} {reason}")
            case ServerFault(kind=kind, code=code, message=message) if kind != BENIGN:
                self._row(at_s, "fault", f"the server complains: {code} {message}")

    def _row(self, at_s: float, who: str, what: str) -> None:
        name = {"cut": "user", "fault": "fault"}.get(who, who)
        self.line(f"  {at_s - self._zero_s:5.1f} s  {self._painted(f'{name:<6}', who)} {what}")

    # ---------------------------------------------------------------------------------- afterwards

    def summarise(self, summary: Summary) -> None:
        """The table of turns, the figures, the verdict."""
        self.line()
        head = f"  {'turn':>4}  {'user':<34} {'first audio':>11} {'heard':>8}   tools and remarks"
        self.line(head, "bold")
        for number, turn in enumerate(summary.turns, 1):
            first = f"{turn.first_audio_ms} ms" if turn.first_audio_ms is not None else "-"
            user = shorten(turn.user, 34, placeholder="...")
            heard = f"{turn.heard_ms / 1000:.1f} s"
            self.line(f"  {number:>4}  {user:<34} {first:>11} {heard:>8}   {_remarks(turn)}")
        self.line()
        for name, figure in _figures(summary):
            self.line(f"  {self._label(name)} {figure}")
        self._verdict(summary)

    def files(self, directory: Path) -> None:
        """Where everything is."""
        names = "conversation.wav room.wav timeline.png summary.json"
        self.line(f"  {self._label('files')} {directory}/: {names}")

    def _verdict(self, summary: Summary) -> None:
        unmet = [expectation for expectation in summary.expectations if not expectation.met]
        count = len(summary.expectations)
        met = f"{count - len(unmet)} of {count} met"
        self.line(f"  {self._label('expected')} {self._painted(met, 'fault' if unmet else 'agent')}")
        for expectation in unmet:
            self.line(f"  {self._painted('not met:', 'fault')} {expectation.name} ({expectation.reason})")

    def _label(self, name: str) -> str:
        return self._painted(f"{name:<12}", "dim")

    def _painted(self, text: str, style: str) -> str:
        if not self._colourful or style not in COLOURS:
            return text
        return f"\x1b[{COLOURS[style]}m{text}\x1b[0m"


def _heard(heard_ms: int, sent_ms: int) -> str:
    whole = f"({heard_ms / 1000:.1f} s)"
    return whole if heard_ms >= sent_ms else f"(heard {heard_ms / 1000:.1f} of {sent_ms / 1000:.1f} s)"


def _remarks(turn: TurnSummary) -> str:
    remarks = [f"{tool.name} {tool.ms} ms" if tool.ok else f"{tool.name} failed" for tool in turn.tools]
    if turn.interrupted:
        silence = f", silent in {turn.silence_ms:.0f} ms" if turn.silence_ms is not None else ""
        remarks.append(f"cut by the user{silence}")
    return ", ".join(remarks)


def _figures(summary: Summary) -> list[tuple[str, str]]:
    """The few numbers that matter, in words."""
    playout, uplink = summary.playout, summary.uplink
    return [
        ("first audio", _first_audio(summary.turns)),
        *(("barge-in", _barge_in(turn)) for turn in summary.turns if turn.interrupted),
        (
            "loudspeaker",
            f"{playout.gaps} gaps ({playout.gap_seconds:.3f} s), {playout.lost_samples} samples lost"
            + (f"; waited {playout.waited_ms:.0f} ms for this busy machine" if playout.waited_ms else ""),
        ),
        *_disturbance(summary),
        ("microphone", f"{uplink.lost_samples} samples lost"),
        ("recognition", summary.recognition),
    ]


def _disturbance(summary: Summary) -> list[tuple[str, str]]:
    if not summary.machine.disturbed:
        return []
    machine = summary.machine
    words = f"others used {machine.others_s:.1f} s of its processors, a hypervisor {machine.withheld_s:.1f} s"
    return [("machine", f"{words}: the card had to wait, and its milliseconds are not judged")]


def _first_audio(turns: Sequence[TurnSummary]) -> str:
    first = [turn.first_audio_ms for turn in turns if turn.first_audio_ms is not None]
    if not first:
        return "there was none"
    text = f"median {median(first):.0f} ms, worst {max(first)} ms after the end of the turn"
    response = [turn.response_ms for turn in turns if turn.response_ms is not None]
    return text + (f"; in the room {median(response):.0f} ms after the last word" if response else "")


def _barge_in(turn: TurnSummary) -> str:
    heard = f"{turn.heard_ms} ms of {turn.sent_ms} ms were heard, and the server knows"
    if turn.silence_ms is None or turn.onset_to_silence_ms is None:
        return heard
    return (
        f"silent {turn.silence_ms:.0f} ms after speech_started ({turn.onset_to_silence_ms:.0f} ms after the"
        f" first sound); {heard}"
    )


def headline(summary: Summary) -> str:
    """The conversation in one line."""
    silent = [turn.silence_ms for turn in summary.turns if turn.silence_ms is not None]
    parts = [
        f"voice-agent demo ({summary.speech}, {summary.mode})",
        f"first audio {_first_audio(summary.turns).partition(' after')[0]}",
        *([f"barge-in silent in {max(silent):.0f} ms"] if silent else []),
        f"{summary.playout.gaps} gaps",
        f"{summary.playout.lost_samples + summary.uplink.lost_samples} samples lost",
    ]
    return "  |  ".join(parts)
