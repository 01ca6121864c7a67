"""The SDK's transport to a site: streamable HTTP with limits on everything.

The SDK follows redirects only within the address's own origin. What it does not limit is limited below it:
how long a reply may take and be, and how long the goodbye may take.
"""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
from mcp.client._transport import TransportStreams
from mcp.client.streamable_http import streamable_http_client

from voice_agent.credentials import Secret
from voice_agent.tools.mcp.limits import MAX_MESSAGE_BYTES, Lost
from voice_agent.tools.mcp.settings import Site

CONNECT_S = 10.0
GOODBYE_S = 0.3
"""For the request that ends the session at the site."""

SPARE_S = 5.0
"""Beyond the limit of a call, for the reply to come that says that it was given up."""

Limits = dict[str, float | None]


@asynccontextmanager
async def site(
    tls: ssl.SSLContext | None, place: Site, key: Secret | None, reply_s: float
) -> AsyncIterator[TransportStreams]:
    """Streams of messages; a reply may take ``reply_s``. A site that cannot be reached breaks the block."""
    headers = {**place.headers, "accept-encoding": "identity"}
    if key is not None:
        headers[place.key_header] = f"{place.key_scheme} {key.reveal()}".strip()
    inner = httpx2.AsyncHTTPTransport(verify=tls or True, trust_env=False)
    timeout = httpx2.Timeout(CONNECT_S, read=reply_s + SPARE_S)
    async with (
        httpx2.AsyncClient(
            transport=_Bounded(inner), headers=headers, timeout=timeout, trust_env=False
        ) as http,
        streamable_http_client(place.url, http_client=http, max_sse_event_size=MAX_MESSAGE_BYTES) as streams,
    ):
        yield streams


class _Bounded(httpx2.AsyncBaseTransport):
    """Every request of one connection, with its limits."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The site's reply. A key that is refused breaks the connection: nothing else will be answered."""
        limits: Limits = request.extensions["timeout"]
        if request.method == "GET":
            limits["read"] = None  # the stream of what the site wants to tell is silent for hours
        if request.method == "DELETE":
            limits.update(dict.fromkeys(limits, GOODBYE_S))
        try:
            response = await self._inner.handle_async_request(request)
        except httpx2.ReadTimeout:
            # One slow reply must not break the connection, as an exception would: who waited is told already.
            return httpx2.Response(504, request=request)
        if response.status_code == httpx2.codes.UNAUTHORIZED:
            raise Lost("it refuses the key (HTTP 401); look at key_from, key_header and key_scheme")
        if "text/event-stream" not in response.headers.get("content-type", ""):
            response.stream = _Short(response)
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        await self._inner.aclose()


class TooLong(httpx2.StreamError):
    """A reply that is longer than anybody would listen to. The SDK makes an error of it for who asked."""


class _Short(httpx2.AsyncByteStream):
    """A body up to the limit. It is not packed: a few packed bytes could be as much as anybody likes."""

    def __init__(self, response: httpx2.Response) -> None:
        self._packed = response.headers.get("content-encoding", "identity") != "identity"
        self._stream = response.stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._packed:
            raise TooLong("the reply is packed, though it was asked not to be")
        size = 0
        if not isinstance(self._stream, httpx2.AsyncByteStream):
            return
        async for chunk in self._stream:
            size += len(chunk)
            if size > MAX_MESSAGE_BYTES:
                raise TooLong(f"the reply has more than {MAX_MESSAGE_BYTES} bytes")
            yield chunk

    async def aclose(self) -> None:
        """Let go of the connection."""
        if isinstance(self._stream, httpx2.AsyncByteStream):
            await self._stream.aclose()
