"""Tools that take their time, in the real process: the room hears them at work, and nobody has to wait."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from msgspec.json import decode

from tests.system.harness import Daemon, daemon, loud, received, scene, until_streaming
from tests.system.test_cues import TICK, counter, found
from voice_agent.embedded import Script, ServerOptions, Turn, running
from voice_agent.embedded.script import ScriptedCall
from voice_agent.occasions import TICK_EVERY_S
from voice_agent.realtime.events import CreateItem, CreateResponse, SessionUpdate

pytestmark = [pytest.mark.system, pytest.mark.audio]

PLUG_IN = """
import asyncio
from functools import partial
from pathlib import Path
from voice_agent.dialogue import Manners
from voice_agent.tools.base import Tool

HERE = Path(__file__).parent

async def work(name, _arguments):
    (HERE / f"{name}.began").touch()
    try:
        while not (HERE / f"{name}.go").exists():
            await asyncio.sleep(0.02)
    except asyncio.CancelledError:
        (HERE / f"{name}.cut").touch()
        raise
    return {"done": name}

async def look_up(arguments):
    return await work("look_up", arguments)

async def unlock(arguments):
    return await work("unlock", arguments)

TOOLS = [
    Tool("look_up", "Look something up.", {"type": "object"}, look_up, Manners(timeout_s=60)),
    Tool("unlock", "Open the door.", {"type": "object"}, unlock, Manners(cancellable=False, timeout_s=60)),
]
"""

BOTH = Turn(heard="both", calls=(ScriptedCall("look_up"), ScriptedCall("unlock")))
TIME = Turn(heard="the time", say="It is noon.", ms=1000, wave="counter")


def plugged_in(directory: Path) -> dict[str, str]:
    """The environment of a daemon that finds the tools."""
    facts = directory / "slow_tools-1.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: slow-tools\nVersion: 1\n")
    (facts / "entry_points.txt").write_text("[voice_agent.tools]\nslow = slow_tools:TOOLS\n")
    (directory / "slow_tools.py").write_text(PLUG_IN)
    return {"PYTHONPATH": str(directory)}


def ticks(voice: Daemon) -> list[int]:
    return found(TICK, voice.card.played())


@scene
async def test_who_does_not_want_to_wait_for_a_tool_speaks_and_is_answered(tmp_path: Path) -> None:
    tools = tmp_path / "site"
    settings = '[tools]\nplugins = ["slow-tools"]\n'
    async with running(ServerOptions(script=Script(turns=(BOTH, TIME)))) as server:
        with daemon(tmp_path, server.url, environ=plugged_in(tools), settings=settings) as voice:
            connection = await until_streaming(server)
            await server.watch.until(
                lambda: any(
                    "unlock" in str(update.session.tools)
                    for update in received(connection, SessionUpdate)
                    if isinstance(update, SessionUpdate)
                )
            )
            voice.card.speak(loud(600))
            await voice.until(lambda: len(ticks(voice)) == 2)  # both are at work, and the room hears it
            assert (tools / "look_up.began").exists()
            assert (tools / "unlock.began").exists()
            voice.card.speak(loud(600))
            await voice.until((tools / "look_up.cut").exists)
            await voice.until_logged("agent said")
            heard = len(ticks(voice))
            await asyncio.sleep(TICK_EVERY_S)
            assert len(ticks(voice)) == heard, "nobody waits for the one that runs on"
            assert not (tools / "unlock.cut").exists()
            (tools / "unlock.go").touch()
            await server.watch.until(lambda: len(outputs(received(connection, CreateItem))) == 2)
    (start,) = found(counter(24_000), voice.card.played())
    assert all(tick < start for tick in ticks(voice))
    assert np.count_nonzero(voice.card.played()[start + 24_000 :]) == 0
    assert outputs(received(connection, CreateItem)) == {"error": 1, "done": 1}
    assert received(connection, CreateResponse) == [], "and nobody speaks about it"
    assert "stuck" not in voice.log


def outputs(events: list[object]) -> dict[str, int]:
    """How often tools were answered for with which key."""
    items = [event.item for event in events if isinstance(event, CreateItem)]
    keys = [key for item in items for key in decode(str(item.output))]
    return {key: keys.count(key) for key in keys}
