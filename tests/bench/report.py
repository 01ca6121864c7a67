"""The table for people and the JSON for machines."""

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.figures import Ratio, Spread
from tests.bench.rounds import Results

CPU_GOAL = 2.0
RSS_GOAL_MB = 60.0
SILENCE_GOAL_MS = 10.0
"""One block."""
FIRST_FRAME_GOAL_S = 1.0
SCRAPE_GOAL_MS = 5.0
BUSY = 1.5
"""A load average above which the figures are of the machine rather than of the daemon."""
COLUMNS = ("name", "value", "baseline", "ratio / extra", "goal", "met")


@dataclass(frozen=True)
class Row:
    """One line of the table; ``met`` is None where there is no goal."""

    name: str
    value: str
    baseline: str
    comparison: str
    goal: str = "-"
    met: bool | None = None

    def cells(self) -> tuple[str, ...]:
        """In the order of ``COLUMNS``."""
        verdict = {None: "-", True: "yes", False: "NO"}[self.met]
        return self.name, self.value, self.baseline, self.comparison, self.goal, verdict


class Report:
    """What was measured, judged. ``scrape``: seconds for a page of metrics, and for joining its lines.

    ``load``: the machine's load average before and after.
    """

    def __init__(
        self, micro: Mapping[str, Ratio], results: Results, scrape: Ratio, load: Sequence[float]
    ) -> None:
        self._micro = micro
        self._results = results
        self._scrape = scrape
        self._load = load
        self._cpu = Ratio([each.whole for each in results.daemon], [each.whole for each in results.floor])
        self._own_cpu = Ratio([each.own for each in results.daemon], [each.own for each in results.floor])
        self._rss_mb = median(results.long_answer_rss_mb)
        self._sound = Spread.of(results.daemon_delays.to_sound), Spread.of(results.bare_delays.to_sound)
        self._silence = Spread.of(results.daemon_delays.to_silence), Spread.of(results.bare_delays.to_silence)

    @property
    def rows(self) -> list[Row]:
        """The table."""
        first = self._results.first_frame_s
        return [
            self._cpu_row("cpu_s_per_audio_s", self._cpu, CPU_GOAL),
            self._cpu_row("  without the virtual card", self._own_cpu, None),
            self._rss_row(),
            _delay_row("delta_to_sound_ms", *self._sound, None),
            _delay_row("speech_started_to_silence_ms", *self._silence, SILENCE_GOAL_MS),
            Row(
                "import_to_first_frame_s",
                _span(first, "{:.2f}"),
                "-",
                "-",
                f"<= {FIRST_FRAME_GOAL_S:g} s",
                median(first) <= FIRST_FRAME_GOAL_S,
            ),
            _scrape_row(self._scrape),
            *(_micro_row(name, ratio) for name, ratio in self._micro.items()),
        ]

    def table(self) -> str:
        """Lines for people."""
        lines = [COLUMNS, *(row.cells() for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
        text.insert(1, "-" * max(map(len, text)))
        missed = [row.name.strip() for row in self.rows if row.met is False]
        text += ["", f"goals missed: {', '.join(missed)}" if missed else "every goal is met"]
        if self._load[0] > BUSY:
            load = f"{self._load[0]:.1f}"
            text.append(f"the machine was busy with other things (load {load}): run it again when it is not")
        return "\n".join(text)

    def write(self, path: Path) -> None:
        """The JSON."""
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(self._json(), indent=2) + "\n")

    def _json(self) -> dict[str, Any]:
        sound, bare_sound = self._sound
        silence, bare_silence = self._silence
        return {
            "cpu_ratio_vs_floor": round(self._cpu.median, 3),
            "cpu_s_per_audio_s": round(median(self._cpu.values), 5),
            "rss_mb": round(self._rss_mb, 1),
            "delta_to_sound_extra_ms": _rounded(sound.minus(bare_sound)),
            "speech_started_to_silence_extra_ms": _rounded(silence.minus(bare_silence)),
            "import_to_first_frame_s": round(median(self._results.first_frame_s), 3),
            "scrape_ms": _rounded(_ms(self._scrape.values)),
            "scrape_ratio_vs_joins": round(self._scrape.median, 3),
            **{name: round(ratio.median, 3) for name, ratio in self._micro.items()},
            "goals": {row.name.strip(): row.met for row in self.rows if row.met is not None},
            "details": self._details(),
        }

    def _details(self) -> dict[str, Any]:
        results = self._results
        return {
            "floor_cpu_s_per_audio_s": [each.whole for each in results.floor],
            "daemon_cpu_s_per_audio_s": [each.whole for each in results.daemon],
            "cpu_ratio_without_card": self._own_cpu.rounds,
            "floor_rss_mb": results.floor_rss_mb,
            "talking_rss_mb": results.talking_rss_mb,
            "long_answer_rss_mb": results.long_answer_rss_mb,
            "delta_to_sound_ms": {
                "daemon": _rounded(self._sound[0]),
                "bare_player": _rounded(self._sound[1]),
            },
            "speech_started_to_silence_ms": {
                "daemon": _rounded(self._silence[0]),
                "bare_player": _rounded(self._silence[1]),
            },
            "onsets": len(results.daemon_delays.to_sound),
            "first_frame_s": results.first_frame_s,
            "onsets_left_out": {
                "daemon": results.daemon_delays.starved,
                "bare_player": results.bare_delays.starved,
            },
            "micro_rounds": {name: ratio.rounds for name, ratio in self._micro.items()},
            "load": self._load,
            "python": sys.version.split()[0],
            "machine": platform.machine(),
            "cpus": os.cpu_count(),
        }

    def _cpu_row(self, name: str, cpu: Ratio, goal: float | None) -> Row:
        return Row(
            name,
            _span(cpu.values, "{:.4f}"),
            _span(cpu.baselines, "{:.4f}"),
            _span(cpu.rounds, "{:.2f}"),
            "-" if goal is None else f"ratio <= {goal:g}",
            None if goal is None else cpu.median <= goal,
        )

    def _rss_row(self) -> Row:
        results = self._results
        talking = f"{median(results.talking_rss_mb):.1f} before a long answer"
        ratio = Ratio(results.long_answer_rss_mb, results.floor_rss_mb)
        return Row(
            "rss_mb",
            f"{self._rss_mb:.1f} ({talking})",
            f"{median(results.floor_rss_mb):.1f}",
            _span(ratio.rounds, "{:.2f}"),
            f"<= {RSS_GOAL_MB:g} MB",
            self._rss_mb <= RSS_GOAL_MB,
        )


def _delay_row(name: str, ours: Spread, bare: Spread, goal_ms: float | None) -> Row:
    extra = ours.minus(bare)
    return Row(
        name,
        _three(ours),
        _three(bare),
        "extra " + _three(extra, "+"),
        "-" if goal_ms is None else f"extra <= {goal_ms:g} ms",
        None if goal_ms is None else max(extra) <= goal_ms,
    )


def _scrape_row(scrape: Ratio) -> Row:
    spread = _ms(scrape.values)
    return Row(
        "metrics_page_ms",
        _three(spread),
        _three(_ms(scrape.baselines)),
        f"{scrape.median:.1f}",
        f"p50 <= {SCRAPE_GOAL_MS:g} ms",
        spread.p50 <= SCRAPE_GOAL_MS,
    )


def _ms(seconds: Sequence[float]) -> Spread:
    return Spread.of([each * 1000 for each in seconds])


def _micro_row(name: str, ratio: Ratio) -> Row:
    return Row(
        name,
        f"{median(ratio.values) * 1e6:.2f} us",
        f"{median(ratio.baselines) * 1e6:.2f} us",
        _span(ratio.rounds, "{:.2f}"),
    )


def _span(values: Sequence[float], form: str) -> str:
    """The median, and between which values it lies."""
    middle, low, high = (form.format(each) for each in (median(values), min(values), max(values)))
    return f"{middle} ({low}-{high})"


def _three(spread: Spread, sign: str = "") -> str:
    return "p50 {:{s}.1f} p95 {:{s}.1f} max {:{s}.1f}".format(*spread, s=sign)


def _rounded(spread: Spread) -> dict[str, float]:
    return {name: round(value, 2) for name, value in spread._asdict().items()}
