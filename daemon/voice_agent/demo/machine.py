"""What this machine was denied while the conversation ran: columns of proc(5)."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
AT_WORK = (1, 2, 3, 6, 7)
"""Of ``stat``'s line ``cpu``: user, nice, system, irq and softirq. Guests are in the first two."""
STEAL = 8
"""There, too: ticks in which a virtual processor wanted to run and was not let."""
OWN_WORK = slice(11, 13)
"""Of ``<pid>/stat``, behind the name in brackets: utime and stime."""


class Denied(NamedTuple):
    """Processor seconds since the machine started that were not ours."""

    withheld_s: float
    """A hypervisor kept them from this machine; 0 on real hardware."""
    others_s: float
    """Others used them."""

    def since(self, before: "Denied") -> "Denied":
        """What was added meanwhile."""
        return Denied(
            max(self.withheld_s - before.withheld_s, 0.0), max(self.others_s - before.others_s, 0.0)
        )


NOTHING = Denied(0.0, 0.0)


def denied(ours: Sequence[int], proc: Path = PROC) -> Denied:
    """As the kernel says; ``ours``: process ids, all of whose work is our own."""
    tick_s = 1 / os.sysconf("SC_CLK_TCK")
    try:
        columns = (proc / "stat").read_text().splitlines()[0].split()
        own = sum(_work(proc / f"{pid}" / "stat") for pid in ours)
        others = sum(int(columns[at]) for at in AT_WORK) - own
        return Denied(int(columns[STEAL]) * tick_s, others * tick_s)
    except (OSError, IndexError, ValueError):
        return NOTHING


def _work(stat: Path) -> int:
    return sum(map(int, stat.read_text().rpartition(")")[2].split()[OWN_WORK]))
