"""The tool that knows the time and date, here and in the cities that time zones are named after."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from voice_agent.errors import ToolError
from voice_agent.tools.base import Arguments, Tool

PARAMETERS = {
    "type": "object",
    "properties": {
        "place": {
            "type": "string",
            "description": "City in English, or an IANA time zone such as Europe/Moscow. Leave out for here.",
        }
    },
    "required": [],
    "additionalProperties": False,
}


def clock_tool(now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Tool:
    """``get_time``: local time and date of a place."""

    async def handler(arguments: Arguments) -> Mapping[str, object]:
        place = arguments.get("place")
        zone = _zone(place) if isinstance(place, str) and place.strip() else None
        there = now().astimezone(zone)
        return {
            "place": place if zone else "here",
            "time": there.strftime("%H:%M"),
            "date": there.strftime("%Y-%m-%d"),
            "weekday": there.strftime("%A"),
            "utc_offset": there.strftime("%z"),
        }

    return Tool("get_time", "Current time and date, here or in a city.", PARAMETERS, handler)


def _zone(place: str) -> ZoneInfo:
    key = place.strip().casefold().replace(" ", "_")
    name = _zones().get(key)
    if name is None:
        raise ToolError(f"no time zone is known for {place!r}; name a large city or an IANA zone")
    return ZoneInfo(name)


@lru_cache(maxsize=1)
def _zones() -> dict[str, str]:
    """Zone names by themselves and by their cities, in lower case."""
    names = sorted(available_timezones())
    return {name.rpartition("/")[2].casefold(): name for name in names} | {n.casefold(): n for n in names}
