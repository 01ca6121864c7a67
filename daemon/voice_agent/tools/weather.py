"""The tool that knows the weather, from a server with Open-Meteo's public API (no key needed).

Two requests: the city's coordinates, then the current weather there. Weather codes are WMO 4677 as
Open-Meteo documents them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
import msgspec

from voice_agent.dialogue import Manners
from voice_agent.errors import ToolError
from voice_agent.tools.base import Arguments, Tool, text_argument

PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "City name, for example Moscow"}},
    "required": ["city"],
    "additionalProperties": False,
}

CONDITIONS = {
    0: "clear sky", 1: "mostly clear", 2: "partly cloudy", 3: "overcast", 45: "fog", 48: "freezing fog",
    51: "light drizzle", 53: "drizzle", 55: "heavy drizzle", 56: "freezing drizzle", 57: "freezing drizzle",
    61: "light rain", 63: "rain", 65: "heavy rain", 66: "freezing rain", 67: "freezing rain",
    71: "light snow", 73: "snow", 75: "heavy snow", 77: "snow grains", 80: "light showers", 81: "showers",
    82: "heavy showers", 85: "snow showers", 86: "heavy snow showers", 95: "thunderstorm",
    96: "thunderstorm with hail", 99: "thunderstorm with hail",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class WeatherService:
    """Where to ask, and how long to wait for both answers together."""

    geocoding_url: str = "https://geocoding-api.open-meteo.com/v1/search"
    forecast_url: str = "https://api.open-meteo.com/v1/forecast"
    timeout_s: float = 8.0


class _Found(msgspec.Struct):
    name: str
    latitude: float
    longitude: float
    country: str = ""


class _Search(msgspec.Struct):
    results: list[_Found] = []


class _Current(msgspec.Struct):
    temperature_2m: float
    weather_code: int = -1
    wind_speed_10m: float | None = None


class _Forecast(msgspec.Struct):
    current: _Current


def weather_tool(service: WeatherService) -> Tool:
    """``get_weather``: the current weather in a city."""

    async def handler(arguments: Arguments) -> Mapping[str, object]:
        city = text_argument(arguments, "city")
        async with aiohttp.ClientSession() as http:
            search = msgspec.json.decode(
                await _get(http, service.geocoding_url, {"name": city, "count": "1"}), type=_Search
            )
            if not search.results:
                raise ToolError(f"no city named {city!r} is known")
            return _report(search.results[0], await _forecast(http, service, search.results[0]))

    manners = Manners(timeout_s=service.timeout_s)
    return Tool("get_weather", "Current weather in a city.", PARAMETERS, handler, manners)


async def _forecast(http: aiohttp.ClientSession, service: WeatherService, place: _Found) -> _Current:
    wanted = {
        "latitude": str(place.latitude),
        "longitude": str(place.longitude),
        "current": "temperature_2m,weather_code,wind_speed_10m",
        "wind_speed_unit": "ms",
    }
    return msgspec.json.decode(await _get(http, service.forecast_url, wanted), type=_Forecast).current


async def _get(http: aiohttp.ClientSession, url: str, query: Mapping[str, str]) -> bytes:
    try:
        async with http.get(url, params=query) as response:
            response.raise_for_status()
            return await response.read()
    except aiohttp.ClientResponseError as error:
        raise ToolError(f"the weather service answered HTTP {error.status}") from error
    except aiohttp.ClientError as error:
        raise ToolError("the weather service cannot be reached; is there a network?") from error


def _report(place: _Found, current: _Current) -> Mapping[str, object]:
    return {
        "city": place.name,
        "country": place.country,
        "temperature_c": round(current.temperature_2m),
        "condition": CONDITIONS.get(current.weather_code, "unknown"),
        "wind_m_s": current.wind_speed_10m,
    }
