"""A scripted user in front of a virtual sound card, both in real time, as far as the machine keeps up.

Where it does not, the card's clock waits for it, as no crystal would: no sound is torn, every word can be
understood, and the recording is by so much shorter than the conversation was.

The card's two recordings and its log stand on one timeline, so here every latency can be measured where it
counts: in the air between loudspeaker and ear.
"""

import asyncio
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from voice_agent.audio.pcm import silent_samples
from voice_agent.demo.chronicle import Turn
from voice_agent.demo.machine import denied
from voice_agent.demo.script import Line
from voice_agent.demo.server import ServerAddress
from voice_agent.demo.stage import Display, Evidence, Recording, Stage, Utterance, Wait
from voice_agent.dialogue import State
from voice_agent.lab.card import VirtualCard
from voice_agent.lab.events import CardEvent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from voice_agent.audio.ring import SampleRing

RATE = 24_000
TAPE_S = 300.0
"""Longer than any conversation here."""
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
        with VirtualCard(Path(scratch), elastic=True, noise_db=QUIET_DB) as card:
            os.environ.update(card.environment())  # before PortAudio initialises
            stage = Stage(server, display, Path(scratch), echo=False)
            async with stage.performing():
                display.begin(zero_of(card.events()))
                tape = stage.agent.ports.speaker.tap(TAPE_S)
                before = denied((os.getpid(), server.pid))
                said = await _say_all(stage, card, lines, spoken)
                statistics, unbroken, ended = stage.agent.ports.statistics(), stage.unbroken, stage.ended
                events = card.events()
                denied_us = denied((os.getpid(), server.pid)).since(before)
        played = card.played()
        import numpy as np

        return Evidence(
            chronicle=stage.chronicle,
            recording=Recording(
                card.captured(), played, RATE, zero_of(events), exact=True, waits=waits_of(events)
            ),
            statistics=statistics,
            latency_ms=stage.latency_ms,
            unbroken=unbroken,
            said=said,
            faithful=np.array_equal(trimmed(_taken(tape)), trimmed(played)),
            rang=tuple(stage.rang),
            ended=ended,
            denied=denied_us,
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


def _taken(tape: "SampleRing") -> "NDArray[np.int16]":
    """All that was given to the loudspeaker."""
    import numpy as np

    given = silent_samples(tape.written)
    tape.read_into(given)
    return np.array(given)


def trimmed(samples: "NDArray[np.int16]") -> "NDArray[np.int16]":
    """From the first to the last sample that sounds."""
    import numpy as np

    at = np.flatnonzero(samples)
    return samples[at[0] : at[-1] + 1] if len(at) else samples[:0]


def zero_of(events: Sequence[CardEvent]) -> float:
    """When the card's timeline began, monotonic seconds: its clock may have waited since, but never ran."""
    return min(event.monotonic_ns - event.virtual_ns for event in events if event.rate) / NS


def waits_of(events: Sequence[CardEvent]) -> tuple[Wait, ...]:
    """When the card's clock went on after it had waited for the machine."""
    held = [event for event in events if (event.direction, event.event) == ("speaker", "held")]
    return tuple(
        Wait(now.monotonic_ns / NS, now.position, now.held_ms - before_ms)
        for before_ms, now in zip([0.0, *(event.held_ms for event in held)], held, strict=False)
    )
