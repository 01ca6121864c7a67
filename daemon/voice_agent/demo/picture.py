"""The conversation as a picture: both sides over the seconds, and what passed between them.

words of the user, above the turn that they began
~~~ the user's waveform ~~~
tool calls, and how long the user waited for the first sound
~~~ the agent's waveform ~~~
words of the agent, below the answer in which they stand
"""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

from voice_agent.demo.chronicle import Turn
from voice_agent.demo.measure import Measured, measured
from voice_agent.demo.stage import Evidence, Recording

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

USER, AGENT, TOOL, CUT, INK = "#2563a8", "#1f7a4d", "#a86a00", "#c0262d", "#333333"
INCHES, DPI = (16.0, 6.2), 100
INCHES_PER_S = 0.16
"""A long conversation makes a wide picture, up to ``WIDEST`` inches."""
WIDEST = 200.0
FONT = 8.5
CHARS_PER_INCH = 14.0
"""Of that font; Cyrillic is the wider script."""
LANE = 1.0
"""Half the height of a waveform's lane; the gap between the lanes is as high."""
USER_Y, AGENT_Y = 1.75, -1.75
TOOLS_Y, SECOND_TOOL_Y, FIRST_AUDIO_Y = 0.45, 0.08, -0.45
TOP, BOTTOM = 4.5, -4.6
ROWS = (
    (USER_Y, "user", USER),
    (TOOLS_Y, "tools", TOOL),
    (FIRST_AUDIO_Y, "first audio", INK),
    (AGENT_Y, "agent", AGENT),
)
CLEARANCE = 0.06
"""Inches between a mark and its words."""
LINES = 4
LOUDEST = 99.95
"""Percentile of the samples that fills a lane: a single click must not flatten all speech."""


def draw(path: Path, evidence: Evidence, title: str) -> None:
    """Write the picture as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    recording = evidence.recording
    seconds = max(len(recording.user), len(recording.agent), recording.rate) / recording.rate
    width = min(max(INCHES[0], seconds * INCHES_PER_S), WIDEST)
    figure = Figure(figsize=(width, INCHES[1]), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=INK)
    sheet = _Sheet(figure, recording, seconds, (width - 0.8) / seconds)
    numbers = measured(evidence)
    for turn, after in evidence.chronicle.with_next():
        sheet.turn(turn, after, numbers[turn.number])
    figure.savefig(path)


class _Sheet:
    """One pair of axes that holds everything; x in seconds, y in lanes."""

    def __init__(self, figure: "Figure", recording: Recording, seconds: float, inches_per_s: float) -> None:
        self._axes: Axes = figure.add_subplot()
        self._recording = recording
        self._seconds = seconds
        self._inches_per_s = inches_per_s
        self._labelled = {TOOLS_Y: 0.0, SECOND_TOOL_Y: 0.0}  # each row of tools, and up to where
        self._frame()
        points = int(seconds * inches_per_s * DPI)
        for samples, y, colour in ((recording.user, USER_Y, USER), (recording.agent, AGENT_Y, AGENT)):
            low, high = envelope(samples, int(seconds * recording.rate), points)
            x = [seconds * (index + 0.5) / points for index in range(points)]
            self._axes.fill_between(x, y + low * LANE, y + high * LANE, color=colour, linewidth=0.4)

    def turn(self, turn: Turn, after: Turn | None, numbers: Measured) -> None:
        """Everything about one turn."""
        begins = self._at(turn.began_s)
        ends = self._at(after.began_s) if after else self._seconds
        stopped = self._at(turn.stopped_s) if turn.stopped_s is not None else ends
        self._shade(begins, stopped, USER_Y, USER)
        self._words(begins, ends, turn.user, USER, above=True)
        self._tools(turn, after)
        if turn.sounded_s is None:
            return
        sounded, ended = self._at(turn.sounded_s), self._at(turn.ended_s or turn.sounded_s)
        self._shade(sounded, ended, AGENT_Y, AGENT)
        self._words(sounded, max(ends, ended), turn.assistant, AGENT, above=False)
        self._latency(stopped, sounded, turn)
        if turn.interrupted and after is not None:
            self._cut(self._at(after.began_s), turn, numbers)

    def _frame(self) -> None:
        axes = self._axes
        axes.set_xlim(0, self._seconds)
        axes.set_ylim(BOTTOM, TOP)
        axes.set_yticks([y for y, _, _ in ROWS], [name for _, name, _ in ROWS], fontsize=10)
        for label, (_, _, colour) in zip(axes.get_yticklabels(), ROWS, strict=True):
            label.set_color(colour)
        axes.tick_params(axis="y", length=0)
        axes.tick_params(axis="x", labelsize=FONT)
        axes.set_xlabel("seconds", fontsize=FONT)
        for side in ("top", "left", "right"):
            axes.spines[side].set_visible(False)
        for y in (USER_Y, AGENT_Y):
            axes.axhline(y, color="#cccccc", linewidth=0.6, zorder=0)

    def _at(self, monotonic_s: float) -> float:
        return self._recording.position(monotonic_s) / self._recording.rate

    def _shade(self, begin: float, end: float, y: float, colour: str) -> None:
        self._axes.fill_between([begin, end], y - LANE, y + LANE, color=colour, alpha=0.10, linewidth=0)

    def _words(self, begin: float, end: float, text: str, colour: str, *, above: bool) -> None:
        """Those of the user stand on their lane, those of the agent hang from theirs."""
        y = USER_Y + LANE + 0.15 if above else AGENT_Y - LANE - 0.2
        x = begin + CLEARANCE / self._inches_per_s
        block = "\n".join(fitted(text, (end - begin) * self._inches_per_s))
        self._axes.text(
            x, y, block, color=colour, fontsize=FONT, va="bottom" if above else "top", clip_on=True
        )

    def _tools(self, turn: Turn, after: Turn | None) -> None:
        """Labels may reach to where the next turn's tools can stand at the earliest; names may go beyond."""
        limit = self._at(after.stopped_s) if after and after.stopped_s else self._seconds
        for use in turn.tools:
            x = self._at(use.called_s)
            y = min(self._labelled, key=lambda row: max(self._labelled[row] - x, 0.0))
            took = f"{use.seconds * 1000:.0f} ms" if use.ok and use.seconds is not None else "failed"
            call = f"{use.name} {subject(use.arguments)}".strip()
            label = called(call, took, (limit - x) * self._inches_per_s - 0.2)
            self._axes.plot([x], [y], marker="D", markersize=4.5, color=TOOL)
            self._note(x + CLEARANCE / self._inches_per_s, y, label, TOOL)
            self._labelled[y] = x + (len(label) / CHARS_PER_INCH + 0.3) / self._inches_per_s

    def _latency(self, stopped: float, sounded: float, turn: Turn) -> None:
        y = FIRST_AUDIO_Y
        self._axes.plot([stopped, sounded], [y, y], color=INK, linewidth=2.2, solid_capstyle="butt")
        self._note(sounded, y, f"{(turn.first_audio_s or 0) * 1000:.0f} ms", INK)

    def _note(self, at: float, y: float, text: str, colour: str) -> None:
        """One line to the right of a mark; the picture makes room for one at its edge."""
        x = at + CLEARANCE / self._inches_per_s
        self._axes.text(x, y, text, color=colour, fontsize=FONT, va="center", clip_on=False)

    def _cut(self, at: float, turn: Turn, numbers: Measured) -> None:
        self._axes.plot([at, at], [AGENT_Y - LANE, TOP], color=CUT, linewidth=1.4, zorder=5)
        silent = f", silent in {numbers.silence_ms:.0f} ms" if numbers.silence_ms is not None else ""
        heard = f"{turn.heard_ms / 1000:.1f} of {turn.sent_ms / 1000:.0f} s heard"
        self._note(at, TOP - 0.2, f"barge-in{silent}, {heard}", CUT)


def envelope(
    samples: "NDArray[np.int16]", length: int, points: int
) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """The lowest and the highest value of each of ``points`` stretches of ``length`` samples.

    Scaled so that loud speech reaches 1; missing samples are silence.
    """
    import numpy as np

    per_point = max(1, -(-length // points))
    padded = np.zeros(per_point * points)
    padded[: min(len(samples), len(padded))] = samples[: len(padded)]
    stretches = padded.reshape(points, per_point)
    sounding = np.abs(padded[padded != 0])
    loud = max(float(np.percentile(sounding, LOUDEST)), 1.0) if len(sounding) else 1.0
    return np.clip(stretches.min(axis=1) / loud, -1, 1), np.clip(stretches.max(axis=1) / loud, -1, 1)


def fitted(text: str, inches: float) -> Sequence[str]:
    """``text`` in a few lines of that width; what does not fit is an ellipsis."""
    width = max(int(inches * CHARS_PER_INCH), 6)
    return wrap(text, width, max_lines=LINES, placeholder=" ...")


def called(call: str, took: str, inches: float) -> str:
    """As much of a tool call, and of what it took, as has room in one line: its name has to."""
    return next(
        (text for text in (f"{call}, {took}", call) if len(text) <= inches * CHARS_PER_INCH),
        call.partition(" ")[0],
    )


def subject(arguments: str) -> str:
    """What a tool is asked about: the values of its arguments."""
    import msgspec

    try:
        values = msgspec.json.decode(arguments, type=dict[str, str | int | float | bool | None])
    except msgspec.DecodeError:
        return ""
    return ", ".join(str(value) for value in values.values())
