"""A weather service of Open-Meteo's public shape, for a machine without the internet.

``/v1/search`` finds a city by name, ``/v1/forecast`` tells its weather now and on the next days. The weather
is invented but steady: it depends on nothing but the city and how many days ahead it is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

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

COUNTRIES = {
    "RU": "Россия", "GB": "Великобритания", "FR": "Франция", "DE": "Германия", "IT": "Италия",
    "ES": "Испания", "JP": "Япония", "US": "США", "AU": "Австралия", "EG": "Египет", "IN": "Индия",
    "AE": "Объединённые Арабские Эмираты",
}  # fmt: skip
"""In Russian."""

WET = 51
"""From this code on something falls from the sky."""

UNITS = {
    "time": "iso8601",
    "interval": "seconds",
    "weather_code": "wmo code",
    "relative_humidity_2m": "%",
    "precipitation_probability_max": "%",
    "is_day": "",
    "precipitation": "mm",
}
"""Of what is the same everywhere; a temperature and a wind are told in what was asked for."""

TEMPERATURES = {"celsius": "°C", "fahrenheit": "°F"}
WINDS = {"kmh": ("km/h", 1.0), "ms": ("m/s", 1 / 3.6), "mph": ("mp/h", 0.621371), "kn": ("kn", 0.539957)}
"""The unit's sign, and how many of it are one km/h."""

CHANGES = (0.0, 1.5, -2.0, -4.5, 0.5, 3.0, 2.0, -1.0)
"""How much warmer than today each of the next days is; then it begins again."""

LATER = (2, 61, 3, 0, 80, 1, 45)
"""What it is like on each of the next days; then it begins again."""

LONGEST_DAYS = 16


class Refused(ValueError):
    """Something was asked for that does not exist; the text says what."""


def routes() -> list[web.RouteDef]:
    """The two end points."""
    return [web.get("/v1/search", _search), web.get("/v1/forecast", _forecast)]


async def _search(request: web.Request) -> web.Response:
    wanted, _, country = (part.strip().casefold() for part in request.query.get("name", "").partition(","))
    if not wanted:
        return _bad("Parameter 'name' is required.")
    found = [city for city in CITIES if wanted in (city.name.casefold(), city.russian.casefold())]
    if country:  # after a comma it narrows the search
        found = [city for city in found if country in (city.country.casefold(), city.country_code.casefold())]
    russian = request.query.get("language") == "ru"
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
        "country": COUNTRIES[city.country_code] if russian else city.country,
        "country_code": city.country_code,
        "timezone": city.timezone,
        "feature_code": "PPLC",
    }


async def _forecast(request: web.Request) -> web.Response:
    try:
        return web.json_response(_told(request.query))
    except Refused as error:
        return _bad(str(error))


def _told(query: Mapping[str, str]) -> dict[str, Any]:
    try:
        latitude, longitude = float(query["latitude"]), float(query["longitude"])
        days = int(query.get("forecast_days", "7"))
    except (KeyError, ValueError) as error:
        raise Refused("Parameters 'latitude', 'longitude' and 'forecast_days' must be numbers.") from error
    if not 0 <= days <= LONGEST_DAYS:
        raise Refused(f"Forecast days is invalid. Allowed range 0 to {LONGEST_DAYS}. Given {days}.")
    if "daily" in query and "timezone" not in query:
        raise Refused("Timezone is required")
    city = min(CITIES, key=lambda c: (c.latitude - latitude) ** 2 + (c.longitude - longitude) ** 2)
    measure = Measure(query)
    now = _here(city) if query.get("timezone") == "auto" else datetime.now(UTC)
    offset = now.utcoffset() or timedelta()
    answer: dict[str, Any] = {
        "latitude": latitude,
        "longitude": longitude,
        "generationtime_ms": 0.1,
        "utc_offset_seconds": int(offset.total_seconds()),
        "timezone": city.timezone if query.get("timezone") == "auto" else "GMT",
        "timezone_abbreviation": now.strftime("%Z"),
        "elevation": 100.0,
    }
    if asked := _asked(query, "current"):
        quarter = now.replace(minute=now.minute // 15 * 15)
        stamp = {"time": quarter.strftime("%Y-%m-%dT%H:%M"), "interval": 900}
        answer["current"] = stamp | measure.pick(_weather(city), asked)
        answer["current_units"] = measure.units(["time", "interval", *asked])
    if asked := _asked(query, "daily"):
        each = [measure.pick(_day(city, day), asked) for day in range(days)]
        answer["daily_units"] = measure.units(["time", *asked])
        answer["daily"] = {"time": [(now.date() + timedelta(days=day)).isoformat() for day in range(days)]}
        answer["daily"] |= {name: [values[name] for values in each] for name in asked}
    return answer


def _asked(query: Mapping[str, str], kind: str) -> list[str]:
    return [name for name in query.get(kind, "").split(",") if name]


def _here(city: City) -> datetime:
    try:
        return datetime.now(ZoneInfo(city.timezone))
    except ZoneInfoNotFoundError:  # a machine without time zones
        return datetime.now(UTC)


class Measure:
    """The units that were asked for."""

    def __init__(self, query: Mapping[str, str]) -> None:
        self._temperature = query.get("temperature_unit", "celsius")
        self._wind = query.get("wind_speed_unit", "kmh")
        if self._temperature not in TEMPERATURES:
            raise Refused(f"Cannot initialize TemperatureUnit from invalid String value {self._temperature}")
        if self._wind not in WINDS:
            raise Refused(f"Cannot initialize WindspeedUnit from invalid String value {self._wind}")

    def units(self, names: Iterable[str]) -> dict[str, str]:
        """The sign of each value's unit."""
        return {name: self._sign(name) for name in names}

    def pick(self, values: Mapping[str, float], names: Iterable[str]) -> dict[str, float]:
        """Those values of Celsius and km/h that were asked for."""
        try:
            return {name: self._converted(name, values[name]) for name in names}
        except KeyError as error:
            raise Refused(
                f"Data corrupted at path ''. Cannot initialize from invalid value {error}."
            ) from error

    def _sign(self, name: str) -> str:
        if "temperature" in name:
            return TEMPERATURES[self._temperature]
        return WINDS[self._wind][0] if "wind" in name else UNITS[name]

    def _converted(self, name: str, value: float) -> float:
        if "temperature" in name and self._temperature == "fahrenheit":
            return round(value * 1.8 + 32, 1)
        return round(value * WINDS[self._wind][1], 1) if "wind" in name else value


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


def _day(city: City, day: int) -> dict[str, float]:
    """The weather ``day`` days from today."""
    middle = city.temperature + CHANGES[day % len(CHANGES)]
    code = LATER[(day - 1) % len(LATER)] if day else city.code
    return {
        "weather_code": code,
        "temperature_2m_max": round(middle + 2.5, 1),
        "temperature_2m_min": round(middle - 4.0, 1),
        "precipitation_probability_max": 80 if code >= WET else 10,
        "wind_speed_10m_max": round(city.wind * 1.4, 1),
    }


def _bad(reason: str) -> web.Response:
    return web.json_response({"error": True, "reason": reason}, status=400)
