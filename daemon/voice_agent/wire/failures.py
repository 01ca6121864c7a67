"""What can go wrong with a connection, in the words of our error tree: why, whose turn it is, what to do.

Every text may be logged: none holds a header, and addresses come without their query.
"""

import errno
import re
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import aiohttp

from voice_agent.discretion import discreet
from voice_agent.errors import (
    Cause,
    ConnectFailed,
    ConnectionLost,
    RemoteProtocolError,
    SessionError,
    Unauthorized,
)

LONGEST_RETRY_AFTER_S = 3600.0
"""Whatever a server says, somebody is waiting for an answer in this room."""

UNDATED_S = 60.0
"""For a pause that ends at a date, from a server that does not say what time it is there."""

SHOWN_LOCATION = 100
"""Characters of a redirect's target in a log line."""

# ---------------------------------------------------------------------------------- before an answer

_BY_ERRNO = {
    errno.ECONNREFUSED: Cause.REFUSED,
    errno.ETIMEDOUT: Cause.TIMEOUT,
    errno.ECONNRESET: Cause.DROPPED,
    errno.ECONNABORTED: Cause.DROPPED,
    errno.EPIPE: Cause.DROPPED,
    errno.EHOSTUNREACH: Cause.UNREACHABLE,
    errno.ENETUNREACH: Cause.UNREACHABLE,
    errno.EHOSTDOWN: Cause.UNREACHABLE,
    errno.ENETDOWN: Cause.UNREACHABLE,
    errno.EADDRNOTAVAIL: Cause.UNREACHABLE,  # no address of our own in that family
    errno.EACCES: Cause.UNREACHABLE,  # a firewall's answer
    errno.EPERM: Cause.UNREACHABLE,  # our own firewall's
}

_ADVICE = {
    Cause.DNS: "its name has no address; is the network up, and does a name server answer?",
    Cause.REFUSED: "nobody listens there; is the address right and the server up?",
    Cause.TIMEOUT: "nobody answered in time; is the network up, is a firewall in the way?",
    Cause.UNREACHABLE: "there is no way to it; is the network up?",
    Cause.DROPPED: "the connection was cut before it was open",
}

# X509_V_ERR_* (openssl/x509_vfy.h)
_NOT_YET_VALID, _EXPIRED, _WRONG_NAME, _WRONG_ADDRESS = 9, 10, 62, 64
_CERTIFICATE_ADVICE = {
    _NOT_YET_VALID: "its certificate is not valid yet: is this device's clock right?",
    _EXPIRED: "its certificate has expired, unless this device's clock is wrong",
    _WRONG_NAME: "its certificate is another host's: a captive portal, or a wrong address?",
    _WRONG_ADDRESS: "its certificate is not for this address: is a host name missing?",
}


def at_upgrade(error: Exception, where: str) -> SessionError:
    """``error`` came instead of an open WebSocket at ``where``."""
    match error:
        case aiohttp.WSServerHandshakeError(status=status, headers=headers):
            return at_answer(status, headers or {}, where)
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            text = f"{where} is not an address that can be connected to: check the provider's url"
            return Unauthorized(text, cause=Cause.SETTINGS)
        case aiohttp.ClientConnectorCertificateError(certificate_error=ssl.SSLError() as refused):
            return _insecure(refused, where)
        case aiohttp.ClientConnectorSSLError(os_error=ssl.SSLError() as broken):
            return _insecure(broken, where)
        case aiohttp.ClientConnectorDNSError():
            cause = Cause.DNS
        case aiohttp.ServerDisconnectedError():
            cause = Cause.DROPPED
        case aiohttp.ConnectionTimeoutError():
            cause = Cause.TIMEOUT
        case _:
            cause = _cause_of(error)
    text = f"cannot connect to {where}: {_ADVICE.get(cause, error)}"
    return ConnectFailed(text, cause=cause)


def too_slow(limit_s: float, where: str) -> SessionError:
    """The server took the connection and then did not answer the upgrade."""
    return ConnectFailed(f"no answer within {limit_s:g} s from {where}", cause=Cause.HANDSHAKE)


def _cause_of(error: Exception) -> Cause:
    """Of an error that may stand for several, one for each address that was tried: the most telling one."""
    numbers = {error.errno} if isinstance(error, OSError) else set()
    numbers |= {int(number) for number in re.findall(r"Errno (\d+)", str(error))}
    return next((cause for number, cause in _BY_ERRNO.items() if number in numbers), Cause.UNKNOWN)


def _insecure(error: ssl.SSLError, where: str) -> SessionError:
    advice = f"no secure connection: {error.reason or error}"
    if isinstance(error, ssl.SSLCertVerificationError):
        unknown = f"its certificate is not trusted ({error.verify_message}): does somebody listen in?"
        advice = _CERTIFICATE_ADVICE.get(error.verify_code, unknown)
    return ConnectFailed(f"cannot connect to {where}: {advice}", cause=Cause.TLS)


# ------------------------------------------------------------------------ an answer, but not a session

_REFUSALS = {
    HTTPStatus.BAD_REQUEST: (Cause.BAD_REQUEST, "check the model's name and the provider's settings"),
    HTTPStatus.UNAUTHORIZED: (Cause.UNAUTHORIZED, "check the key"),
    HTTPStatus.PAYMENT_REQUIRED: (Cause.QUOTA, "check the account's balance"),
    HTTPStatus.FORBIDDEN: (Cause.FORBIDDEN, "check the key's role, the folder or project, and the country"),
    HTTPStatus.NOT_FOUND: (Cause.NOT_FOUND, "check the model's name and the address"),
}


def at_answer(status: int, headers: Mapping[str, str], where: str) -> SessionError:
    """The server answered the upgrade with this HTTP status."""
    text = f"{where} answered HTTP {status} instead of opening a session"
    if status in _REFUSALS:
        cause, advice = _REFUSALS[HTTPStatus(status)]
        return Unauthorized(f"{text}: {advice}", cause=cause, retry_after_s=retry_after_s(headers))
    if 200 <= status < 400 or status == HTTPStatus.NETWORK_AUTHENTICATION_REQUIRED:
        return ConnectFailed(text + _portal(headers), cause=Cause.PORTAL)
    if status == HTTPStatus.SWITCHING_PROTOCOLS:
        text = f"{where} agreed to a WebSocket and then did not speak it"
        return RemoteProtocolError(text, cause=Cause.PROTOCOL)
    cause = Cause.SERVER_ERROR if status >= 500 else Cause.REJECTED
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        cause, text = Cause.RATE_LIMITED, f"{text}: too many requests or sessions for this key"
    return ConnectFailed(text, cause=cause, retry_after_s=retry_after_s(headers))


def _portal(headers: Mapping[str, str]) -> str:
    target = headers.get("Location", "")[:SHOWN_LOCATION].partition("?")[0]
    return ": a captive portal or a proxy stands in between; sign in to the network, or check the address" + (
        f" (it points to {target!r})" if target else ""
    )


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The pause a server asks for, in seconds or until a date (RFC 9110, 10.2.3); None if it does not.

    A date is read by the server's own clock, which every answer shows (6.6.1): ours may be years off.
    """
    wanted = headers.get("Retry-After", "").strip()
    if wanted.isascii() and wanted.isdigit():
        return min(float(wanted), LONGEST_RETRY_AFTER_S)
    until, now = _date(wanted), _date(headers.get("Date", ""))
    if until is None:
        return None
    return min(max((until - now).total_seconds(), 0.0), LONGEST_RETRY_AFTER_S) if now else UNDATED_S


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):  # the last for a year of twenty digits
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


# -------------------------------------------------------------------------------- after it was open

_BY_CODE: dict[int, tuple[Cause, str]] = {
    1000: (Cause.CLOSED, ""),
    1001: (Cause.GOING_AWAY, ""),
    1008: (Cause.POLICY, "check the key, its role and the model's name"),
    1009: (Cause.TOO_BIG, "something we sent was too big: are the instructions very long?"),
    1011: (Cause.INTERNAL, "an error on the server's side"),
    1012: (Cause.RESTARTING, ""),
    1013: (Cause.TRY_LATER, "the server is busy"),
    3000: (Cause.BAD_KEY, "check the key"),
    4000: (Cause.BAD_INTENT, "check the address, the model's name and the settings"),
    4429: (Cause.OVERLOADED, "too many requests or sessions for this key"),
}
"""1000 to 1013: RFC 6455, 7.4.1, and IANA's registry; 3000 and 4000: observed at OpenAI; 4429: at Boson."""

_REFUSING = {Cause.POLICY, Cause.BAD_KEY, Cause.BAD_INTENT}
"""The same request will be refused again, until somebody changes something."""

_SILENCES = {errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN}
"""TCP_USER_TIMEOUT has passed; the kernel prefers what a router or the neighbour table said meanwhile."""


def at_close(code: int, reason: str) -> SessionError:
    """The server sent a closing frame; code 0 if there was none in it."""
    cause, advice = _BY_CODE.get(code, (Cause.CLOSED_OTHERWISE, ""))
    text = f"the server closed the connection: code {code or 'missing'}"
    text += "".join(f", {part}" for part in (discreet(reason), advice) if part)
    return Unauthorized(text, cause=cause) if cause in _REFUSING else ConnectionLost(text, cause=cause)


def at_break(error: BaseException | None) -> SessionError:
    """The connection ended without a closing frame; ``error`` is what the kernel said, if it did."""
    if isinstance(error, OSError) and error.errno in _SILENCES:
        text = f"the network fell silent: nothing we sent was acknowledged ({error.strerror})"
        return ConnectionLost(text, cause=Cause.SILENT)
    how = f"it broke: {error}" if error else "it ended without a closing frame"
    return ConnectionLost(f"the connection was lost: {how}", cause=Cause.DROPPED)


def at_nonsense(error: Exception) -> SessionError:
    """The server sent what is no WebSocket frame, or one too big for us."""
    return RemoteProtocolError(f"the server broke the WebSocket protocol: {error}", cause=Cause.PROTOCOL)
