"""What a conversation moves over the uplink: bytes of a real session, counted between daemon and server."""

import asyncio
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from tests.fleetsim.relay import Relay
from tests.system.harness import daemon, loud, until_streaming
from voice_agent.embedded import Script, ServerOptions, Turn, running

LISTEN_S = 10.0
STORY = Turn(heard="a story", say="Once upon a time", ms=10_000)


class Traffic(NamedTuple):
    """Kilobits for each second of sound: the microphone's up, an answer's down. Without TLS, TCP and IP."""

    up_kbit: float
    down_kbit: float
    handshake_bytes: int
    """From connecting to the first sound, both ways."""


async def measured(directory: Path) -> Traffic:
    """One session at the protocol's 24 kHz, some seconds of each."""
    options = ServerOptions(script=Script(turns=(STORY,)))
    async with running(options) as server, Relay(server.port) as relay:
        url = server.url.replace(f":{server.port}", f":{relay.port}")
        with daemon(directory, url) as voice:
            await until_streaming(server)
            handshake = relay.up + relay.down
            up, began = relay.up, monotonic()
            await asyncio.sleep(LISTEN_S)
            up_bytes_s = (relay.up - up) / (monotonic() - began)
            down = relay.down
            voice.card.speak(loud(600))
            await voice.until_logged("agent said", timeout_s=30)
            down_bytes_s = (relay.down - down) * 1000 / (STORY.ms or 1)
    return Traffic(_kbit(up_bytes_s), _kbit(down_bytes_s), handshake)


def _kbit(bytes_s: float) -> float:
    return round(bytes_s * 8 / 1000, 1)
