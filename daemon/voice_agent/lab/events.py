"""``events.log``: what the virtual card wrote down about itself."""

from pathlib import Path
from typing import NamedTuple


class CardEvent(NamedTuple):
    """One line of ``events.log``: what happened to a direction of the card, and when."""

    monotonic_ns: int
    virtual_ns: int
    direction: str
    """``speaker`` or ``mic``."""
    event: str
    """``open setup start stop xrun close``; of the microphone also ``speech`` and ``quiet``, and of the
    loudspeaker ``held`` for each 5 ms that an elastic clock has waited."""
    position: int
    """Samples of that direction's recording."""
    rate: int
    """Hz; 0 before the first set-up."""
    held_ms: float
    """How long the elastic clock has waited so far."""


def read_events(log: Path) -> list[CardEvent]:
    """All complete lines so far, oldest first; none if there is no log yet."""
    if not log.exists():
        return []
    return [_event(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]


def _event(line: str) -> CardEvent:
    monotonic_ns, virtual_ns, direction, event, position, rate, held_ms = line.split()
    return CardEvent(
        int(monotonic_ns), int(virtual_ns), direction, event, int(position), int(rate), float(held_ms)
    )
