"""One request and its reply, over as many redirects as are allowed, each of them judged.

What arrives is read in pieces and never held beyond the limit, be it compressed or not. Errors name the host
and nothing else of an address, no header and no body.
"""

import ssl
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import NamedTuple

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from voice_agent.errors import ToolError
from voice_agent.tools.web.access import Access, CheckedResolver, Forbidden

MAX_REDIRECTS = 3
REDIRECTS = {301, 302, 303, 307, 308}
KEEPS_METHOD = {307, 308}
GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked. ``secret``: headers for the first origin only."""

    method: str
    url: URL
    headers: Mapping[str, str]
    secret: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)


class Reply(NamedTuple):
    """What came back: a content type, its charset, and at most as many bytes as were allowed."""

    content_type: str
    charset: str
    body: bytes


async def exchange(
    request: Request,
    access: Access,
    resolver: AbstractResolver,
    max_bytes: int,
    tls: ssl.SSLContext | None = None,
) -> Reply:
    """The reply to a request; ToolError if there is none that can be used.

    ``tls``: whose certificates are believed; None for the system's authorities.
    """
    connector = aiohttp.TCPConnector(
        resolver=CheckedResolver(resolver, access), use_dns_cache=False, force_close=True, ssl=tls or True
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None),  # whoever runs the tool has a limit
    ) as http:
        for _ in range(MAX_REDIRECTS + 1):
            answer = await _ask(http, request, access, max_bytes)
            if isinstance(answer, Reply):
                return answer
            request = answer
    raise ToolError(f"{request.url.host} redirects again and again")


async def _ask(
    http: aiohttp.ClientSession, request: Request, access: Access, max_bytes: int
) -> Reply | Request:
    """The reply, or the request that a redirect asks for."""
    access.check(request.url)
    headers = dict(request.headers) | (dict(request.secret) if access.keeps_secret(request.url) else {})
    try:
        async with http.request(
            request.method, request.url, headers=headers, data=request.body, allow_redirects=False
        ) as response:
            if response.status in REDIRECTS and "Location" in response.headers:
                return _redirected(request, response, access)
            return await _reply(response, max_bytes)
    except (aiohttp.ClientError, OSError) as error:
        failure = _failure(error, request.url.host or "")
    raise ToolError(failure)  # here and not above: aiohttp's errors hold the headers, and so the secret


def _redirected(request: Request, response: aiohttp.ClientResponse, access: Access) -> Request:
    try:
        target = request.url.join(URL(response.headers["Location"]))
        access.check_redirect(request.url, target)
    except ValueError:
        raise ToolError(f"{request.url.host} redirects to an odd address") from None
    if response.status in KEEPS_METHOD or request.method == "GET":
        return replace(request, url=target)
    return replace(request, url=target, method="GET", body=None)


async def _reply(response: aiohttp.ClientResponse, max_bytes: int) -> Reply:
    host = response.url.host
    if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
        raise ToolError(f"{host} answered HTTP {_status(response.status)}")
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > max_bytes:
            raise _too_long(host, max_bytes)
    kind = response.content_type if "Content-Type" in response.headers else "text/plain"
    return Reply(kind, response.charset or "utf-8", _unpacked(response, bytes(body), max_bytes))


def _unpacked(response: aiohttp.ClientResponse, body: bytes, max_bytes: int) -> bytes:
    """We ask for no compression, which some servers do not heed."""
    host, encoding = response.url.host, response.headers.get("Content-Encoding", "identity").casefold()
    if encoding == "identity" or not body:
        return body
    if encoding not in ("gzip", "deflate"):
        raise ToolError(f"{host} answered in an encoding that was not asked for")
    unpacking = zlib.decompressobj(GZIP_OR_ZLIB)
    with suppress(zlib.error):
        plain = unpacking.decompress(body, max_bytes + 1)
        if len(plain) > max_bytes:
            raise _too_long(host, max_bytes)
        if unpacking.eof:
            return plain
    raise ToolError(f"{host} answered with broken compression")


def _too_long(host: str | None, max_bytes: int) -> ToolError:
    return ToolError(f"the reply of {host} is longer than {max_bytes // 1024} KiB")


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _failure(error: Exception, host: str) -> str:
    match error:
        case aiohttp.ClientConnectorError(os_error=Forbidden() as forbidden):
            return str(forbidden)
        case aiohttp.ClientConnectorCertificateError():
            return f"no secure connection to {host}: its certificate is not trusted"
        case aiohttp.ClientSSLError():
            return f"no secure connection to {host}"
        case aiohttp.ClientConnectorDNSError():
            return f"the name {host} has no address now; is there a network?"
        case aiohttp.ClientConnectorError():
            return f"{host} cannot be reached; is there a network, and is the server up?"
        case aiohttp.InvalidURL():
            return f"{host} is no host that can be asked"
        case _:
            return f"the connection to {host} broke"
