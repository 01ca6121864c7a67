"""Tools by configuration, in the real process: the model calls a web service and a program."""

import json
from pathlib import Path

import pytest
from aiohttp import web

from tests.system.harness import conversation, loud, received, scene, until_streaming
from voice_agent.embedded import ScriptedCall, Turn
from voice_agent.embedded.connection import Connection
from voice_agent.realtime.events import CreateItem, SessionUpdate

pytestmark = [pytest.mark.system, pytest.mark.audio, pytest.mark.slow]

TOOLS = """
[tools]
enabled = []
[[tools.http]]
name = "room_temperature"
description = "Temperature in a room."
url = "http://127.0.0.1:{port}/rooms/{{room}}"
key_from = "home-token"
answer = "state.celsius"
[tools.http.parameters]
required = ["room"]
properties.room = {{type = "string"}}
[[tools.command]]
name = "greet"
description = "Greets somebody."
argv = ["/bin/echo", "Hello,", "{{name}}"]
[tools.command.parameters]
required = ["name"]
properties.name = {{type = "string"}}
[[tools.provider]]
type = "mcp"
server_label = "docs"
server_url = "https://mcp.example.org/"
require_approval = "never"
key_from = "docs-token"
"""
TURN = Turn(
    heard="How warm is it?",
    calls=(
        ScriptedCall("room_temperature", {"room": "living room"}),
        ScriptedCall("greet", {"name": "--help $(id)"}),
        ScriptedCall("greet", {"name": "Ann"}),
    ),
)


def outputs(connection: Connection) -> list[object]:
    items = [event.item for event in received(connection, CreateItem) if isinstance(event, CreateItem)]
    return [json.loads(str(item.output)) for item in items if item.type == "function_call_output"]


@scene
async def test_the_model_calls_a_web_service_and_a_program(tmp_path: Path) -> None:
    asked = []

    async def room(request: web.Request) -> web.Response:
        asked.append((request.raw_path, request.headers.get("Authorization")))
        return web.json_response({"state": {"celsius": 21.5}})

    credentials = tmp_path / "credentials"
    credentials.mkdir()
    for name in ("home-token", "docs-token"):
        (credentials / name).write_text(f"the-{name}-itself\n")
    app = web.Application()
    app.router.add_get("/rooms/{room}", room)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    settings = TOOLS.format(port=runner.addresses[0][1])
    environ = {"CREDENTIALS_DIRECTORY": str(credentials)}
    answered = Turn(say="Twenty one and a half degrees.", ms=300)
    try:
        async with conversation(tmp_path, TURN, answered, settings=settings, environ=environ) as (
            server,
            voice,
        ):
            connection = await until_streaming(server)
            voice.card.speak(loud(600))
            await voice.until(lambda: len(outputs(connection)) == 3)
            await voice.until_logged("agent said")
    finally:
        await runner.cleanup()
    refused = {"error": 'an argument of this tool may not begin with "-"'}
    assert asked == [("/rooms/living%20room", "Bearer the-home-token-itself")]
    answers = [{"answer": 21.5}, refused, {"output": "Hello, Ann"}]
    assert sorted(outputs(connection), key=str) == sorted(answers, key=str)  # the calls run side by side
    (update, *_) = received(connection, SessionUpdate)
    assert isinstance(update, SessionUpdate)
    assert len(update.session.tools or ()) == 3
    for private in ("the-home-token-itself", "the-docs-token-itself", "living", "Ann", "21.5"):
        assert private not in voice.log
