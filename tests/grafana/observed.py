"""The play before a real Prometheus, whose rules are in a hurry: what takes an hour elsewhere takes minutes.

What it stored and when that was stays in a directory, so that pictures can be drawn of it again and again.
"""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from time import time
from typing import NamedTuple

from tests.fleetsim.prometheus import Prometheus
from tests.grafana.homes import Home, targets
from tests.grafana.play import CALM, Play
from tests.grafana.vocabulary import RULES
from tests.observe.hasty import shortened

SCRAPE_S = 2
SPARE_S = 120.0
"""How much longer than meant a play may take."""
HURRY = 20
"""How many times faster the rules are than a fleet's: an hour's figures are of three minutes."""
CONFIG = """\
global:
  scrape_interval: {scrape_s}s
  evaluation_interval: {scrape_s}s
rule_files: [{rules}/*.yml]
scrape_configs:
  - job_name: voice-agent
    file_sd_configs: [{{files: [{targets}], refresh_interval: 1s}}]
"""
QUERIES = ("--query.lookback-delta=20s",)
"""A device that is gone is gone: at the usual five minutes a short play would never see it."""


class Span(NamedTuple):
    """When the play began, its calm was over and it ended, in seconds since 1970, as Prometheus counts."""

    began: float
    calm: float
    ended: float


async def perform(directory: Path, seconds: float) -> None:
    """Play, and keep what Prometheus saw of it in ``directory``."""
    _empty(directory)
    async with prometheus(directory):
        began = time()
        async with asyncio.timeout(seconds + SPARE_S):
            await Play(directory / "homes", seconds, lambda homes: _announce(directory, homes)).perform()
        marks = Span(began, began + CALM * seconds, began + seconds - SCRAPE_S)
        (directory / "span.json").write_text(json.dumps(marks))


@asynccontextmanager
async def prometheus(directory: Path) -> AsyncIterator[Prometheus]:
    """With all that ``directory`` holds of an earlier play."""
    rules = _hurried(directory / "rules")
    config = CONFIG.format(scrape_s=SCRAPE_S, rules=rules, targets=directory / "targets.json")
    async with Prometheus(directory / "prometheus", config, *QUERIES) as running:
        yield running


def span(directory: Path) -> Span:
    """Of the play whose remains lie there."""
    return Span(*json.loads((directory / "span.json").read_text()))


def _empty(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)


def _hurried(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for path in RULES.glob("*.yml"):
        (directory / path.name).write_text(shortened(path.read_text(), HURRY))
    return directory


def _announce(directory: Path, homes: Iterable[Home]) -> None:
    scratch = directory / "targets.new"
    scratch.write_text(json.dumps(targets(homes)))
    scratch.replace(directory / "targets.json")
