"""A server's certificate: is it believed, for how long, and if not, whose is it?

One that is not believed is fetched again and believed for once, whatever its date: only so does Python's ssl
tell what stands in it. Nothing is sent over that connection.
"""

import asyncio
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import NamedTuple

NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME (openssl/x509_vfy.h), which Python has no name for."""

CONNECT_S = 5.0
ANSWER_S = 2.0


class Certificate(NamedTuple):
    """What matters of one."""

    subject: str
    issuer: str
    begins: datetime
    ends: datetime

    def days_left(self, now: datetime) -> int:
        """Whole days; negative when it is over."""
        return (self.ends - now).days


class Place(NamedTuple):
    """Where a secure connection leads. ``address`` is numeric, ``host`` is the name it should prove."""

    address: str
    port: int
    host: str


class Greeting(NamedTuple):
    """A believed certificate, and what time it is at the server (an HTTP date; empty if it did not say)."""

    certificate: Certificate
    date: str


async def greeted(place: Place, trust: ssl.SSLContext | None) -> Greeting:
    """Connect as the daemon would; raises ssl.SSLError, OSError or TimeoutError."""
    async with _secured(place, trust or ssl.create_default_context()) as (reader, writer):
        certificate = _read(writer)
        return Greeting(certificate, await _date(place.host, reader, writer))


async def shown_by_anybody(place: Place) -> Certificate | None:
    """What is shown there, believed or not; None if that cannot be found out."""
    blind = ssl.create_default_context()
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE
    try:
        async with _secured(place, blind) as (_, writer):
            raw = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        credulous = ssl.create_default_context(cadata=ssl.DER_cert_to_PEM_cert(raw))
        credulous.check_hostname = False
        # Set, not added: Python 3.13 begins with VERIFY_X509_STRICT, which few private authorities pass.
        credulous.verify_flags = ssl.VerifyFlags(NO_CHECK_TIME) | ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        async with _secured(place, credulous) as (_, writer):
            return _read(writer)
    except (OSError, TimeoutError):  # ssl.SSLError is an OSError
        return None


@asynccontextmanager
async def _secured(place: Place, context: ssl.SSLContext) -> AsyncIterator[tuple[StreamReader, StreamWriter]]:
    async with asyncio.timeout(CONNECT_S):
        reader, writer = await asyncio.open_connection(
            place.address, place.port, ssl=context, server_hostname=place.host
        )
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def _date(host: str, reader: StreamReader, writer: StreamWriter) -> str:
    """Ask for nothing in particular: every answer is dated (RFC 9110, 6.6.1)."""
    writer.write(f"HEAD / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    try:
        async with asyncio.timeout(ANSWER_S):
            head = await reader.readuntil(b"\r\n\r\n")
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return ""
    lines = head.decode("latin-1").split("\r\n")
    return next((line[5:].strip() for line in lines if line.lower().startswith("date:")), "")


def _read(writer: StreamWriter) -> Certificate:
    fields = writer.get_extra_info("ssl_object").getpeercert()
    return Certificate(
        subject=_name(fields.get("subject", ())),
        issuer=_name(fields.get("issuer", ())),
        begins=_moment(fields["notBefore"]),
        ends=_moment(fields["notAfter"]),
    )


def _name(parts: Sequence[Sequence[tuple[str, str]]]) -> str:
    """Whoever it is, by organisation and common name."""
    named = {key: value for part in parts for key, value in part}
    wanted = [named[key] for key in ("organizationName", "commonName") if key in named]
    return ", ".join(wanted) or "nobody"


def _moment(text: str) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)
