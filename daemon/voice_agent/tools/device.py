"""The tools with which a person asks the device about itself, quiets it, and takes leave of it."""

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple, NoReturn, Protocol

from voice_agent.dialogue import Manners, Reply
from voice_agent.errors import ToolError
from voice_agent.tools.base import Arguments, Tool
from voice_agent.tools.machine import figures
from voice_agent.tools.volume import Loudness

NOTHING = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
"""No arguments."""

AT_ONCE = Manners(parallel=False, cancellable=False)
"""What is done before anybody could think better of it."""


class Said(NamedTuple):
    """What a person has heard of an answer. ``cut``: there was more."""

    text: str
    cut: bool


class Device(Loudness, Protocol):
    """What tools may do with the device."""

    def mute(self) -> str:
        """Close the microphone; how to open it again. Raises ``ToolError`` if nothing could."""

    def stop(self) -> None:
        """Be quiet, whatever sounds."""

    def last_answer(self) -> Said | None:
        """The answer before the present one, if any is remembered."""

    def status(self) -> Mapping[str, object]:
        """How it is, as a flat JSON object of few plain facts."""

    def end(self) -> str:
        """Close the session once all is said; how to begin another. Raises ``ToolError`` if there is none."""


class Elsewhere:
    """No device, for those who only want to know which tools there are: each refuses."""

    @property
    def volume(self) -> int:
        """Nobody knows."""
        return _refuse()

    def set_volume(self, _level: int) -> int:
        """Not from here."""
        return _refuse()

    def mute(self) -> str:
        """Not from here."""
        return _refuse()

    def stop(self) -> None:
        """Not from here."""
        _refuse()

    def last_answer(self) -> Said | None:
        """Not from here."""
        return _refuse()

    def status(self) -> Mapping[str, object]:
        """Not from here."""
        return _refuse()

    def end(self) -> str:
        """Not from here."""
        return _refuse()


def _refuse() -> NoReturn:
    raise ToolError("this works only inside the running daemon")


def device_tools(device: Device, machine: Callable[[], Mapping[str, object]] = figures) -> tuple[Tool, ...]:
    """All of them. ``machine`` tells the kernel's figures, and may block."""

    async def mute(_: Arguments) -> Mapping[str, object]:
        return {"unmute_by": device.mute(), "muted": True}

    async def stop(_: Arguments) -> Mapping[str, object]:
        device.stop()
        return {"stopped": True}

    async def repeat(_: Arguments) -> Mapping[str, object]:
        if (said := device.last_answer()) is None:
            raise ToolError("nothing has been said yet")
        return {"text": said.text, **({"cut_off": True} if said.cut else {})}

    async def status(_: Arguments) -> Mapping[str, object]:
        return {**device.status(), **await asyncio.to_thread(machine)}

    async def end(_: Arguments) -> Mapping[str, object]:
        return {"ends_when_quiet": True, "begin_again_by": device.end()}

    return (
        Tool(
            "mute_microphone",
            "Stop listening. The user cannot undo this by voice: tell how the microphone is unmuted.",
            NOTHING,
            mute,
            AT_ONCE,
        ),
        Tool(
            "stop",
            "Be quiet at once; also ends a ringing timer or alarm. Say nothing more.",
            NOTHING,
            stop,
            Manners(parallel=False, reply=Reply.NEVER, cancellable=False),
        ),
        Tool("repeat_answer", "The words of your last answer, to say them again.", NOTHING, repeat),
        Tool(
            "get_device_status",
            "How this device is: its connection, microphone, loudspeaker, volume and temperature.",
            NOTHING,
            status,
        ),
        Tool(
            "end_conversation",
            "The user takes leave: say goodbye, then listen no more until somebody speaks again.",
            NOTHING,
            end,
            Manners(parallel=False, reply=Reply.IF_SILENT, cancellable=False),
        ),
    )
