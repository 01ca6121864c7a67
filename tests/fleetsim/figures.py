"""What a run measures: plain numbers, in bytes, seconds and cores unless their names say otherwise."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """What the Prometheus of the fleet took. ``memory_bytes``: the most; ``empty_bytes``: at its start."""

    memory_bytes: int
    empty_bytes: int
    series: int
    samples_s: float
    cpu_cores: float
    wal_bytes_s: int
    sample_wal_bytes: float
    waited: float
    """Share of the time in which it had work and no core: what is more than a little is the machine's."""

    @property
    def series_bytes(self) -> float:
        """Memory that one series takes."""
        return (self.memory_bytes - self.empty_bytes) / max(self.series, 1)

    @property
    def sample_cpu_us(self) -> float:
        """Of a core, for a sample: scraping, storing, and the rules' share."""
        return self.cpu_cores * 1e6 / max(self.samples_s, 1)


@dataclass(frozen=True)
class Scrapes:
    """How the fleet looked from there; series of one device, durations, and that it lived."""

    series_mean: float
    series_max: int
    p50_ms: float
    p99_ms: float
    targets_up: int
    targets_were_down: int
    restarts: int
    turns: int


@dataclass(frozen=True)
class Rules:
    """What the recording rules and alerts took; ``evaluation_ms``: all groups once."""

    groups: int
    rules: int
    evaluation_ms: float
    slowest_group_ms: float
    failures: int
    missed: int
    """Evaluations that were due before the last one had ended."""
    device_series: int
    """Recorded for single devices ..."""
    fleet_series: int
    """... and for sites and fleets."""
    alerts: dict[str, int]
    """Of those that fire, how many by name."""


@dataclass(frozen=True)
class Agent:
    """A Prometheus in agent mode on one device; what it sends for each scrape, and is answered, with HTTP."""

    interval_s: float
    memory_bytes: int
    cpu_cores: float
    scrape_bytes: int
    answer_bytes: int
    series: int
    stored_bytes: int

    @property
    def up_bytes_s(self) -> float:
        """Over its uplink."""
        return self.scrape_bytes / self.interval_s


@dataclass(frozen=True)
class Figures:
    """All of a run."""

    devices: int
    minutes: float
    interval_s: int
    page_bytes: int
    cost: Cost
    scrapes: Scrapes
    rules: Rules
    agent: Agent
    queries_ms: list[float]
    memory_trace: list[tuple[float, int]]


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which this share of ``values`` lies; 0 of none."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0
