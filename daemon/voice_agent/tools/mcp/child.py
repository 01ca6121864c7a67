"""A program that speaks MCP on its pipes, in a process group of its own, and ended together with it.

Should the daemon be killed, the kernel ends the program (PR_SET_PDEATHSIG, set by util-linux's setpriv), and
what it has begun sees its standard input end. With setpriv before it the event loop does not wait while a
slow disk brings the program: a fork returns as soon as setpriv runs.
"""

import asyncio
import logging
import os
import signal
from asyncio.subprocess import PIPE, Process, SubprocessStreamProtocol
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from voice_agent.credentials import Secret
from voice_agent.tools.mcp.limits import MAX_MESSAGE_BYTES, Lost
from voice_agent.tools.mcp.settings import Program

log = logging.getLogger(__name__)

MAX_STDERR_BYTES = 4096
MAX_COMPLAINT_CHARS = 200

ASKED_S = 0.3
TOLD_S = 0.5
"""From the end of standard input to SIGTERM, and from there to SIGKILL: the daemon's own end takes 2 s."""

LAST_WORDS_S = 1.0
"""From the end of standard output to the end of the program and of what it says about that."""

LOOK_S = 0.02

KEPT = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR")
"""Of our environment. All else stays here: there may be keys in it."""

SETPRIV = Path("/usr/bin/setpriv")
GUARD = (str(SETPRIV), "--pdeathsig", "KILL", "--") if SETPRIV.exists() else ()


class Child:
    """The running program."""

    def __init__(self, process: Process, transport: asyncio.SubprocessTransport) -> None:
        self._process = process
        self._transport = transport
        self.complaint = ""
        """The last line on its standard error."""
        self._silent = asyncio.Event()

    @property
    def stdin(self) -> asyncio.StreamWriter:
        """What it reads."""
        assert self._process.stdin is not None  # noqa: S101 — it was begun with pipes
        return self._process.stdin

    @property
    def stdout(self) -> asyncio.StreamReader:
        """What it writes; no line is longer than ``MAX_MESSAGE_BYTES``."""
        assert self._process.stdout is not None  # noqa: S101 — it was begun with pipes
        return self._process.stdout

    async def listen(self) -> None:
        """Take what it complains of, for as long as it does: a full pipe would stop it."""
        assert self._process.stderr is not None  # noqa: S101 — it was begun with pipes
        kept = b""  # a line may come in pieces
        while chunk := await self._process.stderr.read(MAX_STDERR_BYTES):
            kept = (kept + chunk)[-MAX_STDERR_BYTES:]
            if lines := kept.decode(errors="replace").strip().splitlines():
                self.complaint = lines[-1][:MAX_COMPLAINT_CHARS]
                log.debug("a tool server writes", extra={"pid": self._process.pid, "line": self.complaint})
        self._silent.set()

    async def farewell(self) -> str:
        """How it ended, once its standard output has; in a few words."""
        if not await self._gone(LAST_WORDS_S):
            return "it closed its standard output"
        with suppress(TimeoutError):  # somebody else may hold it open
            await asyncio.wait_for(self._silent.wait(), LAST_WORDS_S)
        code = self._process.returncode
        how = (
            f"it ended with exit code {code}" if code is None or code >= 0 else f"it ended by signal {-code}"
        )
        return f"{how}: {self.complaint}" if self.complaint else how

    async def end(self) -> None:
        """End it and what it has begun: by the end of its input, then politely, then not."""
        try:
            self.stdin.close()
            if not await self._gone(ASKED_S):
                self._signal(signal.SIGTERM)
                await self._gone(TOLD_S)
        finally:
            self._signal(signal.SIGKILL)
        if not await self._gone(TOLD_S):
            log.warning("a tool server cannot be killed", extra={"pid": self._process.pid})
        with suppress(PermissionError):  # Python up to 3.12 kills once more
            self._transport.close()  # a grandchild that escaped may hold the pipes open

    async def _gone(self, limit_s: float) -> bool:
        """Not ``wait()``: that waits for the pipes, too, which a grandchild may hold open."""
        due = asyncio.get_running_loop().time() + limit_s
        while self._process.returncode is None:
            if asyncio.get_running_loop().time() >= due:
                return False
            await asyncio.sleep(LOOK_S)
        return True

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):  # nobody of the group is left; or only others'
            os.killpg(self._process.pid, number)


@asynccontextmanager
async def running(program: Program, key: Secret | None) -> AsyncIterator[Child]:
    """The program, until the block is left. Raises Lost if it cannot be begun."""
    child = await _begin(program, key)
    listening = asyncio.create_task(child.listen(), name="tool-server-stderr")
    try:
        yield child
    finally:
        try:
            await child.end()
        finally:
            listening.cancel()


async def _begin(program: Program, key: Secret | None) -> Child:
    environment = {name: os.environ[name] for name in KEPT if name in os.environ} | dict(program.environment)
    if key is not None and program.key_variable:
        environment[program.key_variable] = key.reveal()
    loop = asyncio.get_running_loop()
    try:
        transport, protocol = await loop.subprocess_exec(
            lambda: SubprocessStreamProtocol(limit=MAX_MESSAGE_BYTES, loop=loop),
            *GUARD,
            *program.argv,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            cwd=program.directory,
            env=environment,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "NUL in it"
        raise Lost(f"{program.argv[0]} cannot be begun: {reason}") from error
    return Child(Process(transport, protocol, loop), transport)
