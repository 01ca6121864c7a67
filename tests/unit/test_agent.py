"""The agent's own work: sound between sessions, the day's account, and figures of everything."""

import asyncio

import numpy as np

from tests.unit.test_session import World
from voice_agent.agent import Agent
from voice_agent.audio.ear import Chunk
from voice_agent.config import Config
from voice_agent.dialogue import TokensUsed
from voice_agent.embedded.programs import english_voice
from voice_agent.realtime.events import SessionCreated, SessionUpdated
from voice_agent.telemetry.metrics import Exposition

RATE = 24_000


def agent() -> Agent:
    return Agent(Config(), lambda: None)


def test_the_ear_follows_a_change_of_rate() -> None:
    ports = agent().ports
    before = ports.speaker
    ports.retune(16_000, RATE)
    assert ports.ear.rate == 16_000
    assert ports.speaker is before, "what has not changed goes on"
    ports.retune(16_000, 44_100)
    assert ports.speaker.rate == 44_100


def test_whoever_waits_for_speech_is_told_where_to_begin_listening() -> None:
    async def run() -> tuple[int, int]:
        ports = agent().ports
        waiting = [asyncio.create_task(ports.speech()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.wait([waiting[0]])
        voice = english_voice().speak("Good morning, what is the weather like?", RATE)
        hiss = np.random.default_rng(1).integers(-20, 20, 2 * RATE).astype("<i2").tobytes()
        position = 0
        for at in range(0, len(hiss + voice), 960):
            pcm = (hiss + voice)[at : at + 960].ljust(960, b"\0")
            assert ports.ear.on_frame is not None
            ports.ear.on_frame(Chunk(position, pcm))
            position += 480
        first, second = await asyncio.gather(*waiting[1:])
        return first, second

    first, second = asyncio.run(run())
    assert first == second
    pre_roll = Config().gate.pre_roll_ms * RATE // 1000
    assert 2 * RATE - pre_roll <= first <= 2 * RATE - pre_roll + RATE // 2


def test_the_same_sound_is_accounted_for_once() -> None:
    async def run() -> None:
        one = agent()
        world = World()
        running = asyncio.create_task(world.session.run())
        world.ports.frames.extend([bytes(960)] * 50)
        world.line.says(SessionCreated(), SessionUpdated())
        await world.until(lambda: world.session.statistics().samples_sent == RATE)
        one.allowance.account(world.session)
        one.allowance.account(world.session)
        assert one.budget.statistics().sent_s == 1.0
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(run())


def test_tokens_count_for_the_day() -> None:
    one = agent()
    one.observe(TokensUsed(1, input_text=1, input_audio=2, input_cached=1, output_text=4, output_audio=8))
    assert sum(one.budget.statistics().tokens.values()) == 15, "cached ones are part of the others"


def test_there_is_a_figure_for_everything() -> None:
    async def run() -> str:
        return Exposition(agent().snapshot).page("")[1].decode()

    page = asyncio.run(run())
    assert 'voice_agent_session_state{state="connecting"} 1.0' in page
    assert 'voice_agent_device_open{direction="input"} 0.0' in page


def test_sent_again_shows_in_the_figures() -> None:
    async def run() -> float:
        one = agent()
        ear = one.ports.ear
        gathering = asyncio.create_task(ear.run())
        one.ports.microphone.callback(bytes(960), 480, {}, 0)
        await asyncio.sleep(0)
        reader = ear.listen()
        await reader.wait()
        assert reader.take() is not None
        one.ports.resume(0)
        assert reader.take() is not None
        gathering.cancel()
        await asyncio.wait([gathering])
        return one.snapshot().capture.resent_s

    assert asyncio.run(run()) == 0.02
