"""The real process, a real MCP server, and a model that uses its tools."""

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.system.harness import conversation, loud, received, scene, until_streaming
from tests.system.test_controls import metric
from tests.system.test_device_tools import output
from voice_agent.embedded import Turn
from voice_agent.embedded.connection import Connection
from voice_agent.embedded.script import ScriptedCall
from voice_agent.realtime.events import SessionUpdate, ToolSpec

pytestmark = [pytest.mark.system, pytest.mark.audio, pytest.mark.slow]

HOUSE = Path(__file__).parents[1] / "fakes" / "tool_server.py"
MUTE = "import time; time.sleep(600)"
SERVERS = f"""
[[tools.mcp]]
name = "home"
argv = ["{sys.executable}", "{HOUSE}"]
allow = ["lights", "extend", "bell"]
[[tools.mcp]]
name = "mute"
argv = ["{sys.executable}", "-c", "{MUTE}"]
"""


def call(heard: str, name: str, **arguments: object) -> Turn:
    return Turn(heard=heard, calls=(ScriptedCall(name, arguments),))


def declared(connection: Connection) -> set[str]:
    """The names of the tools in the last update of the session that has any."""
    updates = [update for update in received(connection, SessionUpdate) if isinstance(update, SessionUpdate)]
    found = [update.session.tools for update in updates if update.session.tools]
    return {str(tool.name) for tool in found[-1] if isinstance(tool, ToolSpec)} if found else set()


def children_of(pid: int) -> set[int]:
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@scene
async def test_the_model_uses_the_tools_of_a_server_which_come_change_and_outlive_its_death(
    tmp_path: Path,
) -> None:
    turns = (
        call("light in the kitchen", "home_lights", room="kitchen"),
        Turn(say="The light is on.", ms=200),
        call("add a bell", "home_extend"),
        Turn(say="There is a bell.", ms=200),
        call("light in the hall", "home_lights", room="hall"),
        Turn(say="The light is on.", ms=200),
    )
    async with conversation(tmp_path, *turns, settings=SERVERS) as (server, voice):
        connection = await until_streaming(server)
        await voice.until_logged("tool server connected server=home tools=2", timeout_s=20)
        await server.watch.until(lambda: "home_lights" in declared(connection), 10)
        assert "home_temperature" not in declared(connection)
        assert "get_weather" in declared(connection)

        voice.card.speak(loud(600))
        first = await output(server, connection)
        assert (first["room"], first["on"]) == ("kitchen", True)
        await voice.until_logged("agent said")
        assert await metric(voice, 'tool_calls_total{tool="home_lights",outcome="ok"}') == 1
        assert await metric(voice, 'tool_server_up{server="mute"}') == 0

        voice.card.speak(loud(600))
        await output(server, connection, 2)
        await server.watch.until(lambda: "home_bell" in declared(connection), 10)
        await voice.until_logged("agent said", times=2)

        os.kill(first["pid"], signal.SIGKILL)
        await voice.until_logged("tool server not connected server=home")
        voice.card.speak(loud(600))
        third = await output(server, connection, 3)
        assert third["pid"] != first["pid"]
        assert await metric(voice, 'tool_server_connections_total{server="home"}') == 2

        children = children_of(voice.process.pid)
        assert third["pid"] in children
        code, seconds = voice.stop()
        assert (code, seconds < 3) == (0, True)
        assert not [pid for pid in children if is_there(pid)]
        assert "kitchen" not in voice.log
        assert "Traceback" not in voice.log
