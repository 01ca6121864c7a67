"""A weather service of Open-Meteo's public shape, for a machine without the internet.

``/v1/search`` finds a city by name, ``/v1/forecast`` tells its weather. The weather is invented but steady:
it depends on nothing but the city.
"""

from dataclasses import dataclass
from typing import Any

from aiohttp import web


@dataclass(frozen=True, slots=True)
class City:
    """A place and its weather: Celsius, WMO code, km/h."""

    id: int
    name: str
    russian: str
    country: str
    country_code: str
    latitude: float
    longitude: float
    timezone: str
    temperature: float
    code: int
    wind: float
    humidity: int


CITIES = (
    City(524901, "Moscow", "Москва", "Russia", "RU",
         55.75222, 37.61556, "Europe/Moscow", -3.4, 71, 14.2, 86),
    City(498817, "Saint Petersburg", "Санкт-Петербург", "Russia", "RU",
         59.93863, 30.31413, "Europe/Moscow", -1.2, 3, 18.0, 90),
    City(2643743, "London", "Лондон", "United Kingdom", "GB",
         51.50853, -0.12574, "Europe/London", 9.1, 61, 21.6, 82),
    City(2988507, "Paris", "Париж", "France", "FR",
         48.85341, 2.3488, "Europe/Paris", 11.3, 2, 9.4, 74),
    City(2950159, "Berlin", "Берлин", "Germany", "DE",
         52.52437, 13.41053, "Europe/Berlin", 5.0, 3, 12.2, 80),
    City(3169070, "Rome", "Рим", "Italy", "IT",
         41.89193, 12.51133, "Europe/Rome", 16.8, 0, 6.5, 60),
    City(3117735, "Madrid", "Мадрид", "Spain", "ES",
         40.4165, -3.70256, "Europe/Madrid", 14.2, 1, 7.9, 52),
    City(1850147, "Tokyo", "Токио", "Japan", "JP",
         35.6895, 139.69171, "Asia/Tokyo", 17.6, 0, 10.1, 48),
    City(5128581, "New York", "Нью-Йорк", "United States", "US",
         40.71427, -74.00597, "America/New_York", 8.3, 1, 16.9, 55),
    City(2147714, "Sydney", "Сидней", "Australia", "AU",
         -33.86785, 151.20732, "Australia/Sydney", 24.9, 2, 19.3, 63),
    City(360630, "Cairo", "Каир", "Egypt", "EG",
         30.06263, 31.24967, "Africa/Cairo", 23.7, 0, 11.7, 40),
    City(1275339, "Mumbai", "Мумбаи", "India", "IN",
         19.07283, 72.88261, "Asia/Kolkata", 29.5, 80, 13.3, 78),
    City(292223, "Dubai", "Дубай", "United Arab Emirates", "AE",
         25.07725, 55.30927, "Asia/Dubai", 30.4, 0, 15.5, 45),
)  # fmt: skip

UNITS = {
    "temperature_2m": "°C",
    "apparent_temperature": "°C",
    "relative_humidity_2m": "%",
    "weather_code": "wmo code",
    "wind_speed_10m": "km/h",
    "is_day": "",
    "precipitation": "mm",
}


def routes() -> list[web.RouteDef]:
    """The two end points."""
    return [web.get("/v1/search", _search), web.get("/v1/forecast", _forecast)]


async def _search(request: web.Request) -> web.Response:
    wanted = request.query.get("name", "").strip().casefold()
    if not wanted:
        return _bad("Parameter 'name' is required.")
    found = [city for city in CITIES if wanted in (city.name.casefold(), city.russian.casefold())]
    # The public service answers in the language it is asked for; this one also in the language of the name.
    russian = request.query.get("language") == "ru" or any(wanted == c.russian.casefold() for c in CITIES)
    answer: dict[str, Any] = {"generationtime_ms": 0.1}
    if found:  # the public service leaves the key out when it finds nothing
        answer["results"] = [_place(city, russian) for city in found[: int(request.query.get("count", "10"))]]
    return web.json_response(answer)


def _place(city: City, russian: bool) -> dict[str, Any]:
    return {
        "id": city.id,
        "name": city.russian if russian else city.name,
        "latitude": city.latitude,
        "longitude": city.longitude,
        "country": city.country,
        "country_code": city.country_code,
        "timezone": city.timezone,
        "feature_code": "PPLC",
    }


async def _forecast(request: web.Request) -> web.Response:
    try:
        latitude, longitude = float(request.query["latitude"]), float(request.query["longitude"])
    except (KeyError, ValueError):
        return _bad("Parameters 'latitude' and 'longitude' must be numbers.")
    asked = [name for name in request.query.get("current", "").split(",") if name]
    unknown = [name for name in asked if name not in UNITS]
    if unknown:
        return _bad(f"Invalid variable '{unknown[0]}'.")
    city = min(CITIES, key=lambda c: (c.latitude - latitude) ** 2 + (c.longitude - longitude) ** 2)
    values = _weather(city)
    return web.json_response(
        {
            "latitude": latitude,
            "longitude": longitude,
            "generationtime_ms": 0.1,
            "utc_offset_seconds": 0,
            "timezone": "GMT",
            "timezone_abbreviation": "GMT",
            "elevation": 100.0,
            "current_units": {"time": "iso8601", "interval": "seconds"} | {k: UNITS[k] for k in asked},
            "current": {"time": "2026-11-22T12:00", "interval": 900} | {k: values[k] for k in asked},
        }
    )


def _weather(city: City) -> dict[str, float]:
    return {
        "temperature_2m": city.temperature,
        "apparent_temperature": round(city.temperature - city.wind / 10, 1),
        "relative_humidity_2m": city.humidity,
        "weather_code": city.code,
        "wind_speed_10m": city.wind,
        "is_day": 1,
        "precipitation": 0.0,
    }


def _bad(reason: str) -> web.Response:
    return web.json_response({"error": True, "reason": reason}, status=400)
