"""A house as a real MCP server, made with the SDK: a program on its pipes, or a site within the test."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import uvicorn
from mcp import MCPError
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import Context, MCPServer
from mcp.types import METHOD_NOT_FOUND, ImageContent, TextContent, ToolAnnotations
from pydantic import BaseModel


class House:
    """A server, and what it has seen."""

    def __init__(self, *, modern: bool = True) -> None:
        self.cancelled = 0
        self.called = 0
        self.server = MCPServer("house", middleware=[] if modern else [_refuse_discovery])
        read = ToolAnnotations(read_only_hint=True)
        self.server.tool()(lights)
        self.server.tool(annotations=read)(temperature)
        self.server.tool(structured_output=False)(picture)
        self.server.tool()(fail)
        self.server.tool()(ask)
        self.server.tool()(self.hang)
        self.server.tool()(self.extend)
        self.server.tool()(self.shrink)

    async def hang(self) -> str:
        """Never answers."""
        self.called += 1
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        return "never"

    async def extend(self, ctx: Context) -> str:
        """Offers one tool more."""
        self.server.add_tool(lambda: "ring", name="bell", description="Rings the bell.")
        await _tell(ctx)
        return "extended"

    async def shrink(self, ctx: Context) -> str:
        """Takes it away."""
        self.server.remove_tool("bell")
        await _tell(ctx)
        return "shrunk"


async def _tell(ctx: Context) -> None:
    await ctx.notify_tools_changed()
    await ctx.session.send_tool_list_changed()


def lights(room: str, on: bool = True) -> dict[str, object]:
    """Switches the lights of a room."""
    return {"room": room, "on": on, "pid": os.getpid()}


def temperature() -> str:
    """Tells the temperature."""
    return "21 degrees"


def picture() -> list[Any]:
    """Shows the garden."""
    return [
        TextContent(type="text", text="the garden"),
        ImageContent(type="image", data="AAAA", mime_type="image/png"),
    ]


def fail() -> str:
    """Fails."""
    from mcp.server.mcpserver.exceptions import ToolError

    raise ToolError("the lamp is broken")


class Wish(BaseModel):
    colour: str


async def ask(ctx: Context) -> str:
    """Asks the user something."""
    return str(await ctx.elicit("Which colour?", Wish))


async def _refuse_discovery(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """As servers do that know only the protocol before 2026-07-28."""
    if ctx.method == "server/discover":
        raise MCPError(METHOD_NOT_FOUND, "Method not found")
    return await call_next(ctx)


@asynccontextmanager
async def site_of(house: House, port: int = 0) -> AsyncIterator[str]:
    """The house as a site; its address."""
    sockets = [socket.create_server(("127.0.0.1", port))]
    app = house.server.streamable_http_app()
    config = uvicorn.Config(app, log_level="critical", lifespan="on", ws="none", timeout_graceful_shutdown=0)
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server.serve(sockets))
    try:
        yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}/mcp"
    finally:
        server.should_exit = server.force_exit = True
        await serving


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    House().server.run()
