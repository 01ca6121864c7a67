"""What an examination brings to light: findings, each with a level, what was seen and what would cure it."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Figure = float | str | bool | None
Figures = Mapping[str, Figure]


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    """The daemon runs, but worse than it could."""
    FAIL = "fail"
    """Nobody can talk to it like this."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``figures``: what was measured, with units in the names."""

    name: str
    level: Level
    seen: str
    remedy: str = ""
    figures: Figures = field(default_factory=dict)


def ok(name: str, seen: str, **figures: Figure) -> Finding:
    """It is as it should be."""
    return Finding(name, Level.OK, seen, "", figures)


def warn(name: str, seen: str, remedy: str, **figures: Figure) -> Finding:
    """It works, but somebody should know."""
    return Finding(name, Level.WARN, seen, remedy, figures)


def fail(name: str, seen: str, remedy: str, **figures: Figure) -> Finding:
    """It does not work."""
    return Finding(name, Level.FAIL, seen, remedy, figures)


class NotChecked(Exception):
    """A check makes no sense here; the text says why. Neither good nor bad."""


FOR_AN_EDITOR = frozenset({"config", "credentials"})
"""What an edit cures, and nothing else."""


def exit_code(findings: Iterable[Finding]) -> int:
    """0 without a failure; 78 if configuration or key are to be mended first; 69 for all else."""
    failed = {finding.name for finding in findings if finding.level is Level.FAIL}
    if failed & FOR_AN_EDITOR:
        return os.EX_CONFIG
    return os.EX_UNAVAILABLE if failed else os.EX_OK
