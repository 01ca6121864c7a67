"""The real process beside its own loudspeaker: a room that echoes, real voices."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic

import numpy as np
import pytest

from tests.echo.acoustics import level, response
from tests.echo.voices import RATE, spoken, talk
from tests.system.harness import Daemon, daemon, received, scene, until_streaming
from voice_agent.embedded import Script, Server, ServerOptions, Turn, running
from voice_agent.embedded.connection import Connection
from voice_agent.embedded.engines import Engines
from voice_agent.embedded.script import ScriptedEngines
from voice_agent.lab.card import VirtualCard
from voice_agent.realtime.events import TruncateItem

pytestmark = [pytest.mark.system, pytest.mark.audio, pytest.mark.slow, pytest.mark.timeout(90)]

ANSWER_S = 9.0
VOICE_DB = -26.0
SILENT_WITHIN_S = 1.0
"""From the first sound of the user to the loudspeaker's last; ``make echo-bench`` measures it."""


class Voice:
    """Says the same long answer, whatever it is to say."""

    def speak(self, _sentence: str, rate: int) -> bytes:
        assert rate == RATE
        return as_pcm(talk(("flite:slt", "espeak:en-us"), ANSWER_S, seed=5))


def as_pcm(voice: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> bytes:
    return np.rint(voice * level(VOICE_DB)).astype("<i2").tobytes()


@asynccontextmanager
async def beside_the_loudspeaker(directory: Path, mode: str) -> AsyncIterator[tuple[Server, Daemon]]:
    script = Script(turns=tuple(Turn(say="An answer.") for _ in range(9)))
    scripted = ScriptedEngines(script)

    def engines() -> Engines:
        return replace(scripted(), tts=Voice())

    room = VirtualCard(directory / "room", elastic=True, echo_db=0, echo_ms=60, noise_db=-70)
    room.respond(response(0.3, 0.15, seed=1))
    async with running(ServerOptions(script=script), engines=engines) as server:
        settings = f'[audio]\necho = "{mode}"\n'
        with daemon(directory, server.url, settings=settings, room=room) as running_daemon:
            yield server, running_daemon


def says(daemon: Daemon, words: str) -> None:
    daemon.card.speak(as_pcm(spoken("flite:awb", words)))


async def until_heard(daemon: Daemon, answers: int) -> None:
    await daemon.until_logged("agent said", times=answers, timeout_s=30)


@scene
async def test_an_answer_is_not_interrupted_by_its_echo_but_by_the_user(tmp_path: Path) -> None:
    async with beside_the_loudspeaker(tmp_path, "auto") as (server, daemon):
        connection = await until_streaming(server)
        says(daemon, "Can you say that again?")
        await until_heard(daemon, 1)
        assert daemon.log.count("user speaks") == 1, "only the question was heard"
        assert "interrupted" not in daemon.log

        says(daemon, "Can you say that again?")
        await daemon.until_logged("answering", times=2)
        await asyncio.sleep(3)  # somewhere in the middle of the answer
        played, began = len(daemon.card.played()), monotonic()
        says(daemon, "No, I meant the day after tomorrow.")
        await daemon.until_logged("interrupted", timeout_s=5)
        await server.watch.until(lambda: truncated(connection) == 1, 5)
        assert daemon.log.count("user speaks") == 3
        assert silent_after_s(daemon, played) < SILENT_WITHIN_S, f"{monotonic() - began:.2f} s by the clock"


@scene
async def test_without_a_guard_it_would_interrupt_itself(tmp_path: Path) -> None:
    async with beside_the_loudspeaker(tmp_path, "off") as (server, daemon):
        await until_streaming(server)
        says(daemon, "Can you say that again?")
        await daemon.until_logged("interrupted")


@scene
async def test_half_duplex_hears_nobody_while_it_speaks_and_everybody_after(tmp_path: Path) -> None:
    async with beside_the_loudspeaker(tmp_path, "half-duplex") as (server, daemon):
        await until_streaming(server)
        says(daemon, "Can you say that again?")
        await daemon.until_logged("answering")
        await asyncio.sleep(1)
        says(daemon, "Stop.")
        await until_heard(daemon, 1)
        assert daemon.log.count("user speaks") == 1
        await asyncio.sleep(0.6)  # the guard
        says(daemon, "Can you say that again?")
        await daemon.until_logged("answering", times=2)


def truncated(connection: Connection) -> int:
    return len(received(connection, TruncateItem))


def silent_after_s(daemon: Daemon, since: int) -> float:
    """From sample ``since`` to the last that the loudspeaker gave until now."""
    played = daemon.card.played()[since:]
    loud = np.flatnonzero(np.abs(played) > 50)
    return float(loud[-1]) / RATE if len(loud) else 0.0
