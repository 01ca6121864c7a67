"""The wall clock: the daemon does not trust it, but certificates do.

The one module here that reads it, since it is what is being judged.
"""

import ctypes
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime

from voice_agent.doctor.case import Case
from voice_agent.doctor.findings import Finding, fail, ok, warn

WRITTEN = date(2026, 11, 1)
"""No clock that shows an earlier day is right: this line is older. Moved up with each release."""
LAST_YEAR = 2099
"""Beyond the validity of every certificate in use."""
SKEW_WARN = timedelta(minutes=2)
SKEW_FAIL = timedelta(days=1)

TIME_ERROR = 5
"""What adjtimex(2) returns while nobody synchronises the clock."""
TIMEX_BYTES = 512
"""More than any architecture's ``struct timex``; zeros ask for nothing to be changed."""

REMEDY = "let it be synchronised: timedatectl set-ntp true, and see `timedatectl timesync-status`"


def now() -> datetime:
    """What this machine believes."""
    return datetime.now(UTC)


def is_synchronised() -> bool | None:
    """The kernel's word, which every NTP client sets; None where there is no such call."""
    try:
        libc = ctypes.CDLL(None)
        return bool(libc.adjtimex(ctypes.create_string_buffer(TIMEX_BYTES)) != TIME_ERROR)
    except (OSError, AttributeError):
        return None


async def clock(_case: Case) -> Sequence[Finding]:
    """It shows a day that can be, and somebody keeps it right."""
    return [judged_clock(now(), is_synchronised())]


def judged_clock(shown: datetime, synchronised: bool | None) -> Finding:
    """What to think of a clock that shows this."""
    seen = f"it shows {shown:%Y-%m-%d %H:%M} UTC"
    if shown.date() < WRITTEN:
        seen += f", but this program was written on {WRITTEN} or later"
        return fail("clock", seen, REMEDY, synchronised=synchronised)
    if shown.year > LAST_YEAR:
        return fail("clock", f"{seen}, which cannot be", REMEDY, synchronised=synchronised)
    if synchronised is False:
        return warn("clock", f"{seen}; nobody synchronises it", REMEDY, synchronised=False)
    known = "synchronised" if synchronised else "whether it is synchronised is not known here"
    return ok("clock", f"{seen}, {known}", synchronised=synchronised)


def skew_s(date_header: str, shown: datetime) -> float | None:
    """How far our clock is ahead of the one that wrote an HTTP ``Date``, in seconds (RFC 9110, 6.6.1)."""
    try:
        theirs = parsedate_to_datetime(date_header)
    except (ValueError, TypeError, OverflowError):
        return None
    theirs = theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC)
    return (shown - theirs).total_seconds()
