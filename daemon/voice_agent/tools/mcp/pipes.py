"""The SDK's transport to a program: one JSON-RPC message a line, both ways.

The SDK's own would do but for its bounds: a line may grow for ever there, what is no message goes to the log
with its text, and leaving takes up to seven seconds.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
from mcp.client._transport import TransportStreams
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from voice_agent.tools.mcp.child import Child
from voice_agent.tools.mcp.limits import MAX_MESSAGE_BYTES, Lost

MAX_RUBBISH = 100
"""Lines that are no message: a greeting is forgiven, a program that speaks something else is not."""


@asynccontextmanager
async def pipes(child: Child) -> AsyncIterator[TransportStreams]:
    """Streams of messages. The program's end breaks the block: ``Lost``."""
    to_us, heard = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    said, from_us = anyio.create_memory_object_stream[SessionMessage](0)
    async with to_us, heard, said, from_us, anyio.create_task_group() as group:
        group.start_soon(_read, child, to_us)
        group.start_soon(_write, child, from_us)
        yield heard, said
        group.cancel_scope.cancel()


async def _read(child: Child, to_us: anyio.abc.ObjectSendStream[SessionMessage | Exception]) -> None:
    rubbish = 0
    while line := await _line(child):
        try:
            message = jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValueError:
            rubbish += 1
            if rubbish > MAX_RUBBISH:
                raise Lost("it prints something that is not MCP on its standard output") from None
            await anyio.lowlevel.checkpoint()  # a flood of it must not keep the loop
        else:
            await to_us.send(SessionMessage(message))
    raise Lost(await child.farewell())


async def _line(child: Child) -> bytes:
    """The next line, or what is left of one at the end; nothing after that."""
    try:
        return await child.stdout.readline()
    except ValueError:
        raise Lost(f"it sent a message of more than {MAX_MESSAGE_BYTES} bytes") from None
    except ConnectionError:
        return b""


async def _write(child: Child, from_us: anyio.abc.ObjectReceiveStream[SessionMessage]) -> None:
    async for message in from_us:
        child.stdin.write(message.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
        try:
            await child.stdin.drain()
        except ConnectionError:
            return  # it has ended, and the reader says how
