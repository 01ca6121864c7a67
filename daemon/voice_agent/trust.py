"""Whose certificates are believed: the system's authorities, or those in one file of the operator's.

Nobody is believed unseen: there is no setting for that, and no variable of the environment that does it. What
the environment can change is told (``changed``).
"""

import ssl
from collections.abc import Iterator, Mapping, MutableMapping
from datetime import UTC, datetime

from voice_agent.errors import ConfigError

KEY_LOG = "SSLKEYLOGFILE"
"""Python's ssl writes the keys of every connection into this file, for whoever wants to read along."""

CHANGING = ("SSL_CERT_FILE", "SSL_CERT_DIR", "OPENSSL_CONF")
"""What OpenSSL asks where the system's authorities are, and how careful it shall be."""

REMEDY = "put the authority's certificate there, as PEM, or delete ca_file"


def trusting(ca_file: str, setting: str = "provider.ca_file") -> ssl.SSLContext | None:
    """Believes the authorities in a file (PEM) and no others; None, the system's, without a file.

    Raises ConfigError. Blocks.
    """
    if not ca_file:
        return None
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError as error:
        raise ConfigError(setting, f"{ca_file} holds no certificates; {REMEDY}") from error
    except OSError as error:
        raise ConfigError(setting, f"cannot read {ca_file} ({error.strerror}); {REMEDY}") from error
    if not context.cert_store_stats()["x509"]:
        raise ConfigError(setting, f"{ca_file} holds no certificates; {REMEDY}")
    # As Python 3.11 does it, on all versions: few private authorities pass the strict reading of RFC 5280.
    context.verify_flags = (
        ssl.VerifyFlags.VERIFY_X509_TRUSTED_FIRST | ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    )
    return context


def outdated(ca_file: str, setting: str = "provider.ca_file") -> Iterator[str]:
    """The authorities in this file whose time is over, or has not begun, by this device's clock.

    Raises ConfigError.
    """
    context, now = trusting(ca_file, setting), datetime.now(UTC)
    for certificate in context.get_ca_certs() if context else ():
        begins, ends = (_moment(str(certificate[name])) for name in ("notBefore", "notAfter"))
        if not begins <= now <= ends:
            span = f"from {begins:%Y-%m-%d} to {ends:%Y-%m-%d}"
            yield f"a certificate in {ca_file} is good {span}, and not by this device's clock"


def cleared(environ: MutableMapping[str, str]) -> Iterator[str]:
    """Take out of the environment what would give connections away; what people should know of that.

    To be done before the first context is made, which is when aiohttp is imported.
    """
    if environ.pop(KEY_LOG, None) is not None:
        yield f"{KEY_LOG} is set, and not obeyed: it would let others read what is said"


def changed(environ: Mapping[str, str]) -> Iterator[str]:
    """What else in the environment decides who is believed. Some systems have it so; it is worth knowing."""
    for name in CHANGING:
        if name in environ:
            yield f"{name} is set: who is believed is decided by {environ[name]!r}"


def _moment(text: str) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)
