"""The table for people and the JSON for machines."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
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
    def network_ms(self) -> Mapping[str, float | None]:
        """Recovery from all faults but those in which the server itself asked for patience."""
        return _spread([each for each in self._outcomes if not each.asked])

    def table(self) -> str:
        """Lines for people."""
        rows = [_row(kind, group) for kind, group in self._by_kind.items()]
        unasked = [each for each in self._outcomes if not each.asked]
        lines = [COLUMNS, *rows, _row("all", self._outcomes), _row("all but when asked to wait", unasked)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = ["  ".join(_aligned(cells, widths)).rstrip() for cells in lines]
        rule = "-" * max(map(len, text))
        text[1:1] = [rule]
        text.insert(-2, rule)
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
        resume = _spread(self._by_kind.get(RESUME_KIND, []))["p50"]
        faults, count = len(self._outcomes), self.broken
        goals = f"usable again p95 {_ms(self.network_ms['p95'])} (goal {GOAL_MS:.0f})"
        if resume is not None:
            goals += f", resume p50 {_ms(resume)} (goal {RESUME_GOAL_MS:.0f})"
        return f"{faults} faults of {len(self._by_kind)} kinds, {count} invariants broken; {goals}"

    def _json(self) -> dict[str, Any]:
        return {
            "seed": self._seed,
            "faults": len(self._outcomes),
            "kinds": {kind: _figures(group) for kind, group in self._by_kind.items()},
            "invariants_broken": self.broken,
            "broken": self._failures(),
            "recovery_ms": _spread(self._outcomes),
            "recovery_ms_unless_asked_to_wait": self.network_ms,
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


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"


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
