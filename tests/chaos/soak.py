"""``python -m tests.chaos.soak``: a long conversation, and whether anything grows.

The room's clock may run faster than ours (``--speed``), so that an hour of talk takes a quarter of one.
Memory, descriptors, threads and tasks are looked at between turns; what counts is the slope of a straight
line through them after a warm-up, and how sure it is.
"""

import argparse
import asyncio
import json
import signal
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

from tests.chaos.mind import Plan
from tests.chaos.trend import Trend
from tests.chaos.world import SAMPLES_PER_MS, World

WARM_UP = 1 / 3
"""The part of the run in which pools may still fill: a full garbage collection takes minutes to come."""
BLOCKS = 20
"""Neighbouring samples are alike: their means are judged, not they."""
DROP_EVERY = 20
PATIENCE_S = 15.0
GAPS = 0.02
"""Around an underrun a few samples are too few to be recognised."""
WORDS = ("talk", "talk", "talk", "tool", "barge-in")


@dataclass(frozen=True)
class Limit:
    """What a figure may grow by in an hour, and in all, before it counts, however sure its slope is."""

    figure: str
    an_hour: float
    in_all: float


LIMITS = (
    Limit("rss_kb", 2000.0, 1000.0),
    Limit("fds", 1.0, 1.0),
    Limit("threads", 1.0, 1.0),
    Limit("tasks", 1.0, 1.0),
)


class Soak:
    """A conversation of ``minutes`` of our time."""

    def __init__(self, world: World, seed: int, minutes: float, out: Path) -> None:
        self._world = world
        self._out = out
        self._draw = Random(seed)
        self._minutes = minutes
        self._began = monotonic()
        self.turns: Counter[str] = Counter()
        self.failures: list[str] = []
        self.trends = {limit.figure: Trend() for limit in LIMITS}

    async def run(self) -> None:
        """All of it; stops early if the daemon does."""
        while self._hours() * 60 < self._minutes and self._world.daemon.alive:
            self._world.forget()
            kind = self._draw.choice(WORDS)
            if sum(self.turns.values()) % DROP_EVERY == DROP_EVERY - 1:
                kind = "drop"
            self.turns[kind] += 1
            log_at, number = self._world.daemon.log_bytes, sum(self.turns.values())
            try:
                await self._turn(kind)
            except TimeoutError:
                self.failures.append(f"no answer to turn {number} ({kind})")
                (self._out / f"turn-{number}.log").write_text(self._world.daemon.log(log_at))
            await self._look()
        if not self._world.daemon.alive:
            self.failures.append(f"the daemon has ended with {self._world.daemon.code}")
        if "Traceback" in self._world.daemon.log():
            self.failures.append("a traceback in the log")

    async def _turn(self, kind: str) -> None:
        match kind:
            case "tool":
                await self._ask(Plan(self._draw.randint(200, 800), tool=True))
            case "barge-in":
                await self._ask(Plan(4000), heard_ms=300)
                await self._ask(Plan(200))
            case "drop":
                self._world.proxy.reset()
                await self._world.usable(self._world.latest, PATIENCE_S)
                await self._ask(Plan(200))
                self._world.proxy.forget_old()
            case _:
                await self._ask(Plan(self._draw.randint(200, 1500)))

    async def _ask(self, plan: Plan, heard_ms: int = 0) -> None:
        """Say something and hear its answer: all of it, or so much."""
        world = self._world
        number = world.say(self._draw.randint(350, 900), plan)
        enough = (heard_ms or plan.ms) * SAMPLES_PER_MS * (1 - GAPS)
        await world.until(lambda: world.loudspeaker.sounded(number) >= enough, PATIENCE_S)

    async def _look(self) -> None:
        vitals = await asyncio.to_thread(self._world.daemon.vitals)
        for figure, trend in self.trends.items():
            trend.add(self._hours(), float(getattr(vitals, figure)))

    def _hours(self) -> float:
        return (monotonic() - self._began) / 3600


def judged(trend: Trend, limit: Limit) -> dict[str, Any]:
    """One figure: its slope an hour after the warm-up, how sure that is, and whether it is level."""
    late = trend.latter(1 - WARM_UP).blocks(BLOCKS)
    return {
        "first": late.first,
        "last": late.last,
        "slope_per_hour": round(late.slope, 2),
        "error_per_hour": round(late.error, 2) if late.error != float("inf") else None,
        "level": not late.surely_above(max(limit.an_hour, limit.in_all / late.span if late.span else 0.0)),
    }


async def soak(minutes: float, seed: int, speed: float, out: Path) -> dict[str, Any]:
    """Talk, and what was seen; the log of what went wrong goes to ``out``."""
    with TemporaryDirectory(prefix="soak-") as directory:
        async with World(Path(directory), seed, speed=speed) as world:
            conversation = Soak(world, seed, minutes, out)
            await conversation.run()
    figures = {limit.figure: judged(conversation.trends[limit.figure], limit) for limit in LIMITS}
    grown = [f"{name} grows" for name, figure in figures.items() if not figure["level"]]
    return {
        "seed": seed,
        "minutes": minutes,
        "speed": speed,
        "turns": dict(conversation.turns),
        **figures,
        "broken": conversation.failures + grown,
    }


def main() -> int:
    """0 if nothing grew and every turn was answered."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--speed", type=float, default=4.0, help="seconds of sound in a second")
    parser.add_argument("--out", type=Path, default=Path("soak-out"))
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was begun is ended
    arguments.out.mkdir(exist_ok=True)
    found = asyncio.run(soak(arguments.minutes, arguments.seed, arguments.speed, arguments.out))
    (arguments.out / "soak.json").write_text(json.dumps(found, indent=2) + "\n")
    print(_table(found))
    return 1 if found["broken"] else 0


def _table(found: dict[str, Any]) -> str:
    lines = [f"{sum(found['turns'].values())} turns in {found['minutes']:g} min at speed {found['speed']:g}"]
    for limit in LIMITS:
        figure = found[limit.figure]
        slope = f"{figure['slope_per_hour']:+.2f} +- {figure['error_per_hour']} an hour"
        verdict = "level" if figure["level"] else "GROWS"
        lines.append(
            f"{limit.figure:<8} {figure['first']:>9.0f} -> {figure['last']:>9.0f}  {slope:<30} {verdict}"
        )
    return "\n".join([*lines, *found["broken"]])


if __name__ == "__main__":
    sys.exit(main())
