"""A scripted user in front of a virtual sound card, both in real time.

The card's two recordings and its log stand on one timeline, so here every latency can be measured where it
counts: in the air between loudspeaker and ear.
"""

import asyncio
import os
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from time import monotonic

from voice_agent.demo.chronicle import Turn
from voice_agent.demo.machine import withheld_s
from voice_agent.demo.script import Line
from voice_agent.demo.server import ServerAddress
from voice_agent.demo.stage import Display, Evidence, Recording, Span, Stage, Utterance
from voice_agent.dialogue import State
from voice_agent.lab.card import VirtualCard
from voice_agent.lab.events import CardEvent

RATE = 24_000
BLOCK = RATE // 100
PAUSE_S = 0.6
"""A polite user's pause after an answer."""
ANSWER_TIMEOUT_S = 20.0
RING_S = 1.5
"""How long a ring sounds before somebody stops it: its first group of beeps is over."""
END_TIMEOUT_S = 5.0
TAIL_S = 0.3
QUIET_DB = -70.0
"""A silent night. In a room without any sound the microphone would be taken for a muted one."""
NS = 1e9


async def converse(
    server: ServerAddress, lines: Sequence[Line], spoken: Sequence[bytes], display: Display
) -> Evidence:
    """Say every line (``spoken``: its PCM16 at 24 kHz) and hear what comes of it."""
    with tempfile.TemporaryDirectory(prefix="voice-agent-demo-") as scratch:
        with VirtualCard(Path(scratch), noise_db=QUIET_DB) as card:
            os.environ.update(card.environment())  # before PortAudio initialises
            stage = Stage(server, display, Path(scratch), echo=False)
            async with stage.performing():
                display.begin(zero_of(card.events()))
                withheld_before_s = withheld_s()
                said = await _say_all(stage, card, lines, spoken)
                statistics, unbroken, ended = stage.agent.ports.statistics(), stage.unbroken, stage.ended
                events = card.events()
                withheld_meanwhile_s = withheld_s() - withheld_before_s
        return Evidence(
            chronicle=stage.chronicle,
            recording=Recording(card.captured(), card.played(), RATE, zero_of(card.events()), exact=True),
            statistics=statistics,
            latency_ms=stage.latency_ms,
            unbroken=unbroken,
            said=said,
            starved=dry_spans(events),
            rang=tuple(stage.rang),
            ended=ended,
            withheld_s=withheld_meanwhile_s,
        )


async def _say_all(
    stage: Stage, card: VirtualCard, lines: Sequence[Line], spoken: Sequence[bytes]
) -> tuple[Utterance, ...]:
    """Stops at the first line after which the conversation does not come to rest."""
    said: list[Utterance] = []
    for line, pcm in zip(lines, spoken, strict=True):
        if not await _wait_for_cue(stage, line, len(said)):
            break
        began_s = monotonic()
        heard = await asyncio.wrap_future(card.speak(pcm))
        said.append(Utterance(began_s, heard.begin, heard.end))
    await _silence(stage, len(said))
    if lines[-1].ends and len(said) == len(lines):
        await stage.until(lambda: stage.ended, END_TIMEOUT_S)
    await asyncio.sleep(TAIL_S)
    return tuple(said)


async def _wait_for_cue(stage: Stage, line: Line, said: int) -> bool:
    """Until this line's time has come; false if it never does."""
    delay_s = line.interrupts_after_s
    if line.stops_ring:
        return await stage.until(lambda: stage.rings_for(RING_S), ANSWER_TIMEOUT_S)
    if delay_s is None:
        at_rest = await _silence(stage, said)
        await asyncio.sleep(PAUSE_S)
        return at_rest
    return await stage.until(lambda: _sounding_for(stage.chronicle.turns, delay_s), ANSWER_TIMEOUT_S)


def _sounding_for(turns: Sequence[Turn], seconds: float) -> bool:
    sounded_s = turns[-1].sounded_s if turns else None
    return sounded_s is not None and monotonic() >= sounded_s + seconds


async def _silence(stage: Stage, said: int) -> bool:
    """Until nobody speaks and nothing is owed, after as many turns as lines were said."""

    def at_rest() -> bool:
        turns = stage.chronicle.turns
        return len(turns) >= said and stage.state is State.IDLE

    return await stage.until(at_rest, ANSWER_TIMEOUT_S)


def dry_spans(events: Sequence[CardEvent]) -> tuple[Span, ...]:
    """When the loudspeaker had nothing to play: from each xrun until it was started again, and the block of
    silence that PortAudio 19 starts it with.
    """
    told = [event for event in events if event.direction == "speaker" and event.event in ("xrun", "start")]
    return tuple(
        Span(event.position, after.position + BLOCK)
        for event, after in pairwise(told)
        if event.event == "xrun"
    )


def zero_of(events: Sequence[CardEvent]) -> float:
    """When the card's timeline began, monotonic seconds: its clock ticks late, never early."""
    return min(event.monotonic_ns - event.virtual_ns for event in events if event.rate) / NS
