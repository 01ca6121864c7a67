"""Which session, turn and response a line is about."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator

import pytest

from tests.unit.test_session import Tools, World
from voice_agent import concern
from voice_agent.concern import MAX_ID_CHARS, MAX_TURNS, Concern
from voice_agent.dialogue import Outcome
from voice_agent.realtime.codec import decode_server
from voice_agent.realtime.events import Item, OutputItemDone, SessionUpdated, SpeechStarted
from voice_agent.telemetry import logs


@pytest.fixture(autouse=True)
def _nobodys() -> Iterator[None]:
    yield
    concern.prevail(None)


def told(found: Concern, *events: str) -> Concern:
    for event in events:
        found.note(decode_server(event))
    return found


def session(name: str) -> str:
    return json.dumps({"type": "session.created", "session": {"id": name}})


def response(name: str) -> str:
    return json.dumps({"type": "response.created", "response": {"id": name}})


def written(extra: dict[str, object] | None = None, *, level: int = logging.INFO) -> dict[str, object]:
    stream = io.StringIO()
    logs.setup("debug", "json", stream)
    logging.getLogger("voice_agent.x").log(level, "it", extra=extra)
    entry: dict[str, object] = json.loads(stream.getvalue())
    return {name: entry[name] for name in ("session", "turn", "response") if name in entry}


def test_every_line_is_about_the_live_session_and_its_turn() -> None:
    assert written() == {}, "before the first session"
    concern.prevail(told(Concern(lambda: 3), session("sess_1"), response("resp_1")))
    assert written() == {"session": "sess_1", "turn": 3, "response": "resp_1"}
    concern.prevail(None)
    assert written() == {}


def test_a_line_about_another_turn_has_that_turns_response() -> None:
    turn = 3
    found = told(Concern(lambda: turn), session("sess_1"), response("resp_3"))
    turn = 4
    concern.prevail(found)
    assert written() == {"session": "sess_1", "turn": 4}, "nobody has answered that yet"
    assert written({"turn": 3}) == {"session": "sess_1", "turn": 3, "response": "resp_3"}


def test_a_session_that_stands_by_and_a_tool_that_lasts_keep_their_own() -> None:
    turn = 7
    live, heir = (
        told(Concern(lambda: turn), session("live"), response("r7")),
        told(Concern(), session("heir")),
    )
    concern.prevail(live)

    async def within(own: Concern) -> dict[str, object]:
        concern.carry(own)
        return await asyncio.create_task(later())

    async def later() -> dict[str, object]:
        return written()

    async def all_three() -> list[dict[str, object]]:
        nonlocal turn
        lasting = live.in_turn(turn)
        turn = 8
        return list(await asyncio.gather(within(heir), within(lasting), later()))

    assert asyncio.run(all_three()) == [
        {"session": "heir"},
        {"session": "live", "turn": 7, "response": "r7"},
        {"session": "live", "turn": 8},
    ]


def test_ids_are_bounded_and_old_turns_forgotten() -> None:
    turn = 0
    found = told(Concern(lambda: turn), session("x" * 10_000))
    for turn in range(1, 100):  # noqa: B007 — what the concern reads
        found.note(decode_server(response("r" * 10_000)))
    assert found.fields(99)["session"] == "x" * MAX_ID_CHARS
    assert found.fields(99)["response"] == "r" * MAX_ID_CHARS
    assert "response" in found.fields(100 - MAX_TURNS)
    assert "response" not in found.fields(99 - MAX_TURNS)


@pytest.mark.parametrize(
    "event", ['{"type":"session.created"}', '{"type":"session.updated","session":{"id":7}}']
)
def test_a_session_without_a_name_has_none(event: str) -> None:
    assert told(Concern(), event).fields() == {}


def test_text_names_the_session_only_beside_troubles() -> None:
    concern.prevail(told(Concern(lambda: 3), session("sess_1\n")))
    stream = io.StringIO()
    logs.setup("info", "text", stream)
    logging.getLogger("voice_agent.x").info("well")
    logging.getLogger("voice_agent.x").warning("not well")
    first, second = stream.getvalue().splitlines()
    assert first.endswith(" x: well")
    assert second.endswith(r' x: not well session="sess_1\n" turn=3')


def test_a_line_has_its_own_word_for_what_it_is_about() -> None:
    concern.prevail(told(Concern(lambda: 3), session("sess_1")))
    assert written({"session": "another", "turn": 0}) == {"session": "another", "turn": 0}


class Observed(Tools):
    """Tools that note what they are about."""

    def __init__(self) -> None:
        super().__init__()
        self.about: list[dict[str, object]] = []

    async def run(self, name: str, arguments: str) -> tuple[str, Outcome]:
        done = await super().run(name, arguments)
        self.about.append(dict(concern.present().fields()))
        return done


def test_all_parts_of_a_session_know_what_they_are_about() -> None:
    asyncio.run(_session_with_a_tool())


async def _session_with_a_tool() -> None:
    world, tools = World(), Observed()
    about: list[dict[str, object]] = []
    world.session._tools = tools
    world.session._observe = lambda _fact: about.append(dict(concern.present().fields()))
    running = asyncio.create_task(world.session.run())
    world.line.incoming.put_nowait(session("sess_1"))
    world.line.says(SessionUpdated())
    await world.session.wait_ready()
    await world.until(lambda: concern.present().session == "sess_1")  # as seen by a task of nobody's
    call = Item(id="i", type="function_call", name="unlock", call_id="c", arguments="{}")
    world.line.says(SpeechStarted())
    world.line.incoming.put_nowait(response("resp_1"))
    world.line.says(OutputItemDone(response_id="resp_1", item=call))
    await world.until(lambda: bool(tools.ran))
    world.line.says(SpeechStarted())
    await world.until(lambda: concern.present().fields()["turn"] == 2)
    tools.answer.set()
    await world.until(lambda: bool(tools.about))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert tools.about == [{"session": "sess_1", "turn": 1, "response": "resp_1"}]
    assert {"session": "sess_1", "turn": 1, "response": "resp_1"} in about
    assert {"session": "sess_1", "turn": 2} in about


def test_a_session_that_only_stands_by_speaks_for_itself() -> None:
    asyncio.run(_session_that_stands_by())


async def _session_that_stands_by() -> None:
    world = World()
    world.goes_live = False
    about: list[dict[str, object]] = []
    world.session._observe = lambda _fact: about.append(dict(concern.present().fields()))
    running = asyncio.create_task(world.session.run())
    world.line.incoming.put_nowait(session("heir"))
    world.line.incoming.put_nowait('{"type":"moon.phase"}')
    await world.until(lambda: bool(about))
    assert about == [{"session": "heir"}]
    assert concern.present().fields() == {}, "nobody else is about it"
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
