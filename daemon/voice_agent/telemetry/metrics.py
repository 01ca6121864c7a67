"""The table of metrics in the words of Prometheus, made at scrape time. The only importer of its client.

Nothing is registered outside of the registry made here.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder, generate_latest
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from voice_agent.distribution import Distribution
from voice_agent.telemetry.row import PREFIX, Reading, Row
from voice_agent.telemetry.snapshot import Snapshot
from voice_agent.telemetry.table import ROWS


class Exposition(Collector):
    """Pages for Prometheus; ``read`` is asked for a snapshot at every scrape, on the event loop."""

    def __init__(self, read: Callable[[], Snapshot]) -> None:
        self._read = read
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)  # memory, files, start: under their usual names
        self._for_file = CollectorRegistry()
        self._for_file.register(self)
        ProcessCollector(namespace=PREFIX.rstrip("_"), registry=self._for_file)

    def page(self, accept: str) -> tuple[str, bytes]:
        """Content type and text, in the format that the header ``Accept`` asks for."""
        encode, content_type = choose_encoder(accept)
        return content_type, encode(self._registry)

    def file(self) -> bytes:
        """Text for a file that another exporter serves beside its own figures: its process is not ours."""
        return generate_latest(self._for_file)

    def describe(self) -> Iterator[Metric]:
        """Nothing: the registry would otherwise ask for a snapshot before the daemon is complete."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        """All metrics, for the registry."""
        now = self._read()
        for row in ROWS:
            yield _family(row, row.read(now))


def _family(row: Row, reading: Reading) -> Metric:
    name = PREFIX + row.name
    if row.kind == "histogram":
        return _histogram(HistogramMetricFamily(name, row.help, labels=row.labels, unit=row.unit), reading)
    kind = CounterMetricFamily if row.kind == "counter" else GaugeMetricFamily
    family = kind(name, row.help, labels=row.labels, unit=row.unit)
    for labels, value in _samples(reading):
        if not isinstance(value, Distribution):
            family.add_metric(labels, value)
    return family


def _histogram(family: HistogramMetricFamily, reading: Reading) -> HistogramMetricFamily:
    for labels, value in _samples(reading):
        if isinstance(value, Distribution):
            family.add_metric(labels, _buckets(value), value.total)
    return family


def _samples(reading: Reading) -> Iterator[tuple[list[str], float | Distribution]]:
    match reading:
        case None:
            return
        case Mapping():
            for labels, value in reading.items():
                yield [labels] if isinstance(labels, str) else list(labels), value
        case _:
            yield [], reading


def _buckets(distribution: Distribution) -> list[tuple[str, float]]:
    bounds = [*map(floatToGoString, distribution.bounds), "+Inf"]
    return list(zip(bounds, accumulate(distribution.counts), strict=True))
