"""Cues are never in anybody's way: not the assistant's, not the user's, and they are not told too late."""

import asyncio

import numpy as np
import pytest

from tests.unit.test_herald import RATE, Room, in_a_room
from voice_agent import announcer, occasions
from voice_agent.audio.ear import Chunk
from voice_agent.config import Config
from voice_agent.dialogue import State
from voice_agent.embedded.programs import english_voice
from voice_agent.ports import Ports


def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(occasions, "TICK_AFTER_S", 0.01)
    monkeypatch.setattr(occasions, "TICK_EVERY_S", 0.01)
    monkeypatch.setattr(occasions, "NOTICED_S", 0.01)


@pytest.fixture(autouse=True)
def nobody_waits_long(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)


@in_a_room
async def test_a_wait_for_an_answer_ticks_until_there_is_one(room: Room) -> None:
    room.doing = State.THINKING
    await room.until(lambda: room.hears_out() and room.speaker.positions().queued >= 3 * len("thinking"))
    room.doing = State.SPEAKING
    await room.until(room.hears_out)
    before = room.speaker.positions().queued
    await room.never(lambda: room.speaker.positions().queued != before)
    assert set(room.sounded) == {"thinking"}


@pytest.mark.parametrize("doing", [None, State.IDLE, State.LISTENING, State.SPEAKING])
def test_nothing_else_ticks(doing: State | None, monkeypatch: pytest.MonkeyPatch) -> None:
    @in_a_room
    async def scene(room: Room) -> None:
        room.doing = doing
        await room.never(lambda: room.sounded != [])

    scene(monkeypatch)


@in_a_room
async def test_an_answer_that_comes_while_a_tick_is_being_made_is_not_ticked_into(room: Room) -> None:
    room.cues.on_asked = lambda: setattr(room, "doing", State.SPEAKING)
    room.doing = State.THINKING
    await room.never(lambda: room.speaker.positions().queued > 0, after=lambda: room.sounded == ["thinking"])


@pytest.mark.parametrize("doing", [State.LISTENING, State.SPEAKING])
@pytest.mark.parametrize("cue", ["ready", "back", "no_answer", "listening"])
def test_no_cue_talks_over_a_turn(cue: str, doing: State, monkeypatch: pytest.MonkeyPatch) -> None:
    @in_a_room
    async def scene(room: Room) -> None:
        room.doing = doing
        room.herald.play(cue)
        await room.never(lambda: room.speaker.positions().queued > 0, after=lambda: room.sounded == [cue])

    scene(monkeypatch)


@in_a_room
async def test_whoever_mutes_the_microphone_in_mid_sentence_hears_that_he_did(room: Room) -> None:
    room.doing = State.LISTENING
    room.herald.play("muted")
    await room.until(lambda: room.speaker.positions().queued == len("muted"))


@in_a_room
async def test_a_cue_waits_for_a_loudspeaker_that_is_being_opened(room: Room) -> None:
    room.audible = False
    room.herald.play("ready")
    await room.until(lambda: room.sounded == ["ready"])
    assert room.speaker.positions().queued == 0
    room.audible = True
    await room.until(lambda: room.speaker.positions().queued == len("ready"))


def test_a_cue_does_not_wait_for_a_loudspeaker_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcer, "STALE_S", 0.005)
    monkeypatch.setattr(occasions, "NOTICED_S", 60.0)

    @in_a_room
    async def scene(room: Room) -> None:
        room.audible = False
        room.herald.play("ready")
        await room.until(lambda: room.sounded == ["ready"])
        await asyncio.sleep(0.05)
        room.audible = True
        await room.never(lambda: room.speaker.positions().queued > 0)

    scene(monkeypatch)


@in_a_room
async def test_a_lost_microphone_is_told_and_its_return(room: Room) -> None:
    room.hearing = False
    await room.until(lambda: room.speaker.positions().queued == len("no_microphone"))
    room.plays_out()
    room.hearing = True
    await room.until(lambda: room.sounded == ["no_microphone", "microphone_back"])


@in_a_room
async def test_a_lost_microphone_is_told_when_the_answer_is_over(room: Room) -> None:
    room.speaker.play(bytes(2 * RATE), starts=True)
    room.hearing = False
    await room.never(lambda: room.sounded != [])
    room.plays_out()
    await room.until(lambda: room.sounded == ["no_microphone"])


@in_a_room
async def test_a_loudspeaker_that_comes_back_is_heard_to_be_back(room: Room) -> None:
    room.audible = room.hearing = False
    for _ in range(30):
        await asyncio.sleep(0.001)
    assert room.sounded == [], "nobody could hear it"
    room.audible = room.hearing = True
    await room.until(lambda: room.speaker.positions().queued == len("loudspeaker_back"))
    assert room.sounded == ["loudspeaker_back"], "and one sound for both is enough"


def test_a_microphone_that_comes_back_a_little_after_the_loudspeaker_is_not_missed() -> None:
    room = Room()
    ears = room.herald._announcer

    def looks(*seconds: float) -> list[str]:
        for now in seconds:
            ears._look_at_devices(now)
        wanted = []
        while not ears._wanted.empty():
            wanted.append(ears._wanted.get_nowait())
        return wanted

    room.audible = room.hearing = False
    assert looks(100, 200) == []
    room.audible = True
    assert looks(200.001, 200.002) == ["loudspeaker_back"]
    room.hearing = True
    assert looks(201) == []
    room.hearing = False
    assert looks(300, 301) == ["no_microphone"]


@in_a_room
async def test_a_quiet_cue_makes_no_sound(room: Room) -> None:
    room.cues.quiet = {"muted"}
    room.herald.play("muted")
    await room.never(lambda: room.speaker.positions().queued > 0, after=lambda: room.sounded == ["muted"])


def test_an_utterance_is_over_when_its_voice_has_paused() -> None:
    """Whoever answers at its beginning talks over it; a pause inside it is none."""

    said = np.frombuffer(english_voice().speak("Good morning, what is the weather like?", RATE), "<i2")
    room = np.random.default_rng(1).integers(-20, 20, 6 * RATE + len(said))
    room[3 * RATE : -3 * RATE] += said

    async def run() -> int:
        ports = Ports(Config(), RATE, RATE)
        waiting = asyncio.create_task(ports.utterance())
        await asyncio.sleep(0)
        for at in range(0, len(room), 480):
            assert ports.ear.on_frame is not None
            ports.ear.on_frame(Chunk(at, room[at : at + 480].astype("<i2").tobytes()))
            await asyncio.sleep(0)
            if waiting.done():
                return at
        raise AssertionError("nobody was heard")

    ended = 3 * RATE + int(np.flatnonzero(np.abs(said) > 1000)[-1])
    assert ended <= asyncio.run(run()) <= ended + RATE
