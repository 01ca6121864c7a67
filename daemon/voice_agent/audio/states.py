"""How a sound device is doing, and how loudly to say so."""

import logging
from enum import Enum, StrEnum
from typing import NamedTuple

from voice_agent.audio.names import Direction

log = logging.getLogger(__name__)


class Condition(Enum):
    """How one direction is doing."""

    CLOSED = "closed"
    """Not opened yet, or being reopened."""
    OPEN = "open"
    """Callbacks come."""
    ABSENT = "absent"
    """No such device, or it cannot be opened."""
    FAILED = "failed"
    """It was there, and died or hung, or brings nothing but one value."""
    MUTED = "muted"
    """Closed on purpose."""


class Restart(StrEnum):
    """Why a stream that was open was closed."""

    STOPPED = "stopped"
    """Its callbacks had."""
    FLAT = "flat"
    """It brought nothing but one value."""
    RENEWED = "renewed"
    """The other direction needed a fresh PortAudio."""
    ASKED = "asked"
    """Other rates, or the supervisor."""


class DeviceState(NamedTuple):
    """One direction now."""

    condition: Condition
    device: str
    """The name found while open, the name wanted otherwise."""
    reason: str = ""
    """Why it is not open; empty while it is."""
    rate: int = 0
    """The device's, in Hz; zero while it is not open, and so for the channels."""
    channels: int = 0
    resampled: bool = False
    """Whether that is not the session's rate."""


LEVELS = {
    Condition.CLOSED: logging.DEBUG,
    Condition.OPEN: logging.INFO,
    Condition.ABSENT: logging.WARNING,
    Condition.FAILED: logging.WARNING,
    Condition.MUTED: logging.INFO,
}


class News:
    """Logs the states of one direction: a trouble once until things are stable, its end once after that."""

    def __init__(self, direction: Direction) -> None:
        self._direction = direction
        self._told: set[Condition] = set()
        self._last_told: Condition | None = None

    def tell(self, state: DeviceState) -> None:
        """Write down that this is so now."""
        fields = {"direction": self._direction.value, "device": state.device, "reason": state.reason}
        if state.rate:
            fields |= {"rate": str(state.rate), "channels": str(state.channels)}
        log.log(self._loudness(state.condition), "sound device %s", state.condition.value, extra=fields)

    def stable(self) -> None:
        """What comes now is news again."""
        self._told.clear()

    def _loudness(self, condition: Condition) -> int:
        is_open = condition is Condition.OPEN
        if self._last_told is Condition.OPEN if is_open else condition in self._told:
            return logging.DEBUG
        level = LEVELS[condition]
        if level > logging.DEBUG:
            self._told.add(condition)
            self._last_told = condition
        return level
