"""Several worlds side by side, each taking the next fault when it is done with one."""

import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from tests.chaos.discreet import search
from tests.chaos.process import Vitals
from tests.chaos.rounds import Outcome, Round
from tests.chaos.trend import Trend
from tests.chaos.world import World

LANES = 4
"""A round waits most of its time; four of them keep two cores a quarter busy."""
CONTROL = 3
"""In this one the log holds what was said, so that the search for it is known to find something."""
WARM_UP = 100
"""Rounds of a process after which its memory must stay where it is.

What a round leaves in reference cycles waits for a full collection, which Python puts off until a quarter as
many objects have gathered as there were after start-up: about 2 MB, gathered in the first minutes.
"""
ENOUGH = 50
"""Rounds without which a trend says nothing."""
GROWTH_KB = 20.0
"""A round: what 1,000 of them may add is 20 MB, about what a noisy allocator makes of nothing."""


class Suite:
    """Plays the faults ``indexes`` of a seed; at most ``limit_s``."""

    def __init__(
        self,
        seed: int,
        indexes: Iterable[int],
        out: Path,
        *,
        lanes: int = LANES,
        limit_s: float = 3600,
        dialect: str = "openai",
    ) -> None:
        self._seed = seed
        self._indexes = list(indexes)
        self._out = out
        self._lanes = min(lanes, len(self._indexes))
        self._limit_s = limit_s
        self._dialect = dialect
        self._began = monotonic()
        self._waiting = iter(self._indexes)
        self.outcomes: list[Outcome] = []
        self.broken: list[str] = []
        """What no single fault has broken."""

    async def run(self) -> None:
        """All of them."""
        self._out.mkdir(exist_ok=True)
        async with asyncio.TaskGroup() as group:
            for lane in range(self._lanes):
                group.create_task(self._lane(lane))

    async def _lane(self, lane: int) -> None:
        transcripts = lane == CONTROL
        with TemporaryDirectory(prefix="chaos-") as directory:
            async with World(
                Path(directory), self._seed + lane, dialect=self._dialect, transcripts=transcripts
            ) as world:
                await self._play_all(world)
                self.broken += [
                    f"lane {lane}: {each}" for each in await search(world, transcripts=transcripts)
                ]
                code = await asyncio.to_thread(world.daemon.stop)
                if code != 0:
                    self.broken.append(f"lane {lane}: the daemon ended with {code} when asked to stop")

    async def _play_all(self, world: World) -> None:
        baseline, memory = await self._baseline(world), Trend()
        for index in self._waiting:
            if monotonic() - self._began > self._limit_s:
                break
            log_at = world.daemon.log_bytes
            outcome = await Round(world, self._seed, index, baseline).play()
            self._take(outcome)
            if outcome.vitals is not None:
                memory.add(len(memory), outcome.vitals.rss_kb)
            if outcome.broken:
                (self._out / f"broken-{self._seed}-{index}.log").write_text(world.daemon.log(log_at))
                await world.restart()
                self._judge_memory(memory)
                baseline, memory = await self._baseline(world), Trend()
        self._judge_memory(memory)

    async def _baseline(self, world: World) -> Vitals:
        await asyncio.sleep(1.0)
        return await asyncio.to_thread(world.daemon.vitals)

    def _take(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        recovered = f"{outcome.recovery_ms:6.0f} ms" if outcome.recovery_ms is not None else "   never  "
        verdict = "; ".join(outcome.broken) or "ok"
        memory = f"{outcome.vitals.rss_kb / 1000:5.1f} MB" if outcome.vitals else "        "
        line = f"{len(self.outcomes):5}/{len(self._indexes)}  #{outcome.index:<5} {outcome.kind:<20}"
        print(
            f"{line} {outcome.phase:<9} {recovered}  {outcome.took_s:5.1f} s  {memory}  {verdict}",
            file=sys.stderr,
        )

    def _judge_memory(self, memory: Trend) -> None:
        late = memory.after(WARM_UP)
        if len(late) >= ENOUGH and late.surely_above(GROWTH_KB):
            self.broken.append(f"memory grows by {late} KB a fault")
