"""The table for people and the JSON for machines."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.fleetsim.arithmetic import Need, needs
from tests.fleetsim.blocks import Block
from tests.fleetsim.figures import Figures
from tests.fleetsim.stampede import Stampede
from tests.fleetsim.traffic import Traffic

MIB = 2**20
DEAREST = 12


@dataclass(frozen=True)
class Report:
    """What came of a run. ``per_metric``: series of a device that has done everything, by metric."""

    prometheus: str
    figures: Figures
    traffic: Traffic | None
    block: Block | None
    stampedes: Sequence[Stampede]
    per_metric: dict[str, int]

    def write(self, path: Path) -> None:
        """The JSON."""
        found = asdict(self)
        found |= {
            "traffic": self.traffic and self.traffic._asdict(),
            "block": self.block and self.block._asdict(),
            "stampedes": [each._asdict() for each in self.stampedes],
            "needs": [each._asdict() for each in self._needs()],
        }
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(found, indent=2) + "\n")

    def table(self) -> str:
        """Lines for people."""
        parts = [self._fleet(), self._device(), self._dearest(), self._sizes()]
        return "\n\n".join([*parts, *([self._rush()] if self.stampedes else [])])

    def _fleet(self) -> str:
        now, cost = self.figures, self.figures.cost
        scrapes, rules = now.scrapes, now.rules
        queries = " ".join(f"{each:.0f}" for each in now.queries_ms)
        title = f"{now.devices} devices, every {now.interval_s} s for {now.minutes:g} min"
        return _lines(
            f"{title}; Prometheus {self.prometheus}",
            ("series", f"{cost.series}, of a device {scrapes.series_mean:.0f}, at most {scrapes.series_max}"),
            ("samples", f"{cost.samples_s:.0f} a second"),
            ("memory", f"{cost.memory_bytes / MIB:.0f} MiB, {cost.series_bytes / 1024:.2f} KiB a series"),
            ("CPU", f"{cost.cpu_cores:.2f} cores, {cost.sample_cpu_us:.1f} us a sample"),
            ("no core", f"{cost.waited:.0%} of the time in which it had work"),
            ("scrape", f"p50 {scrapes.p50_ms:.1f} ms, p99 {scrapes.p99_ms:.1f} ms, {now.page_bytes} bytes"),
            ("log of writes", f"{cost.wal_bytes_s} bytes/s, {cost.sample_wal_bytes} a sample"),
            (
                "block",
                f"{self.block.sample_bytes} bytes a sample" if self.block else "not packed: no promtool",
            ),
            (
                "rules",
                f"{rules.rules} in {rules.groups} groups; {rules.failures} failed, {rules.missed} late",
            ),
            (
                "recorded",
                f"{rules.device_series} series of devices, {rules.fleet_series} of sites and fleets",
            ),
            ("once all", f"{rules.evaluation_ms:.0f} ms, the slowest group {rules.slowest_group_ms:.0f} ms"),
            ("queries", f"{queries} ms"),
            ("reached", f"{scrapes.targets_up} at the end; {scrapes.targets_were_down} were away once"),
            ("lived", f"{scrapes.restarts} restarts, {scrapes.turns} turns"),
            (
                "alerts",
                ", ".join(f"{count} {name}" for name, count in sorted(rules.alerts.items())) or "none",
            ),
        )

    def _device(self) -> str:
        agent, traffic = self.figures.agent, self.traffic
        sent = agent.up_bytes_s
        rows = [
            ("sends", f"{agent.scrape_bytes} bytes every {agent.interval_s:.0f} s: {agent.series} series"),
            ("that is", f"{sent * 8 / 1000:.2f} kbit/s, {sent * 86400 / MIB:.1f} MiB a day"),
            ("is answered", f"{agent.answer_bytes} bytes each time"),
            ("agent", f"{agent.memory_bytes / MIB:.0f} MiB, {agent.cpu_cores * 100:.2f} % of a core"),
        ]
        if traffic:
            talk = f"{traffic.up_kbit:.0f} kbit/s up, {traffic.down_kbit:.0f} kbit per second of answer down"
            rows.append(("conversation", talk))
        return _lines("One device behind a router, by remote write", *rows)

    def _dearest(self) -> str:
        dearest = [*self.per_metric.items()][:DEAREST]
        rows = [(name.removeprefix("voice_agent_"), str(count)) for name, count in dearest]
        return _lines("Series of a device by metric, the dearest", *rows)

    def _needs(self) -> list[Need]:
        return needs(self.figures, self.block.sample_bytes if self.block else None)

    def _sizes(self) -> str:
        heads = ("devices", "series", "samples/s", "memory GiB", "cores", "disk GiB/day", "uplinks kbit/s")
        return _grid(heads, self._needs())

    def _rush(self) -> str:
        heads = ("devices", "admitted/s", "ideal s", "all in s", "requests each", "busiest second")
        return _grid(heads, self.stampedes)


def _lines(title: str, *rows: tuple[str, str]) -> str:
    width = max(len(name) for name, _ in rows)
    return "\n".join([title, *(f"  {name:<{width}}  {text}" for name, text in rows)])


def _grid(heads: Sequence[str], rows: Sequence[Sequence[float]]) -> str:
    cells = [heads, *([f"{value:,g}" if value < 1 else f"{value:,.10g}" for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells
    )
