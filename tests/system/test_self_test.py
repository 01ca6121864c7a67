"""The running daemon is asked to say something, and says whether it was heard."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.harness import conversation, received, scene, until_streaming
from voice_agent.embedded import Turn
from voice_agent.realtime.events import CreateItem, CreateResponse

pytestmark = [pytest.mark.system, pytest.mark.audio]

READY = Turn(say="Ready.", ms=400)
FAILS = Turn(status="failed", error="server_error")


async def self_test(directory: Path) -> tuple[int, str]:
    """Exit code, and what was said."""
    words = ["self-test", "--limit", "20", "--socket", str(directory / "control")]
    command = [sys.executable, "-m", "voice_agent", *words]
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=30, check=False
    )
    return done.returncode, done.stdout + done.stderr


@scene
async def test_an_answer_is_heard_or_the_reason_is_told(directory: Path) -> None:
    settings = f'[control]\nsocket = "{directory}/control"\n'
    async with conversation(directory, READY, FAILS, FAILS, settings=settings) as (server, voice):
        connection = await until_streaming(server)
        code, said = await self_test(directory)
        assert (code, said.split(" were ")[0]) == (0, "0.4 s of an answer")
        assert len(received(connection, CreateItem)) == len(received(connection, CreateResponse)) == 1
        assert "This is a self-test" not in voice.log, "nobody's words are in the log"
        code, said = await self_test(directory)
        assert (code, said.split(":")[:2]) == (1, ["voice-agent", " the answer failed"])
