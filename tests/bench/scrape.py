"""A page of metrics, read from a whole daemon and written, against joining as many lines that are known."""

import asyncio
from collections.abc import Callable
from time import perf_counter

from tests.bench.figures import Ratio
from voice_agent.agent import Agent
from voice_agent.config import Config
from voice_agent.config.schema import Provider
from voice_agent.dialogue import FirstSound, ToolAnswered

TIMES = 200
TOOLS = ("get_time", "set_timer", "set_volume", "get_weather")


def scrape_ratio() -> Ratio:
    """Seconds for each page, in turns."""
    return asyncio.run(_measure())


async def _measure() -> Ratio:
    agent = Agent(Config(provider=Provider(kind="custom", url="ws://127.0.0.1:9/v1")), lambda: None)
    agent.observe(FirstSound(1, 0.8, 0.7))
    for tool in TOOLS:
        agent.observe(ToolAnswered(1, tool, outcome="ok", seconds=0.2))
    lines = [line.rpartition(" ") for line in agent.exposition.page("")[1].decode().splitlines()]

    def ours() -> object:
        return agent.exposition.page("")

    def plain() -> object:
        return "".join([f"{name} {value}\n" for name, _, value in lines]).encode()

    pairs = [(_seconds(ours), _seconds(plain)) for _ in range(TIMES)]
    return Ratio([one for one, _ in pairs], [other for _, other in pairs])


def _seconds(work: Callable[[], object]) -> float:
    began = perf_counter()
    work()
    return perf_counter() - began
