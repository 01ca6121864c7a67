"""The session shell: what it carries where, with a socket and devices made of queues."""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, NamedTuple

import pytest

from tests.fakes.model_speaker import ModelSpeaker
from voice_agent.dialogue import (
    AnswerFailed,
    Dialogue,
    Fact,
    Manners,
    Memory,
    Outcome,
    Play,
    ServerFault,
    Silence,
    Silenced,
    ToolAnswered,
)
from voice_agent.dialogue.memory import ToolLine
from voice_agent.errors import Cause, ConnectionLost, SessionError, Unauthorized
from voice_agent.formats import Sounded
from voice_agent.heartbeat import Heartbeat
from voice_agent.realtime.codec import encode
from voice_agent.realtime.events import (
    AudioDelta,
    Item,
    OutputItemDone,
    ResponseCreated,
    ResponseDone,
    ResponseInfo,
    ServerEvent,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    ToolSpec,
)
from voice_agent.realtime.providers import OPENAI, PROBE_ID, SessionSettings, probe
from voice_agent.session import Session


class Line:
    """Both ends of a connection: the test puts frames in and takes frames out."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[str | bytes | SessionError] = asyncio.Queue()
        self.sent: list[dict[str, Any]] = []
        self.stalled = False
        self.pings: list[bytes] = []
        self.on_pong: Callable[[bytes], None] = lambda _payload: None
        self._news = asyncio.Event()

    async def send(self, frame: bytes) -> None:
        if self.stalled:
            await asyncio.Event().wait()
        self.sent.append(json.loads(frame))
        self._news.set()

    async def ping(self, payload: bytes) -> bool:
        self.pings.append(payload)
        return True

    async def receive(self) -> str | bytes:
        frame = await self.incoming.get()
        if isinstance(frame, SessionError):
            raise frame
        return frame

    def says(self, *events: ServerEvent) -> None:
        for event in events:
            self.incoming.put_nowait(encode(event))

    def breaks(self, error: SessionError) -> None:
        self.incoming.put_nowait(error)

    async def until_sent(self, kind: str) -> dict[str, Any]:
        async with asyncio.timeout(5):
            while not (found := [event for event in self.sent if event["type"] == kind]):
                self._news.clear()
                await self._news.wait()
        return found[-1]


class Frame(NamedTuple):
    """What an ear hands out."""

    pcm: bytes


class Reader:
    """Takes what the test gives it."""

    def __init__(self, ports: "Ports") -> None:
        self._ports = ports

    def take(self) -> Frame | None:
        if not self._ports.frames:
            return None
        pcm = self._ports.frames.popleft()
        self._ports.position += len(pcm) // 2
        return Frame(pcm)

    async def wait(self) -> None:
        while not self._ports.frames:
            await asyncio.sleep(0)


class Ports:
    """A model speaker and an ear that hears what the test gives it."""

    def __init__(self) -> None:
        self.model = ModelSpeaker()
        self.done: list[str] = []
        self.rates: tuple[int, int] | None = None
        self.frames: deque[bytes] = deque()
        self.speaker: Ports = self
        self.tunes = False
        self.position = 0

    @property
    def ear(self) -> "Ports":
        return self

    def listen(self) -> Reader:
        return Reader(self)

    def retune(self, input_rate: int, output_rate: int) -> None:
        self.rates = (input_rate, output_rate)
        if self.tunes:
            self.speaker = Ports()

    def play(self, pcm: bytes, *, starts: bool = False) -> None:
        self.done.append(f"play {len(pcm)}{' starts' if starts else ''}")
        self.model.obey([Play(pcm, starts)])

    def finish(self) -> None:
        self.done.append("finish")

    def silence(self) -> None:
        self.done.append("silence")
        self.model.obey([Silence()])

    def positions(self) -> tuple[int, int]:
        return self.model.queued, self.model.played

    def sounded(self, position: int) -> Sounded | None:
        return self.model.came_out(position)


class Tools:
    """Tools that answer when the test lets them. One of them, ``unlock``, is not to be cut."""

    def __init__(self) -> None:
        self.ran: deque[tuple[str, str]] = deque()
        self.cut: list[str] = []
        self.answer = asyncio.Event()
        self.names: tuple[str, ...] = ()

    def specs(self) -> tuple[ToolSpec, ...]:
        return tuple(ToolSpec(name=name) for name in self.names)

    def manners(self, name: str) -> Manners:
        return Manners(cancellable=name != "unlock", parallel=name != "unlock")

    async def run(self, name: str, arguments: str) -> tuple[str, Outcome]:
        self.ran.append((name, arguments))
        try:
            await self.answer.wait()
        except asyncio.CancelledError:
            self.cut.append(name)
            raise
        return '{"temperature_c": -3}', "ok"


class World:
    """A running session and everything around it; ``outlived`` by its errands."""

    def __init__(
        self,
        heartbeat: Heartbeat | None = None,
        clock: Callable[[], float] | None = None,
        *,
        outlived: bool = False,
    ) -> None:
        self.line, self.ports, self.tools = Line(), Ports(), Tools()
        self.facts: list[Fact] = []
        self.ready = 0
        self.goes_live = True
        self.memory = Memory()
        self.errands = asyncio.TaskGroup()
        dialogue = Dialogue(OPENAI, SessionSettings(), memory=self.memory, manners=self.tools.manners)
        self.session = Session(
            self.line,
            dialogue,
            self.ports,
            self.tools,
            self.facts.append,
            heartbeat or Heartbeat(now=self.ports.model.now),
            probe=probe(OPENAI, SessionSettings()),
            errands=self.errands if outlived else None,
            clock=clock or (lambda: self.ports.model.now),
        )
        self.session.on_ready = self._count_ready

    def _count_ready(self) -> None:
        self.ready += 1
        if self.goes_live:
            self.session.go_live(None)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0)


Scene = Callable[[World], Coroutine[None, None, None]]


def play(scene: Scene) -> Callable[[], None]:
    """Run ``scene`` beside a session."""

    def test() -> None:
        async def run() -> None:
            world = World()
            running = asyncio.create_task(world.session.run())
            world.line.says(SessionCreated(), SessionUpdated())
            try:
                await scene(world)
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

        asyncio.run(run())

    return test


async def _ended(task: Awaitable[None]) -> list[BaseException]:
    try:
        await task
    except BaseExceptionGroup as group:
        return list(group.exceptions)
    except asyncio.CancelledError:
        return []
    return []


@play
async def test_the_session_introduces_itself_and_obeys_the_granted_rates(world: World) -> None:
    update = await world.line.until_sent("session.update")
    assert update["session"]["audio"]["output"]["format"] == {"type": "audio/pcm", "rate": 24000}
    await world.session.wait_ready()
    assert world.ports.rates == (24000, 24000)
    assert world.ready == 1


def test_no_sound_goes_up_before_the_session_goes_live() -> None:
    async def scene() -> None:
        world = World()
        world.goes_live = False
        running = asyncio.create_task(world.session.run())
        world.ports.frames.append(b"\1\2" * 480)
        world.line.says(SessionCreated(), SessionUpdated())
        await world.session.wait_ready()
        for _ in range(20):
            await asyncio.sleep(0)
        assert [event["type"] for event in world.line.sent] == ["session.update"]
        assert world.ports.rates is None, "a session that stands by does not touch the devices"
        world.session.go_live(None)
        frame = await world.line.until_sent("input_audio_buffer.append")
        assert len(frame["audio"]) == 1280
        assert world.ports.rates == (24000, 24000)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(scene())


@play
async def test_what_was_withheld_between_two_pieces_is_known_when_the_server_counts(world: World) -> None:
    await world.session.wait_ready()
    world.ports.frames.append(bytes(960))
    await world.line.until_sent("input_audio_buffer.append")
    assert world.session._moment().skipped == 0
    world.ports.position += 5000  # the valve was shut
    assert world.session._moment().skipped == 0, "the server speaks of what it has, which lies before"
    world.ports.frames.extend([bytes(960)] * 2)
    await world.until(lambda: world.session.statistics().samples_sent == 3 * 480)
    assert world.session._moment().skipped == 5000


@play
async def test_a_button_silences_the_answer_whatever_the_server_thinks(world: World) -> None:
    await world.session.wait_ready()
    world.line.says(
        ResponseCreated(response=ResponseInfo(id="r")),
        AudioDelta(response_id="r", item_id="a", delta=bytes(4800)),
    )
    await world.until(lambda: bool(world.ports.done))
    world.session.hush()
    assert world.ports.done[-1] == "silence"
    cancel = await world.line.until_sent("response.cancel")
    assert cancel["response_id"] == "r"
    world.session.leave()
    world.session.hush()
    assert world.ports.done[-1] == "silence", "who has left has nothing to say any more"
    assert world.ports.done.count("silence") == 1


@play
async def test_sound_waits_for_what_the_server_has_to_know_first(world: World) -> None:
    await world.session.wait_ready()
    world.ports.frames.append(b"\1\2" * 480)
    call = Item(id="i", type="function_call", name="get_weather", call_id="c", arguments="{}")
    world.line.says(
        ResponseCreated(response=ResponseInfo(id="r")), OutputItemDone(response_id="r", item=call)
    )
    world.tools.answer.set()
    await world.until(lambda: bool(world.tools.ran))
    await world.line.until_sent("input_audio_buffer.append")
    await world.line.until_sent("conversation.item.create")
    world.line.stalled = True
    world.line.says(ResponseDone(response=ResponseInfo(id="r", status="completed")))
    await world.until(lambda: world.session.statistics().events == 5)
    world.ports.frames.append(b"\3\4" * 480)
    for _ in range(20):
        await asyncio.sleep(0)
    assert world.ports.frames, "response.create is on its way first"


async def _heard_out(scene: Callable[[World], Coroutine[None, None, None]]) -> list[BaseException]:
    """A session whose heartbeat is as quick as a bird's, beside ``scene``; how it ended, if it did."""
    clock = asyncio.get_running_loop().time
    quick = Heartbeat(now=clock(), ping_s=0.02, patience_s=0.1, quiet_s=0.05, probe_every_s=0.05)
    world = World(quick, clock)
    running = asyncio.create_task(world.session.run())
    world.line.says(SessionCreated(), SessionUpdated())
    await scene(world)
    running.cancel()
    return await _ended(running)


def test_pongs_are_measured_and_anything_that_comes_is_a_sign_of_life() -> None:
    async def scene(world: World) -> None:
        await world.until(lambda: bool(world.line.pings))
        world.line.on_pong(world.line.pings[-1])
        heartbeat = world.session.statistics().heartbeat
        assert heartbeat.pongs == 1
        assert heartbeat.rtt_s is not None
        heard_at = heartbeat.heard_at
        world.line.incoming.put_nowait('{"type":"ping"}')
        await world.until(lambda: world.session.statistics().events == 3)
        assert world.session.statistics().heartbeat.heard_at > heard_at

    assert asyncio.run(_heard_out(scene)) == []


def test_a_silent_server_is_probed_and_lives_if_it_answers() -> None:
    async def scene(world: World) -> None:
        for answers in range(3):
            await world.until(partial(_is_probed, world, answers + 1))
            world.line.says(SessionUpdated())
        assert world.session.given_up is None

    assert asyncio.run(_heard_out(scene)) == []


def test_a_server_that_gives_no_sign_of_life_is_left() -> None:
    async def scene(world: World) -> None:
        await world.until(lambda: bool(_probes(world)))
        await asyncio.sleep(0.3)

    (error,) = asyncio.run(_heard_out(scene))
    assert isinstance(error, ConnectionLost)
    assert error.cause is Cause.SILENT


def _is_probed(world: World, times: int) -> bool:
    return len(_probes(world)) >= times


def _probes(world: World) -> list[dict[str, Any]]:
    return [event for event in world.line.sent if event.get("event_id") == PROBE_ID]


@play
async def test_what_a_lost_answer_comes_to_is_told_when_the_session_leaves(world: World) -> None:
    await world.session.wait_ready()
    world.line.says(ResponseCreated(response=ResponseInfo(id="r")))
    world.line.says(AudioDelta(response_id="r", item_id="a", delta=bytes(4800)))
    await world.until(lambda: bool(world.ports.done))
    carried = world.session.leave()
    assert [fact.status for fact in world.facts if isinstance(fact, AnswerFailed)] == ["cut"]
    assert len(carried.sounding) == 1


@play
async def test_what_was_sounding_goes_with_the_loudspeaker_when_the_rate_changes(world: World) -> None:
    await world.session.wait_ready()
    world.line.says(ResponseCreated(response=ResponseInfo(id="r")))
    world.line.says(AudioDelta(response_id="r", item_id="a", delta=bytes(4800)))
    await world.until(lambda: bool(world.ports.done))
    heir = World()
    heir.goes_live, heir.ports.tunes = False, True
    running = asyncio.create_task(heir.session.run())
    heir.line.says(SessionCreated(), SessionUpdated())
    await heir.session.wait_ready()
    heir.session.go_live(world.session.leave())
    heir.line.says(SpeechStarted())
    await heir.until(lambda: heir.session.statistics().events == 3)
    assert not [fact for fact in heir.facts if isinstance(fact, Silenced)], "nothing of it is left to silence"
    running.cancel()
    await asyncio.wait([running])


@play
async def test_a_session_that_has_left_neither_hears_nor_speaks(world: World) -> None:
    await world.session.wait_ready()
    world.session.leave()
    world.line.says(ResponseCreated(response=ResponseInfo(id="r")))
    world.line.says(AudioDelta(response_id="r", item_id="a", delta=bytes(100)))
    await world.until(lambda: world.session.statistics().events == 4)
    assert world.ports.done == []
    assert not world.session.statistics().live


def test_a_session_can_be_given_up_from_outside() -> None:
    async def run() -> list[BaseException]:
        world = World()
        running = asyncio.create_task(world.session.run())
        world.line.says(SessionCreated(), SessionUpdated())
        await world.session.wait_ready()
        world.session.give_up(ConnectionLost("stalled", cause=Cause.STALLED))
        return await _ended(running)

    (error,) = asyncio.run(run())
    assert isinstance(error, SessionError)
    assert error.cause is Cause.STALLED


def test_a_send_that_hangs_shows_as_a_vital_sign() -> None:
    async def run() -> tuple[list[float], list[BaseException]]:
        world = World()
        running = asyncio.create_task(world.session.run())
        world.line.says(SessionCreated(), SessionUpdated())
        await world.session.wait_ready()
        _, sender, uplink, *_ = world.session.vitals()
        assert (sender.age(), uplink.age()) == (0.0, 0.0)
        world.line.stalled = True
        world.ports.frames.append(b"\1\2" * 480)
        await world.until(lambda: not world.ports.frames)
        world.ports.model.elapse(12)
        ages = [sender.age(), uplink.age()]
        uplink.cure("uplink: no sign of life")
        return ages, await _ended(running)

    ages, (error,) = asyncio.run(run())
    assert ages == [0.0, 12.0]
    assert isinstance(error, ConnectionLost)
    assert error.cause is Cause.STALLED


@play
async def test_audio_is_played_as_it_arrives(world: World) -> None:
    world.line.says(ResponseCreated(response=ResponseInfo(id="r")))
    world.line.says(AudioDelta(response_id="r", item_id="a", delta=bytes(100)))
    world.line.says(AudioDelta(response_id="r", item_id="a", delta=bytes(50)))
    await world.until(lambda: len(world.ports.done) == 2)
    assert world.ports.done == ["play 100 starts", "play 50"]
    assert world.session.statistics().samples_received == 75


@play
async def test_a_stalled_socket_does_not_delay_silence(world: World) -> None:
    await world.session.wait_ready()
    world.line.says(ResponseCreated(response=ResponseInfo(id="r")))
    world.line.says(AudioDelta(response_id="r", item_id="a", delta=bytes(48000)))
    await world.until(lambda: bool(world.ports.done))
    world.ports.model.elapse(0.5)
    world.line.stalled = True
    world.line.says(SpeechStarted())
    await world.until(lambda: "silence" in world.ports.done)
    assert [fact.heard_ms for fact in world.facts if isinstance(fact, Silenced)] == [500]


@play
async def test_a_tool_is_run_and_its_answer_goes_back(world: World) -> None:
    call = Item(id="i", type="function_call", name="get_weather", call_id="c", arguments='{"city":"Oslo"}')
    world.line.says(
        ResponseCreated(response=ResponseInfo(id="r")), OutputItemDone(response_id="r", item=call)
    )
    world.line.says(ResponseDone(response=ResponseInfo(id="r", status="completed")))
    world.tools.answer.set()
    output = await world.line.until_sent("conversation.item.create")
    assert output["item"]["output"] == '{"temperature_c": -3}'
    await world.line.until_sent("response.create")
    assert list(world.tools.ran) == [("get_weather", '{"city":"Oslo"}')]


def calls(*names: str) -> list[ServerEvent]:
    """A response that calls these tools."""
    items = [Item(id=f"i{n}", type="function_call", name=n, call_id=n, arguments="{}") for n in names]
    return [
        ResponseCreated(response=ResponseInfo(id="r")),
        *(OutputItemDone(response_id="r", item=item) for item in items),
        ResponseDone(response=ResponseInfo(id="r", status="completed")),
    ]


@play
async def test_who_speaks_over_a_tool_ends_it_at_once(world: World) -> None:
    await world.session.wait_ready()
    world.line.says(*calls("get_weather"))
    await world.until(lambda: bool(world.tools.ran))
    world.line.says(SpeechStarted())
    output = await world.line.until_sent("conversation.item.create")
    assert "cancelled" in output["item"]["output"]
    await world.until(lambda: world.tools.cut == ["get_weather"])
    world.tools.answer.set()
    assert [fact.outcome for fact in world.facts if isinstance(fact, ToolAnswered)] == ["cancelled"]


def test_a_lost_connection_cuts_only_the_tools_that_may_be_cancelled() -> None:
    async def run() -> World:
        world = World(outlived=True)
        async with world.errands:
            running = asyncio.create_task(world.session.run())
            world.line.says(SessionCreated(), SessionUpdated())
            await world.session.wait_ready()
            world.line.says(*calls("get_weather", "unlock"))
            await world.until(lambda: len(world.tools.ran) == 2)
            world.line.breaks(ConnectionLost("gone"))
            (error,) = await _ended(running)
            assert isinstance(error, ConnectionLost)
            await world.until(lambda: world.tools.cut == ["get_weather"])
            world.session.leave()
            world.tools.answer.set()
        return world

    world = asyncio.run(run())
    assert world.tools.cut == ["get_weather"]
    assert [fact.name for fact in world.facts if isinstance(fact, ToolAnswered)] == ["unlock"]
    assert [line.text for line in world.memory if isinstance(line, ToolLine)] == ['{"temperature_c": -3}']


def test_when_the_connection_has_ended_no_tool_is_begun_that_waited() -> None:
    async def run() -> World:
        world = World(outlived=True)
        async with world.errands:
            running = asyncio.create_task(world.session.run())
            world.line.says(SessionCreated(), SessionUpdated())
            await world.session.wait_ready()
            second = Item(id="2", type="function_call", name="unlock", call_id="2", arguments='{"again":1}')
            world.line.says(*calls("unlock"), OutputItemDone(response_id="r", item=second))
            await world.until(lambda: world.session.statistics().events == 6)
            world.line.breaks(ConnectionLost("gone"))
            await _ended(running)
            world.tools.answer.set()
        return world

    assert list(asyncio.run(run()).tools.ran) == [("unlock", "{}")]


@play
async def test_the_model_is_told_when_there_are_other_tools(world: World) -> None:
    await world.session.wait_ready()
    world.tools.names = ("lamp_on",)
    world.session.redeclare()
    await world.until(lambda: len([e for e in world.line.sent if e["type"] == "session.update"]) == 2)
    update = await world.line.until_sent("session.update")
    assert update["session"] == {"type": "realtime", "tools": [{"type": "function", "name": "lamp_on"}]}


def test_tools_that_changed_while_a_session_stood_by_are_told_when_it_goes_live() -> None:
    async def run() -> None:
        world = World()
        world.goes_live = False
        running = asyncio.create_task(world.session.run())
        world.line.says(SessionCreated(), SessionUpdated())
        await world.session.wait_ready()
        world.tools.names = ("lamp_on",)
        world.session.go_live(None)
        await world.until(lambda: len([e for e in world.line.sent if e["type"] == "session.update"]) == 2)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(run())


@play
async def test_a_slow_tool_does_not_hold_up_the_conversation(world: World) -> None:
    call = Item(id="i", type="function_call", name="slow", call_id="c", arguments="{}")
    world.line.says(
        ResponseCreated(response=ResponseInfo(id="r")), OutputItemDone(response_id="r", item=call)
    )
    world.line.says(AudioDelta(response_id="r", item_id="a", delta=bytes(20)))
    await world.until(lambda: world.ports.done == ["play 20 starts"])


@play
async def test_frames_that_are_no_events_are_told_and_survived(world: World) -> None:
    world.line.incoming.put_nowait("{")
    world.line.incoming.put_nowait(b"\xff\xfe")
    world.line.incoming.put_nowait('{"type":"ping"}')
    world.line.says(AudioDelta(response_id="r", item_id="a", delta=bytes(20)))
    await world.until(lambda: bool(world.ports.done))
    assert len([fact for fact in world.facts if isinstance(fact, ServerFault)]) == 3


def test_the_end_of_the_connection_ends_the_session_with_its_reason() -> None:
    async def run() -> list[BaseException]:
        world = World()
        world.line.breaks(ConnectionLost("gone"))
        return await _ended(world.session.run())

    (error,) = asyncio.run(run())
    assert isinstance(error, ConnectionLost)


def test_a_refusal_ends_the_session_with_its_reason() -> None:
    async def run() -> list[BaseException]:
        world = World()
        world.line.incoming.put_nowait('{"type":"error","error":{"code":"invalid_api_key","message":"no"}}')
        return await _ended(world.session.run())

    (error,) = asyncio.run(run())
    assert isinstance(error, Unauthorized)


def test_a_server_that_never_confirms_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voice_agent.session.HANDSHAKE_TIMEOUT_S", 0.01)

    async def run() -> list[BaseException]:
        return await _ended(World().session.run())

    (error,) = asyncio.run(run())
    assert "did not confirm" in str(error)
