"""A local server of the realtime protocol: the demo's backend and the daemon's test double.

It speaks only the wire protocol and imports nothing of the client. With models it hears, understands and
speaks; with a script it does exactly what the script says, faults included, and imports no model.

    async with running(ServerOptions(script=Script(turns=(Turn(say="Hello."),)))) as server:
        ... connect to server.url ...
        await server.watch.until(lambda: server.connections[0].responder.active_id is None)
"""

from voice_agent.embedded.app import Server, running, serve
from voice_agent.embedded.control import controlling
from voice_agent.embedded.faults import Fault
from voice_agent.embedded.options import SPEECH, ServerOptions, load_script
from voice_agent.embedded.script import Script, ScriptedCall, Turn
from voice_agent.embedded.sheet import load_sheet

__all__ = [
    "SPEECH",
    "Fault",
    "Script",
    "ScriptedCall",
    "Server",
    "ServerOptions",
    "Turn",
    "controlling",
    "load_script",
    "load_sheet",
    "running",
    "serve",
]
