"""A made-up conversation for the demo's judges: the second line interrupts the answer to the first."""

from dataclasses import replace

import numpy as np

from voice_agent.audio.ear import EarStatistics
from voice_agent.audio.microphone import MicrophoneStatistics
from voice_agent.audio.speaker import SpeakerStatistics
from voice_agent.demo.chronicle import Chronicle
from voice_agent.demo.script import Line, Wanted
from voice_agent.demo.stage import Evidence, Recording, Utterance
from voice_agent.dialogue import (
    AgentSaid,
    Fact,
    FirstSound,
    Silenced,
    ToolAnswered,
    ToolCalled,
    TurnStarted,
    UserSaid,
    UserStopped,
)
from voice_agent.ports import AudioStatistics

RATE = 1000
"""A sample is a millisecond: positions below read as both."""
ZERO_S = 500.0
LATENCY_MS = 10.0

LINES = (
    Line("story", "Tell me a story.", words=("story",), answer=("once",)),
    Line(
        "weather",
        "What is the weather in Paris?",
        words=("weather", "paris"),
        answer=("paris",),
        calls=(Wanted("get_weather", "Paris"),),
        interrupts_after_s=1.0,
    ),
)

FACTS: tuple[tuple[int, Fact], ...] = (
    (1100, TurnStarted(1, interrupts=False)),
    (2400, UserStopped(1)),
    (2410, UserSaid(1, "Tell me a story.")),
    (2510, FirstSound(1, seconds=0.1, model_s=0.08)),  # sounds at 2500
    (4100, AgentSaid(1, "item_1", "Once upon a time.", heard_ms=1602, sent_ms=9000)),
    (4100, TurnStarted(2, interrupts=True)),
    (4100, Silenced(2, items=1, heard_ms=1602)),
    (5500, UserStopped(2)),
    (5510, UserSaid(2, "What is the weather in Paris?")),
    (5520, ToolCalled(2, "get_weather", '{"city":"Paris"}', here=True)),
    (5530, ToolAnswered(2, "get_weather", outcome="ok", seconds=0.01)),
    (5610, FirstSound(2, seconds=0.1, model_s=0.09)),  # sounds at 5600
    (7100, AgentSaid(2, "item_2", "In Paris it is warm.", heard_ms=1500, sent_ms=1500)),
)


def chronicle(facts: tuple[tuple[int, Fact], ...] = FACTS) -> Chronicle:
    """The conversation's turns; times in ms since the recording's zero."""
    found = Chronicle()
    for at_ms, fact in facts:
        found.take(fact, ZERO_S + at_ms / 1000)
    return found


def evidence() -> Evidence:
    """All is as it should be."""
    user, agent = np.zeros(8000, np.int16), np.zeros(8000, np.int16)
    user[1000:2000] = user[4000:5100] = 5000
    agent[2700:4120] = 3000  # 200 ms of silence first, and silent 20 ms after speech_started
    agent[5800:7000] = 3000
    return Evidence(
        chronicle(),
        Recording(user, agent, RATE, ZERO_S, exact=True),
        AudioStatistics(
            SpeakerStatistics(
                played=3000,
                flushed=7000,
                faded=5,
                lost_samples=0,
                spilled=0,
                gaps=0,
                gap_samples=0,
                xruns=0,
                callbacks=800,
                callback_errors=0,
                last_callback=508.0,
            ),
            MicrophoneStatistics(
                captured=8000,
                lost_samples=0,
                queued=0,
                overflows=0,
                callbacks=400,
                callback_errors=0,
                last_callback=508.0,
            ),
            EarStatistics(captured=8000, lost=0, kept=0, backlog=0, resent=0),
        ),
        LATENCY_MS,
        unbroken=True,
        said=(
            Utterance(ZERO_S + 0.98, 950, 2050),
            Utterance(ZERO_S + 3.98, 3950, 5150),
        ),
    )


def with_agent(found: Evidence, begin: int, end: int, value: int) -> Evidence:
    """Other sound in the agent's recording, from ``begin`` to ``end``."""
    agent = found.recording.agent.copy()
    agent[begin:end] = value
    return replace(found, recording=replace(found.recording, agent=agent))


def with_facts(found: Evidence, *changed: Fact) -> Evidence:
    """Each fact stands in the place of the one of its kind and turn."""
    places = {(type(fact), getattr(fact, "turn", 0)): fact for fact in changed}
    facts = tuple((at, places.get((type(fact), getattr(fact, "turn", 0)), fact)) for at, fact in FACTS)
    return replace(found, chronicle=chronicle(facts))
