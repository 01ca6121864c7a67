"""What is asked of Open-Meteo's public API, and what of its answers is believed.

Whatever is at the other end: answers are bounded in size and time, are checked field by field, and redirects
are not followed. Each failure is a sentence that a model can pass on.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from time import monotonic
from typing import Annotated, Literal, TypeVar

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver
from msgspec import Meta, Struct

from voice_agent.errors import ToolError
from voice_agent.tools.weather.cache import TOO_LATE
from voice_agent.tools.weather.conditions import Language

T = TypeVar("T")

Units = Literal["metric", "imperial"]

MAX_BYTES = 64 * 1024
"""An answer has 2 kB."""

FORECAST_DAYS = 8
"""A week, and one more: a kept answer may be from yesterday."""

PAUSE_S = 0.3
"""Before the one repetition of a request that failed at once."""

PASSING = frozenset({502, 503, 504})
"""Answers of a proxy whose server is being restarted."""

_UNREACHABLE = "the weather service cannot be reached; the network seems to be down"
_UNSAFE = "there is no safe connection to the weather service; the device's clock may be wrong"
_NONSENSE = "the weather service gave an answer that makes no sense"

CURRENT = "temperature_2m,apparent_temperature,relative_humidity_2m,weather_code,wind_speed_10m"
DAILY = "weather_code,temperature_2m_max,temperature_2m_min,precipitation_probability_max,wind_speed_10m_max"

Words = Annotated[str, Meta(max_length=200)]


class Place(Struct, frozen=True):
    """A place that a name stands for, in the language that was asked for."""

    name: Words
    latitude: float
    longitude: float
    country: Words = ""


class Current(Struct, frozen=True):
    """The weather now: local time, degrees, percent, the service's code, and wind in the units asked for."""

    time: Words
    temperature_2m: float
    apparent_temperature: float | None = None
    relative_humidity_2m: float | None = None
    weather_code: int | None = None
    wind_speed_10m: float | None = None

    def __post_init__(self) -> None:
        self.local_time()

    def local_time(self) -> datetime:
        """When that was, by the clocks there; the service leaves the seconds out, which msgspec wants."""
        return datetime.fromisoformat(self.time)


class Daily(Struct, frozen=True):
    """Some days from today on, each an entry in every list. What is not known is ``None``."""

    time: list[date]
    weather_code: list[int | None]
    temperature_2m_max: list[float | None]
    temperature_2m_min: list[float | None]
    precipitation_probability_max: list[float | None]
    wind_speed_10m_max: list[float | None]

    def __post_init__(self) -> None:
        lengths = {len(getattr(self, field)) for field in self.__struct_fields__}
        if len(lengths) > 1:
            raise ValueError("the lists are not equally long")


class Forecast(Struct, frozen=True):
    """The weather at a place, in its own time."""

    current: Current
    daily: Daily


class _Search(Struct):
    results: list[Place] = []


@dataclass(frozen=True, slots=True)
class WeatherService:
    """Where to ask, and how long to wait for all of an answer, in seconds.

    ``resolver`` looks names up; aiohttp's own has threads that hold up the exit.
    """

    geocoding_url: str = "https://geocoding-api.open-meteo.com/v1/search"
    forecast_url: str = "https://api.open-meteo.com/v1/forecast"
    timeout_s: float = 8.0
    resolver: AbstractResolver | None = None

    async def find(self, name: str, language: Language) -> Place:
        """The best known place of this name."""
        query = {"name": name, "count": "1", "language": language}
        found = _decoded(await self._get(self.geocoding_url, query), _Search)
        if not found.results:
            raise ToolError(f"no city named {name!r} is known")
        return found.results[0]

    async def forecast(self, place: Place, units: Units) -> Forecast:
        """The weather there."""
        imperial = units == "imperial"
        query = {
            "latitude": str(place.latitude),
            "longitude": str(place.longitude),
            "current": CURRENT,
            "daily": DAILY,
            "timezone": "auto",
            "forecast_days": str(FORECAST_DAYS),
            "temperature_unit": "fahrenheit" if imperial else "celsius",
            "wind_speed_unit": "mph" if imperial else "ms",
        }
        return _decoded(await self._get(self.forecast_url, query), Forecast)

    async def _get(self, url: str, query: Mapping[str, str]) -> bytes:
        """The body of a good answer. A connection that breaks at once is given a second chance."""
        deadline = monotonic() + self.timeout_s
        connector = aiohttp.TCPConnector(resolver=self.resolver)
        async with aiohttp.ClientSession(connector=connector) as http:
            if (body := await self._try(http, url, query, self.timeout_s)) is None:
                await asyncio.sleep(PAUSE_S)
                body = await self._try(http, url, query, max(deadline - monotonic(), PAUSE_S))
        if body is None:
            raise ToolError("the weather service has trouble; try again in a few minutes")
        return body

    async def _try(
        self, http: aiohttp.ClientSession, url: str, query: Mapping[str, str], within_s: float
    ) -> bytes | None:
        """The same; ``None`` after a failure that may pass in a moment."""
        limit = aiohttp.ClientTimeout(total=within_s)
        try:
            async with http.get(url, params=query, timeout=limit, allow_redirects=False) as response:
                if response.status in PASSING:
                    return None
                if response.status != 200:
                    raise ToolError(f"the weather service answered HTTP {response.status}")
                return await _bounded(response.content)
        except TimeoutError as error:
            raise ToolError(TOO_LATE) from error
        except aiohttp.ClientSSLError as error:
            raise ToolError(_UNSAFE) from error
        except aiohttp.ClientConnectorError as error:
            raise ToolError(_UNREACHABLE) from error
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientPayloadError):
            return None
        except aiohttp.ClientError as error:
            raise ToolError(_NONSENSE) from error


async def _bounded(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > MAX_BYTES:
            raise ToolError(_NONSENSE)
    return bytes(body)


def _decoded(body: bytes, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ToolError(_NONSENSE) from error
