"""What will keep an MCP server from being used on this machine, as far as can be told without trying."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from voice_agent.config import McpServer
from voice_agent.errors import ConfigError
from voice_agent.tools.doubts import certificate_doubts
from voice_agent.tools.mcp.connection import missing
from voice_agent.tools.mcp.settings import settings_of


def doubts(servers: Iterable[McpServer]) -> Iterator[str]:
    """One line for each; the configuration may be meant for another machine."""
    used = [server for server in servers if server.enabled]
    if used and (fault := missing()):
        yield fault
    for server in used:
        if server.argv and not os.access(server.argv[0], os.X_OK):
            yield f"MCP server {server.name}: {server.argv[0]} is no program that can be run here"
        if server.argv and not Path(server.directory).is_dir():
            yield f"MCP server {server.name}: its directory {server.directory} does not exist here"
        yield from (f"MCP server {server.name}: {doubt}" for doubt in certificate_doubts(server.ca_file))
        try:
            settings_of(server).key()
        except ConfigError as error:
            yield f"MCP server {server.name}: {error}"
