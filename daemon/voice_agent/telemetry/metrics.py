"""The table of metrics as text for Prometheus, written at scrape time. The only importer of its client.

Our own rows are written here, in the text format 0.0.4, which every Prometheus reads: going through the
client's objects takes three times as long, on the event loop. What it knows better than we do is the process.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import generate_latest

from voice_agent.distribution import Distribution
from voice_agent.telemetry.row import PREFIX, Reading, Row
from voice_agent.telemetry.snapshot import Snapshot
from voice_agent.telemetry.table import ROWS

TEXT = "text/plain; version=0.0.4; charset=utf-8"
LABELLINGS = 2048
"""Label sets that are kept as text: more than a page has."""

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Exposition:
    """Pages for Prometheus; ``read`` is asked for a snapshot at every scrape, on the event loop."""

    def __init__(self, read: Callable[[], Snapshot]) -> None:
        self._read = read
        self._process = CollectorRegistry()  # memory, files, start: under their usual names
        ProcessCollector(registry=self._process)
        self._guest = CollectorRegistry()
        ProcessCollector(namespace=PREFIX.rstrip("_"), registry=self._guest)

    def page(self, _accept: str) -> tuple[str, bytes]:
        """Content type and text, whatever else the header ``Accept`` would like better."""
        return TEXT, self._rows() + generate_latest(self._process)

    def file(self) -> bytes:
        """Text for a file that another exporter serves beside its own figures: its process is not ours."""
        return self._rows() + generate_latest(self._guest)

    def _rows(self) -> bytes:
        now, lines = self._read(), []
        for row in ROWS:
            if samples := [*_samples(row, row.read(now))]:
                lines += [f"# HELP {PREFIX}{row.name} {row.help}", f"# TYPE {PREFIX}{row.name} {row.kind}"]
                lines += samples
        return ("\n".join(lines) + "\n").encode()


def _samples(row: Row, reading: Reading) -> Iterator[str]:
    name = PREFIX + row.name
    match reading:
        case None:
            pass
        case Mapping():
            for values, value in reading.items():
                yield from _lines(name, _labels(row.labels, values), value)
        case _:
            yield from _lines(name, "", reading)


def _lines(name: str, labels: str, value: float | Distribution) -> Iterator[str]:
    if not isinstance(value, Distribution):
        yield f"{name}{_braces(labels)} {float(value)!r}"
        return
    comma = "," if labels else ""
    for bound, count in zip(_bounds(value.bounds), accumulate(value.counts), strict=True):
        yield f'{name}_bucket{{{labels}{comma}le="{bound}"}} {count}'
    yield f"{name}_count{_braces(labels)} {sum(value.counts)}"
    yield f"{name}_sum{_braces(labels)} {value.total!r}"


def _braces(labels: str) -> str:
    return f"{{{labels}}}" if labels else ""


@lru_cache(LABELLINGS)
def _labels(names: tuple[str, ...], values: str | tuple[str, ...]) -> str:
    pairs = zip(names, (values,) if isinstance(values, str) else values, strict=True)
    return ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in pairs)


@lru_cache
def _bounds(bounds: tuple[float, ...]) -> tuple[str, ...]:
    return *map(repr, bounds), "+Inf"
