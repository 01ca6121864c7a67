"""The daemon in the emulated machine: configured, started, read and ended."""

import asyncio
import json
from collections.abc import Callable
from datetime import datetime
from time import monotonic
from typing import NamedTuple

from tests.device.image import WHERE
from tests.device.machine import Machine

CONFIG = "/etc/voice-agent.toml"
LOG = "daemon"
METRICS = "http://127.0.0.1:9477/metrics"
LOOK_S = 0.2

SETTINGS = """\
[provider]
kind = "custom"
url = "{url}"
insecure = true
[audio]
echo = "off"
[audio.input]
device = "{microphone}"
[audio.output]
device = "{loudspeaker}"
block_ms = 20 # when this machine stands still for a moment, the emulated one's clock leaps
[cues]
enabled = false
[log]
level = "debug"
format = "json"
"""


class NotSeen(Exception):
    """What should have happened did not; the text says what, and how the log ends."""


class Line(NamedTuple):
    """A line of the log. ``at``: in the machine's monotonic seconds."""

    at: float
    message: str
    extras: dict[str, object]


class Daemon:
    """One process, from ``start`` to ``stop``."""

    def __init__(self, machine: Machine, offset: float) -> None:
        self._machine = machine
        self._offset = offset

    @classmethod
    async def start(cls, machine: Machine, url: str, *, microphone: str, loudspeaker: str) -> "Daemon":
        """Start it with these devices."""
        settings = SETTINGS.format(url=url, microphone=microphone, loudspeaker=loudspeaker)
        await machine.write(CONFIG, settings)
        command = ("python3", "-m", "voice_agent", "run", "--config", CONFIG)
        environ = {"PYTHONPATH": f"/{WHERE}", "STATE_DIRECTORY": "/var/lib/voice-agent"}
        await machine.start(LOG, *command, environ=environ)
        return cls(machine, await machine.wall_offset())

    async def stop(self) -> int:
        """Its exit code."""
        return await self._machine.stop(LOG)

    async def lines(self) -> list[Line]:
        """The log so far."""
        text = (await self._machine.read(f"/var/log/{LOG}")).decode(errors="replace")
        return [line for text_line in text.splitlines() if (line := self._line(text_line))]

    async def _tail(self) -> str:
        lines = (await self.lines())[-12:]
        return "\n".join(f"    {line.at:8.2f} {line.message} {line.extras}" for line in lines)

    async def until(
        self, what: str, condition: Callable[[Line], bool], *, since: float = 0.0, patience_s: float = 90.0
    ) -> Line:
        """The first line that fulfils the condition, not before ``since``. Raises NotSeen."""
        deadline = monotonic() + patience_s
        while True:
            lines = await self.lines()
            found = next((line for line in lines if line.at >= since and condition(line)), None)
            if found:
                return found
            if monotonic() > deadline or await self._machine.has_ended(LOG):
                raise NotSeen(f"{what}: not seen; the log ends:\n{await self._tail()}")
            await asyncio.sleep(LOOK_S)

    async def figures(self) -> dict[str, float]:
        """Its metrics, by name and labels as they are written."""
        text = await self._machine.fetch(METRICS)
        rows = [line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#")]
        return {name.removeprefix("voice_agent_"): float(value) for name, _, value in rows}

    def _line(self, text: str) -> Line | None:
        if not text.startswith("{"):
            return None
        entry = json.loads(text)
        wall_s = datetime.fromisoformat(entry.pop("time")).timestamp()
        return Line(wall_s - self._offset, str(entry.pop("message")), entry)
