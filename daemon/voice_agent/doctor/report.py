"""Findings for people, one a line, and for programs, as JSON."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from voice_agent.doctor.findings import Figure, Finding, Level, exit_code

NAME_WIDTH = 13


class Skipped(NamedTuple):
    """A check that was not made."""

    name: str
    reason: str


class Examination(NamedTuple):
    """All that came of it."""

    findings: Sequence[Finding]
    skipped: Sequence[Skipped]
    seconds: float


class _FindingRecord(msgspec.Struct, frozen=True):
    name: str
    level: str
    seen: str
    remedy: str
    figures: Mapping[str, Figure]


class _SkippedRecord(msgspec.Struct, frozen=True):
    name: str
    reason: str


class _Record(msgspec.Struct, frozen=True):
    ok: bool
    exit_code: int
    seconds: float
    counts: dict[str, int]
    findings: list[_FindingRecord]
    not_checked: list[_SkippedRecord]


def line(finding: Finding) -> str:
    """``level  name  what was seen  -> remedy``, in one line, whatever a server put into its words."""
    text = f"{finding.level.value:<4}  {finding.name:<{NAME_WIDTH}}  {finding.seen}"
    whole = f"{text}  -> {finding.remedy}" if finding.remedy else text
    return "".join(each if each.isprintable() else " " for each in whole)


def closing_lines(examination: Examination) -> list[str]:
    """What was left out, and the sum."""
    left_out = [f"not checked: {each.name} ({each.reason})" for each in examination.skipped]
    counts = _counts(examination.findings)
    summary = ", ".join(f"{count} {level}" for level, count in counts.items())
    return [*left_out, f"{summary}, in {examination.seconds:.1f} s"]


def as_json(examination: Examination) -> str:
    """One JSON object; its keys are a contract."""
    code = exit_code(examination.findings)
    record = _Record(
        ok=code == 0,
        exit_code=code,
        seconds=round(examination.seconds, 3),
        counts=_counts(examination.findings),
        findings=[
            _FindingRecord(each.name, each.level.value, each.seen, each.remedy, each.figures)
            for each in examination.findings
        ],
        not_checked=[_SkippedRecord(each.name, each.reason) for each in examination.skipped],
    )
    return msgspec.json.format(msgspec.json.encode(record), indent=2).decode()


def _counts(findings: Sequence[Finding]) -> dict[str, int]:
    return {level.value: sum(each.level is level for each in findings) for level in Level}
