"""One live session after another: renewal, parking, the allowance, and what is handed on."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, nullcontext
from time import monotonic
from typing import Any

import pytest
from msgspec.json import decode

from tests.fakes.model_speaker import ModelSpeaker
from voice_agent.audio.ear import Ear
from voice_agent.audio.microphone import Microphone
from voice_agent.dialogue import Dialogue, Memory, Outcome, Play, Silence
from voice_agent.errors import Cause, ConnectFailed, ConnectionLost, SessionError, Unauthorized
from voice_agent.formats import Sounded
from voice_agent.heartbeat import Heartbeat
from voice_agent.lifetime import Lifetime
from voice_agent.realtime.codec import encode
from voice_agent.realtime.events import (
    ResponseCreated,
    ResponseDone,
    ResponseInfo,
    ServerEvent,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    ToolSpec,
)
from voice_agent.realtime.providers import OPENAI, SessionSettings, probe
from voice_agent.reconnect import Reconnect, Temper
from voice_agent.seams import Connection
from voice_agent.session import Session
from voice_agent.sessions import Exhausted, Live, Lost, News, Parked, Sessions

RATE = 24_000
FRAME = bytes(960)
DONE = ResponseInfo(id="r", status="cancelled")


class Wire:
    """The server's end of one connection: confirms the session, remembers what it gets."""

    def __init__(self, *, answers: bool = True) -> None:
        self.incoming: asyncio.Queue[str | bytes | SessionError] = asyncio.Queue()
        self.sent: list[dict[str, Any]] = []
        self.closed = False
        self.on_pong: Callable[[bytes], None] = lambda _payload: None
        if answers:
            self.says(SessionCreated())

    async def send(self, frame: bytes) -> None:
        event = decode(frame)
        self.sent.append(event)
        if event["type"] == "session.update":
            self.says(SessionUpdated())

    async def ping(self, _payload: bytes) -> bool:
        """Nobody answers."""
        return True

    async def receive(self) -> str | bytes:
        frame = await self.incoming.get()
        if isinstance(frame, SessionError):
            raise frame
        return frame

    def says(self, *events: ServerEvent) -> None:
        for event in events:
            self.incoming.put_nowait(encode(event))

    def breaks(self, cause: Cause) -> None:
        self.incoming.put_nowait(ConnectionLost(cause.value, cause=cause))

    @property
    def heard(self) -> bytes:
        """The sound that went up."""
        appended = (event["audio"] for event in self.sent if event["type"] == "input_audio_buffer.append")
        return b"".join(base64.b64decode(audio) for audio in appended)


class House:
    """Sessions with everything around them; time is real, and short."""

    def __init__(self, lifetime: Lifetime, *, overlap: bool = True) -> None:
        self.wires: list[Wire] = []
        self.refusals: list[SessionError] = []
        self.news: list[News] = []
        self.answers = True
        self.used = 0
        self.limit = 10**9
        self.speaker = self
        self.model = ModelSpeaker(RATE)
        self.microphone = Microphone(RATE)
        self.ear = Ear(self.microphone, keep_s=10)
        self.spoken: asyncio.Future[int] | None = None
        self._memory = Memory()
        self.sessions = Sessions(
            self._connect,
            self._make,
            self,
            self,
            reconnect=Reconnect(draw=lambda: 0.0),
            lifetime=lifetime,
            tell=self.news.append,
            overlap=overlap,
            watch=lambda _session: nullcontext(),
            look_s=0.01,
        )

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[Connection]:
        if self.refusals:
            raise self.refusals.pop(0)
        wire = Wire(answers=self.answers)
        self.wires.append(wire)
        try:
            yield wire
        finally:
            wire.closed = True

    def _make(self, connection: Connection) -> Session:
        dialogue = Dialogue(OPENAI, SessionSettings(), memory=self._memory)
        return Session(
            connection,
            dialogue,
            self,
            self,
            lambda _fact: None,
            Heartbeat(now=self.clock()),
            probe=probe(OPENAI, SessionSettings()),
            clock=self.clock,
        )

    def clock(self) -> float:
        return asyncio.get_running_loop().time()

    # The loudspeaker, the tools, the sound between sessions and the allowance.

    def retune(self, input_rate: int, output_rate: int) -> None:
        assert (input_rate, output_rate) == (RATE, RATE)

    def play(self, pcm: bytes, *, starts: bool = False) -> None:
        self.model.obey([Play(pcm, starts)])

    def finish(self) -> None:
        """Nothing depends on it here."""

    def silence(self) -> None:
        self.model.obey([Silence()])

    def positions(self) -> tuple[int, int]:
        return self.model.queued, self.model.played

    def sounded(self, position: int) -> Sounded | None:
        return self.model.came_out(position)

    def specs(self) -> tuple[ToolSpec, ...]:
        return ()

    async def run(self, _name: str, _arguments: str) -> tuple[str, Outcome]:
        raise AssertionError("no tool is called here")

    def park(self) -> None:
        self.ear.park()

    def resume(self, position: int | None) -> None:
        if position is not None:
            self.ear.rewind(position)
        elif self.ear.parked:
            self.ear.skip_to_now()

    async def speech(self) -> int:
        self.spoken = asyncio.get_running_loop().create_future()
        return await self.spoken

    def account(self, session: Session) -> None:
        self.used = session.statistics().samples_sent

    @property
    def exhausted(self) -> bool:
        return self.used >= self.limit

    # What a test does.

    def hears(self, pcm: bytes) -> None:
        for at in range(0, len(pcm), len(FRAME)):
            self.microphone.callback(pcm[at : at + len(FRAME)], len(FRAME) // 2, {}, 0)

    def quiet_for_nobody(self) -> bool:
        """Somebody speaks, as far as the live session knows."""
        return self.sessions.live is not None and self.sessions.live.dialogue.quiet_since is None

    def is_quiet_in_turn_1(self) -> bool:
        """Somebody has spoken, and all is said."""
        dialogue = self.sessions.live and self.sessions.live.dialogue
        return bool(dialogue and dialogue.turn == 1 and dialogue.quiet_since is not None)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.001)

    async def until_news(self, kind: type[News], times: int = 1) -> None:
        await self.until(lambda: [type(each) for each in self.news].count(kind) >= times)


def live(house: House, scene: Callable[[House], Coroutine[None, None, None]]) -> None:
    """Run ``scene`` beside the sessions."""

    async def run() -> None:
        tasks = [asyncio.create_task(house.ear.run()), asyncio.create_task(house.sessions.run())]
        try:
            await scene(house)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            for task in tasks:
                assert task.cancelled()

    asyncio.run(run())


def numbered(frames: range) -> bytes:
    return b"".join(bytes([number + 1]) * len(FRAME) for number in frames)


def test_a_lost_session_is_followed_by_another_and_no_sound_is_lost() -> None:
    async def scene(house: House) -> None:
        await house.until_news(Live)
        house.hears(numbered(range(3)))
        await house.until(lambda: house.wires[0].heard == numbered(range(3)))
        house.wires[0].breaks(Cause.DROPPED)
        await house.until_news(Lost)
        house.hears(numbered(range(3, 6)))
        await house.until_news(Live, 2)
        await house.until(lambda: house.wires[1].heard.endswith(numbered(range(3, 6))))
        assert numbered(range(6)).endswith(house.wires[1].heard), "in order, and at most said again"
        assert house.ear.statistics().lost == 0
        assert house.wires[0].closed

    live(House(Lifetime(None)), scene)


def test_failures_to_connect_are_told_with_their_cause_and_met_with_patience() -> None:
    house = House(Lifetime(None))
    house.refusals = [ConnectFailed("no", cause=Cause.DNS), ConnectFailed("no", cause=Cause.REFUSED)]

    async def scene(house: House) -> None:
        await house.until_news(Live)
        causes = [news.reason.cause for news in house.news if isinstance(news, Lost)]
        assert causes == [Cause.DNS, Cause.REFUSED]

    live(house, scene)


def test_a_refusal_is_not_retried_soon() -> None:
    house = House(Lifetime(None))
    house.refusals = [Unauthorized("no", cause=Cause.UNAUTHORIZED)]

    async def scene(house: House) -> None:
        await house.until_news(Lost)
        (lost,) = house.news
        assert isinstance(lost, Lost)
        assert lost.retry.delay_s >= 60
        assert house.wires == []

    live(house, scene)


def test_a_session_is_renewed_in_a_quiet_moment_and_the_old_one_serves_until_then() -> None:
    async def scene(house: House) -> None:
        await house.until_news(Live, 2)
        renewed = house.news[-1]
        assert isinstance(renewed, Live)
        assert renewed.renewed
        assert renewed.after_s < 0.1
        assert not any(isinstance(news, Lost) for news in house.news), "the user notices nothing"
        house.hears(numbered(range(3)))
        await house.until(lambda: house.wires[1].heard.endswith(numbered(range(3))))
        await house.until(lambda: house.wires[0].closed)

    live(House(Lifetime(0.3, quiet_s=0.05)), scene)


def test_of_what_a_healthy_session_has_heard_its_successor_gets_the_end_again() -> None:
    async def scene(house: House) -> None:
        await house.until_news(Live)
        house.hears(numbered(range(100)))
        await house.until(lambda: house.wires[0].heard == numbered(range(100)))
        await house.until_news(Live, 2)
        house.hears(numbered(range(100, 102)))
        await house.until(lambda: house.wires[1].heard.endswith(numbered(range(100, 102))))
        again = len(house.wires[1].heard) // len(FRAME) - 2
        assert again <= 65, "a second before what it had time to listen to, should a word have begun there"

    live(House(Lifetime(2.0, quiet_s=0.05)), scene)


def test_only_the_utterance_that_was_cut_off_is_sent_again() -> None:
    async def scene(house: House) -> None:
        await house.until_news(Live)
        house.hears(numbered(range(100)))
        await house.until(lambda: house.wires[0].heard == numbered(range(100)))
        house.wires[0].says(SpeechStarted(audio_start_ms=1600))
        await house.until(house.quiet_for_nobody)
        house.hears(numbered(range(100, 110)))
        await house.until(lambda: house.wires[0].heard == numbered(range(110)))
        house.wires[0].breaks(Cause.DROPPED)
        await house.until_news(Live, 2)
        await house.until(lambda: house.wires[1].heard.endswith(numbered(range(109, 110))))
        resent = len(house.wires[1].heard) // len(FRAME)
        assert 30 <= resent <= 60, "from shortly before its first word"

    live(House(Lifetime(None)), scene)


def test_a_server_that_closes_again_and_again_is_no_routine() -> None:
    async def scene(house: House) -> None:
        for times in range(1, 4):
            await house.until_news(Live, times)
            house.wires[-1].breaks(Cause.EXPIRED)
            await house.until_news(Lost, times)
        tempers = [news.retry.temper for news in house.news if isinstance(news, Lost)]
        assert tempers == [Temper.WEATHER] * 3

    live(House(Lifetime(None)), scene)


def test_the_limit_is_learned_from_how_a_session_ends() -> None:
    async def scene(house: House) -> None:
        await house.until_news(Live)
        assert house.sessions.limit_s is None
        await asyncio.sleep(0.05)
        house.wires[0].breaks(Cause.EXPIRED)
        await house.until_news(Lost)
        assert house.sessions.limit_s is not None
        assert house.sessions.limit_s >= 0.05

    live(House(Lifetime(None, shortest_s=0)), scene)


def test_the_reason_for_which_a_session_is_given_up_counts_and_not_what_follows() -> None:
    async def scene(house: House) -> None:
        await house.until_news(Live)
        assert house.sessions.live is not None
        house.sessions.live.give_up(ConnectionLost("stalled", cause=Cause.STALLED))
        house.wires[0].breaks(Cause.GOING_AWAY)
        await house.until_news(Lost)
        (lost,) = (news for news in house.news if isinstance(news, Lost))
        assert lost.reason.cause is Cause.STALLED

    live(House(Lifetime(None)), scene)


def test_a_successor_that_is_not_needed_any_more_is_closed() -> None:
    house = House(Lifetime(0.3, quiet_s=10))

    async def scene(house: House) -> None:
        await house.until(lambda: len(house.wires) == 2)
        house.limit = 0
        await house.until_news(Exhausted)
        await house.until(lambda: house.wires[1].closed)

    live(house, scene)


def test_without_room_for_two_the_old_session_ends_first() -> None:
    async def scene(house: House) -> None:
        await house.until(lambda: len(house.wires) == 2)
        await house.until(lambda: house.wires[0].closed)
        await house.until_news(Live, 2)
        assert not any(isinstance(news, Lost) for news in house.news)

    live(House(Lifetime(0.3, quiet_s=0.05), overlap=False), scene)


def test_a_successor_that_stands_by_takes_over_when_the_limit_strikes_in_mid_speech() -> None:
    async def scene(house: House) -> None:
        await house.until_news(Live)
        house.wires[0].says(SpeechStarted())
        await house.until(lambda: len(house.wires) == 2)
        house.hears(numbered(range(3)))
        await house.until(lambda: house.wires[0].heard == numbered(range(3)))
        assert house.wires[1].heard == b"", "it stands by"
        house.wires[0].breaks(Cause.EXPIRED)
        await house.until_news(Live, 2)
        assert not any(isinstance(news, Lost) for news in house.news)
        await house.until(lambda: house.wires[1].heard == numbered(range(3)))

    live(House(Lifetime(0.3, quiet_s=0.05)), scene)


def test_a_successor_that_cannot_be_opened_is_not_asked_for_again_and_again() -> None:
    house = House(Lifetime(0.2, quiet_s=0.05))

    async def scene(house: House) -> None:
        await house.until_news(Live)
        house.refusals = [ConnectFailed("full", cause=Cause.RATE_LIMITED) for _ in range(100)]
        await house.until(lambda: len(house.refusals) < 100)
        await asyncio.sleep(0.2)
        assert len(house.refusals) == 99
        assert not house.wires[0].closed, "the old one serves on"

    live(house, scene)


def test_a_parked_session_is_closed_and_the_first_word_reopens_it_unharmed() -> None:
    async def scene(house: House) -> None:
        await house.until_news(Parked)
        await house.until(lambda: house.wires[0].closed)
        assert house.sessions.live is None
        house.hears(numbered(range(10)))
        await house.until(lambda: house.spoken is not None and house.ear.now == 10 * 480)
        assert house.spoken is not None
        house.spoken.set_result(7 * 480)
        await house.until_news(Live, 2)
        await house.until(lambda: house.wires[1].heard == numbered(range(7, 10)))
        assert house.ear.statistics().lost == 0

    live(House(Lifetime(None, park_after_s=0.1)), scene)


def test_a_session_that_the_user_takes_leave_of_is_parked_and_the_next_one_knows_nothing_of_it() -> None:
    async def scene(house: House) -> None:
        assert not house.sessions.park(), "nobody is there to take leave of"
        await house.until_news(Live)
        assert house.sessions.park()
        await house.until_news(Parked)
        await house.until(lambda: house.wires[0].closed and house.spoken is not None)
        assert house.spoken is not None
        house.spoken.set_result(0)
        await house.until_news(Live, 2)
        await asyncio.sleep(0.1)  # it would have been parked by now
        assert house.sessions.live is not None

    live(House(Lifetime(None, quiet_s=0.02)), scene)


def test_a_farewell_is_off_when_the_user_speaks_again() -> None:
    async def scene(house: House) -> None:
        await house.until_news(Live)
        house.sessions.park()
        house.wires[0].says(SpeechStarted(), SpeechStopped())
        house.wires[0].says(ResponseCreated(response=DONE), ResponseDone(response=DONE))
        await house.until(house.is_quiet_in_turn_1)
        await asyncio.sleep(0.1)  # it would have been parked by now
        assert [type(news) for news in house.news] == [Live]

    live(House(Lifetime(None, quiet_s=0.05)), scene)


def test_a_farewell_outlives_the_connection() -> None:
    async def scene(house: House) -> None:
        await house.until_news(Live)
        house.sessions.park()
        house.wires[0].breaks(Cause.DROPPED)
        await house.until_news(Parked)
        assert [type(news) for news in house.news] == [Live, Lost, Live, Parked]

    live(House(Lifetime(None, quiet_s=0.05)), scene)


def test_who_speaks_to_a_parked_device_without_a_network_is_lost_only_as_far_as_nothing_is_kept() -> None:
    async def scene(house: House) -> None:
        await house.until_news(Parked)
        await house.until(lambda: house.spoken is not None)
        house.refusals = [ConnectionLost("", cause=Cause.DNS)] * 100_000
        house.hears(numbered(range(10)))
        await house.until(lambda: house.ear.now == 10 * 480)
        assert house.spoken is not None
        house.spoken.set_result(7 * 480)
        await house.until(lambda: not house.ear.parked)
        assert house.sessions.live is None
        assert house.ear.statistics().backlog == 3 * 480, "from then on it is meant for somebody"
        house.refusals.clear()
        await house.until_news(Live, 2)
        await house.until(lambda: house.wires[-1].heard == numbered(range(7, 10)))

    live(House(Lifetime(None, park_after_s=0.1)), scene)


def test_a_used_up_allowance_ends_the_session_until_there_is_one_again() -> None:
    house = House(Lifetime(None))
    house.limit = 3 * 480

    async def scene(house: House) -> None:
        await house.until_news(Live)
        house.hears(numbered(range(3)))
        await house.until_news(Exhausted)
        await house.until(lambda: house.wires[0].closed)
        house.hears(numbered(range(3)))
        before = monotonic()
        await asyncio.sleep(0.3)
        assert len(house.wires) == 1
        house.limit = 10**9
        await house.until_news(Live, 2)
        back = house.news[-1]
        assert isinstance(back, Live)
        assert back.after_s < monotonic() - before - 0.2, "it was not the connection that took a night"
        house.hears(numbered(range(5, 7)))
        await house.until(lambda: house.wires[1].heard == numbered(range(5, 7)))

    live(house, scene)


def test_without_an_allowance_nothing_is_opened() -> None:
    house = House(Lifetime(None))
    house.limit = 0

    async def scene(house: House) -> None:
        await house.until_news(Exhausted)
        await asyncio.sleep(0.05)
        assert house.wires == []

    live(house, scene)


def test_a_keeper_that_does_not_stir_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voice_agent.sessions.OPENING_S", 0.01)
    house = House(Lifetime(None))
    house.answers = False

    async def scene(house: House) -> None:
        await house.until(lambda: len(house.wires) == 1)
        await house.until(lambda: house.sessions.overdue_s > 0.02)

    live(house, scene)


def test_a_keeper_that_waits_for_speech_or_serves_is_not_overdue() -> None:
    async def scene(house: House) -> None:
        await house.until_news(Live)
        await asyncio.sleep(0.05)
        assert house.sessions.overdue_s < 0.05
        await house.until_news(Parked)
        await asyncio.sleep(0.05)
        assert house.sessions.overdue_s == 0

    live(House(Lifetime(None, park_after_s=0.2)), scene)
