"""The weather tool against a service of the public one's shape, and against ones without manners."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from voice_agent.embedded import Script, ServerOptions, running
from voice_agent.embedded import weather as embedded
from voice_agent.tools.base import Toolbox
from voice_agent.tools.weather import Home, WeatherService, weather_tool
from voice_agent.tools.weather.cache import Cache
from voice_agent.tools.weather.conditions import _WORDS, condition

Answerer = Callable[[web.Request], Awaitable[web.StreamResponse]]
PLACE = {"name": "Moscow", "latitude": 55.75, "longitude": 37.62, "country": "Russia"}
HOME, RUSSIAN = Home(), Home("ru")


class Clock:
    """Monotonic seconds, as a test wants them."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Elsewhere:
    """A weather service: the embedded one, until a test puts something else in its place."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.instead: Answerer | None = None
        self.only = ""
        self.url = ""
        self.waiting = asyncio.Event()

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Elsewhere"]:
        app = web.Application()
        for route in embedded.routes():
            app.router.add_get(route.path, self._answer(route.handler))
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = runner.addresses[0] and f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    def _answer(self, usual: Answerer) -> Answerer:
        async def answer(request: web.Request) -> web.StreamResponse:
            self.asked.append(request.path)
            self.waiting.set()
            if self.instead and self.only in request.path:
                return await self.instead(request)
            return await usual(request)

        return answer

    def service(self, timeout_s: float = 5.0) -> WeatherService:
        return WeatherService(f"{self.url}/v1/search", f"{self.url}/v1/forecast", timeout_s)


async def ask(box: Toolbox, **arguments: object) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((await box.run("get_weather", json.dumps(arguments)))[0])
    return answer


def asked(home: Home = HOME, instead: Answerer | None = None, **arguments: object) -> dict[str, Any]:
    """One question to a fresh tool."""

    async def scene() -> dict[str, Any]:
        async with Elsewhere().open() as elsewhere:
            elsewhere.instead = instead
            return await ask(Toolbox([weather_tool(elsewhere.service(), home)]), **arguments)

    return asyncio.run(scene())


# ------------------------------------------------------------------------------------ what is told


def test_the_weather_now_is_told_with_what_the_day_brings() -> None:
    answer = asked(city="moscow")
    date.fromisoformat(answer.pop("date"))
    assert answer == {
        "city": "Moscow",
        "country": "Russia",
        "temperature_c": -3,
        "feels_like_c": -5,
        "condition": "light snow",
        "wind_m_s": 4,
        "humidity_percent": 86,
        "temperature_min_c": -7,
        "temperature_max_c": -1,
        "precipitation_percent": 80,
    }


def test_the_forecast_of_a_day_has_no_weather_of_now() -> None:
    today, tomorrow = asked(city="Rome"), asked(city="Rome", day=1)
    assert date.fromisoformat(tomorrow.pop("date")) == date.fromisoformat(today["date"]) + timedelta(days=1)
    assert tomorrow == {
        "city": "Rome",
        "country": "Italy",
        "condition": "partly cloudy",
        "temperature_min_c": 14,
        "temperature_max_c": 21,
        "precipitation_percent": 10,
        "wind_m_s": 2,
    }
    assert asked(city="Rome", day=6)["temperature_max_c"] == 21


def test_a_russian_device_is_told_in_russian_and_so_is_who_names_a_city_in_russian() -> None:
    for answer in (asked(RUSSIAN, city="Moscow"), asked(city="Москва")):
        assert (answer["city"], answer["country"]) == ("Москва", "Россия")
        assert answer["condition"] == "небольшой снег"


def test_imperial_units_are_asked_for_and_named() -> None:
    answer = asked(Home(units="imperial"), city="New York")
    assert (answer["temperature_f"], answer["wind_mph"]) == (47, 10)
    assert not any(name.endswith(("_c", "_m_s")) for name in answer)


def test_at_home_no_city_need_be_named() -> None:
    home = Home(city="Berlin")
    assert asked(home)["city"] == "Berlin"
    assert asked(home, city="Paris")["city"] == "Paris"
    (spec,) = Toolbox([weather_tool(WeatherService(), home)]).specs()
    schema = json.loads(bytes(spec.parameters))  # type: ignore[arg-type]
    assert schema["required"] == []
    assert "Berlin" in schema["properties"]["city"]["description"]


@pytest.mark.parametrize(
    "arguments", [{}, {"city": ""}, {"city": "Rome", "day": 7}, {"city": "Rome", "day": "x"}]
)
def test_wrong_arguments_are_said(arguments: dict[str, Any]) -> None:
    assert "error" in asked(**arguments)


def test_every_condition_has_words_in_both_languages() -> None:
    assert all(condition(code, "en") and condition(code, "ru") for code in _WORDS)
    assert {city.code for city in embedded.CITIES} | set(embedded.LATER) <= set(_WORDS)
    assert condition(42, "en") is None


# --------------------------------------------------------------------------------------- what fails


def answering(body: str, status: int = 200, **headers: str) -> Answerer:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=body, status=status, content_type="application/json", headers=headers)

    return answer


def found(**changed: object) -> Answerer:
    return answering(json.dumps({"results": [PLACE | changed]}))


async def hang(_request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def hang_up(request: web.Request) -> web.StreamResponse:
    assert request.transport
    request.transport.abort()
    return web.Response()


@pytest.mark.parametrize(
    ("instead", "words"),
    [
        (answering("{}"), "no city named 'Moscow' is known"),
        (answering('{"results": []}'), "no city named 'Moscow' is known"),
        (answering("", 500), "answered HTTP 500"),
        (answering("", 429), "answered HTTP 429"),
        (answering('{"error": true, "reason": "x"}', 400), "answered HTTP 400"),
        (answering("", 302, Location="http://169.254.169.254/"), "answered HTTP 302"),
        (answering("", 503), "has trouble"),
        (hang_up, "has trouble"),
        (answering("<html>Log in to the hotel's network</html>"), "makes no sense"),
        (answering("[" * 50_000), "makes no sense"),
        (answering('{"results": [{"name": "Moscow"}]}'), "makes no sense"),
        (found(latitude="north"), "makes no sense"),
        (found(name="M" * 201), "makes no sense"),
        (answering(" " * 70_000 + "{}"), "makes no sense"),
        (answering("\udcff".encode("utf-8", "surrogateescape").decode("latin-1")), "makes no sense"),
    ],
)
def test_each_failure_of_the_service_is_a_sentence(instead: Answerer, words: str) -> None:
    answer = asked(instead=instead, city="Moscow")
    assert words in answer["error"]


FORECAST = {
    "current": {"time": "2026-11-22T12:00", "temperature_2m": -3.4},
    "daily": {
        "time": ["2026-11-22", "2026-11-23"],
        "weather_code": [None, 1000],
        "temperature_2m_max": [None, 1.0],
        "temperature_2m_min": [-5.0, -4.0],
        "precipitation_probability_max": [None, None],
        "wind_speed_10m_max": [None, None],
    },
}


def told(forecast: object, **arguments: object) -> dict[str, Any]:
    """What is made of this forecast."""

    async def scene() -> dict[str, Any]:
        async with Elsewhere().open() as elsewhere:
            elsewhere.instead, elsewhere.only = answering(json.dumps(forecast)), "forecast"
            return await ask(Toolbox([weather_tool(elsewhere.service())]), city="Moscow", **arguments)

    return asyncio.run(scene())


def test_what_is_not_known_is_left_out() -> None:
    where = {"city": "Moscow", "country": "Russia"}
    now = {"date": "2026-11-22", "temperature_c": -3, "temperature_min_c": -5}
    assert told(FORECAST) == where | now
    tomorrow = {"date": "2026-11-23", "temperature_min_c": -4, "temperature_max_c": 1}
    assert told(FORECAST, day=1) == where | tomorrow
    assert told(FORECAST, day=2) == {"error": "there is no forecast for 2026-11-24"}


@pytest.mark.parametrize(
    "nonsense",
    [
        {},
        FORECAST | {"current": {"time": "noon", "temperature_2m": 1.0}},
        FORECAST | {"daily": FORECAST["daily"] | {"time": ["2026-11-22"]}},
    ],
)
def test_a_forecast_that_contradicts_itself_is_not_believed(nonsense: object) -> None:
    assert "makes no sense" in told(nonsense)["error"]


def test_a_body_without_an_end_is_given_up() -> None:
    async def pour(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" " * 16_384)

    assert "makes no sense" in asked(instead=pour, city="Moscow")["error"]


def test_a_slow_service_is_given_up_in_time() -> None:
    async def scene() -> None:
        async with Elsewhere().open() as elsewhere:
            elsewhere.instead = hang
            tool = weather_tool(elsewhere.service(timeout_s=0.05))
            assert "did not answer in time" in (await ask(Toolbox([tool]), city="Moscow"))["error"]

    asyncio.run(scene())


def test_without_a_network_that_is_said() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, and nobody listens
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        tool = weather_tool(WeatherService(url, url))
        assert "network seems to be down" in asyncio.run(ask(Toolbox([tool]), city="Moscow"))["error"]


class NoNames(AbstractResolver):
    """A resolver without a name server."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def resolve(
        self,
        host: str,
        port: int = 0,  # noqa: ARG002 - aiohttp gives them by name
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002
    ) -> list[ResolveResult]:
        self.asked.append(host)
        raise socket.gaierror(socket.EAI_AGAIN, "no name server answers")

    async def close(self) -> None:
        """Nothing to close."""


def test_names_are_looked_up_by_the_given_resolver_and_their_failure_is_said() -> None:
    async def scene() -> None:
        names = NoNames()
        box = Toolbox([weather_tool(WeatherService(resolver=names))])
        assert "network seems to be down" in (await ask(box, city="Moscow"))["error"]
        assert names.asked == ["geocoding-api.open-meteo.com"]

    asyncio.run(scene())


def test_a_connection_that_breaks_is_made_once_more() -> None:
    async def scene() -> None:
        async with Elsewhere().open() as elsewhere:

            async def break_once(request: web.Request) -> web.StreamResponse:
                elsewhere.instead = None
                return await hang_up(request)

            elsewhere.instead = break_once
            answer = await ask(Toolbox([weather_tool(elsewhere.service())]), city="Moscow")
            assert answer["city"] == "Moscow"

    asyncio.run(scene())


# ---------------------------------------------------------------------------------------- the cache


def test_a_forecast_is_asked_for_again_after_ten_minutes_and_a_place_after_a_day() -> None:
    async def scene() -> None:
        clock = Clock()
        async with Elsewhere().open() as elsewhere:
            box = Toolbox([weather_tool(elsewhere.service(), clock=clock)])
            for city, passed_s in (("Rome", 0), ("ROME", 599), ("Rome", 2), ("Rome", 86_400)):
                clock.now += passed_s
                assert "error" not in await ask(box, city=city)
            search, forecast = "/v1/search", "/v1/forecast"
            assert elsewhere.asked == [search, forecast, forecast, search, forecast]

    asyncio.run(scene())


def test_an_old_answer_is_given_with_its_age_while_the_service_is_away() -> None:
    async def scene() -> None:
        clock = Clock()
        async with Elsewhere().open() as elsewhere:
            box = Toolbox([weather_tool(elsewhere.service(), clock=clock)])
            fresh = await ask(box, city="Rome")
            assert "minutes_old" not in fresh
            elsewhere.instead = answering("", 500)
            clock.now += 45 * 60
            assert (await ask(box, city="Rome"))["minutes_old"] == 45
            clock.now += 75 * 60
            assert "HTTP 500" in (await ask(box, city="Rome"))["error"]

    asyncio.run(scene())


def test_an_old_answer_is_given_when_the_service_hangs() -> None:
    async def scene() -> None:
        clock = Clock()
        async with Elsewhere().open() as elsewhere:
            box = Toolbox([weather_tool(elsewhere.service(timeout_s=0.5), clock=clock)])
            await ask(box, city="Rome")
            elsewhere.instead = hang
            clock.now += 3600
            assert (await ask(box, city="Rome"))["minutes_old"] == 60

    asyncio.run(scene())


def test_an_old_answer_knows_that_it_is_tomorrow() -> None:
    late = {**FORECAST, "current": {"time": "2026-11-22T23:30", "temperature_2m": -3.4}}

    async def scene() -> None:
        clock = Clock()
        async with Elsewhere().open() as elsewhere:
            box = Toolbox([weather_tool(elsewhere.service(), clock=clock)])
            elsewhere.instead, elsewhere.only = answering(json.dumps(late)), "forecast"
            assert (await ask(box, city="Moscow"))["date"] == "2026-11-22"
            elsewhere.instead = answering("", 500)
            clock.now += 3600
            assert (await ask(box, city="Moscow"))["date"] == "2026-11-23"

    asyncio.run(scene())


def test_who_asks_at_the_same_time_shares_one_request_and_gets_it_though_the_first_has_gone() -> None:
    async def scene() -> None:
        async with Elsewhere().open() as elsewhere:
            box = Toolbox([weather_tool(elsewhere.service())])
            calls = [asyncio.create_task(ask(box, city="Rome")) for _ in range(5)]
            await elsewhere.waiting.wait()
            calls.pop(0).cancel()  # the user spoke
            answers = await asyncio.gather(*calls)
            assert len({json.dumps(answer) for answer in answers}) == 1
            assert elsewhere.asked == ["/v1/search", "/v1/forecast"]

    asyncio.run(scene())


def test_of_many_answers_the_ones_used_last_are_kept() -> None:
    async def scene() -> None:
        cache: Cache[int, str] = Cache(size=2, fresh_s=10, stale_s=20, clock=Clock())
        made: list[int] = []

        def make(key: int) -> Callable[[], Any]:
            async def value() -> str:
                made.append(key)
                return str(key)

            return value

        for key in (1, 2, 1, 3, 1, 2):
            assert (await cache.get(key, make(key), within_s=1)).value == str(key)
        assert made == [1, 2, 3, 2]
        assert len(cache) == 2

    asyncio.run(scene())


# ------------------------------------------------------------------------- the embedded service's shape


def embedded_answer(path: str) -> tuple[int, dict[str, Any]]:
    """What the embedded service answers, by the public one's paths and parameters."""

    async def scene() -> tuple[int, dict[str, Any]]:
        async with (
            running(ServerOptions(script=Script())) as server,
            aiohttp.ClientSession() as http,
            http.get(server.http_url + path) as response,
        ):
            return response.status, await response.json()

    return asyncio.run(scene())


AT = "latitude=55.75&longitude=37.62"


def test_the_embedded_service_has_the_public_ones_shape() -> None:
    asked = "temperature_2m_max,weather_code"
    status, answer = embedded_answer(
        f"/v1/forecast?{AT}&current=temperature_2m,wind_speed_10m&daily={asked}&timezone=auto"
        "&wind_speed_unit=ms&temperature_unit=fahrenheit&forecast_days=3"
    )
    assert status == 200
    assert answer["timezone"] == "Europe/Moscow"
    assert answer["utc_offset_seconds"] == 3 * 3600
    assert answer["current_units"]["wind_speed_10m"] == "m/s"
    assert answer["current"]["interval"] == 900
    assert answer["current"]["temperature_2m"] == 25.9
    assert answer["daily_units"]["temperature_2m_max"] == "°F"
    assert {len(values) for values in answer["daily"].values()} == {3}
    here = datetime.now(UTC) + timedelta(hours=3)
    assert abs(date.fromisoformat(answer["daily"]["time"][0]) - here.date()) <= timedelta(days=1)


@pytest.mark.parametrize(
    "query",
    [
        "latitude=x&longitude=1",
        f"{AT}&current=nonsense",
        f"{AT}&daily=weather_code",
        f"{AT}&forecast_days=17",
        f"{AT}&wind_speed_unit=knots",
        f"{AT}&temperature_unit=kelvin",
    ],
)
def test_the_embedded_service_refuses_as_the_public_one_does(query: str) -> None:
    status, answer = embedded_answer(f"/v1/forecast?{query}")
    assert (status, answer["error"]) == (400, True)
    assert isinstance(answer["reason"], str)


def test_the_embedded_service_finds_a_city_in_either_language_and_a_country_narrows_it() -> None:
    _, answer = embedded_answer("/v1/search?name=%D0%A0%D0%B8%D0%BC&language=en")
    assert answer["results"][0]["name"] == "Rome"
    assert "results" in embedded_answer("/v1/search?name=Rome,IT")[1]
    assert "results" not in embedded_answer("/v1/search?name=Rome,France")[1]
