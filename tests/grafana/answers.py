"""Whether every query of every board finds something in what a Prometheus saw of the play."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import aiohttp

from tests.grafana.pictures import HOST, Moment

STEP_S = 5

MAY_BE_EMPTY = {
    "voice_agent_session_limit_seconds": "the embedded provider sets no limit",
    "voice_agent_turns_stuck_total": "only what promises and does not keep makes it move",
    "voice_agent_echo_erle_decibels": "absent until a canceller has heard its own loudspeaker",
    "voice_agent_device_restarts_total": "a device that has not been away has none, and no reason for one",
    "voice_agent:barge_in_seconds:p95": "people speak over answers by chance",
}
"""Metrics whose panels may have nothing to show, and why."""


class Empty(NamedTuple):
    """A query that found nothing."""

    board: str
    panel: str
    expr: str

    def __str__(self) -> str:
        return f"{self.board} / {self.panel}: {self.expr}"


async def empty(boards: Mapping[str, Any], moment: Moment, port: int) -> list[Empty]:
    """Those that must not be."""
    found = []
    async with aiohttp.ClientSession(f"http://{HOST}:{port}") as client:
        for board, panel, target in _targets(boards):
            expr = moment.of(board).fill(target["expr"])
            if not await _answers(client, expr, moment) and not any(name in expr for name in MAY_BE_EMPTY):
                found.append(Empty(board["title"], panel, expr))
    return found


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
