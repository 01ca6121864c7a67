"""The tool that knows the weather: now, or on one of the next days."""

import re
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from time import monotonic
from typing import NamedTuple

from voice_agent.dialogue import Manners
from voice_agent.errors import ToolError
from voice_agent.tools.base import Arguments, Tool, text_argument
from voice_agent.tools.weather.cache import Aged, Cache
from voice_agent.tools.weather.conditions import Language, condition
from voice_agent.tools.weather.service import Daily, Forecast, Place, Units, WeatherService

PLACES, FORECASTS = 64, 32
"""What one household asks about is less."""

PLACE_S, PLACE_STALE_S = 24 * 3600.0, 7 * 24 * 3600.0
FORECAST_S, FORECAST_STALE_S = 10 * 60.0, 2 * 3600.0

MARGIN_S = 1.0
"""The tool says itself that an answer took too long, before it is said of the tool."""

LAST_DAY = 6


class Home(NamedTuple):
    """What nobody says aloud: the language and units to answer in, and the place that is meant."""

    language: Language = "en"
    units: Units = "metric"
    city: str = ""


NOWHERE = Home()


def weather_tool(
    service: WeatherService, home: Home = NOWHERE, *, clock: Callable[[], float] = monotonic
) -> Tool:
    """``get_weather``: the weather in a city, now or on a day. ``clock``: monotonic seconds."""
    manners = Manners(timeout_s=service.timeout_s + MARGIN_S)
    about = "Weather in a city: now, or the forecast for one of the next days."
    weather = Weather(service, home, clock)
    return Tool("get_weather", about, _parameters(home.city), weather.report, manners)


def _parameters(city: str) -> Mapping[str, object]:
    elsewhere = f"; leave it out for {city}" if city else ""
    return {
        "type": "object",
        "properties": {
            "city": {
                "type": "string",
                "minLength": 2,
                "maxLength": 100,
                "description": "City, as the user calls it, perhaps with a country after a comma" + elsewhere,
            },
            "day": {
                "type": "integer",
                "minimum": 0,
                "maximum": LAST_DAY,
                "description": "Days from today: 0 is today, 1 is tomorrow. Leave it out for now.",
            },
        },
        "required": [] if city else ["city"],
        "additionalProperties": False,
    }


class Weather:
    """Places and forecasts that were asked for, kept for a while."""

    def __init__(self, service: WeatherService, home: Home, clock: Callable[[], float]) -> None:
        self._service = service
        self._home = home
        self._clock = clock
        self._places: Cache[tuple[str, Language], Place] = Cache(
            size=PLACES, fresh_s=PLACE_S, stale_s=PLACE_STALE_S, clock=clock
        )
        self._forecasts: Cache[Place, Forecast] = Cache(
            size=FORECASTS, fresh_s=FORECAST_S, stale_s=FORECAST_STALE_S, clock=clock
        )

    async def report(self, arguments: Arguments) -> Mapping[str, object]:
        """The tool's answer."""
        city = self._home.city
        if "city" in arguments or not city:
            city = text_argument(arguments, "city")
        day = arguments.get("day")
        language = spoken(city, self._home.language)
        place, forecast = await self._ask(city, language)
        return _told(
            place,
            forecast,
            round(day) if isinstance(day, int | float) else 0,
            Wording(language, self._home.units),
        )

    async def _ask(self, city: str, language: Language) -> tuple[Place, Aged[Forecast]]:
        """Where that is, and the weather there; both within the service's time."""
        service = self._service
        deadline = self._clock() + service.timeout_s
        place, _ = await self._places.get(
            (city.casefold(), language), lambda: service.find(city, language), within_s=service.timeout_s
        )
        forecast = await self._forecasts.get(
            place, lambda: service.forecast(place, self._home.units), within_s=deadline - self._clock()
        )
        return place, forecast


def spoken(name: str, language: Language) -> Language:
    """The language to answer in: Russian to whoever names a place in Cyrillic letters."""
    return "ru" if re.search("[\u0400-\u04ff]", name) else language


# ------------------------------------------------------------------------------------------ wording


class Wording(NamedTuple):
    """The language of words, and the units of numbers, which are part of the names of facts."""

    language: Language
    units: Units

    def degrees(self, name: str, value: float | None) -> Mapping[str, object]:
        """A temperature, if it is known."""
        return _known(f"{name}_{'f' if self.units == 'imperial' else 'c'}", _whole(value))

    def wind(self, value: float | None) -> Mapping[str, object]:
        """The wind's speed, if it is known."""
        return _known("wind_mph" if self.units == "imperial" else "wind_m_s", _whole(value))

    def condition(self, code: int | None) -> Mapping[str, object]:
        """What it is like, if there is a word for it."""
        return _known("condition", condition(code, self.language))


def _told(place: Place, forecast: Aged[Forecast], day: int, wording: Wording) -> Mapping[str, object]:
    current, daily = forecast.value.current, forecast.value.daily
    today = (
        current.local_time() + timedelta(seconds=forecast.age_s)
    ).date()  # a kept answer may be from yesterday
    old = {"minutes_old": round(forecast.age_s / 60)} if forecast.age_s >= FORECAST_S else {}
    now = {} if day else _now(forecast.value, wording)
    then = _day(daily, today + timedelta(days=day), wording)
    return {"city": place.name, **_known("country", place.country or None), **then, **now, **old}


def _now(forecast: Forecast, wording: Wording) -> Mapping[str, object]:
    current = forecast.current
    return {
        **wording.degrees("temperature", current.temperature_2m),
        **wording.degrees("feels_like", current.apparent_temperature),
        **wording.condition(current.weather_code),
        **wording.wind(current.wind_speed_10m),
        **_known("humidity_percent", _whole(current.relative_humidity_2m)),
    }


def _day(daily: Daily, day: date, wording: Wording) -> Mapping[str, object]:
    if day not in daily.time:
        raise ToolError(f"there is no forecast for {day.isoformat()}")
    index = daily.time.index(day)
    return {
        "date": day.isoformat(),
        **wording.condition(daily.weather_code[index]),
        **wording.degrees("temperature_min", daily.temperature_2m_min[index]),
        **wording.degrees("temperature_max", daily.temperature_2m_max[index]),
        **_known("precipitation_percent", _whole(daily.precipitation_probability_max[index])),
        **wording.wind(daily.wind_speed_10m_max[index]),
    }


def _known(name: str, value: object | None) -> Mapping[str, object]:
    return {} if value is None else {name: value}


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
