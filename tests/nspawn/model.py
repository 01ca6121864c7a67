"""The model server of a node, as a unit of its own: it follows a script, and keeps what it has heard.

``model.py SCRIPT HEARD``: at SIGUSR1 all sound so far goes to the file ``HEARD``. It needs nothing but the
daemon's package.
"""

import asyncio
import signal
import sys
from pathlib import Path

from voice_agent.embedded import Server, ServerOptions, controlling, load_script, running
from voice_agent.realtime.events import AppendAudio

PORT, CONTROL_PORT = 8765, 8766


def _keep(server: Server, place: Path) -> None:
    events = (event for connection in server.connections for event in connection.received)
    heard = b"".join(event.audio for event in events if isinstance(event, AppendAudio))
    beside = place.with_suffix(".new")
    beside.write_bytes(heard)
    beside.replace(place)


async def _serve(script: Path, heard: Path) -> None:
    options = ServerOptions(host="0.0.0.0", port=PORT, script=load_script(script))  # networks come and go
    async with running(options) as server, controlling(server, CONTROL_PORT):
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, _keep, server, heard)
        print("listening", flush=True)
        await asyncio.Event().wait()


asyncio.run(_serve(Path(sys.argv[1]), Path(sys.argv[2])))
