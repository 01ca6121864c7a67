"""The course of an examination: one check after another, each with a limit, progress for what takes long."""

import asyncio
from collections.abc import Callable, Container, Sequence
from contextlib import suppress
from time import monotonic

from voice_agent.doctor.case import Case, Check
from voice_agent.doctor.findings import Finding, Level, NotChecked, fail
from voice_agent.doctor.report import Examination, Skipped

TELL_AFTER_S = 2.0
"""People wonder whether it hangs."""

Show = Callable[[Finding], None]
Say = Callable[[str], None]


async def examined(
    case: Case, checks: Sequence[Check], wanted: Container[str], show: Show, say: Say
) -> Examination:
    """Make ``checks`` in order; of those that are not ``wanted`` only failures count.

    ``show`` gets each finding at once, ``say`` hears what takes long.
    """
    started = monotonic()
    findings: list[Finding] = []
    skipped: list[Skipped] = []
    for check in checks:
        try:
            found = await _made(case, check, say)
        except NotChecked as reason:
            skipped.append(Skipped(check.name, str(reason)))
            continue
        for finding in found:
            if check.name in wanted or finding.level is Level.FAIL:
                findings.append(finding)
                show(finding)
    return Examination(findings, skipped, monotonic() - started)


async def _made(case: Case, check: Check, say: Say) -> Sequence[Finding]:
    if reason := case.blocked.get(check.name):
        raise NotChecked(reason)
    telling = asyncio.create_task(_tell(check, say))
    try:
        async with asyncio.timeout(check.limit_s):
            return await check.examine(case)
    except TimeoutError:
        seen = f"no result within {check.limit_s:g} s"
        return [fail(check.name, seen, "something hangs: look at the load and the log of the system")]
    finally:
        telling.cancel()
        with suppress(asyncio.CancelledError):
            await telling


async def _tell(check: Check, say: Say) -> None:
    """At once before a noise is made, otherwise only when it takes long."""
    await asyncio.sleep(0 if check.audible else TELL_AFTER_S)
    say(f"...   {check.name}: {check.doing}")
