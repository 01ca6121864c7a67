"""How a sound device is doing, and how loudly to say so."""

import logging
from enum import Enum, StrEnum
from typing import NamedTuple

from voice_agent.audio.names import Direction
from voice_agent.repeats import Repeats

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
        self._troubles = Repeats(log)
        self._last_told: Condition | None = None

    def tell(self, state: DeviceState) -> None:
        """Write down that this is so now."""
        fields = {"direction": self._direction.value, "device": state.device, "reason": state.reason}
        if state.rate:
            fields |= {"rate": str(state.rate), "channels": str(state.channels)}
        text, level = f"sound device {state.condition.value}", LEVELS[state.condition]
        if level == logging.WARNING:
            news = self._troubles.tell(state.condition, text, fields)
        else:
            news = state.condition is not self._last_told and level > logging.DEBUG
            log.log(level if news else logging.DEBUG, text, extra=fields)
        if news:
            self._last_told = state.condition

    def stable(self) -> None:
        """What comes now is news again."""
        self._troubles.over()
