"""`voice-agent tools`: which tools a model may call here, and a call of one from the shell."""

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from shutil import get_terminal_size
from textwrap import wrap
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

if TYPE_CHECKING:
    from voice_agent.controls.desk import Called, Described, Desk, Inventory

HELP = "list the tools that the model may call, or call one"
DESCRIPTION = """\
List the tools that the model may call, or call one yourself.

The running daemon is asked. Without one, or with --config, they are made anew from a configuration; then
tools that command the device (volume, timers, ...) refuse.
"""
EPILOG = """\
examples:
  voice-agent tools                                  what the running daemon offers the model
  voice-agent tools --config new.toml --json         what another configuration would offer, with schemas
  voice-agent tools call get_time '{"place": "Tokyo"}'
  voice-agent tools call set_volume '{"level": 40}' -v

A call prints the JSON that the model would get. It ends with 0; with 65 if the arguments are wrong; with 69
if there is no such tool, or nobody to run it; with 1 if the tool failed or took too long.
"""
CODES = {"ok": os.EX_OK, "invalid": os.EX_DATAERR, "unknown": os.EX_UNAVAILABLE, "refused": os.EX_UNAVAILABLE}
FAILED = 1

PATIENCE_S = 660.0
"""Longer than any tool may take: the daemon knows the limit of each."""
SERVERS_S = 10.0
"""Servers of tools that show nothing by then are listed without."""
WIDEST = 100

REPLIES = {
    "always": "spoken about",
    "if-silent": "spoken about unless something was said",
    "never": "not spoken about",
}

T = TypeVar("T")


def describe(parser: argparse.ArgumentParser, default: Path) -> None:
    """Give the parser its words and its work. ``default``: the configuration without a daemon."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--json", action="store_true", help="print the list as JSON, schemas included")
    _add_places(parser, default=None)
    parser.set_defaults(command=partial(_list, default))
    deeds = parser.add_subparsers(metavar="call NAME [JSON]")
    call = deeds.add_parser("call", help="call a tool", description="Call a tool as the model would.")
    call.epilog, call.formatter_class = EPILOG, argparse.RawDescriptionHelpFormatter
    call.add_argument("name", metavar="NAME")
    call.add_argument("arguments", nargs="?", default="{}", metavar="JSON", help="an object; default: {}")
    call.add_argument("-v", "--verbose", action="store_true", help="say on stderr how it went")
    _add_places(call, default=argparse.SUPPRESS)  # else it would forget what stands before `call`
    call.set_defaults(command=partial(_call, default))


def _add_places(parser: argparse.ArgumentParser, default: str | None) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--config", type=Path, default=default, metavar="FILE", help="not the daemon's tools, but this file's"
    )
    where.add_argument(
        "--socket", type=Path, default=default, metavar="PATH", help="where the daemon listens"
    )


# ----------------------------------------------------------------------------------------- commands


def _list(default: Path, arguments: argparse.Namespace) -> int:
    import msgspec

    inventory = _try(arguments, default, lambda place: place.inventory())
    if arguments.json:
        print(msgspec.json.format(msgspec.json.encode(inventory)).decode())
    else:
        print("\n".join(map(_plain, _lines(inventory.tools, min(get_terminal_size().columns, WIDEST)))))
    return os.EX_OK


def _call(default: Path, arguments: argparse.Namespace) -> int:
    called = _try(arguments, default, lambda place: place.call(arguments.name, arguments.arguments))
    print(called.output)
    if arguments.verbose:
        print(f"{arguments.name}: {called.outcome} after {called.seconds:.3f} s", file=sys.stderr)
    return CODES.get(called.outcome, FAILED)


def _try(arguments: argparse.Namespace, default: Path, work: "Callable[[Place], T]") -> T:
    """``work`` at the daemon; or without it, if it does not run or another configuration is named."""
    from voice_agent.controls.client import Absent

    if arguments.config:
        return work(Here(arguments.config))
    try:
        return work(Daemon(arguments.socket))
    except Absent as error:
        if arguments.socket:
            raise
        if not default.exists():
            raise Absent(f"{error}; or name a configuration with --config") from error
        print(f"no daemon is running: these are the tools of {default}", file=sys.stderr)
        return work(Here(default))


# ------------------------------------------------------------------------------------------- places


class Daemon:
    """The tools of the daemon that runs."""

    def __init__(self, socket: Path | None) -> None:
        self._socket = socket

    def inventory(self) -> "Inventory":
        """What it offers the model now, servers of tools included."""
        from voice_agent.controls.client import ask_for
        from voice_agent.controls.desk import Inventory

        return ask_for(Inventory, "GET", "tools", self._socket)

    def call(self, name: str, arguments: str) -> "Called":
        """Let it run one."""
        from voice_agent.controls.client import ask_for
        from voice_agent.controls.desk import Called

        deed, body = f"tools/call?name={quote(name)}", arguments.encode(errors="surrogateescape")
        return ask_for(Called, "POST", deed, self._socket, body=body, patience_s=PATIENCE_S)


class Here:
    """The tools that a configuration makes, in this process."""

    def __init__(self, path: Path) -> None:
        from voice_agent import config
        from voice_agent.telemetry import logs

        logs.setup("warning")
        self._config = config.load(path)

    def inventory(self) -> "Inventory":
        """What a daemon would offer."""
        return self._run(self._inventory())

    def call(self, name: str, arguments: str) -> "Called":
        """Run one that needs no daemon."""
        return self._run(self._call(name, arguments))

    def _run(self, work: Coroutine[None, None, T]) -> T:
        runner = asyncio.Runner()
        try:
            with redirect_stdout(sys.stderr):  # our own output is for programs to read
                return runner.run(work)
        finally:
            runner.get_loop().close()  # to close the runner is to wait for tools that do not end

    async def _inventory(self) -> "Inventory":
        async with self._desk() as desk:
            return desk.inventory()

    async def _call(self, name: str, arguments: str) -> "Called":
        async with self._desk() as desk:
            return await desk.call(name, arguments)

    @asynccontextmanager
    async def _desk(self) -> "AsyncIterator[Desk]":
        from voice_agent.assembly import plugin_context_for, toolbox_for
        from voice_agent.controls.desk import Desk
        from voice_agent.tools.plugins import furnish

        wanted = self._config.tools
        box = toolbox_for(self._config)
        await furnish(box, wanted.plugins, plugin_context_for(self._config))
        async with AsyncExitStack() as stack:
            if wanted.mcp:
                from voice_agent.tools.mcp.gathering import connected

                await stack.enter_async_context(connected(wanted.mcp, box.put, SERVERS_S))
            yield Desk(box)


Place = Daemon | Here

# ---------------------------------------------------------------------------------------- for people


def _lines(tools: "Sequence[Described]", width: int) -> Iterator[str]:
    for tool in tools:
        yield from wrap(f"{tool.name}: {tool.description}", width, subsequent_indent="    ")
        yield from _parameters(tool.parameters, width)
        manners = [
            f"from: {tool.source}",
            REPLIES[tool.reply],
            f"at most {tool.timeout_s:g} s",
            *([] if tool.parallel else ["one at a time"]),
            *([] if tool.cancellable else ["runs on when the user speaks"]),
        ]
        yield from wrap(f"({'; '.join(manners)})", width, initial_indent="    ", subsequent_indent="    ")


def _plain(line: str) -> str:
    """Descriptions come from servers and packages: nothing of theirs commands the terminal."""
    return "".join(each if each.isprintable() else "?" for each in line)


def _parameters(schema: Mapping[str, object], width: int) -> Iterator[str]:
    properties, required = schema.get("properties"), schema.get("required")
    needed = required if isinstance(required, list) else []
    for name, about in properties.items() if isinstance(properties, Mapping) else ():
        facts = dict(about) if isinstance(about, Mapping) else {}
        words = str(facts.pop("description", ""))
        kind = " ".join([*(["required"] if name in needed else []), _kind(facts)])
        text = f"{name} ({kind}){': ' if words else ''}{words}"
        yield from wrap(text, width, initial_indent="    ", subsequent_indent="        ")


def _kind(facts: Mapping[str, object]) -> str:
    """A parameter's schema in a few words."""
    match facts:
        case {"enum": list(values)}:
            return " | ".join(map(str, values))
        case {"minimum": least, "maximum": most}:
            return f"{facts.get('type', 'number')} {least} to {most}"
        case {"type": str(kind)}:
            return kind
    return "any"
