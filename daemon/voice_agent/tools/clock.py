"""The tool that knows the time and date, here and in other places; it needs no network.

Places are what time zones are named after, and some more cities, in English and Russian. Time zones are
files, so they are read in a helper thread. Which one is ours is looked up each time, as it may have changed.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from voice_agent.errors import ToolError
from voice_agent.tools.base import Arguments, Tool
from voice_agent.tools.cities import CITIES

WRITTEN = datetime(2026, 11, 1, tzinfo=UTC)
"""A clock that shows an earlier time was never set: this line is older."""

PARAMETERS = {
    "type": "object",
    "properties": {
        "place": {
            "type": "string",
            "maxLength": 100,
            "description": "Large city in English or Russian, or an IANA time zone such as Europe/Moscow."
            " Leave it out for here.",
        }
    },
    "required": [],
    "additionalProperties": False,
}


def clock_tool(now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Tool:
    """``get_time``: local time and date of a place."""

    async def handler(arguments: Arguments) -> Mapping[str, object]:
        place = arguments.get("place")
        place = place.strip() if isinstance(place, str) else ""
        return _told(place, await asyncio.to_thread(_local, now(), place))

    return Tool("get_time", "Current time and date, here or in a city.", PARAMETERS, handler)


def _told(place: str, there: datetime) -> Mapping[str, object]:
    unset = {} if there >= WRITTEN else {"clock_set": False, "note": "the device's clock was never set"}
    return {
        "place": place or "here",
        "time": there.strftime("%H:%M"),
        "date": there.strftime("%Y-%m-%d"),
        "weekday": there.strftime("%A"),
        "utc_offset": there.strftime("%z"),
        **unset,
    }


def _local(moment: datetime, place: str) -> datetime:
    """The same moment by the clocks there. Reads files."""
    if place:
        return moment.astimezone(_zone(place))
    time.tzset()  # the C library looks at /etc/localtime again
    return moment.astimezone()


def _zone(place: str) -> ZoneInfo:
    zones = _zones()
    if not zones:
        raise ToolError("this device has no time zone data, and knows only its own time")
    if (name := zones.get(_key(place))) is None:
        raise ToolError(f"no time zone is known for {place!r}; name a large city or an IANA zone")
    return ZoneInfo(name)


@lru_cache(maxsize=1)
def _zones() -> Mapping[str, str]:
    """Zone names by themselves and by their cities, as ``_key`` writes them."""
    names = sorted(available_timezones())
    cities = {_key(name.rpartition("/")[2]): name for name in names}
    more = {_key(city): zone for zone, known in CITIES.items() for city in known.split(", ") if zone in names}
    return cities | more | {_key(name): name for name in names}


def _key(place: str) -> str:
    """People and machines write names with hyphens, underscores, full stops, or without."""
    key = place.casefold().replace("\u0451", "\u0435")  # Russians seldom write the dots
    return " ".join(key.replace("_", " ").replace("-", " ").replace(".", " ").split())
