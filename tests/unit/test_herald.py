"""What the daemon says about itself: to the log, to the service manager and to the room."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from weakref import WeakSet

import pytest

from voice_agent import announcer, concern, herald, repeats
from voice_agent.audio.speaker import Speaker
from voice_agent.concern import Concern
from voice_agent.dialogue import AnswerFailed, FirstSound, State, TurnStarted
from voice_agent.errors import Cause, ConnectFailed, ConnectionLost, SessionError, Unauthorized
from voice_agent.herald import SETTLED_S, Herald
from voice_agent.reconnect import Reconnect, Retry, Temper
from voice_agent.sessions import Exhausted, Live, Lost, News, Parked
from voice_agent.telemetry.counters import Counters

RATE = 24_000


class Names:
    """Each cue is as many samples as its name has letters."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.quiet: set[str] = set()
        self.on_asked: Callable[[], object] = lambda: None

    def pcm(self, name: str, rate: int) -> bytes:
        assert rate == RATE
        self.asked.append(name)
        self.on_asked()
        return b"" if name in self.quiet else bytes(2 * len(name))

    def review(self) -> None:
        pass


class Room:
    """A herald, and somebody who may speak to it."""

    def __init__(self) -> None:
        self.speaker = Speaker(RATE)
        self.cues = Names()
        self.counters = Counters()
        self.changes = 0
        self.words: asyncio.Queue[int] = asyncio.Queue()
        self.lost_s = 0.0
        self.audible = True
        self.hearing = True
        self.doing: State | None = None
        self.herald = Herald("yandex", self, self.cues, self.counters, self._count, doing=lambda: self.doing)

    async def utterance(self) -> None:
        await self.words.get()

    def _count(self) -> None:
        self.changes += 1

    @property
    def sounded(self) -> list[str]:
        return self.cues.asked

    def plays_out(self) -> None:
        """What is queued has sounded."""
        for _ in range(2):
            self.speaker.callback(None, RATE, {}, 0)

    def hears_out(self) -> bool:
        """Let a block sound; whether nothing is left."""
        self.speaker.callback(None, RATE, {}, 0)
        queued, played = self.speaker.positions()
        return queued <= played

    def loses(self, error: SessionError, delay_s: float = 1.0, temper: Temper = Temper.WEATHER) -> None:
        self.herald.news(Lost(error, Retry(delay_s, temper, 1)))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0)

    async def never(self, condition: Callable[[], bool], *, after: Callable[[], bool] = lambda: True) -> None:
        """In many looks of the announcer."""
        await self.until(after)
        for _ in range(20):
            await asyncio.sleep(0.001)
            assert not condition()


def in_a_room(scene: Callable[[Room], Coroutine[None, None, None]]) -> Callable[[pytest.MonkeyPatch], None]:
    """Run ``scene`` beside a herald that does not keep people waiting."""

    def test(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(announcer, "QUICK_S", 0.0)
        monkeypatch.setattr(announcer, "FIRST_EXCUSE_PAUSE_S", 0.01)
        monkeypatch.setattr(announcer, "LISTENING_AFTER_S", 0.0)
        monkeypatch.setattr(announcer, "LOOK_S", 0.001)

        async def run() -> None:
            room = Room()
            task = asyncio.create_task(room.herald.run())
            try:
                await scene(room)
            finally:
                task.cancel()
                await asyncio.wait([task])
                assert task.cancelled()

        asyncio.run(run())

    return test


def test_the_first_failure_of_a_kind_is_told_aloud_and_repeats_are_whispered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "voice_agent")
    room = Room()
    for _ in range(2):
        room.loses(ConnectFailed("no such name", cause=Cause.DNS))
        room.loses(Unauthorized("wrong key", cause=Cause.UNAUTHORIZED), temper=Temper.REFUSED)
    room.herald.news(Live(1.0, renewed=False))
    room.loses(ConnectFailed("no such name", cause=Cause.DNS))
    assert levels(caplog) == ["WARNING", "ERROR", "DEBUG", "DEBUG", "INFO"], (
        "the log had said that all is well"
    )


def test_after_a_minute_of_well_being_a_failure_is_news_and_the_former_ones_are_counted(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG, "voice_agent")
    monkeypatch.setattr(repeats.Repeats, "_all", WeakSet())  # those of other tests have a clock of their own
    room, now = Room(), 0.0
    monkeypatch.setattr(repeats, "monotonic", lambda: now)
    for now in range(0, 720, 10):  # noqa: B007 — the clock
        room.loses(ConnectFailed("no such name", cause=Cause.DNS))
    room.herald.news(Live(1.0, renewed=False))
    now += SETTLED_S
    repeats.Repeats.look_everywhere()
    assert caplog.records[-1].message == '"no session" came 71 more times in 12 min'
    room.loses(ConnectFailed("no such name", cause=Cause.DNS))
    assert levels(caplog)[-1] == "WARNING"


def levels(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.levelname for record in caplog.records if record.message == "no session"]


@pytest.mark.parametrize(
    "news", [Lost(ConnectFailed("x"), Retry(1.0, Temper.WEATHER, 1)), Parked(), Exhausted()]
)
def test_without_a_session_a_line_is_about_none(news: News) -> None:
    room = Room()
    concern.prevail(Concern(lambda: 7))
    room.herald.news(Live(1.0, renewed=False))
    assert concern.present().fields() == {"turn": 7}
    room.herald.news(news)
    assert concern.present().fields() == {}


def test_the_status_line_and_the_state_follow_the_session() -> None:
    room = Room()
    seen = [(room.herald.state, room.herald.connection)]
    for news in (
        Live(0.5, renewed=False),
        Lost(ConnectionLost("gone", cause=Cause.DROPPED), Retry(1.0, Temper.WEATHER, 1)),
        Lost(Unauthorized("wrong key", cause=Cause.UNAUTHORIZED), Retry(60.0, Temper.REFUSED, 2)),
        Parked(),
        Exhausted(),
    ):
        room.herald.news(news)
        seen.append((room.herald.state, room.herald.connection))
    assert seen == [
        ("connecting", "not connected yet"),
        ("live", "in session with yandex"),
        ("waiting", "no session: gone"),
        ("refused", "no session: wrong key"),
        ("parked", "parked: waiting for speech"),
        ("exhausted", "the day's allowance is used up"),
    ]
    assert room.changes == 5
    counts = room.counters.statistics()
    assert (counts.disconnects["dropped"], counts.attempts_failed["http_401"]) == (1, 1)
    assert (counts.sessions, counts.parkings, counts.exhaustions) == (1, 1, 1)


def test_the_first_session_is_no_reconnection_and_neither_is_a_renewal() -> None:
    room = Room()
    room.herald.news(Live(3600.0, renewed=False))
    room.herald.news(Live(0.5, renewed=True))
    room.herald.news(Live(1.5, renewed=False))
    took = room.counters.statistics().reconnect
    assert (sum(took.counts), took.total) == (1, 1.5)


def test_sound_that_could_not_be_kept_is_owned_up_to_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "voice_agent")
    room = Room()
    room.herald.news(Live(0.5, renewed=False))
    room.lost_s = 12.5
    room.herald.news(Live(22.5, renewed=False))
    room.herald.news(Live(0.5, renewed=True))
    (line,) = (record for record in caplog.records if "captured sound was lost" in record.message)
    assert line.levelname == "WARNING"
    assert line.__dict__["lost_s"] == 12.5


@in_a_room
async def test_who_speaks_without_a_session_is_told_why_nobody_answers(room: Room) -> None:
    room.loses(ConnectionLost("gone", cause=Cause.DROPPED))
    room.words.put_nowait(0)
    await room.until(lambda: room.speaker.positions().queued > 0)
    room.loses(Unauthorized("wrong key", cause=Cause.UNAUTHORIZED), temper=Temper.REFUSED)
    room.plays_out()
    room.words.put_nowait(0)
    await room.until(lambda: room.sounded == ["offline", "refused"])


@in_a_room
async def test_nobody_is_told_anything_who_does_not_speak(room: Room) -> None:
    room.loses(ConnectionLost("gone", cause=Cause.DROPPED))
    await room.never(lambda: room.sounded != [])


@in_a_room
async def test_a_session_that_is_back_is_announced_only_to_whom_its_loss_was(room: Room) -> None:
    room.herald.news(Live(0.1, renewed=False))
    await room.until(lambda: room.speaker.positions().queued == len("ready"))
    room.plays_out()
    room.loses(ConnectionLost("gone", cause=Cause.DROPPED))
    room.herald.news(Live(0.1, renewed=False))
    room.loses(ConnectionLost("gone", cause=Cause.DROPPED))
    room.words.put_nowait(0)
    await room.until(lambda: room.speaker.positions().queued == len("readyoffline"))
    room.plays_out()
    room.herald.news(Live(9.0, renewed=False))
    await room.until(lambda: room.sounded == ["ready", "offline", "back"])


@in_a_room
async def test_the_first_session_of_a_process_is_greeted_and_no_other(room: Room) -> None:
    room.herald.news(Live(0.1, renewed=False))
    room.herald.news(Live(0.1, renewed=True))
    room.loses(ConnectionLost("gone", cause=Cause.DROPPED))
    room.herald.news(Live(0.1, renewed=False))
    await room.never(lambda: room.sounded != ["ready"], after=lambda: room.sounded == ["ready"])


@in_a_room
async def test_whoever_wakes_a_parked_daemon_and_says_no_more_is_told_that_it_listens(room: Room) -> None:
    room.herald.news(Live(0.1, renewed=False))
    await room.until(lambda: room.sounded == ["ready"])
    room.plays_out()
    for doing in (State.IDLE, State.LISTENING):
        room.herald.news(Parked())
        room.doing = doing
        room.herald.news(Live(0.1, renewed=False))
        await room.until(lambda: "listening" in room.sounded)
        room.plays_out()
        await room.never(lambda: room.sounded != ["ready", "listening"])


@pytest.mark.parametrize(
    ("error", "temper", "phrase"),
    [
        (ConnectFailed("no such name", cause=Cause.DNS), Temper.OFFLINE, "offline"),
        (ConnectFailed("nobody there", cause=Cause.TIMEOUT), Temper.OFFLINE, "offline"),
        (ConnectionLost("gone", cause=Cause.SILENT), Temper.WEATHER, "offline"),
        (ConnectFailed("a page", cause=Cause.PORTAL), Temper.OBSTRUCTED, "offline"),
        (ConnectFailed("503", cause=Cause.SERVER_ERROR), Temper.WEATHER, "trouble"),
        (ConnectionLost("too much to do", cause=Cause.OVERLOADED), Temper.BUSY, "trouble"),
        (ConnectionLost("no answers", cause=Cause.STUCK), Temper.WEATHER, "trouble"),
        (Unauthorized("wrong key", cause=Cause.UNAUTHORIZED), Temper.REFUSED, "refused"),
        (Unauthorized("no money", cause=Cause.QUOTA), Temper.REFUSED, "refused"),
    ],
)
def test_the_phrase_says_whom_the_cure_is_up_to(error: SessionError, temper: Temper, phrase: str) -> None:
    assert herald.excuse_for(Lost(error, Retry(1.0, temper, 1))) == phrase


@in_a_room
async def test_who_waits_for_an_answer_when_the_connection_goes_need_not_ask_again(room: Room) -> None:
    room.herald.observe(TurnStarted(1, interrupts=False))
    room.loses(ConnectionLost("gone", cause=Cause.DROPPED))
    await room.until(lambda: room.sounded == ["offline"])


@in_a_room
async def test_who_wakes_a_parked_daemon_that_is_offline_need_not_ask_again(room: Room) -> None:
    room.herald.news(Parked())
    room.loses(ConnectFailed("no such name", cause=Cause.DNS))
    await room.until(lambda: room.sounded == ["offline"])


@in_a_room
async def test_who_has_his_answer_is_not_bothered_with_the_loss_of_the_connection(room: Room) -> None:
    room.herald.observe(TurnStarted(1, interrupts=False))
    room.herald.observe(FirstSound(1, 0.8, 0.7))
    room.loses(ConnectionLost("gone", cause=Cause.DROPPED))
    await room.never(lambda: room.sounded != [])


@in_a_room
async def test_who_was_told_that_there_is_no_answer_is_not_told_why_there_is_no_session(room: Room) -> None:
    room.herald.observe(TurnStarted(1, interrupts=False))
    room.herald.observe(AnswerFailed(1, "given up", "because"))
    await room.until(lambda: room.sounded == ["no_answer"])
    room.plays_out()
    room.loses(ConnectionLost("gone", cause=Cause.DROPPED))
    await room.never(lambda: room.sounded != ["no_answer"])


@in_a_room
async def test_an_excuse_waits_for_the_end_of_what_still_sounds(room: Room) -> None:
    room.speaker.play(bytes(4800), starts=True)
    room.loses(ConnectionLost("gone", cause=Cause.DROPPED))
    room.words.put_nowait(0)
    await room.never(lambda: room.sounded != [])
    room.plays_out()
    await room.until(lambda: room.speaker.positions().queued == 2400 + len("offline"))


@in_a_room
async def test_causes_that_take_turns_do_not_make_it_talk_more(room: Room) -> None:
    announcer.FIRST_EXCUSE_PAUSE_S = 60.0
    for cause in (Cause.DNS, Cause.SERVER_ERROR) * 3:
        room.loses(ConnectFailed("no", cause=cause))
        room.words.put_nowait(0)
        for _ in range(20):
            await asyncio.sleep(0.001)
        room.plays_out()
    assert room.sounded == ["offline", "trouble"]


@in_a_room
async def test_a_session_that_is_back_is_not_excused_any_more(room: Room) -> None:
    room.herald.news(Live(0.1, renewed=False))
    await room.until(lambda: room.sounded == ["ready"])
    room.loses(ConnectionLost("gone", cause=Cause.DROPPED))
    await asyncio.sleep(0.005)
    room.herald.news(Live(0.1, renewed=False))
    await asyncio.sleep(0.005)
    room.words.put_nowait(0)
    await room.never(lambda: room.sounded != ["ready"])


@pytest.mark.parametrize("status", sorted(herald.UNANSWERED))
def test_an_answer_that_never_came_is_owned_up_to(status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    @in_a_room
    async def scene(room: Room) -> None:
        room.herald.observe(AnswerFailed(1, status, "because"))
        await room.until(lambda: room.speaker.positions().queued == len("no_answer"))
        assert room.sounded == ["no_answer"]

    scene(monkeypatch)


@in_a_room
async def test_an_answer_that_was_cut_or_incomplete_needs_no_apology(room: Room) -> None:
    for status in ("cut", "incomplete", "no_progress"):
        room.herald.observe(AnswerFailed(1, status, "because"))
    await room.until(lambda: room.speaker.positions().queued > 0)
    assert room.sounded == ["no_answer"], "for the last one only"


@in_a_room
async def test_cues_do_not_talk_over_an_answer(room: Room) -> None:
    room.speaker.play(bytes(4800), starts=True)
    room.speaker.finish()
    room.herald.observe(AnswerFailed(1, "no_progress", "because"))
    await room.until(lambda: bool(room.sounded))
    room.plays_out()
    room.herald.observe(AnswerFailed(2, "no_progress", "because"))
    await room.until(lambda: room.speaker.positions().queued == 2400 + len("no_answer"))


@in_a_room
async def test_the_end_of_an_allowance_is_spoken_to_whom_it_interrupts(room: Room) -> None:
    room.herald.news(Exhausted())
    room.herald.observe(TurnStarted(1, interrupts=False))
    room.herald.news(Exhausted())
    await room.until(lambda: room.speaker.positions().queued > 0)
    assert room.sounded == ["allowance"], "once, and not to an empty room"


def test_every_cause_is_counted_under_its_own_name() -> None:
    room, policy = Room(), Reconnect()
    for cause in Cause:
        error = ConnectionLost("gone", cause=cause)
        room.herald.news(Lost(error, policy.ended(error, lived_s=100)))
    assert set(room.counters.statistics().attempts_failed.values()) == {1}
