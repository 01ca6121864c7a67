"""A tool that runs a program, as declared in ``[[tools.command]]``.

No shell: an argument of the call fills its place in one element of argv and never becomes two, nor an option.
The program gets a clean environment and a process group of its own, which is ended with it: at the limits of
time and output, when the call is given up, and when the program has left something behind. Whoever escapes
from the group is ended with the service, by systemd.
"""

import asyncio
import os
import pwd
import signal
from asyncio import FIRST_COMPLETED
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec

from voice_agent.config import CommandTool
from voice_agent.credentials import find_named
from voice_agent.errors import ToolError
from voice_agent.placeholders import begins_with_placeholder, fill, is_filled_by
from voice_agent.tools.base import Arguments, Tool
from voice_agent.tools.declared import Credentials, credential, manners, object_schema
from voice_agent.tools.helper import beside

KIB = 1024
GRACE_S = 1.0
"""From SIGTERM to SIGKILL."""
LAST_WORDS_S = 0.2
"""After its end, for what it printed; whoever else holds its output open is not waited for."""
STDERR_BYTES = 4096
MAX_ARGUMENT_BYTES = 32 * KIB
"""Linux takes up to 128 KiB for one (MAX_ARG_STRLEN)."""
MAX_REASON_CHARS = 200
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}
STDIN, STDERR = 0, 2


def program_tool(wanted: CommandTool, find: Credentials = find_named) -> Tool:
    """The tool that an operator has declared."""
    return Tool(
        wanted.name,
        wanted.description,
        object_schema(wanted.parameters),
        _Program(wanted, find).call,
        manners(
            speak=wanted.speak,
            parallel=wanted.parallel,
            interruptible=wanted.interruptible,
            timeout_s=wanted.timeout_s,
        ),
    )


class Account(NamedTuple):
    """Who a program runs as; nothing but a home if that is the daemon's own user."""

    home: str
    uid: int | None = None
    gid: int | None = None
    groups: Sequence[int] | None = None


def account_of(user: str) -> Account:
    """The account of a user, its groups included; KeyError if there is none. Blocks."""
    if not user:
        return Account(_home())
    entry = pwd.getpwnam(user)
    if entry.pw_uid == os.geteuid():
        return Account(entry.pw_dir)
    groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
    return Account(entry.pw_dir, entry.pw_uid, entry.pw_gid, groups)


def _home() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:  # a user without an entry, as in a container
        return "/"


def argv_for(template: Sequence[str], arguments: Arguments) -> list[str]:
    """The program and its arguments; an element without its argument is left out. Pure."""
    argv: list[str] = []
    options_may_come = True
    for element in template:
        if not is_filled_by(element, arguments):
            continue
        filled = fill(element, arguments)
        if "\0" in filled or len(filled.encode()) > MAX_ARGUMENT_BYTES:
            raise ToolError("an argument is too long or holds a NUL character")
        if options_may_come and begins_with_placeholder(element) and filled.startswith("-"):
            raise ToolError('an argument of this tool may not begin with "-"')
        options_may_come = options_may_come and element != "--"
        argv.append(filled)
    return argv


class _Program:
    """The program behind one tool."""

    def __init__(self, wanted: CommandTool, find: Credentials) -> None:
        self._wanted = wanted
        self._find = find

    async def call(self, arguments: Arguments) -> Mapping[str, object]:
        """The handler."""
        argv = argv_for(self._wanted.argv, arguments)
        transport, listener = await self._start(argv)
        try:
            _feed(transport, msgspec.json.encode(arguments) if self._wanted.stdin == "json" else b"")
            await asyncio.wait([listener.exited, listener.overflow], return_when=FIRST_COMPLETED)
            await asyncio.wait(
                [listener.closed, listener.overflow], timeout=LAST_WORDS_S, return_when=FIRST_COMPLETED
            )
        finally:
            await _end(transport, listener)
        if listener.overflow.done():
            raise ToolError(f"{self._wanted.name} printed more than {self._wanted.max_kb} KiB and was ended")
        if code := transport.get_returncode():
            raise ToolError(f"{self._wanted.name} {_how_it_ended(code)}{_last_line(listener.complaint)}")
        return _answer(bytes(listener.said))

    async def _start(self, argv: Sequence[str]) -> tuple[asyncio.SubprocessTransport, "_Listener"]:
        account = await self._account()
        environment = ENVIRONMENT | {"HOME": account.home} | self._wanted.environment
        if self._wanted.key_from:
            secret = await credential(self._wanted.key_from, self._find)
            environment[self._wanted.key_variable] = secret.reveal()
        try:
            return await asyncio.get_running_loop().subprocess_exec(
                lambda: _Listener(self._wanted.max_kb * KIB),
                *argv,
                stdin=PIPE,
                cwd=self._wanted.directory,
                env=environment,
                start_new_session=True,
                user=account.uid,
                group=account.gid,
                extra_groups=account.groups,
            )
        except OSError as error:
            who = f" as user {self._wanted.user}" if account.uid is not None else ""
            reason = f"{self._wanted.name} cannot be run{who}: {error.strerror}"
        raise ToolError(reason)  # here: the error's frames hold the environment

    async def _account(self) -> Account:
        try:
            return (await beside(lambda: account_of(self._wanted.user), "account")).result()
        except KeyError:
            raise ToolError(f"there is no user {self._wanted.user!r} on this device") from None


class _Listener(asyncio.SubprocessProtocol):
    """What a program prints, and its end. ``overflow``: one of its outputs is above ``max_bytes``."""

    def __init__(self, max_bytes: int) -> None:
        self.said = bytearray()
        self.complaint = b""
        self._max_bytes = max_bytes
        self._received: Counter[int] = Counter()
        loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()
        self.overflow: asyncio.Future[None] = loop.create_future()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Called by the loop."""
        if self.overflow.done():
            return
        if fd == STDERR:
            self.complaint = (self.complaint + data)[-STDERR_BYTES:]
        else:
            self.said += data
        self._received[fd] += len(data)
        if self._received[fd] > self._max_bytes:
            self.overflow.set_result(None)

    def process_exited(self) -> None:
        """Called by the loop when the program has ended."""
        self.exited.set_result(None)

    def connection_lost(self, _error: Exception | None) -> None:
        """Called by the loop when it has ended and everything it printed was received."""
        self.closed.set_result(None)


def _feed(transport: asyncio.SubprocessTransport, given: bytes) -> None:
    pipe = transport.get_pipe_transport(STDIN)
    if isinstance(pipe, asyncio.WriteTransport):
        pipe.write(given)
        pipe.close()  # once all of it is written


async def _end(transport: asyncio.SubprocessTransport, listener: _Listener) -> None:
    """End the program and all that it has begun; even if this is cancelled, too."""
    group = transport.get_pid()
    try:
        if not listener.exited.done():
            _signal(group, signal.SIGTERM)
            await asyncio.wait([listener.exited], timeout=GRACE_S)
    finally:
        _signal(group, signal.SIGKILL)  # at its end as well: for what it has left behind
        try:
            await asyncio.wait([listener.exited], timeout=GRACE_S)
        finally:
            transport.close()


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # all have ended; or changed their user
        os.killpg(group, number)


def _how_it_ended(code: int) -> str:
    if code > 0:
        return f"ended with exit code {code}"
    with suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"


def _last_line(complaint: bytes) -> str:
    """Why, in the program's own words."""
    lines = [line.strip() for line in complaint.decode(errors="replace").splitlines()]
    last = next((line for line in reversed(lines) if line), "")
    shown = "".join(each if each.isprintable() else " " for each in last[:MAX_REASON_CHARS])
    return f": {shown}" if shown else ""


def _answer(said: bytes) -> Mapping[str, object]:
    """A JSON object as it is; anything else as text."""
    with suppress(msgspec.DecodeError, UnicodeError, RecursionError):
        found: object = msgspec.json.decode(said)
        if isinstance(found, dict):
            return found
    text = said.decode(errors="replace").strip()
    return {"output": text} if text else {"done": True}
