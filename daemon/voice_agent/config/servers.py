"""The rules for MCP servers that no single setting can state, and for what all declared tools have."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from urllib.parse import parse_qsl

from voice_agent.addresses import names_this_place, split_url
from voice_agent.config.declared import McpServer
from voice_agent.config.shapes import join
from voice_agent.config.tables import Problem
from voice_agent.credentials import NAMED_WAYS, names_a_secret

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def server_clashes(servers: Sequence[McpServer], reported: Collection[str]) -> Iterator[Problem]:
    """What is wrong with ``[[tools.mcp]]``, but for settings that are faulty in themselves (``reported``)."""
    names = [server.name for server in servers]
    for index, server in enumerate(servers):
        path = f"tools.mcp[{index}]"
        if server.name in names[:index]:
            yield Problem(f"{path}.name", f'"{server.name}" is taken', "give each server a name of its own")
        judged = {f"{path}.argv", f"{path}.url"} & set(reported)
        if bool(server.argv) == bool(server.url) and not judged:
            what = "has both argv and url" if server.url else "has neither argv nor url"
            yield Problem(path, what, "a program has argv, a site has url")
        yield from _program_problems(server, path)
        if server.url:
            yield from _url_problems(server, f"{path}.url")
        if server.ca_file and not server.ca_file.startswith("/"):
            yield Problem(f"{path}.ca_file", "is not an absolute path", "begin it with /")
        yield from header_problems(server.headers, f"{path}.headers")


def _program_problems(server: McpServer, path: str) -> Iterator[Problem]:
    if server.argv and not server.argv[0].startswith("/"):
        yield Problem(f"{path}.argv[0]", "is not an absolute path", "begin it with /")
    if not server.directory.startswith("/"):
        yield Problem(f"{path}.directory", "is not an absolute path", "begin it with /")
    for index, element in enumerate(server.argv):
        if "\0" in element:
            yield Problem(f"{path}.argv[{index}]", "holds a NUL character", "delete it")
    yield from variable_problems(server.environment, f"{path}.environment")


def header_problems(headers: Mapping[str, str], path: str) -> Iterator[Problem]:
    """Headers that cannot be sent."""
    for name, value in headers.items():
        if not _HEADER.fullmatch(name) or not value.isprintable() or not value.isascii():
            yield Problem(
                join(path, name), "is no header", "write a name of letters and hyphens, and plain text"
            )


def variable_problems(environment: Mapping[str, str], path: str) -> Iterator[Problem]:
    """Variables that no program can be given."""
    for name, value in environment.items():
        if not _VARIABLE.fullmatch(name) or "\0" in value:
            yield Problem(join(path, name), "is no variable", "name it with letters, digits and _")


def _url_problems(server: McpServer, path: str) -> Iterator[Problem]:
    parts = split_url(server.url, "http", "https")
    if parts is None:
        yield Problem(path, "is not a web address", "write https://host/path")
        return
    if parts.username or parts.password or any(names_a_secret(name) for name, _ in parse_qsl(parts.query)):
        yield Problem(
            path, "holds a secret, which must not stand in this file", f"delete it and {NAMED_WAYS}"
        )
    host = parts.hostname or ""
    if parts.scheme == "http" and not server.insecure and not names_this_place(host):
        remedy = "use https://, or set insecure = true"
        yield Problem(path, f"would send the key and all that is asked to {host} in the clear", remedy)
