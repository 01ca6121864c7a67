"""The certificate with which we serve: the standard library's recommended settings, TLS 1.2 and later.

A certificate that is renewed on disk is taken within a minute, without a restart. One that cannot be used is
told once, and the one before it is kept. One whose time is over is used all the same: whoever asks may
know, and says so; that we are gone would tell them less.
"""

import asyncio
import logging
import ssl
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, NoReturn

from voice_agent.errors import ConfigError

log = logging.getLogger(__name__)

LOOK_S = 60.0
STEPS = 10
"""Of a handshake with ourselves; it takes three to five."""

Stamp = tuple[tuple[int, int, int] | None, ...]


class Files(NamedTuple):
    """Where it is kept, as PEM. ``client_ca``: whose certificates clients have to show, if they have to."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def stamp(self) -> Stamp:
        """Changes when one of them does."""
        return tuple(_stamp(path) for path in self if path is not None)


class Certificate:
    """Its ``context`` is always one that works. Raises ConfigError if there is none to begin with."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._seen = files.stamp()
        self._told = ""
        self.context = context_of(files)

    @property
    def asks_for_another(self) -> bool:
        """Whether clients have to show one of their own."""
        return self._files.client_ca is not None

    @property
    def doubt(self) -> str:
        """Why clients will not believe it; empty if they may. Reads files."""
        return doubt_of(self._files)

    async def keep(self) -> NoReturn:
        """Look for a new one, for ever."""
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(LOOK_S)

    def look(self) -> None:
        """Take a new one, if there is one, and say if it is not good. Reads files."""
        stamp = self._files.stamp()
        if stamp != self._seen:
            self._seen = stamp
            try:
                self.context = context_of(self._files)
            except (ConfigError, OSError) as error:  # OSError: it goes while it is read
                log.warning("the renewed certificate cannot be used", extra={"reason": str(error)})
                return
            log.info("the certificate for the metrics was renewed")
        doubt = self.doubt
        if doubt and doubt != self._told:
            log.warning("clients will not believe the certificate of the metrics", extra={"reason": doubt})
        self._told = doubt


def context_of(files: Files) -> ssl.SSLContext:
    """What a connection needs. Raises ConfigError, which names the setting and what to do."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    _load(context, files)
    if files.client_ca:
        setting = "metrics.tls_client_ca_file"
        _readable(files.client_ca, setting)
        try:
            context.load_verify_locations(files.client_ca)
        except ssl.SSLError as error:
            remedy = "write certificates in PEM into it"
            raise ConfigError(setting, f"{files.client_ca} holds no certificate; {remedy}") from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def doubt_of(files: Files) -> str:
    """Why nobody will believe this certificate, whoever signed it; empty if that is not so.

    Python's ssl tells a certificate's dates only to a client that believes it. So we shake hands with
    ourselves, in memory, as a client that trusts this one and looks at the clock.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    # Set, not added: Python 3.13 begins with VERIFY_X509_STRICT, which few private authorities pass.
    client.verify_flags = ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    try:
        _load(server, files)
        client.load_verify_locations(files.certificate)
        _shake_hands(server, client)
    except ssl.SSLCertVerificationError as error:
        return f"{files.certificate}: {error.verify_message}"
    except (OSError, ConfigError) as error:  # it has just been loaded: somebody is writing it
        return str(error)
    return ""


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(back, there)
    asked = server.wrap_bio(there, back, server_side=True)
    for _ in range(STEPS):
        with suppress(ssl.SSLWantReadError):
            asking.do_handshake()
            return
        with suppress(ssl.SSLWantReadError):
            asked.do_handshake()


def _load(context: ssl.SSLContext, files: Files) -> None:
    _readable(files.certificate, "metrics.tls_cert_file")
    _readable(files.key, "metrics.tls_key_file")

    def ask_for_passphrase() -> NoReturn:
        remedy = "write it without: openssl pkey -in KEY -out PLAIN, and keep that secret"
        raise ConfigError("metrics.tls_key_file", f"{files.key} asks for a passphrase; {remedy}")

    try:
        context.load_cert_chain(files.certificate, files.key, ask_for_passphrase)
    except ssl.SSLError as error:
        why = (error.reason or "not PEM").lower().replace("_", " ")
        reason = f"{files.certificate} and {files.key} are no pair of certificate and key ({why})"
        remedy = "write the chain into one, its own certificate first, and that one's key into the other"
        raise ConfigError("metrics.tls_cert_file", f"{reason}; {remedy}") from error


def _readable(path: Path, setting: str) -> None:
    """Python's ssl does not say which file it could not read."""
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        remedy = "the daemon's user has to be able to; docs/serving.md shows how"
        raise ConfigError(setting, f"cannot read {path} ({error.strerror}); {remedy}") from error


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
