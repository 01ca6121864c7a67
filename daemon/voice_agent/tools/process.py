"""A program as a process group: begun, listened to, ended with all that it has begun. Nothing here blocks.

Not asyncio's own subprocesses: they are begun on the event loop, and in Python 3.11 one that is given up
while it begins can hang the exit. Here a thread begins the program, and another waits for its end without
reaping it: until the group was killed its number cannot become somebody else's.
"""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from subprocess import DEVNULL, PIPE, Popen
from time import monotonic, sleep
from typing import NamedTuple

from voice_agent.tools.helper import beside

GRACE_S = 1.0
"""From SIGTERM to SIGKILL."""
LAST_WORDS_S = 0.2
"""After its end, for what it printed; whoever else holds its output open is not waited for."""
COMPLAINT_BYTES = 4096
READ_BYTES = 65_536
LOOK_S = 0.02


class Account(NamedTuple):
    """Who a program runs as; nothing but a home if that is the daemon's own user."""

    home: str
    uid: int | None = None
    gid: int | None = None
    groups: Sequence[int] | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What to run, how, and at most how much of it is listened to. ``given``: standard input."""

    argv: Sequence[str]
    directory: str
    environment: Mapping[str, str] = field(repr=False)
    account: Account
    given: bytes | None = field(repr=False)
    max_bytes: int


class Said(NamedTuple):
    """What a program printed, the end of its complaints, and its exit code (below 0: a signal)."""

    output: bytes
    complaint: bytes
    code: int


class TooMuch(Exception):
    """It printed more than it was allowed to, and was ended."""


async def run(order: Order) -> Said:
    """Run a program to its end. OSError if it cannot be run; ends it when cancelled."""
    process = await _begun(order)
    running = _Running(process, order.max_bytes)
    try:
        await running.wait()
    finally:
        await running.end()
    if running.overflows:
        raise TooMuch
    return Said(bytes(running.output), running.complaint, process.returncode)


async def _begun(order: Order) -> Popen[bytes]:
    """Begin in a thread. If the wait is given up the program is ended as soon as it has begun."""
    given_up = asyncio.Event()
    beginning = beside(lambda: _begin(order, given_up.is_set), "program")
    try:
        return (await asyncio.shield(beginning)).result()
    except asyncio.CancelledError:
        given_up.set()
        beginning.add_done_callback(_put_down)
        raise


def _begin(order: Order, is_given_up: Callable[[], bool]) -> Popen[bytes]:
    account = order.account
    given = _file_of(order.given) if order.given is not None else DEVNULL
    try:
        process = Popen(  # noqa: S603 - it is for the operator to say what is run
            order.argv,
            stdin=given,
            stdout=PIPE,
            stderr=PIPE,
            bufsize=0,
            cwd=order.directory,
            env=order.environment,
            start_new_session=True,
            user=account.uid,
            group=account.gid,
            extra_groups=account.groups,
        )
    finally:
        if order.given is not None:
            os.close(given)
    if is_given_up():
        _dismiss(process)
    return process


def _file_of(given: bytes) -> int:
    """A file in memory: a program that does not read its input holds nobody up."""
    file = os.memfd_create("input")
    os.write(file, given)
    os.lseek(file, 0, os.SEEK_SET)
    return file


def _put_down(beginning: asyncio.Future[Future[Popen[bytes]]]) -> None:
    if beginning.result().exception() is None:
        process = beginning.result().result()
        beside(lambda: _dismiss(process), "program")


def _dismiss(process: Popen[bytes]) -> None:
    """Ask it to end, once; end it when its grace is over. Blocks for so long: it may have begun its work."""
    if process.returncode is not None:
        return
    _signal(process.pid, signal.SIGTERM)
    last_s = monotonic() + GRACE_S
    while not os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) and monotonic() < last_s:
        sleep(LOOK_S)
    _kill(process)


def _kill(process: Popen[bytes]) -> None:
    """End it at once and reap it, once; blocks while it does not end."""
    if process.returncode is None:
        _signal(process.pid, signal.SIGKILL)
        with process:
            process.wait()


class _Running:
    """A program that runs, its output and its end. ``overflows``: it has printed too much."""

    def __init__(self, process: Popen[bytes], max_bytes: int) -> None:
        self.output = bytearray()
        self.complaint = b""
        self._process = process
        self._max_bytes = max_bytes
        self._received: Counter[int] = Counter()
        self._loop = asyncio.get_running_loop()
        self.overflows = False
        self._over = asyncio.Event()
        self._silent = asyncio.Event()
        self._exited = beside(lambda: _wait_for(process.pid), "program")
        self._exited.add_done_callback(lambda _: self._over.set())
        self._out, self._err = (stream.fileno() for stream in (process.stdout, process.stderr) if stream)
        self._open = {self._out, self._err}
        for file in self._open:
            os.set_blocking(file, False)
            self._loop.add_reader(file, self._read, file)

    async def wait(self) -> None:
        """Until it has ended and all it printed is read, or it has printed too much."""
        await self._over.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await self._silent.wait()

    def _read(self, file: int) -> None:
        """There is something to read, or nothing more."""
        try:
            data = os.read(file, READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            self._deaf(file)
        elif file == self._err:
            self.complaint = (self.complaint + data)[-COMPLAINT_BYTES:]
        else:
            self.output += data
        self._received[file] += len(data)
        if self._received[file] > self._max_bytes:
            self.overflows = True
            self._over.set()
            self._silent.set()

    def _deaf(self, file: int) -> None:
        self._loop.remove_reader(file)
        self._open.discard(file)
        if not self._open:
            self._silent.set()

    async def end(self) -> None:
        """End it and all that it has begun, even if this is cancelled, too."""
        for file in tuple(self._open):
            self._deaf(file)
        try:
            if not self._exited.done():
                _signal(self._process.pid, signal.SIGTERM)
                await asyncio.wait([self._exited], timeout=GRACE_S)
        finally:
            _signal(self._process.pid, signal.SIGKILL)  # at its end as well: for what it has left behind
            try:
                await asyncio.wait([self._exited], timeout=GRACE_S)
            finally:
                self._reap()

    def _reap(self) -> None:
        if self._exited.done():
            _kill(self._process)
        else:  # in the kernel's hands, or another user's
            beside(lambda: _kill(self._process), "program")


def _wait_for(pid: int) -> None:
    """Until it has ended; it stays to be reaped."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # all have ended; or have become another user's
        os.killpg(group, number)
