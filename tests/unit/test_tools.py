"""Tools: what goes back to the model, whatever happens inside."""

import asyncio
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, cast

import pytest

from voice_agent.dialogue import Manners
from voice_agent.embedded import Script, ServerOptions, running
from voice_agent.errors import ToolError, ToolTimeout
from voice_agent.tools.answer import MAX_OUTPUT_CHARS, Answer
from voice_agent.tools.base import Arguments, Tool, Toolbox, text_argument
from voice_agent.tools.calls import MAX_RUNNING, MAX_STRAYS
from voice_agent.tools.clock import clock_tool
from voice_agent.tools.weather import WeatherService, weather_tool

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


ANY = {"type": "object"}


def tool(result: object, *, timeout_s: float = 1.0) -> Tool:
    async def handler(arguments: Arguments) -> Mapping[str, object]:
        if isinstance(result, BaseException):
            raise result
        if result == "hang":
            await asyncio.Event().wait()
        if result == "cancelled":
            await _cancelled()
        return {"result": result, "got": dict(arguments)}

    return Tool("x", "does x", ANY, handler, Manners(timeout_s=timeout_s))


async def _cancelled() -> None:
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


def returning(result: object) -> Tool:
    async def handler(_: Arguments) -> Mapping[str, object]:
        return cast("Mapping[str, object]", result)

    return Tool("x", "does x", ANY, handler)


def plain(work: Callable[[Arguments], Any], *, timeout_s: float = 5.0) -> Tool:
    return Tool("x", "does x", ANY, work, Manners(timeout_s=timeout_s))


def run(box: Toolbox, arguments: str = "{}", name: str = "x") -> tuple[dict[str, Any], bool]:
    answer = asyncio.run(box.run(name, arguments))
    return json.loads(answer.output), answer.ok


def outcome(tool: Tool, arguments: str = "{}", name: str = "x") -> tuple[str, str]:
    """How a call ends, and what the model is told about it."""
    answer = asyncio.run(Toolbox([tool]).run(name, arguments))
    return answer.outcome, json.loads(answer.output)["error"]


def test_a_tool_gets_its_arguments_and_its_answer_goes_back() -> None:
    assert run(Toolbox([tool(7)]), '{"a": 1}') == ({"result": 7, "got": {"a": 1}}, True)


def test_a_tool_without_async_runs_in_a_thread() -> None:
    seen: list[str] = []

    def work(arguments: Arguments) -> Mapping[str, object]:
        seen.append(threading.current_thread().name)
        return {"got": dict(arguments)}

    assert run(Toolbox([plain(work)]), '{"a": 1}') == ({"got": {"a": 1}}, True)
    assert seen == ["tool-x"]


def test_a_callable_object_that_is_asynchronous_is_awaited() -> None:
    class Handler:
        async def __call__(self, _: Arguments) -> Mapping[str, object]:
            return {"a": await asyncio.sleep(0, 1)}

    assert run(Toolbox([plain(Handler())])) == ({"a": 1}, True)


@pytest.mark.parametrize(
    ("tool", "arguments", "name", "how", "words"),
    [
        (tool(ToolError("no such city")), "{}", "x", "failed", "no such city"),
        (tool(ToolError("\ud800?")), "{}", "x", "failed", "??"),
        (tool(ZeroDivisionError()), "{}", "x", "crashed", "ZeroDivisionError"),
        (tool(TimeoutError()), "{}", "x", "timeout", "waited too long"),
        (tool(ToolTimeout("the hub is slow")), "{}", "x", "timeout", "the hub is slow"),
        (tool("hang", timeout_s=0.01), "{}", "x", "timeout", "no answer within 0.01 s"),
        (tool("cancelled"), "{}", "x", "crashed", "x was cancelled"),
        (tool(1), "[1]", "x", "invalid", "not a JSON object"),
        (tool(1), "{", "x", "invalid", "not a JSON object"),
        (tool(1), "[" * 100_000, "x", "invalid", "not a JSON object"),
        (tool(1), '{"a":' * 600 + "1" + "}" * 600, "x", "invalid", "not a JSON object"),
        (tool(1), "{}", "y", "unknown", "no tool named 'y'; known: x"),
        (tool(1), "{}", "\ud800", "unknown", "no tool named"),
        (returning({"error": "the bulb is broken"}), "{}", "x", "failed", "the bulb is broken"),
    ],
)
def test_every_failure_is_an_answer_that_the_model_can_speak_about(
    tool: Tool, arguments: str, name: str, how: str, words: str
) -> None:
    ended, told = outcome(tool, arguments, name)
    assert ended == how
    assert words in told


def test_a_box_without_tools_says_so() -> None:
    output, _ = run(Toolbox([]), name="")
    assert "known: none" in output["error"]


class Evil(Mapping[str, object]):
    """A result that blows up when it is looked at."""

    def __getitem__(self, _: str) -> object:
        raise KeyError

    def __iter__(self) -> Iterator[str]:
        raise SystemExit(3)

    def __len__(self) -> int:
        return 1


CYCLE: dict[str, object] = {}
CYCLE["again"] = CYCLE


@pytest.mark.parametrize(
    ("rubbish", "words"),
    [
        (None, "NoneType"),
        ("text", "str"),
        (tool, "function"),
        ([1], "list"),
        ({"a": object()}, "object"),
        ({(1, 2): 3}, "JSON"),
        ({"a": "\ud800"}, "surrogates"),
        (CYCLE, "recursion"),
        (Evil(), "SystemExit"),
    ],
)
def test_rubbish_is_an_answer_too(rubbish: object, words: str) -> None:
    how, told = outcome(returning(rubbish))
    assert how == "crashed"
    assert words in told


def test_what_is_no_number_is_null_for_the_model() -> None:
    result = {"a": float("nan"), "b": float("inf"), 3: MappingProxyType({})}
    output, ok = run(Toolbox([returning(MappingProxyType({**result, 3: 4}))]))
    assert (output, ok) == ({"a": None, "b": None, "3": 4}, True)


@pytest.mark.parametrize("filling", ["long ", '"', "\x00", "я", "😀", "\\"])
def test_an_answer_that_is_too_long_is_cut_and_says_so(filling: str) -> None:
    answer = asyncio.run(Toolbox([returning({"a": filling * 50_000})]).run("x", "{}"))
    cut = json.loads(answer.output)
    assert answer.ok
    assert len(answer.output) <= MAX_OUTPUT_CHARS
    assert len(cut["text"]) == cut["cut_after_chars"] > 1000
    assert cut["text"].startswith('{"a":"')


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), MemoryError(), StopIteration()])
@pytest.mark.parametrize("threaded", [False, True])
def test_a_tool_that_wants_to_end_the_process_only_ends_itself(
    error: BaseException, *, threaded: bool
) -> None:
    def work(_: Arguments) -> Mapping[str, object]:
        raise error

    how, told = outcome(plain(work) if threaded else tool(error))
    assert how == "crashed"
    assert type(error).__name__ in told or "RuntimeError" in told  # Python's word for StopIteration


def test_a_tool_without_end_of_recursion_ends() -> None:
    def work(arguments: Arguments) -> Mapping[str, object]:
        return work(arguments)

    assert outcome(plain(work)) == ("crashed", "the tool x failed: RecursionError")


def test_the_log_says_where_a_tool_failed_once_and_nothing_that_was_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    box = Toolbox([tool(ValueError("a secret"))])
    for _ in range(3):
        assert asyncio.run(box.run("x", "{}")).outcome == "crashed"
    (record,) = [each for each in caplog.records if each.levelname == "WARNING"]
    assert re.fullmatch(r"test_tools\.py:\d+", vars(record)["at"])
    assert "a secret" not in str(vars(record))
    assert record.exc_info is None


def test_a_thread_that_hangs_is_left_behind_and_counted_until_it_ends() -> None:
    async def scene() -> None:
        end = threading.Event()

        def work(_: Arguments) -> Mapping[str, object]:
            end.wait()
            return {}

        box = Toolbox([plain(work, timeout_s=0.01)])
        assert (await box.run("x", "{}")).outcome == "timeout"
        assert (box.calls.running, box.calls.strays) == (0, 1)
        end.set()
        async with asyncio.timeout(5):
            while box.calls.strays:
                await asyncio.sleep(0)

    asyncio.run(scene())


def test_many_calls_at_once_are_refused() -> None:
    async def scene() -> None:
        box = Toolbox([tool("hang", timeout_s=60)])
        calls = [asyncio.create_task(box.run("x", "{}")) for _ in range(MAX_RUNNING)]
        await asyncio.sleep(0)
        assert box.calls.running == MAX_RUNNING
        assert (await box.run("x", "{}")).outcome == "refused"
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)
        assert box.calls.running == 0

    asyncio.run(scene())


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
            [Tool("deaf", "hears nothing", {"type": "object"}, self._work, Manners(timeout_s=0.2))]
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
        try:
            for _ in range(MAX_STRAYS):
                assert deaf.box.calls.hanging_s == 0
                assert "no answer within" in (await deaf.box.run("deaf", "{}")).output
            assert "have not ended" in (await deaf.box.run("deaf", "{}")).output
            assert deaf.box.calls.hanging_s > 0
        finally:
            deaf.end.set()  # or the loop would wait for them for ever
        async with asyncio.timeout(5):
            while deaf.box.calls.hanging_s:
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

        await Toolbox([Tool("slow", "", {"type": "object"}, slow, Manners(timeout_s=0.5))]).run("slow", "{}")
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
