"""A wall clock that jumps, for one process: what a device has before, and when, it first learns the time."""

import struct
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")


class WallClock:
    """The clock of every process started with ``environment``; it begins right."""

    def __init__(self, directory: Path) -> None:
        self._library = directory / "wall_clock.so"
        self._file = directory / "wall_clock.offset"
        self._offset_s = 0
        self.move(0)
        command = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", str(self._library)]
        subprocess.run([*command, str(SOURCE)], check=True, timeout=60)

    def environment(self) -> dict[str, str]:
        """What the process needs in its environment when it starts."""
        return {"LD_PRELOAD": str(self._library), "WALL_CLOCK_OFFSET": str(self._file), "TZ": "UTC"}

    def move(self, offset_s: int) -> None:
        """Be this many seconds ahead of the true time from now on."""
        self._offset_s = offset_s
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(struct.pack("=q", offset_s))  # in place: the process has mapped it

    def set(self, time: datetime) -> None:
        """Show this time now."""
        self.move(round((time - datetime.now(UTC)).total_seconds()))

    def now(self) -> datetime:
        """What the process believes."""
        return datetime.now(UTC) + timedelta(seconds=self._offset_s)
