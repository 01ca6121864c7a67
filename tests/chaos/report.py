"""The table for people and the JSON for machines."""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import quantiles
from typing import Any

from tests.chaos.rounds import Outcome

GOAL_MS = 1000.0
"""Usable again after the network's return, 95th percentile."""
RESUME_KIND, RESUME_GOAL_MS = "rst", 300.0
"""Resume on loopback, median: nothing is out after a reset but the connection."""
COLUMNS = ("kind", "faults", "recovered", "p50 ms", "p95 ms", "max ms", "broken")


class Report:
    """What came of a run. ``broken``: invariants that no single fault has broken."""

    def __init__(self, seed: int, outcomes: Sequence[Outcome], broken: Sequence[str]) -> None:
        self._seed = seed
        self._outcomes = outcomes
        self._general = broken
        self._by_kind: dict[str, list[Outcome]] = defaultdict(list)
        for outcome in sorted(outcomes, key=lambda each: each.kind):
            self._by_kind[outcome.kind].append(outcome)

    @property
    def broken(self) -> int:
        """How many invariants were broken."""
        return len(self._general) + sum(len(each.broken) for each in self._outcomes)

    @property
    def p95_ms(self) -> float | None:
        """How soon 95 of 100 faults were over."""
        return _spread(self._outcomes)["p95"]

    def table(self) -> str:
        """Lines for people."""
        rows = [_row(kind, group) for kind, group in self._by_kind.items()]
        lines = [COLUMNS, *rows, _row("all", self._outcomes)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = ["  ".join(_aligned(cells, widths)).rstrip() for cells in lines]
        rule = "-" * max(map(len, text))
        text[1:1] = [rule]
        text.insert(-1, rule)
        return "\n".join([*text, "", *self._failures(), self._verdict()])

    def write(self, path: Path) -> None:
        """The JSON."""
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(self._json(), indent=2) + "\n")

    def _failures(self) -> list[str]:
        found = [
            f"#{each.index} {each.kind} ({each.phase}): {'; '.join(each.broken)}"
            f"   again: python -m tests.chaos --seed {self._seed} --only {each.index}"
            for each in self._outcomes
            if each.broken
        ]
        return [*found, *self._general]

    def _verdict(self) -> str:
        p95 = _spread(self._outcomes)["p95"]
        resume = _spread(self._by_kind.get(RESUME_KIND, []))["p50"]
        faults, count = len(self._outcomes), self.broken
        goals = f"usable again p95 {p95:.0f} ms (goal {GOAL_MS:.0f})"
        if resume is not None:
            goals += f", resume p50 {resume:.0f} ms (goal {RESUME_GOAL_MS:.0f})"
        return f"{faults} faults of {len(self._by_kind)} kinds, {count} invariants broken; {goals}"

    def _json(self) -> dict[str, Any]:
        return {
            "seed": self._seed,
            "faults": len(self._outcomes),
            "kinds": {kind: _figures(group) for kind, group in self._by_kind.items()},
            "invariants_broken": self.broken,
            "broken": self._failures(),
            "recovery_ms": _spread(self._outcomes),
            "seconds": round(sum(each.took_s for each in self._outcomes), 1),
        }


def _figures(group: Sequence[Outcome]) -> dict[str, Any]:
    return {
        "faults": len(group),
        "recovered": _recovered(group),
        "invariants_broken": sum(len(each.broken) for each in group),
        "recovery_ms": _spread(group),
    }


def _recovered(group: Sequence[Outcome]) -> int:
    return sum(each.recovery_ms is not None for each in group)


def _spread(group: Sequence[Outcome]) -> dict[str, float | None]:
    """Percentiles over those that recovered; the others count in ``recovered``."""
    times = sorted(each.recovery_ms for each in group if each.recovery_ms is not None)
    if not times:
        return {"p50": None, "p95": None, "max": None}
    cuts = quantiles(times, n=20, method="inclusive") if len(times) > 1 else times * 19
    return {"p50": round(cuts[9], 1), "p95": round(cuts[18], 1), "max": round(times[-1], 1)}


def _row(kind: str, group: Sequence[Outcome]) -> tuple[str, ...]:
    times = ["-" if each is None else f"{each:.0f}" for each in _spread(group).values()]
    broken = sum(len(each.broken) for each in group)
    return kind, str(len(group)), str(_recovered(group)), *times, str(broken or "")


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *rest = (
        cell.ljust(width) if not place else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return [first, *rest]
