"""A package with tools of its own, really installed, beside the real daemon."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.harness import daemon, loud, scene, until_streaming
from tests.system.test_controls import settings
from tests.system.test_device_tools import output
from voice_agent.embedded import Script, ServerOptions, Turn, running
from voice_agent.embedded.script import ScriptedCall

pytestmark = [pytest.mark.system, pytest.mark.audio]

PACKAGE = Path(__file__).parents[1] / "plugin"


def install(site: Path) -> dict[str, str]:
    """Build and install the example without a network; the environment in which it is there."""
    offline = ["--no-index", "--no-build-isolation", "--no-deps", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", "-q", *offline, "--target", str(site), str(PACKAGE)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return {"PYTHONPATH": os.pathsep.join([str(site), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])}


async def shell(directory: Path, *words: str) -> str:
    command = [sys.executable, "-m", "voice_agent", "tools", "--socket", str(directory / "control"), *words]
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == os.EX_OK, done.stderr
    return done.stdout


async def called(directory: Path, name: str, arguments: str) -> dict[str, object]:
    answer: dict[str, object] = json.loads(await shell(directory, "call", name, arguments))
    return answer


@scene
async def test_the_model_and_the_shell_use_the_tools_of_an_installed_package(tmp_path: Path) -> None:
    calls = (
        ScriptedCall("convert_cups", {"cups": 2}),
        ScriptedCall("add_to_shopping_list", {"text": "eggs"}),
        ScriptedCall("convert_cups", {"cups": "many"}),
    )
    turn = Turn(heard="two cups, please, and eggs", calls=calls)
    environ = await asyncio.to_thread(install, tmp_path / "site")
    async with running(ServerOptions(script=Script(turns=(turn, Turn(say="Done.", ms=200))))) as server:
        with daemon(tmp_path, server.url, environ=environ, settings=settings(tmp_path)) as voice:
            connection = await until_streaming(server)
            await voice.until_logged("plug-in loaded plugin=kitchen package=voice-agent-kitchen tools=2")
            voice.card.speak(loud(600))
            answers = [await output(server, connection, number) for number in (1, 2, 3)]
            assert {"millilitres": 480} in answers
            assert {"items": 1} in answers
            assert {"error": "cups: 'many' is not of type 'number'"} in answers

            listed = json.loads(await shell(tmp_path, "--json"))
            assert "plug-in kitchen (voice-agent-kitchen)" in {tool["source"] for tool in listed["tools"]}
            assert await called(tmp_path, "convert_cups", '{"cups": 1}') == {"millilitres": 240}
            assert (await called(tmp_path, "set_volume", '{"level": 40}'))["volume"] == 40
            assert "disturbs nobody" not in voice.log, "what a tool prints"
            kept = tmp_path / "plugins" / "voice-agent-kitchen" / "shopping.txt"
            assert kept.read_text() == "eggs\n"
