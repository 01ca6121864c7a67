"""The way to the provider: its name, a connection, a certificate that is believed."""

import asyncio
import os
import socket
import ssl
from collections.abc import Sequence
from datetime import datetime
from time import monotonic
from urllib.parse import urlsplit

from voice_agent.assembly import endpoint_for
from voice_agent.doctor.case import Case
from voice_agent.doctor.certificate import Certificate, Greeting, Place, greeted, shown_by_anybody
from voice_agent.doctor.clock import REMEDY as SET_CLOCK
from voice_agent.doctor.clock import SKEW_FAIL, SKEW_WARN, now, skew_s
from voice_agent.doctor.findings import Figure, Finding, NotChecked, fail, ok, warn
from voice_agent.doctor.remedies import REMEDIES, remedy_for
from voice_agent.errors import Cause, ConnectFailed, SessionError
from voice_agent.wire.failures import at_upgrade
from voice_agent.wire.resolver import SYSTEM

SLOW_DNS_S = 1.0
FEW_DAYS = 14
SECURE = "wss"
PORTS = {"ws": 80, "wss": 443}
AFTER_DNS = ("tls", "handshake")


class Address:
    """Of the provider, taken apart. Raises NotChecked if there is none."""

    def __init__(self, case: Case) -> None:
        endpoint = endpoint_for(case.settings, None)
        self.where = endpoint.where
        try:
            parts = urlsplit(endpoint.url)
            self.host = parts.hostname or ""
            self.port = parts.port or PORTS.get(parts.scheme, 443)
        except ValueError as error:
            raise NotChecked(f"{endpoint.where} is not an address") from error
        self.is_secure = parts.scheme == SECURE
        if not self.host:
            raise NotChecked(f"{endpoint.where} is not an address")


async def dns(case: Case) -> Sequence[Finding]:
    """The provider's name has an address, soon."""
    address = Address(case)
    started = monotonic()
    try:
        found = await SYSTEM.resolve(address.host, address.port, socket.AF_UNSPEC)
    except OSError as error:
        case.blocked |= dict.fromkeys(AFTER_DNS, "its name has no address")
        reason = error.strerror or str(error)
        return [fail("dns", f"{address.host} has no address: {reason}", REMEDIES[Cause.DNS])]
    took_s = monotonic() - started
    case.addresses = list(dict.fromkeys(each["host"] for each in found))
    seen = f"{address.host} is {', '.join(case.addresses[:2])}, found in {took_s * 1000:.0f} ms"
    figures = {"dns_ms": round(took_s * 1000, 1), "addresses": float(len(case.addresses))}
    if took_s > SLOW_DNS_S:
        remedy = "each reconnection waits for this: name a nearer name server"
        return [warn("dns", f"{seen}: slow", remedy, **figures)]
    return [ok("dns", seen, **figures)]


async def tls(case: Case) -> Sequence[Finding]:
    """The provider takes a connection, and proves who it is."""
    address = Address(case)
    if not case.addresses:
        raise NotChecked("its address is not known")
    started = monotonic()
    if not address.is_secure:
        return [await _plain(case, address, started)]
    last = OSError()
    for numeric in case.addresses:
        try:
            greeting = await greeted(Place(numeric, address.port, address.host), case.trust)
        except ssl.SSLError as error:
            return [await _distrusted(case, error, Place(numeric, address.port, address.host))]
        except OSError as error:
            last = error
            continue
        case.reached = True
        return judged_greeting(greeting, now(), monotonic() - started)
    return [_unreached(case, last, address)]


async def _plain(case: Case, address: Address, started: float) -> Finding:
    last = OSError()
    for numeric in case.addresses:
        try:
            async with asyncio.timeout(5.0):
                _, writer = await asyncio.open_connection(numeric, address.port)
        except OSError as error:
            last = error
            continue
        writer.transport.abort()
        case.reached = True
        took_ms = round((monotonic() - started) * 1000, 1)
        seen = f"{address.where} takes connections, in {took_ms:.0f} ms, not encrypted"
        return ok("tls", seen, connect_ms=took_ms, encrypted=False)
    return _unreached(case, last, address)


def _unreached(case: Case, error: OSError, address: Address) -> Finding:
    if isinstance(error, TimeoutError) and not error.errno:
        failure: SessionError = ConnectFailed(cause=Cause.TIMEOUT)
        text = "no answer in time"
    else:
        failure, text = at_upgrade(error, address.where), os.strerror(error.errno or 0)
    case.blocked |= dict.fromkeys(AFTER_DNS, "the provider cannot be reached")
    seen = f"{address.host}:{address.port} takes no connection: {text}"
    return fail("tls", seen, remedy_for(failure, case.settings.provider.kind), cause=failure.cause.value)


async def _distrusted(case: Case, error: ssl.SSLError, place: Place) -> Finding:
    """Why, from the certificate itself; the text of the library is for those who know it."""
    case.blocked |= dict.fromkeys(AFTER_DNS, "there is no secure connection")
    words = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else error.reason
    certificate = await shown_by_anybody(place)
    if certificate is None:
        seen = f"{place.host}:{place.port} does not speak TLS as it should ({words})"
        return fail("tls", seen, REMEDIES[Cause.TLS], cause=Cause.TLS.value)
    return judged_distrust(certificate, words or "", place.host, now())


def judged_distrust(certificate: Certificate, words: str, host: str, shown: datetime) -> Finding:
    """A certificate that is not believed: because of the clock, of its age, or of somebody in between."""
    figures: dict[str, Figure] = {
        "issuer": certificate.issuer,
        "days_left": certificate.days_left(shown),
        "cause": "tls",
    }
    if shown < certificate.begins:
        seen = f"the certificate of {host} begins {certificate.begins:%Y-%m-%d}; here it is {shown:%Y-%m-%d}"
        return fail("tls", seen, SET_CLOCK, **figures)
    if shown > certificate.ends:
        seen = f"the certificate of {host} expired {certificate.ends:%Y-%m-%d}; here it is {shown:%Y-%m-%d}"
        return fail("tls", seen, "if that date is wrong, set the clock; else tell the provider", **figures)
    seen = f"{host} shows a certificate of {certificate.subject!r} signed by {certificate.issuer!r}: {words}"
    remedy = (
        "an intercepting proxy or a captive portal stands in between: sign in to the network, or have it let"
    )
    return fail("tls", seen, f"{remedy} {host} pass", **figures)


def judged_greeting(greeting: Greeting, shown: datetime, took_s: float) -> list[Finding]:
    """A believed certificate: how long it lasts, and what the server thinks of our clock."""
    certificate, days = greeting.certificate, greeting.certificate.days_left(shown)
    ahead_s = skew_s(greeting.date, shown)
    figures: dict[str, Figure] = {
        "connect_ms": round(took_s * 1000, 1),
        "days_left": days,
        "issuer": certificate.issuer,
        "clock_ahead_s": ahead_s,
        "encrypted": True,
    }
    seen = f"secure in {took_s * 1000:.0f} ms; certificate of {certificate.issuer!r}, {days} days left"
    if ahead_s is not None and abs(ahead_s) > SKEW_WARN.total_seconds():
        seen += f"; this clock is {abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} the server's"
        judge = fail if abs(ahead_s) > SKEW_FAIL.total_seconds() else warn
        return [judge("tls", seen, SET_CLOCK, **figures)]
    if days < FEW_DAYS:
        return [
            warn(
                "tls", seen, "have it renewed: it is the provider's, unless the server is your own", **figures
            )
        ]
    return [ok("tls", seen, **figures)]
