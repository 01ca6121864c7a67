"""The rules for the tools that an operator declares: names, schemas, placeholders, addresses, programs."""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import get_args
from urllib.parse import parse_qsl

from voice_agent.addresses import names_this_place, split_url
from voice_agent.config.declared import CommandTool, FreeTable, HttpTool
from voice_agent.config.schema import ToolName, Tools
from voice_agent.config.servers import header_problems, variable_problems
from voice_agent.config.shapes import join
from voice_agent.config.tables import Problem
from voice_agent.credentials import NAMED_WAYS, names_a_secret
from voice_agent.placeholders import names_in
from voice_agent.realtime.providers import SERVER_TOOLS

_SHELL = re.compile(r"(?:.*/)?(?:sh|bash|dash|zsh|ksh|ash|fish|python|perl|ruby|node)[0-9.]*")
_RUNS_CODE = re.compile(r"-[A-Za-z]{0,3}[ce]")
WITHOUT_BODY = ("GET", "DELETE")
_HOST = re.compile(r"[^\s/:@?#\[\]]+|[0-9A-Fa-f:.]+")


def tool_clashes(tools: Tools, reported: Iterable[str]) -> Iterator[Problem]:
    """What is wrong with ``[[tools.http]]``, ``[[tools.command]]`` and ``[[tools.provider]]``.

    A tool with a setting that is faulty in itself (``reported``) is judged when that is mended.
    """
    faulty = {path.partition("].")[0] + "]" for path in reported}
    declared: list[tuple[str, HttpTool | CommandTool]] = [
        *((f"tools.http[{index}]", tool) for index, tool in enumerate(tools.http)),
        *((f"tools.command[{index}]", tool) for index, tool in enumerate(tools.command)),
    ]
    yield from _name_problems(declared, tools.enabled)
    for path, tool in declared:
        if path not in faulty:
            yield from _schema_problems(tool.parameters, join(path, "parameters"))
            yield from _tool_problems(tool, path)
    for index, declaration in enumerate(tools.provider):
        yield from _provider_problems(declaration, f"tools.provider[{index}]")


def _tool_problems(tool: HttpTool | CommandTool, path: str) -> Iterator[Problem]:
    match tool:
        case HttpTool():
            return _http_problems(tool, path)
        case CommandTool():
            return _command_problems(tool, path)


def _name_problems(
    tools: Iterable[tuple[str, HttpTool | CommandTool]], built_in: Iterable[ToolName]
) -> Iterator[Problem]:
    """Two tools of one name cannot be told apart; a built-in one that is not enabled may be replaced."""
    taken = dict.fromkeys(built_in, "tools.enabled") | dict.fromkeys(SERVER_TOOLS, "the provider")
    for path, tool in tools:
        if not tool.name or not tool.enabled:
            continue
        if tool.name in taken:
            remedy = "give each tool a name of its own"
            if tool.name in get_args(ToolName):
                remedy = "choose another name, or delete it from tools.enabled to replace the built-in tool"
            yield Problem(
                f"{path}.name", f'"{tool.name}" is the name of a tool of {taken[tool.name]}', remedy
            )
        taken.setdefault(tool.name, path)


def _schema_problems(parameters: FreeTable, path: str) -> Iterator[Problem]:
    """What everything else here relies on; `voice-agent check` looks at all of the schema."""
    if parameters.get("type", "object") != "object":
        yield Problem(f"{path}.type", "is not what arguments are", 'delete it, or set it to "object"')
    if not isinstance(parameters.get("properties", {}), dict):
        yield Problem(f"{path}.properties", "is no table", "give each argument a table that describes it")
    elif wrong := [name for name in _required(parameters) if name not in _properties(parameters)]:
        yield Problem(
            f"{path}.required", f'names "{wrong[0]}", which is not described', "add it to properties"
        )


def _properties(parameters: FreeTable) -> Mapping[str, object]:
    properties = parameters.get("properties", {})
    return properties if isinstance(properties, dict) else {}


def _required(parameters: FreeTable) -> list[object]:
    required = parameters.get("required", [])
    return required if isinstance(required, list) else []


# ------------------------------------------------------------------------------------ placeholders


def _unknown(template: object, parameters: FreeTable, path: str) -> Iterator[Problem]:
    for name in dict.fromkeys(names_in(template)):
        if name not in _properties(parameters):
            yield Problem(path, f"uses {{{name}}}, which no parameter is", f"describe {name} in properties")


def _unused(parameters: FreeTable, used: Iterable[str], path: str) -> Iterator[Problem]:
    """A required argument that goes nowhere was meant to go somewhere."""
    used = set(used)
    for name in _required(parameters):
        if isinstance(name, str) and name in _properties(parameters) and name not in used:
            yield Problem(
                join(path, "parameters"),
                f"demands {name}, which is used nowhere",
                f"write {{{name}}} somewhere",
            )


# ------------------------------------------------------------------------------------ web services


def _http_problems(tool: HttpTool, path: str) -> Iterator[Problem]:
    if tool.url:
        yield from _url_problems(tool, join(path, "url"))
    for part in ("query", "body"):
        yield from _unknown(getattr(tool, part), tool.parameters, join(path, part))
    if tool.body and tool.method in WITHOUT_BODY:
        yield Problem(f"{path}.body", f"is not sent with {tool.method}", "delete it, or set method")
    if tool.method in WITHOUT_BODY or tool.body:
        used = chain(names_in(tool.url), names_in(tool.query), names_in(tool.body))
        yield from _unused(tool.parameters, used, path)
    yield from header_problems(tool.headers, join(path, "headers"))
    if tool.ca_file and not tool.ca_file.startswith("/"):
        yield Problem(f"{path}.ca_file", "is not an absolute path", "begin it with /")
    for index, host in enumerate(tool.allow_hosts):
        if not _HOST.fullmatch(host):
            yield Problem(
                f"{path}.allow_hosts[{index}]", "is no host", 'write its name alone: "www.example.org"'
            )
    if tool.answer and (fault := _path_fault(tool.answer)):
        yield Problem(f"{path}.answer", f"is no path: {fault}", 'write it like "rooms[0].name"')


def _url_problems(tool: HttpTool, path: str) -> Iterator[Problem]:
    parts = split_url(tool.url, "http", "https")
    if parts is None:
        yield Problem(path, "is not a web address", "write https://host/path")
        return
    if any(names_in(parts.netloc)):
        yield Problem(
            path, "leaves its host to an argument", "write the host out; an argument fills path or query"
        )
        return
    pairs = [pair.partition("=") for pair in parts.query.split("&")]
    if any(names_in([name for name, _, _ in pairs])) or any(names_in(parts.fragment)):
        yield Problem(
            path, "has an argument where none can be", "write {NAME} as a part of path, or as NAME={NAME}"
        )
    if parts.username or parts.password or any(names_a_secret(name) for name, _ in parse_qsl(parts.query)):
        yield Problem(
            path, "holds a secret, which must not stand in this file", f"delete it and {NAMED_WAYS}"
        )
    if {".", ".."} & set(parts.path.split("/")):
        yield Problem(path, "has . or .. in its path", "write the path that is meant")
    yield from _unknown(tool.url, tool.parameters, path)
    for name in dict.fromkeys(names_in(parts.path)):
        if name in _properties(tool.parameters) and name not in _required(tool.parameters):
            yield Problem(path, f"needs {name} in its path", f"add {name} to required of parameters")
    host = parts.hostname or ""
    if parts.scheme == "http" and not (tool.insecure or tool.allow_private or names_this_place(host)):
        yield Problem(path, f"would ask {host} in the clear", "use https://, or set insecure = true")


def _path_fault(path: str) -> str | None:
    """Imported here, as few tools have a path."""
    import jmespath

    try:
        jmespath.compile(path)
    except jmespath.exceptions.JMESPathError as error:
        return str(error).splitlines()[0]
    return None


# ---------------------------------------------------------------------------------------- programs


def _command_problems(tool: CommandTool, path: str) -> Iterator[Problem]:
    yield from _argv_problems(tool.argv, join(path, "argv"))
    yield from _unknown(tool.argv, tool.parameters, join(path, "argv"))
    if tool.stdin == "none":
        yield from _unused(tool.parameters, names_in(tool.argv), path)
    if not tool.directory.startswith("/"):
        yield Problem(f"{path}.directory", "is not an absolute path", "begin it with /")
    yield from variable_problems(tool.environment, join(path, "environment"))


def _argv_problems(argv: tuple[str, ...], path: str) -> Iterator[Problem]:
    if not argv:
        return
    if not argv[0].startswith("/") or any(names_in(argv[0])):
        yield Problem(f"{path}[0]", "is not the absolute path of a program", "write it out, beginning with /")
    for index, element in enumerate(argv):
        if "\0" in element:
            yield Problem(f"{path}[{index}]", "holds a NUL character", "delete it")
        if any(names_in(element)) and _is_code(argv[:index]):
            yield Problem(
                f"{path}[{index}]",
                "would run what the model says as a program",
                'use "$1" in it, and give {NAME} as an element of its own after it',
            )


def _is_code(before: tuple[str, ...]) -> bool:
    """Whether what comes next is a program for a shell, as after ``env sh -ec``."""
    return bool(_RUNS_CODE.fullmatch("".join(before[-1:]))) and any(map(_SHELL.fullmatch, before[:-1]))


# --------------------------------------------------------------------------------- provider's side


def _provider_problems(declaration: FreeTable, path: str) -> Iterator[Problem]:
    kind = declaration.get("type")
    if not isinstance(kind, str) or not kind:
        yield Problem(f"{path}.type", "is missing", 'add type = "mcp", or whatever the provider calls it')
    if kind == "mcp" and declaration.get("require_approval", "always") == "always":
        remedy = 'set it to "never", and allowed_tools to what may be called'
        yield Problem(
            f"{path}.require_approval", "would wait for somebody to approve, and nobody can", remedy
        )
    name = declaration.get("key_from", "")
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9._-]*", name):
        yield Problem(
            f"{path}.key_from", "is no name of a credential", "write letters, digits, dots, - and _"
        )
