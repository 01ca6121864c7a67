"""A fleet that lost its provider comes back, and is admitted at so many a second: in virtual time."""

from random import Random
from typing import NamedTuple

from tests.fakes.fleet import Pause, rush
from voice_agent.errors import Cause, ConnectFailed
from voice_agent.reconnect import Reconnect

SPREAD_S = 10.0
"""The first try of each comes within this time."""
MOST = 20_000_000
"""Devices times the seconds that it takes at best: more takes minutes to reckon, and tells nothing new."""
FLEETS = (1000, 10_000, 100_000)
ADMISSIONS = (10, 100, 1000)


class Stampede(NamedTuple):
    """What a provider sees, and how long it takes until all are in."""

    devices: int
    admissions_s: int
    ideal_s: float
    all_in_s: float
    requests_a_device: float
    busiest_second: int


def stampedes() -> list[Stampede]:
    """Those that are over within reason. Takes seconds: ask in a thread."""
    pairs = [(devices, admitted) for devices in FLEETS for admitted in ADMISSIONS]
    return [_one(*pair) for pair in pairs if pair[0] ** 2 / pair[1] <= MOST]


def _one(devices: int, admitted: int) -> Stampede:
    seen = rush([_device(number) for number in range(devices)], per_second=admitted)
    each = round(seen.requests / devices, 1)
    return Stampede(devices, admitted, devices / admitted, round(seen.all_in_s), each, seen.busiest_second)


def _device(number: int) -> tuple[float, Pause]:
    policy = Reconnect(draw=Random(number).random)

    def pause(asked_s: float | None) -> float:
        error = ConnectFailed("429", cause=Cause.RATE_LIMITED, retry_after_s=asked_s)
        return policy.ended(error, lived_s=0.0).delay_s

    return policy.start_delay(SPREAD_S), pause
