"""Who is let in at a port that is open to other machines: a password, a certificate of their own, or both."""

import logging
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING

from voice_agent.credentials import Secret

if TYPE_CHECKING:
    from voice_agent.telemetry.certificates import Certificate

log = logging.getLogger(__name__)

CHALLENGE = 'Basic realm="voice-agent", charset="UTF-8"'


class Lock:
    """Opens for one user and password (RFC 7617). Neither is kept: what is given is compared by its hash."""

    def __init__(self, user: str, password: Secret, on_refusal: Callable[[], None] = lambda: None) -> None:
        self._wanted = sha256(f"{user}:{password.reveal()}".encode()).digest()
        self._on_refusal = on_refusal
        self._is_news = True

    def opens(self, authorization: str) -> bool:
        """Whether the header of a request opens it; takes the same time however wrong it is."""
        scheme, _, given = authorization.partition(" ")
        try:
            decoded = b64decode(given.strip(), validate=True)
        except ValueError:
            decoded = b""
        return compare_digest(sha256(decoded).digest(), self._wanted) and scheme.lower() == "basic"

    def note_refusal(self, host: str) -> None:
        """Somebody there gave a wrong password: news once, then only counted."""
        level = logging.WARNING if self._is_news else logging.DEBUG
        self._is_news = False
        self._on_refusal()
        log.log(level, "a wrong user or password was given for the metrics", extra={"host": host})


@dataclass(frozen=True)
class Door:
    """What a client has to pass. Nothing at all: ``OPEN``."""

    lock: Lock | None = None
    tls: "Certificate | None" = None

    @property
    def knows_who(self) -> bool:
        """Whether whoever has come in has proved who it is."""
        return self.lock is not None or (self.tls is not None and self.tls.asks_for_another)

    def described(self) -> Mapping[str, object]:
        """For the log: what is asked for, if anything is."""
        asked = {"tls": self.tls is not None, "password": self.lock is not None}
        return {name: True for name, wanted in asked.items() if wanted}


OPEN = Door()
