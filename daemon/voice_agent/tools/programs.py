"""A tool that runs a program, as declared in ``[[tools.command]]``.

No shell: an argument of the call fills its place in one element of argv and never becomes two, nor an option.
The program gets a clean environment and a process group of its own, which is ended with it: at the limits of
time and output, when the call is given up, and when the program has left something behind. Whoever escapes
from the group is ended with the service, by systemd.
"""

import os
import pwd
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress

import msgspec

from voice_agent.config import CommandTool
from voice_agent.credentials import find_named
from voice_agent.errors import ToolError
from voice_agent.placeholders import begins_with_placeholder, fill, is_filled_by
from voice_agent.tools.base import Arguments, Tool
from voice_agent.tools.declared import Credentials, credential, manners, object_schema
from voice_agent.tools.helper import beside
from voice_agent.tools.process import Account, Order, TooMuch, run

KIB = 1024
MAX_ARGUMENT_BYTES = 32 * KIB
"""Linux takes up to 128 KiB for one (MAX_ARG_STRLEN)."""
MAX_REASON_CHARS = 200
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}


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
        name, order = self._wanted.name, await self._order(arguments)
        try:
            said = await run(order)
        except TooMuch:
            reason = f"{name} printed more than {self._wanted.max_kb} KiB and was ended"
        except OSError as error:
            who = f" as user {self._wanted.user}" if order.account.uid is not None else ""
            reason = f"{name} cannot be run{who}: {error.strerror}"
            if isinstance(error, FileNotFoundError):  # the program; or its directory
                reason += f" ({error.filename})"
        else:
            if said.code == 0:
                return _answer(said.output)
            reason = f"{name} {_how_it_ended(said.code)}{_last_line(said.complaint)}"
        raise ToolError(reason)  # here: an error's frames hold the environment

    async def _order(self, arguments: Arguments) -> Order:
        argv, account = argv_for(self._wanted.argv, arguments), await self._account()
        environment = ENVIRONMENT | {"HOME": account.home} | self._wanted.environment
        if self._wanted.key_from:
            secret = await credential(self._wanted.key_from, self._find)
            environment[self._wanted.key_variable] = secret.reveal()
        given = msgspec.json.encode(arguments) if self._wanted.stdin == "json" else None
        return Order(argv, self._wanted.directory, environment, account, given, self._wanted.max_kb * KIB)

    async def _account(self) -> Account:
        try:
            return (await beside(lambda: account_of(self._wanted.user), "account")).result()
        except KeyError:
            raise ToolError(f"there is no user {self._wanted.user!r} on this device") from None


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
