"""Whether a person can talk to this machine: does a microphone bring and a loudspeaker take audio?

A device that is listed may still be a dead one (a sound server that is not running), so both are opened for a
moment. In a child process, because ALSA reads its configuration once in a process, and the demo may yet have
to bring a card of its own; and because PortAudio may hang or abort.
"""

import asyncio
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping
from typing import TYPE_CHECKING

from voice_agent.demo.server import own_command
from voice_agent.errors import AudioError

if TYPE_CHECKING:
    from voice_agent.audio.portaudio import Direction, PortAudio

PROBE_TIMEOUT_S = 8.0
LISTEN_S = 1.0
ENOUGH_BLOCKS = 3
RATE = 24_000


async def missing_device() -> str:
    """Why nobody can talk here; empty if somebody can."""
    process = await asyncio.create_subprocess_exec(
        *own_command("voice_agent.demo.probe"), stdout=PIPE, stderr=DEVNULL, start_new_session=True
    )
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            said, _ = await process.communicate()
    except TimeoutError:
        return "the sound system does not answer"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    lines = said.decode(errors="replace").strip().splitlines()
    if process.returncode == 0:
        return ""
    return lines[-1] if lines else "PortAudio cannot be used"


def _child() -> str:
    """What is missing, as a person would say it."""
    from voice_agent.audio.portaudio import Direction, PortAudio

    names = {Direction.INPUT: "microphone", Direction.OUTPUT: "loudspeaker"}
    try:
        portaudio = PortAudio()
        for direction, name in names.items():
            if not _works(portaudio, direction):
                return f"the {name} does not run"
    except AudioError as error:
        return str(error)
    return ""


def _works(portaudio: "PortAudio", direction: "Direction") -> bool:
    from voice_agent.audio.portaudio import DEFAULT

    blocks = 0

    def count(
        _in: bytes | None, frames: int, _time: Mapping[str, float] | None, _status: int
    ) -> tuple[bytes | None, int]:
        nonlocal blocks
        blocks += 1
        return bytes(2 * frames), 0

    stream = portaudio.open(direction, DEFAULT, rate=RATE, frames_per_block=RATE // 100, callback=count)
    stream.start()
    deadline = time.monotonic() + LISTEN_S
    while blocks < ENOUGH_BLOCKS and time.monotonic() < deadline:
        time.sleep(0.02)
    stream.close()
    return blocks >= ENOUGH_BLOCKS


if __name__ == "__main__":
    problem = _child()
    print(problem)
    sys.exit(1 if problem else 0)
