"""The embedded server as a child process, so that its models never disturb the daemon's audio.

It is ended by its process id when the ``async with`` ends, however that ends; should this very process be
killed, the kernel ends the child (``setpriv --pdeathsig``, part of util-linux).
"""

import asyncio
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from shutil import which
from typing import NamedTuple

from voice_agent.errors import VoiceAgentError

READY = "listening on "
READY_TIMEOUT_S = 90.0
"""A Raspberry Pi with a cold disk takes half of it."""
STOP_TIMEOUT_S = 3.0
REMEMBERED_LINES = 20
NICENESS = "10"
"""A model that takes every core for 100 ms must not make an audio block late."""

Say = Callable[[str], None]


class ServerAddress(NamedTuple):
    """A server that listens."""

    url: str
    pid: int

    @property
    def http_url(self) -> str:
        """Where its weather service lives."""
        return self.url.replace("ws://", "http://", 1).partition("/v1/")[0]


def own_command(*arguments: str) -> list[str]:
    """This program again, as a child that does not outlive its parent and lets audio go first."""
    nice = [found, "-n", NICENESS] if (found := which("nice")) else []
    leash = [found, "--pdeathsig", "TERM"] if (found := which("setpriv")) else []
    return [*nice, *leash, sys.executable, "-m", *arguments]


@asynccontextmanager
async def serving(arguments: Sequence[str], say: Say) -> AsyncIterator[ServerAddress]:
    """``voice-agent serve`` with these arguments, on a free port; ``say`` hears of slow loading."""
    command = own_command("voice_agent", "serve", "--port", "0", *arguments)
    # A session of its own: Ctrl-C in the terminal is for the demo, which ends the server last.
    process = await asyncio.create_subprocess_exec(
        *command, stdout=PIPE, stderr=STDOUT, start_new_session=True
    )
    lines: deque[str] = deque(maxlen=REMEMBERED_LINES)
    draining: asyncio.Task[None] | None = None
    try:
        url = await _wait_ready(process, lines, say)
        draining = asyncio.create_task(_drain(process, lines))
        yield ServerAddress(url, process.pid)
    finally:
        await _end(process)
        if draining is not None:
            draining.cancel()


async def _wait_ready(process: Process, lines: deque[str], say: Say) -> str:
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            while line := await _line(process):
                if line.startswith(READY):
                    return line.removeprefix(READY)
                lines.append(line)
                if line.startswith("loading"):
                    say(line)
    except TimeoutError as error:
        raise VoiceAgentError(f"the server was not ready after {READY_TIMEOUT_S:.0f} s") from error
    reason = lines[-1].removeprefix("voice-agent: ") if lines else "it said nothing"
    raise VoiceAgentError(f"the server does not start: {reason}")


async def _drain(process: Process, lines: deque[str]) -> None:
    """Read on, or the server would block on a full pipe one day."""
    while line := await _line(process):
        lines.append(line)


async def _line(process: Process) -> str:
    """The next line that says something; empty at the end."""
    if process.stdout is None:
        return ""
    while raw := await process.stdout.readline():
        if text := raw.decode(errors="replace").strip():
            return text
    return ""


async def _end(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
