"""The tool that makes the device louder or quieter when somebody asks for it."""

from collections.abc import Mapping
from typing import Protocol

from voice_agent.dialogue import Manners, Reply
from voice_agent.errors import ToolError
from voice_agent.tools.base import Arguments, Tool

PARAMETERS = {
    "type": "object",
    "properties": {
        "level": {
            "type": "integer",
            "minimum": 0,
            "maximum": 100,
            "description": "The new volume: 0 is silence, 100 is full.",
        },
        "change": {
            "type": "integer",
            "minimum": -100,
            "maximum": 100,
            "description": "How much louder (or quieter, below 0). 10 is a small step, 20 is twice as loud.",
        },
    },
    "required": [],
    "additionalProperties": False,
}
USAGE = "give either level or change"
MANNERS = Manners(parallel=False, reply=Reply.IF_SILENT, cancellable=False)
"""Two steps are two steps; whoever asked wants to hear that it worked, once."""

FULL = 100
"""Louder than answers come is for the operator, who knows the loudspeaker."""


class Loudness(Protocol):
    """The device's volume."""

    @property
    def volume(self) -> int:
        """The level now; 100 leaves answers as they come."""

    def set_volume(self, level: int) -> int:
        """Change it, as far as it goes; the new one."""


def volume_tool(device: Loudness) -> Tool:
    """``set_volume``: sets the device's volume, or changes it."""

    async def handler(arguments: Arguments) -> Mapping[str, object]:
        level, change = arguments.get("level"), arguments.get("change")
        before = device.volume
        match level, change:
            case int() | float(), None:  # JSON's 50.0 is whole, too
                wanted = round(level)
            case None, int() | float():
                wanted = before + round(change)
            case _:
                raise ToolError(USAGE)
        return {"volume": device.set_volume(max(min(wanted, max(before, FULL)), 0)), "before": before}

    about = "Set the loudspeaker's volume, or make it louder or quieter."
    return Tool("set_volume", about, PARAMETERS, handler, MANNERS)
