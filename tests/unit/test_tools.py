"""Tools: what goes back to the model, whatever happens inside."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from voice_agent.dialogue import Manners
from voice_agent.embedded import Script, ServerOptions, running
from voice_agent.errors import ToolError
from voice_agent.tools.base import MAX_STRAYS, Answer, Arguments, Tool, Toolbox, text_argument
from voice_agent.tools.clock import clock_tool
from voice_agent.tools.weather import WeatherService, weather_tool

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def tool(result: object, *, timeout_s: float = 1.0) -> Tool:
    async def handler(arguments: Arguments) -> Mapping[str, object]:
        if isinstance(result, BaseException):
            raise result
        if result == "hang":
            await asyncio.Event().wait()
        if result == "cancelled":
            await _cancelled()
        return {"result": result, "got": dict(arguments)}

    return Tool("x", "does x", {"type": "object"}, handler, Manners(timeout_s=timeout_s))


async def _cancelled() -> None:
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


def run(box: Toolbox, arguments: str = "{}", name: str = "x") -> tuple[dict[str, Any], bool]:
    answer = asyncio.run(box.run(name, arguments))
    return json.loads(answer.output), answer.ok


def test_a_tool_gets_its_arguments_and_its_answer_goes_back() -> None:
    assert run(Toolbox([tool(7)]), '{"a": 1}') == ({"result": 7, "got": {"a": 1}}, True)


@pytest.mark.parametrize(
    ("box", "arguments", "name", "words"),
    [
        (Toolbox([tool(ToolError("no such city"))]), "{}", "x", "no such city"),
        (Toolbox([tool(ZeroDivisionError())]), "{}", "x", "ZeroDivisionError"),
        (Toolbox([tool("hang", timeout_s=0.01)]), "{}", "x", "no answer within 0.01 s"),
        (Toolbox([tool("cancelled")]), "{}", "x", "x was cancelled"),
        (Toolbox([tool("long" * 5000)]), "{}", "x", "too long"),
        (Toolbox([tool(object())]), "{}", "x", "TypeError"),
        (Toolbox([tool(1)]), "[1]", "x", "not a JSON object"),
        (Toolbox([tool(1)]), "{", "x", "not a JSON object"),
        (Toolbox([tool(1)]), "[" * 100_000, "x", "not a JSON object"),
        (Toolbox([tool(1)]), "{}", "y", "no tool named 'y'; known: x"),
        (Toolbox([]), "{}", "", "known: none"),
    ],
)
def test_every_failure_is_an_answer_that_the_model_can_speak_about(
    box: Toolbox, arguments: str, name: str, words: str
) -> None:
    output, ok = run(box, arguments, name)
    assert not ok
    assert words in output["error"]


def test_a_cancelled_tool_is_cancelled() -> None:
    async def scene() -> None:
        task = asyncio.create_task(Toolbox([tool("hang", timeout_s=60)]).run("x", "{}"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scene())


class Deaf:
    """A tool that goes on when it is cancelled, until the test lets it end."""

    def __init__(self) -> None:
        self.end = asyncio.Event()
        self.ended = 0
        self.box = Toolbox(
            [Tool("deaf", "hears nothing", {"type": "object"}, self._work, Manners(timeout_s=0.01))]
        )

    async def _work(self, _: Arguments) -> Mapping[str, object]:
        while not self.end.is_set():
            with suppress(asyncio.CancelledError):
                await self.end.wait()
        self.ended += 1
        raise ToolError("nobody wants to know any more")


def test_a_tool_that_will_not_end_is_left_behind_and_too_many_of_them_end_all_calls() -> None:
    async def scene() -> None:
        deaf = Deaf()
        for _ in range(MAX_STRAYS):
            assert deaf.box.hanging_s == 0
            assert "no answer within" in (await deaf.box.run("deaf", "{}")).output
        assert "have not ended" in (await deaf.box.run("deaf", "{}")).output
        assert deaf.box.hanging_s > 0
        deaf.end.set()
        async with asyncio.timeout(5):
            while deaf.box.hanging_s:
                await asyncio.sleep(0)
        assert "no answer within" not in (await deaf.box.run("deaf", "{}")).output
        assert deaf.ended == MAX_STRAYS + 1

    asyncio.run(scene())


def test_a_tool_that_takes_too_long_is_cancelled() -> None:
    async def scene() -> None:
        ended = asyncio.Event()

        async def slow(_: Arguments) -> Mapping[str, object]:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            return {}

        await Toolbox([Tool("slow", "", {"type": "object"}, slow, Manners(timeout_s=0.01))]).run("slow", "{}")
        async with asyncio.timeout(5):
            await ended.wait()

    asyncio.run(scene())


def test_a_tool_that_will_not_end_does_not_hold_up_who_is_cancelled() -> None:
    async def scene() -> None:
        deaf = Deaf()
        caller = asyncio.create_task(deaf.box.run("deaf", "{}"))
        await asyncio.sleep(0)
        caller.cancel()
        await asyncio.wait([caller], timeout=5)
        assert caller.cancelled()
        deaf.end.set()

    asyncio.run(scene())


@pytest.mark.parametrize("arguments", [{}, {"city": ""}, {"city": 3}, {"city": None}])
def test_a_missing_text_argument_is_named(arguments: Arguments) -> None:
    with pytest.raises(ToolError, match="'city'"):
        text_argument(arguments, "city")


@pytest.mark.parametrize(
    ("place", "time", "date"),
    [
        ("Moscow", "15:00", "2026-11-22"),
        ("tokyo", "21:00", "2026-11-22"),
        ("New York", "07:00", "2026-11-22"),
        ("Pacific/Auckland", "01:00", "2026-11-23"),
    ],
)
def test_the_time_of_a_place_is_told(place: str, time: str, date: str) -> None:
    box = Toolbox([clock_tool(lambda: NOON)])
    output, ok = run(box, json.dumps({"place": place}), "get_time")
    assert ok
    assert (output["place"], output["time"], output["date"]) == (place, time, date)


def test_the_time_here_needs_no_place() -> None:
    output, ok = run(Toolbox([clock_tool(lambda: NOON)]), "{}", "get_time")
    assert ok
    assert output["place"] == "here"


def test_a_place_without_a_known_time_is_said() -> None:
    output, ok = run(Toolbox([clock_tool()]), '{"place": "Atlantis"}', "get_time")
    assert not ok
    assert "Atlantis" in output["error"]


def ask_weather(city: str, *, path: str = "/v1/search", refuse: bool = False) -> Answer:
    """Ask the embedded weather service, which has the shape of the public one."""

    async def scene() -> Answer:
        async with running(ServerOptions(script=Script())) as server:
            base = "http://127.0.0.1:9" if refuse else server.http_url
            service = WeatherService(base + path, base + "/v1/forecast", 5.0)
            return await Toolbox([weather_tool(service)]).run("get_weather", json.dumps({"city": city}))

    return asyncio.run(scene())


def test_the_weather_of_a_city_is_told() -> None:
    answer = ask_weather("Moscow")
    output = json.loads(answer.output)
    assert answer.ok
    assert output["city"] == "Moscow"
    assert output["temperature_c"] == -3
    assert output["condition"] == "light snow"


def test_a_city_that_nobody_knows_is_said() -> None:
    answer = ask_weather("Xyzzy")
    assert not answer.ok
    assert "Xyzzy" in answer.output


def test_a_weather_service_that_is_away_is_said() -> None:
    answer = ask_weather("Moscow", refuse=True)
    assert not answer.ok
    assert "cannot be reached" in answer.output


def test_a_weather_service_that_is_confused_is_said() -> None:
    answer = ask_weather("Moscow", path="/nowhere")
    assert not answer.ok
    assert "HTTP 404" in answer.output


def test_a_tool_is_declared_with_its_schema() -> None:
    (spec,) = Toolbox([clock_tool()]).specs()
    assert (spec.type, spec.name) == ("function", "get_time")
    assert json.loads(bytes(spec.parameters))["properties"]["place"]["type"] == "string"  # type: ignore[arg-type]
