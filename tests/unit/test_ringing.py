"""A ring in the room: over nobody, heard between its tones, and not answered by an excuse."""

import asyncio

import numpy as np
import pytest

from tests.unit.test_herald import RATE, Room, in_a_room
from voice_agent import announcer, ports
from voice_agent.assembly import cues_for
from voice_agent.audio import gate
from voice_agent.audio.cues import RINGS, TONES, tones
from voice_agent.audio.ear import Chunk
from voice_agent.config import Config
from voice_agent.config.sound import Cues as CueSettings
from voice_agent.dialogue import State
from voice_agent.embedded.programs import english_voice
from voice_agent.errors import Cause, ConnectFailed
from voice_agent.ports import Ports
from voice_agent.sessions import Live, Parked


@pytest.mark.parametrize("doing", [None, State.IDLE])
def test_a_ring_sounds_where_nobody_speaks_and_says_for_how_long(doing: State | None) -> None:
    room = Room()
    room.doing = doing
    assert asyncio.run(room.herald.ring("timer")) == len("timer") / RATE
    assert room.speaker.positions().queued == len("timer")


@pytest.mark.parametrize("doing", [State.LISTENING, State.THINKING, State.SPEAKING])
def test_a_ring_waits_while_anybody_speaks_or_an_answer_is_due(doing: State) -> None:
    room = Room()
    room.doing = doing
    assert asyncio.run(room.herald.ring("timer")) == 0.0
    assert room.speaker.positions().queued == 0


def test_a_ring_waits_for_the_end_of_what_sounds_for_a_loudspeaker_and_if_it_is_to_be_quiet() -> None:
    room = Room()
    room.cues.quiet = {"alarm"}
    assert asyncio.run(room.herald.ring("alarm")) == 0.0
    room.audible = False
    assert asyncio.run(room.herald.ring("timer")) == 0.0
    room.audible = True
    room.speaker.play(bytes(2 * RATE))
    assert asyncio.run(room.herald.ring("timer")) == 0.0


def test_a_ring_does_not_begin_when_somebody_speaks_while_its_tone_is_being_made() -> None:
    room = Room()
    room.cues.on_asked = lambda: setattr(room, "doing", State.LISTENING)
    assert asyncio.run(room.herald.ring("timer")) == 0.0
    assert room.speaker.positions().queued == 0


def test_a_voice_that_never_pauses_is_a_television_and_is_rung_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcer, "TALK_S", 0.02)

    @in_a_room
    async def scene(room: Room) -> None:
        room.doing = State.LISTENING
        assert await room.herald.ring("alarm") == 0.0
        async with asyncio.timeout(5):
            while not await room.herald.ring("alarm"):
                await asyncio.sleep(0.001)
        room.plays_out()
        room.doing = State.SPEAKING
        await asyncio.sleep(0.01)  # looks of the announcer
        room.doing = State.LISTENING
        assert await room.herald.ring("alarm") == 0.0, "somebody else"

    scene(monkeypatch)


def test_hushing_ends_a_ring_and_nothing_that_the_model_says() -> None:
    room = Room()
    asyncio.run(room.herald.ring("timer"))
    room.herald.hush()
    room.plays_out()
    assert room.speaker.statistics().flushed == len("timer")
    room.speaker.play(bytes(2 * RATE))
    room.herald.hush()
    room.plays_out()
    assert room.speaker.statistics().flushed == len("timer")


@in_a_room
async def test_whoever_speaks_at_a_ring_is_given_no_excuse(room: Room) -> None:
    assert await room.herald.ring("timer")
    room.plays_out()
    room.loses(ConnectFailed("no such name", cause=Cause.DNS))
    room.words.put_nowait(1)
    await room.never(lambda: "offline" in room.sounded)
    assert room.words.empty(), "he was heard"


@in_a_room
async def test_a_ring_that_wakes_a_parked_device_in_vain_excuses_itself_to_nobody(room: Room) -> None:
    room.herald.news(Parked())
    assert await room.herald.ring("timer")
    room.plays_out()
    room.loses(ConnectFailed("no such name", cause=Cause.DNS))
    await room.never(lambda: "offline" in room.sounded)


@in_a_room
async def test_a_session_that_a_ring_has_woken_says_nothing_of_listening(room: Room) -> None:
    room.herald.news(Live(1.0, renewed=False))
    room.herald.news(Parked())
    assert await room.herald.ring("timer")
    room.doing = State.IDLE
    room.herald.news(Live(1.0, renewed=False))
    await room.never(lambda: "listening" in room.sounded)


def test_a_voice_is_heard_between_the_tones_and_the_tones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """The microphone hears the ring at half its level, then somebody in the pause of the third group.

    The gate is the one of a device without the extra ``vad``, which may take tones for a voice.
    """
    monkeypatch.setattr(gate, "silero", lambda _rate: None)
    group = np.frombuffer(tones(TONES["timer"], RATE), "<i2") // 2
    said = np.frombuffer(english_voice().speak("Stop!", RATE), "<i2")
    room = np.random.default_rng(1).integers(-20, 20, 14 * RATE)
    sounding = np.zeros(len(room), bool)
    for begin in (RATE, 5 * RATE, 9 * RATE):
        room[begin : begin + len(group)] += group
        sounding[begin : begin + len(group)] = True
    spoken = round(10.6 * RATE)
    room[spoken : spoken + len(said)] += said
    now = [0.0]
    monkeypatch.setattr(ports, "monotonic", lambda: now[0])

    async def run() -> int:
        ends = Ports(Config(), RATE, RATE)
        waiting = asyncio.create_task(ends.voice())
        await asyncio.sleep(0)
        for at in range(0, len(room), 480):
            now[0] = at / RATE
            if sounding[at : at + 480].any():
                ends.speaker._playout.sounding_at = now[0]
            assert ends.ear.on_frame is not None
            ends.ear.on_frame(Chunk(at, room[at : at + 480].astype("<i2").tobytes()))
            await asyncio.sleep(0)
            if waiting.done():
                return at
        raise AssertionError("nobody was heard")

    assert spoken < asyncio.run(run()) < spoken + RATE


def test_the_tones_of_rings_last_a_second_and_cannot_be_taken_for_each_other() -> None:
    assert all(0.8 <= len(tones(TONES[name], RATE)) / 2 / RATE <= 1.1 for name in RINGS)
    assert not {tone.hz for tone in TONES["timer"] if tone.hz} & {tone.hz for tone in TONES["alarm"]}


def test_a_device_that_is_to_make_no_sounds_of_its_own_still_rings_unless_that_is_forbidden_by_name() -> None:
    silent = cues_for(Config(cues=CueSettings(enabled=False, quiet=("alarm",))))
    heard = [name for name in (*TONES, "offline") if silent.pcm(name, RATE)]
    assert heard == ["timer"]
