"""Films real daemons: each in a world of its own, with a fate of its own, scraped every few seconds."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from random import Random
from time import monotonic

from tests.chaos.mind import Plan
from tests.chaos.world import SAMPLES_PER_MS, World
from voice_agent.embedded import Fault

STEP_S = 5.0
PATIENCE_S = 10.0
NEARLY = 0.9

Fate = Callable[[World, Random], Awaitable[None]]


async def quiet(_world: World, _draw: Random) -> None:
    """Nobody says anything."""
    await asyncio.sleep(1)


async def talking(world: World, draw: Random) -> None:
    """A question, sometimes with a tool, sometimes cut short."""
    match draw.choice(("ask", "ask", "tool", "barge-in")):
        case "tool":
            await _ask(world, Plan(draw.randint(500, 2000), tool=True))
        case "barge-in":
            await _ask(world, Plan(4000), heard_ms=500)
            await _ask(world, Plan(500))
        case _:
            await _ask(world, Plan(draw.randint(500, 4000)))
    await asyncio.sleep(draw.uniform(0.5, 3))


async def troubled(world: World, draw: Random) -> None:
    """Bad weather, a failing server and a loose plug, and somebody who talks all the same."""
    match draw.choice(("reset", "away", "error", "upgrade", "unplugged")):
        case "reset":
            world.proxy.reset()
        case "away":
            world.proxy.refuse()
            await asyncio.sleep(draw.uniform(2, 6))
        case "error":
            world.server.strike(Fault(after="now", do="close", code=1011, text="by the simulation"))
        case "upgrade":
            world.server.strike(Fault(after="upgrade", do="refuse", code=503, times=2))
            world.proxy.reset()
        case _:
            world.card.fault("spk-gone", "mic-gone")
            await asyncio.sleep(draw.uniform(1, 3))
    await world.heal()
    await _ask(world, Plan(draw.randint(500, 2000)))


FATES: Mapping[str, Fate] = {"quiet": quiet, "talking": talking, "troubled": troubled}


async def filmed(directory: Path, seconds: float) -> dict[str, list[str]]:
    """Pages by fate, ``STEP_S`` apart; all fates side by side."""
    async with asyncio.TaskGroup() as group:
        takes = {
            name: group.create_task(_take(directory / name, fate, seconds)) for name, fate in FATES.items()
        }
    return {name: task.result() for name, task in takes.items()}


async def _take(directory: Path, fate: Fate, seconds: float) -> list[str]:
    async with World(directory, seed=7) as world:
        acting = asyncio.create_task(_act(world, fate))
        try:
            return await _pages(world, seconds)
        finally:
            acting.cancel()
            with suppress(asyncio.CancelledError):
                await acting


async def _act(world: World, fate: Fate) -> None:
    draw = Random(7)
    while True:
        world.forget()
        with suppress(TimeoutError):  # an answer that trouble has eaten
            await fate(world, draw)


async def _pages(world: World, seconds: float) -> list[str]:
    began, pages = monotonic(), list[str]()
    while len(pages) <= seconds / STEP_S:
        pages.append((await asyncio.to_thread(world.daemon.public))["/metrics"])
        await asyncio.sleep(max(began + len(pages) * STEP_S - monotonic(), 0))
    return pages


async def _ask(world: World, plan: Plan, heard_ms: int = 0) -> None:
    """Say something and hear its answer: all of it, or so much."""
    number = world.say(600, plan)
    enough = (heard_ms or plan.ms) * SAMPLES_PER_MS * NEARLY
    await world.until(lambda: world.loudspeaker.sounded(number) >= enough, PATIENCE_S)
