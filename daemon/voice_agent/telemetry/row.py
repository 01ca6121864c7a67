"""What a metric is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from voice_agent.distribution import Distribution
from voice_agent.telemetry.snapshot import Snapshot

PREFIX = "voice_agent_"
Kind = Literal["counter", "gauge", "histogram"]
Figures = float | Mapping[str, float] | Mapping[tuple[str, str], float] | None
Reading = Figures | Distribution | Mapping[str, Distribution]


@dataclass(frozen=True, slots=True)
class Row:
    """A metric. ``name`` is written without the prefix; a reading of ``None`` is left out."""

    name: str
    kind: Kind
    help: str
    read: Callable[[Snapshot], Reading]
    labels: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """The base unit, in which the name ends; empty for a plain number."""
        last = self.name.removesuffix("_total").rpartition("_")[2]
        return last if last in UNITS else ""


UNITS = ("seconds", "tokens", "hertz", "decibels")
