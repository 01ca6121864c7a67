"""From an intent to the call of a declared tool: only what the tool declares, only what was said."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from re import IGNORECASE, search

import msgspec

from voice_agent.embedded.mind import Call, Say, Tool
from voice_agent.embedded.policy.grammar import Intent
from voice_agent.embedded.policy.language import Language
from voice_agent.embedded.policy.quantities import WEEKDAYS

ASKED_BY_TOOL: Mapping[str, str] = {
    "weather": r"weather|forecast",
    "time": r"(^|_)time($|_)|clock",
    "date": r"(^|_)time($|_)|clock|date",
    "timer": r"^(set|start|add|create)_timer$",
    "alarm": r"^(set|add|create)_alarm$",
    "timers": r"^(get|list)_timers$",
    "cancel": r"^(cancel|delete|stop)_timer$",
    "cancel_all": r"^(cancel|delete|stop)_timer$",
    "volume": r"(^|_)volume$",
    "louder": r"(^|_)volume$",
    "quieter": r"(^|_)volume$",
    "slightly_louder": r"(^|_)volume$",
    "slightly_quieter": r"(^|_)volume$",
    "loudest": r"(^|_)volume$",
    "mute": r"^mute_",
    "stop": r"^stop$",
    "repeat": r"^repeat_",
    "status": r"device_status$",
    "bye": r"^end_conversation$",
}
"""Which declared tool serves an intent, by its name."""
CHANGES: Mapping[str, int] = {"louder": 20, "quieter": -20, "slightly_louder": 10, "slightly_quieter": -10}
FULL = 100
LONGEST_S = 7 * 24 * 3600
_AHEAD: Mapping[str, int] = {"today": 0, "tomorrow": 1, "overmorrow": 2}
_CITY_PROPERTIES = ("city", "location", "place", "name", "query")
_ZONE_PROPERTIES = ("timezone", "time_zone", "tz")
_ZONES: Mapping[str, str] = {
    "Moscow": "Europe/Moscow",
    "Saint Petersburg": "Europe/Moscow",
    "London": "Europe/London",
    "Paris": "Europe/Paris",
    "Berlin": "Europe/Berlin",
    "Rome": "Europe/Rome",
    "Madrid": "Europe/Madrid",
    "Tokyo": "Asia/Tokyo",
    "New York": "America/New_York",
    "Sydney": "Australia/Sydney",
    "Cairo": "Africa/Cairo",
    "Mumbai": "Asia/Kolkata",
    "Dubai": "Asia/Dubai",
}

Arguments = dict[str, object]


def tool_for(intent: str, tools: Sequence[Tool]) -> Tool | None:
    """The tool that serves an intent, if one was declared."""
    pattern = ASKED_BY_TOOL[intent]
    return next((tool for tool in tools if search(pattern, tool.name, IGNORECASE)), None)


class Requests:
    """What one language asks of tools at one moment. ``now``: local time."""

    def __init__(self, language: Language, now: datetime) -> None:
        self._language = language
        self._now = now

    def asked(self, intent: Intent, tool: Tool) -> Call | Say:
        """The call, or the question for what is missing."""
        missing = self._missing(intent, tool)
        if missing:
            return Say(missing)
        wanted = self._arguments(intent, tool)
        arguments = {name: value for name, value in wanted.items() if name in tool.properties}
        if any(name not in arguments for name in tool.required):
            return Say(self._language.phrases.which_city)
        return Call(tool.name, msgspec.json.encode(arguments).decode())

    def _missing(self, intent: Intent, tool: Tool) -> str:
        phrases = self._language.phrases
        match intent:
            case Intent(name="timer", seconds=0):
                return phrases.how_long
            case Intent(name="timer") if intent.seconds > LONGEST_S:
                return phrases.too_long
            case Intent(name="alarm", time=""):
                return phrases.what_time
            case Intent(name="weather") if (
                intent.day and self._ahead(intent) and "day" not in tool.properties
            ):
                return phrases.no_forecast
        return ""

    def _arguments(self, intent: Intent, tool: Tool) -> Arguments:
        match intent.name:
            case "weather" | "time" | "date":
                return self._about_a_place(intent, tool)
            case "timer":
                return {**_span(intent.seconds), **_named(intent)}
            case "alarm":
                return {"time": intent.time, **self._days(intent), **_named(intent)}
            case "cancel":
                return _named(intent)
            case "cancel_all":
                return {"all": True}
            case "volume":
                return {"level": min(intent.number or 0, FULL)}
            case "loudest":
                return {"level": FULL}
            case name if name in CHANGES:
                return {"change": _change(intent)}
        return {}

    def _about_a_place(self, intent: Intent, tool: Tool) -> Arguments:
        day: Arguments = {}
        if intent.name == "weather" and intent.day and self._ahead(intent):
            day = {"day": self._ahead(intent)}
        return {**_place(self._name_for(intent), tool), **day}

    def _name_for(self, intent: Intent) -> str:
        """Geocoders know a city in any language; time zones are named in English."""
        if intent.name == "weather":
            return intent.city
        return self._language.english.get(intent.city, intent.city)

    def _days(self, intent: Intent) -> Arguments:
        if intent.repeat:
            return {"repeat": list(intent.repeat)}
        if not intent.day:
            return {}
        ahead = self._ahead(intent)
        if ahead == 0 and intent.day in WEEKDAYS and intent.time <= f"{self._now:%H:%M}":
            ahead = len(WEEKDAYS)
        return {"date": (self._now.date() + timedelta(days=ahead)).isoformat()}

    def _ahead(self, intent: Intent) -> int:
        """Days from today."""
        if intent.day in _AHEAD:
            return _AHEAD[intent.day]
        return (WEEKDAYS.index(intent.day) - self._now.weekday()) % len(WEEKDAYS)


def _change(intent: Intent) -> int:
    default = CHANGES[intent.name]
    if intent.number is None:
        return default
    return min(intent.number, FULL) * (1 if default > 0 else -1)


def _span(seconds: int) -> Arguments:
    """In the units that people use; those that are zero are left out."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts: Mapping[str, int] = {"hours": hours, "minutes": minutes, "seconds": rest}
    return {name: value for name, value in parts.items() if value}


def _named(intent: Intent) -> Arguments:
    return {"name": intent.label} if intent.label else {}


def _place(city: str, tool: Tool) -> Arguments:
    if not city:
        return {}
    for name in tool.properties:
        if name in _CITY_PROPERTIES:
            return {name: city}
        if name in _ZONE_PROPERTIES and city in _ZONES:
            return {name: _ZONES[city]}
    return {}
