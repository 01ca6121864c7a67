"""What this machine was denied while the conversation ran."""

import os
from pathlib import Path

STAT = Path("/proc/stat")
STEAL = 8
"""Column of proc(5)'s ``cpu`` line: ticks in which a virtual processor wanted to run and was not let."""


def withheld_s(stat: Path = STAT) -> float:
    """Processor seconds that a hypervisor has kept from this machine since it started; 0 on real hardware."""
    try:
        columns = stat.read_text().splitlines()[0].split()
        return int(columns[STEAL]) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return 0.0
