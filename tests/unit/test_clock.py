"""The tool that tells the time, wherever and whenever."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import available_timezones, reset_tzpath

import pytest

from voice_agent.embedded.weather import CITIES as WEATHER_CITIES
from voice_agent.tools import clock
from voice_agent.tools.base import Toolbox
from voice_agent.tools.cities import CITIES
from voice_agent.tools.clock import clock_tool

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def ask(place: str | None = None, *, at: datetime = NOON) -> dict[str, Any]:
    arguments = {} if place is None else {"place": place}
    output, _ = asyncio.run(Toolbox([clock_tool(lambda: at)]).run("get_time", json.dumps(arguments)))
    answer: dict[str, Any] = json.loads(output)
    return answer


@pytest.mark.parametrize(
    ("place", "time", "date"),
    [
        ("Moscow", "15:00", "2026-11-22"),
        ("  tokyo ", "21:00", "2026-11-22"),
        ("New York", "07:00", "2026-11-22"),
        ("Pacific/Auckland", "01:00", "2026-11-23"),
        ("Москва", "15:00", "2026-11-22"),
        ("нью-йорк", "07:00", "2026-11-22"),
        ("Нью Йорк", "07:00", "2026-11-22"),
        ("St. Petersburg", "15:00", "2026-11-22"),
        ("Beijing", "20:00", "2026-11-22"),
        ("Port au Prince", "07:00", "2026-11-22"),
        ("UTC", "12:00", "2026-11-22"),
    ],
)
def test_the_time_of_a_place_is_told_in_either_language(place: str, time: str, date: str) -> None:
    answer = ask(place)
    assert (answer["place"], answer["time"], answer["date"]) == (place.strip(), time, date)


def test_every_extra_city_belongs_to_a_zone_that_exists() -> None:
    assert set(CITIES) <= available_timezones()
    assert len(CITIES) < 60


def test_the_clock_knows_every_city_of_the_embedded_weather_service() -> None:
    for city in WEATHER_CITIES:
        assert ask(city.name)["utc_offset"] == ask(city.timezone)["utc_offset"]
        assert ask(city.russian)["utc_offset"] == ask(city.timezone)["utc_offset"]


def test_a_place_without_a_known_time_is_said() -> None:
    assert "Atlantis" in ask("Atlantis")["error"]


def test_a_clock_that_was_never_set_is_said() -> None:
    assert "clock_set" not in ask()
    answer = ask(at=datetime(1970, 1, 1, 0, 3, tzinfo=UTC))
    assert answer["clock_set"] is False


@pytest.fixture
def no_zones(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without the package tzdata."""
    reset_tzpath(["/nowhere"])
    monkeypatch.setitem(sys.modules, "tzdata", None)
    clock._zones.cache_clear()
    yield
    reset_tzpath()
    clock._zones.cache_clear()


@pytest.mark.usefixtures("no_zones")
def test_a_machine_without_time_zones_says_so_and_knows_its_own_time() -> None:
    assert "no time zone data" in ask("Moscow")["error"]
    assert ask()["place"] == "here"


def test_the_time_here_follows_a_change_of_the_devices_zone() -> None:
    """In a process of its own: the zone is the process's."""
    program = f"""
import asyncio, json, os, sys
sys.path[:0] = {sys.path!r}
from tests.unit.test_clock import ask
for zone in ("Asia/Tokyo", "America/New_York"):
    os.environ["TZ"] = zone
    print(ask()["time"])
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"TZ": "UTC"},
    )
    assert done.stdout.split() == ["21:00", "07:00"]
