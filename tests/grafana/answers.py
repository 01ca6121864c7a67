"""Whether every query of every board finds something in what a Prometheus saw of the play. None is exempt."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import aiohttp

from tests.grafana.gallery import HOST, Moment

STEP_S = 5
ASKED_S = aiohttp.ClientTimeout(total=30)

STAGED = {
    "an answer that was missed": 'rate(voice_agent_turns_stuck_total{instance="office"}[1m])',
    "a microphone that came back": 'rate(voice_agent_device_restarts_total{instance="office"}[1m])',
    "a renewed session": 'rate(voice_agent_renewals_total{instance="office"}[1m])',
    "speech over answers": 'rate(voice_agent_playout_silencing_seconds_count{instance="studio"}[1m])',
    "echo that is cancelled": 'voice_agent_echo_erle_decibels{instance="studio"}',
    "an answer that broke off": 'rate(voice_agent_answers_failed_total{status="incomplete"}[1m])',
}
"""What the play does on purpose, and what must then rise above zero: a play without it proves little."""


class Empty(NamedTuple):
    """A query that found nothing."""

    board: str
    panel: str
    expr: str

    def __str__(self) -> str:
        return f"{self.board} / {self.panel}: {self.expr}"


async def unstaged(moment: Moment, port: int) -> list[str]:
    """What the play was to do, and nobody has seen."""
    async with _prometheus(port) as client:
        return [what for what, expr in STAGED.items() if not await _answers(client, f"{expr} > 0", moment)]


async def empty(boards: Mapping[str, Any], moment: Moment, port: int) -> list[Empty]:
    """All there are."""
    found = []
    async with _prometheus(port) as client:
        for board, panel, target in _targets(boards):
            expr = moment.of(board).fill(target["expr"])
            if not await _answers(client, expr, moment):
                found.append(Empty(board["title"], panel, expr))
    return found


def _prometheus(port: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(f"http://{HOST}:{port}", timeout=ASKED_S)


def _targets(boards: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str, Mapping[str, Any]]]:
    for board in boards.values():
        for panel in board["panels"]:
            for target in panel.get("targets", []):
                yield board, panel["title"], target


async def _answers(client: aiohttp.ClientSession, expr: str, moment: Moment) -> bool:
    """Whether there is a number in it at any time. Raises ClientResponseError if Prometheus refuses it."""
    asked = {"query": expr, "start": moment.began, "end": moment.ended, "step": STEP_S}
    async with client.post("/api/v1/query_range", data=asked) as answer:
        answer.raise_for_status()
        series = (await answer.json())["data"]["result"]
    return any(value != "NaN" for one in series for _, value in one["values"])
