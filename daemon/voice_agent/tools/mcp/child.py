"""A program that speaks MCP on its pipes, in a process group of its own, and ended together with it.

Should the daemon be killed, the kernel ends the program (PR_SET_PDEATHSIG, set by util-linux's setpriv), and
what it has begun sees its standard input end. With setpriv before it the event loop does not wait while a
slow disk brings the program: a fork returns as soon as setpriv runs. It is begun on the event loop's thread,
as the kernel ends it together with the thread that began it; but not by asyncio, which in Python 3.11 waits
for ever if it is given up while it begins a program whose pipes somebody else holds open, too.
"""

import asyncio
import logging
import os
import signal
from asyncio import StreamReader, StreamReaderProtocol, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from subprocess import PIPE, Popen
from typing import IO

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

    def __init__(self, process: Popen[bytes]) -> None:
        self._process = process
        self._code: int | None = None
        self._pipes = [pipe for pipe in (process.stdin, process.stdout, process.stderr) if pipe]
        self._input: asyncio.WriteTransport | None = None
        self._outputs: list[asyncio.ReadTransport] = []
        self.stdout = StreamReader(limit=MAX_MESSAGE_BYTES)
        """What it writes; no line is longer than ``MAX_MESSAGE_BYTES``."""
        self._stderr = StreamReader()
        self.complaint = ""
        """The last line on its standard error."""
        self._silent = asyncio.Event()

    async def connect(self) -> None:
        """Take its pipes. Before all else."""
        loop = asyncio.get_running_loop()
        stdin, stdout, stderr = self._pipes
        self._input, protocol = await loop.connect_write_pipe(
            lambda: StreamReaderProtocol(StreamReader()), stdin
        )
        self.stdin = StreamWriter(self._input, protocol, None, loop)
        """What it reads."""
        await self._hear(stdout, self.stdout)
        await self._hear(stderr, self._stderr)

    async def _hear(self, pipe: IO[bytes], reader: StreamReader) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: StreamReaderProtocol(reader), pipe)
        self._outputs.append(transport)

    async def listen(self) -> None:
        """Take what it complains of, for as long as it does: a full pipe would stop it."""
        kept = b""  # a line may come in pieces
        while chunk := await self._stderr.read(MAX_STDERR_BYTES):
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
        code = self._code
        how = (
            f"it ended with exit code {code}" if code is None or code >= 0 else f"it ended by signal {-code}"
        )
        return f"{how}: {self.complaint}" if self.complaint else how

    async def end(self) -> None:
        """End it and what it has begun: by the end of its input, then politely, then not."""
        try:
            if self._input is not None:
                self._input.close()
            if not await self._gone(ASKED_S):
                self._signal(signal.SIGTERM)
                await self._gone(TOLD_S)
        finally:
            self._signal(signal.SIGKILL)  # at its end as well: for what it has left behind
            self._let_go()
        if await self._gone(TOLD_S):
            self._process.wait()  # only now its number may become somebody else's
        else:
            log.warning("a tool server cannot be killed", extra={"pid": self._process.pid})

    def _let_go(self) -> None:
        """Of the pipes, as a grandchild that escaped may hold them open."""
        if self._input is not None and self._input.get_write_buffer_size():
            self._input.abort()  # what was still to be said
        for transport in self._outputs:
            transport.close()
        taken = len(self._outputs) + (self._input is not None)
        for pipe in self._pipes[taken:]:  # given up in between
            pipe.close()

    async def _gone(self, limit_s: float) -> bool:
        """It has ended, and stays to be reaped."""
        due = asyncio.get_running_loop().time() + limit_s
        while (end := _end_of(self._process.pid)) is None:
            if asyncio.get_running_loop().time() >= due:
                return False
            await asyncio.sleep(LOOK_S)
        self._code = end.si_status if end.si_code == os.CLD_EXITED else -end.si_status
        return True

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):  # nobody of the group is left; or only others'
            os.killpg(self._process.pid, number)


def _end_of(pid: int) -> os.waitid_result | None:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)


@asynccontextmanager
async def running(program: Program, key: Secret | None) -> AsyncIterator[Child]:
    """The program, until the block is left. Raises Lost if it cannot be begun."""
    child = Child(_begin(program, key))
    listening = asyncio.create_task(child.listen(), name="tool-server-stderr")
    try:
        await child.connect()
        yield child
    finally:
        try:
            await child.end()
        finally:
            listening.cancel()


def _begin(program: Program, key: Secret | None) -> Popen[bytes]:
    environment = {name: os.environ[name] for name in KEPT if name in os.environ} | dict(program.environment)
    if key is not None and program.key_variable:
        environment[program.key_variable] = key.reveal()
    try:
        return Popen(  # noqa: S603 - it is for the operator to say what is run
            [*GUARD, *program.argv],
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            bufsize=0,
            cwd=program.directory,
            env=environment,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = f"{error.strerror} ({error.filename})" if isinstance(error, OSError) else "NUL in it"
        raise Lost(f"{program.argv[0]} cannot be begun: {reason}") from error
