"""What is wrong with declared tools beyond their settings: schemas, and what this machine lacks for them."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from voice_agent.config import CommandTool, HttpTool, Problem
from voice_agent.credentials import find_named
from voice_agent.errors import ConfigError
from voice_agent.tools.declared import Credentials, object_schema
from voice_agent.tools.programs import account_of
from voice_agent.tools.schema import schema_fault
from voice_agent.trust import outdated


def schema_problems(http: Iterable[HttpTool], commands: Iterable[CommandTool]) -> Iterator[Problem]:
    """Parameters that are no JSON Schema."""
    paths = [(f"tools.http[{index}]", tool.parameters) for index, tool in enumerate(http)]
    paths += [(f"tools.command[{index}]", tool.parameters) for index, tool in enumerate(commands)]
    for path, parameters in paths:
        if fault := schema_fault(object_schema(parameters)):
            yield Problem(f"{path}.parameters", f"is no JSON Schema: {fault}", "see json-schema.org")


def tool_doubts(
    http: Iterable[HttpTool],
    commands: Iterable[CommandTool],
    provider: Iterable[dict[str, object]] = (),
    find: Credentials = find_named,
) -> Iterator[str]:
    """One line for each reason why a tool will not work here; the file may be meant for another machine."""
    http, used = list(http), [command for command in commands if command.enabled]
    for tool in http:
        if tool.enabled:
            yield from (f"tool {tool.name}: {doubt}" for doubt in certificate_doubts(tool.ca_file))
    for command in used:
        yield from (f"tool {command.name}: {doubt}" for doubt in _program_doubts(command))
    keys = {tool.key_from for tool in http if tool.enabled} | {command.key_from for command in used}
    keys |= {str(declaration.get("key_from", "")) for declaration in provider}
    for name in sorted(keys - {""}):
        try:
            find(name)
        except ConfigError as error:
            yield str(error)


def certificate_doubts(ca_file: str) -> Iterator[str]:
    """What is wrong with a file of authorities."""
    try:
        yield from outdated(ca_file, "ca_file")
    except ConfigError as error:
        yield str(error)


def _program_doubts(command: CommandTool) -> Iterator[str]:
    program = Path(command.argv[0])
    if not program.is_file():
        yield f"{program} does not exist here"
    elif not os.access(program, os.X_OK):
        yield f"{program} cannot be executed; chmod a+x it"
    if not Path(command.directory).is_dir():
        yield f"its directory {command.directory} does not exist here"
    try:
        account = account_of(command.user)
    except KeyError:
        yield f"there is no user {command.user} here"
    else:
        if account.uid is not None and os.geteuid() != 0:
            yield f"user {command.user} needs a daemon that is root, or has CAP_SETUID and CAP_SETGID"
