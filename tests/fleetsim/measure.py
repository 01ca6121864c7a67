"""The run itself: a fleet, a Prometheus that scrapes it, and one device with an agent that writes afar."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from time import monotonic, time

from tests.fleetsim.configs import AGENT_INTERVAL_S, agent_config, main_config, receiver_config, usable_rules
from tests.fleetsim.devices import Device, Life
from tests.fleetsim.farm import Farm
from tests.fleetsim.figures import Agent, Cost, Figures, Rules, Scrapes, quantile
from tests.fleetsim.film import Reel
from tests.fleetsim.prometheus import Prometheus
from tests.fleetsim.relay import Relay

WARM_UP_S = 60.0
"""Until all targets were scraped a few times and metadata were sent."""
LOOK_S = 5.0
JOB = 'job="voice-agent"'
QUERIES = (
    "sum(voice_agent_ready)",
    "histogram_quantile(0.95, sum by (le, stage) (rate(voice_agent_turn_latency_seconds_bucket[2m])))",
    "topk(20, sum by (instance) (rate(voice_agent_playout_gap_seconds_total[2m])))",
)
"""What a dashboard of a fleet asks."""


@dataclass(frozen=True)
class Plan:
    """How large, how long, how often. ``drop``: metrics that are not kept, as a regular expression."""

    devices: int = 1000
    minutes: float = 3.5
    interval_s: int = 15
    drop: str = ""
    life: Life = field(default_factory=Life)


class Run:
    """One measurement in ``directory``; ``say`` is told how it goes."""

    def __init__(self, plan: Plan, reel: Reel, directory: Path, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._reel = reel
        self._directory = directory
        self._say = say
        self._began = monotonic()
        self._trace: list[tuple[float, int]] = []

    async def figures(self) -> Figures:
        """All of them, after ``minutes``."""
        plan = self._plan
        epoch = time()
        devices = [Device(number, self._reel, plan.life, epoch) for number in range(plan.devices)]
        steady = Life(restarts_an_hour=0, outages_an_hour=0, updated=0)
        devices.append(Device(plan.devices, self._reel, steady, epoch))  # the one behind a router
        async with AsyncExitStack() as stack:
            self._farm = await stack.enter_async_context(Farm(devices))
            await self._start(stack)
            await self._watch()
            return await self._counted()

    async def _start(self, stack: AsyncExitStack) -> None:
        plan, directory = self._plan, self._directory
        directory.mkdir(parents=True, exist_ok=True)
        targets = directory / "targets.json"
        targets.write_text(json.dumps(self._farm.targets()[: plan.devices]))
        rules, left_out = usable_rules()
        for name in left_out:
            self._say(f"rules that promtool refuses are left out: {name}")
        config = main_config(targets, plan.interval_s, rules, plan.drop)
        self._main = await stack.enter_async_context(Prometheus(directory / "main", config))
        self._empty_bytes = self._main.memory_bytes()
        receives = Prometheus(directory / "far", receiver_config(), "--web.enable-remote-write-receiver")
        self._far = await stack.enter_async_context(receives)
        self._relay = await stack.enter_async_context(Relay(self._far.port))
        written = agent_config(self._farm.port, plan.devices, self._relay.port)
        self._agent = await stack.enter_async_context(Prometheus(directory / "agent", written, agent=True))

    async def _watch(self) -> None:
        end_s = self._plan.minutes * 60
        is_warm = False
        while (now_s := monotonic() - self._began) < end_s:
            await asyncio.sleep(LOOK_S)
            self._trace.append((round(now_s), self._main.memory_bytes()))
            if not is_warm and now_s >= WARM_UP_S:
                is_warm = True
                await self._note_beginning()
                self._say(f"warm: {self._main.memory_bytes() / 2**20:.0f} MiB, {self._farm.pages} pages")

    async def _note_beginning(self) -> None:
        self._since = monotonic()
        self._cpu_s, self._agent_cpu_s = self._main.cpu_s(), self._agent.cpu_s()
        self._up, self._down = self._relay.up, self._relay.down
        self._own = await self._main.own()
        self._agent_own = await self._agent.own()
        self._wal_bytes = self._main.stored_bytes("wal")

    # ------------------------------------------------------------------------------------ at the end

    async def _counted(self) -> Figures:
        took_s = monotonic() - self._since
        cpu = (self._main.cpu_s() - self._cpu_s) / took_s
        wal_bytes = self._main.stored_bytes("wal") - self._wal_bytes
        agent = await self._agent_figures(took_s)
        own = await self._main.own()
        appended = _grown(own, self._own, "prometheus_tsdb_head_samples_appended_total")
        cost = Cost(
            memory_bytes=max(held for _, held in self._trace),
            empty_bytes=self._empty_bytes,
            series=round(own["prometheus_tsdb_head_series"]),
            samples_s=round(appended / took_s, 1),
            cpu_cores=round(cpu, 3),
            wal_bytes_s=round(wal_bytes / took_s),
            sample_wal_bytes=round(wal_bytes / appended, 2) if appended else 0.0,
            waited=round(self._main.waited(), 3),
        )
        return Figures(
            devices=self._plan.devices,
            minutes=self._plan.minutes,
            interval_s=self._plan.interval_s,
            page_bytes=round(self._farm.bytes / max(self._farm.pages, 1)),
            cost=cost,
            scrapes=await self._scrapes(),
            rules=await self._rules(own),
            agent=agent,
            queries_ms=[await self._asked_ms(query) for query in QUERIES],
            memory_trace=self._trace,
        )

    async def _scrapes(self) -> Scrapes:
        ask = self._main.number
        lasted = [
            value
            for point in await self._main.query(f"scrape_duration_seconds{{{JOB}}}[{self._window}]")
            for value in point.values
        ]
        kept = await self._main.query(
            f"max_over_time(scrape_samples_post_metric_relabeling{{{JOB}}}[2m]) > 0"
        )
        return Scrapes(
            series_mean=round(mean(point.values[0] for point in kept), 1),
            series_max=round(max(point.values[0] for point in kept)),
            p50_ms=round(quantile(lasted, 0.5) * 1000, 2),
            p99_ms=round(quantile(lasted, 0.99) * 1000, 2),
            targets_up=round(await ask(f"sum(up{{{JOB}}})")),
            targets_were_down=round(await ask(f"count(min_over_time(up{{{JOB}}}[{self._window}]) == 0)")),
            restarts=round(await ask(f"sum(changes(process_start_time_seconds{{{JOB}}}[{self._window}]))")),
            turns=round(await ask(f"sum(increase(voice_agent_turns_total{{{JOB}}}[{self._window}]))")),
        )

    async def _rules(self, own: dict[str, float]) -> Rules:
        def of(name: str) -> list[float]:
            return [value for series, value in own.items() if series.startswith(name + "{")]

        firing = await self._main.query('count by (alertname) (ALERTS{alertstate="firing"})')
        return Rules(
            groups=len(of("prometheus_rule_group_last_duration_seconds")),
            rules=round(sum(of("prometheus_rule_group_rules"))),
            evaluation_ms=round(sum(of("prometheus_rule_group_last_duration_seconds")) * 1000, 1),
            slowest_group_ms=round(
                max(of("prometheus_rule_group_last_duration_seconds"), default=0) * 1000, 1
            ),
            missed=round(sum(of("prometheus_rule_group_iterations_missed_total"))),
            failures=round(sum(of("prometheus_rule_evaluation_failures_total"))),
            device_series=round(await self._main.number('count({__name__=~"voice_agent:.*"})')),
            fleet_series=round(await self._main.number('count({__name__=~"voice_agent_fleet:.*"})')),
            alerts={each.labels["alertname"]: round(each.values[0]) for each in firing},
        )

    async def _agent_figures(self, took_s: float) -> Agent:
        own = await self._agent.own()
        series = round(await self._far.number(f"count({{{JOB}}})"))
        sent = _grown(own, self._agent_own, "prometheus_remote_storage_samples_total")
        scrapes = max(sent / max(series, 1), 1.0)  # the window holds a piece of one
        return Agent(
            interval_s=AGENT_INTERVAL_S,
            memory_bytes=self._agent.memory_bytes(),
            cpu_cores=round((self._agent.cpu_s() - self._agent_cpu_s) / took_s, 4),
            scrape_bytes=round((self._relay.up - self._up) / scrapes),
            answer_bytes=round((self._relay.down - self._down) / scrapes),
            series=series,
            stored_bytes=self._agent.stored_bytes(),
        )

    async def _asked_ms(self, query: str) -> float:
        times = []
        for _ in range(3):
            began = monotonic()
            await self._main.query(query)
            times.append((monotonic() - began) * 1000)
        return round(quantile(times, 0.5), 1)

    @property
    def _window(self) -> str:
        return f"{max(int(self._plan.minutes * 60 - WARM_UP_S), 60)}s"


def _grown(now: dict[str, float], before: dict[str, float], name: str) -> float:
    """By how much all series of a counter have grown."""

    def total(figures: dict[str, float]) -> float:
        return sum(value for series, value in figures.items() if series.split("{")[0] == name)

    return total(now) - total(before)
