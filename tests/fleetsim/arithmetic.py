"""From what was measured to fleets of other sizes: what the engines that store their metrics need. Pure."""

from typing import NamedTuple

from tests.fleetsim.figures import Figures

FLEETS = (10, 100, 1000, 10_000, 100_000)
HEADROOM = 2.0
"""Of memory: two hours of samples, the compaction of a block, queries, and what Go has not given back yet."""
SAMPLE_BYTES = 1.5
"""On disk, if no block could be packed: between one and two are usual."""
INTERVAL_S = 30.0
"""Between scrapes, as delivered."""
RECORD_S = 60.0
"""Between evaluations of most rules."""
OF_A_TARGET = 5
"""Series that Prometheus adds to each target: whether it was up, how long it took, how much it gave."""
DAY_S = 86_400
GIB = 2**30


class Need(NamedTuple):
    """Of one fleet, in one copy. ``network_kbit``: what all uplinks send together, by remote write."""

    devices: int
    series: int
    samples_s: float
    memory_gib: float
    cpu_cores: float
    disk_gib_day: float
    network_kbit: float


def needs(found: Figures, block_sample_bytes: float | None) -> list[Need]:
    """For each size of a fleet."""
    return [_need(found, devices, block_sample_bytes or SAMPLE_BYTES) for devices in FLEETS]


def _need(found: Figures, devices: int, sample_bytes: float) -> Need:
    cost, rules = found.cost, found.rules
    recorded = (rules.device_series + rules.fleet_series) / found.devices
    scraped = found.scrapes.series_mean + OF_A_TARGET
    series = devices * cost.series / found.devices
    samples_s = devices * (scraped / INTERVAL_S + recorded / RECORD_S)
    memory = cost.empty_bytes + series * cost.series_bytes * HEADROOM
    return Need(
        devices,
        round(series),
        round(samples_s, 1),
        round(memory / GIB, 2),
        round(samples_s * cost.sample_cpu_us / 1e6, 3),
        round(samples_s * DAY_S * sample_bytes / GIB, 2),
        round(found.agent.up_bytes_s * 8 / 1000 * devices, 1),
    )
