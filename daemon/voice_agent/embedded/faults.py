"""What goes wrong on purpose: twelve deeds, each at a chosen occurrence of a chosen event.

    happens on                       deeds
    a server event, before it goes   swallow, duplicate, replace, late, cut
    a client event, before it works  swallow, refuse
    an upgrade                       refuse, stall, drop
    any event, afterwards            send, error, close, drop, drip, stall

What is swallowed has no consequences: a swallowed ``response.created`` is no response, a swallowed
``input_audio_buffer.speech_stopped`` is speech without end, a swallowed ``ping`` is never answered.
"""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from msgspec import Meta, Struct

NOW = "now"
"""Instead of an event: at once, on every open connection."""
UPGRADE = "upgrade"
PING = "ping"

Deed = Literal[
    "swallow",
    "duplicate",
    "replace",
    "late",
    "cut",
    "refuse",
    "send",
    "error",
    "close",
    "drop",
    "drip",
    "stall",
]
BEFORE: tuple[Deed, ...] = ("swallow", "duplicate", "replace", "late", "cut")
INSTEAD: tuple[Deed, ...] = ("swallow", "refuse")


class Fault(Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that goes wrong on the ``nth`` occurrence of an event in either direction, and on the
    ``times`` - 1 occurrences after that (all of them when ``None``).

    ``after``: a wire name, a pattern of names (``response.*``), or ``upgrade``, ``ping``, ``now``.

    Before the event leaves: ``swallow`` it, ``duplicate`` it, ``replace`` it with ``text``, let it go
    ``late`` (by ``ms``; behind the next event when absent), or ``cut`` its frame in the middle and the line
    with it. Before a client's event is obeyed: ``swallow`` or ``refuse`` it (an ``error`` that names it). An
    upgrade is refused with the HTTP status ``code`` (503), ``headers`` and ``text``.
    After it: ``send`` the raw ``text``, an ``error`` event (with its ``type``, ``error`` code and ``text``;
    closes with ``code`` if there is one), ``close`` with ``code`` (1011) and ``text``, ``drop`` the socket
    without a close frame, ``drip``: only ``rate`` bytes a second for ``ms``, or ``stall``: nothing for ``ms``
    (both for ever when absent). ``after_ms`` postpones these without holding up other events.
    ``connection``: only on that connection of the server, counted from 1.
    """

    after: str
    do: Deed
    nth: Annotated[int, Meta(ge=1)] = 1
    times: Annotated[int, Meta(ge=1)] | None = 1
    code: int | None = None
    type: str = "invalid_request_error"
    error: str = ""
    text: str = ""
    headers: dict[str, str] = {}
    rate: Annotated[int, Meta(ge=1)] = 1000
    ms: Annotated[int, Meta(ge=0)] | None = None
    after_ms: Annotated[int, Meta(ge=0)] = 0
    connection: int | None = None


class Pending:
    """A fault and how often its event was seen."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self._seen = 0

    def strikes(self, kind: str, connection: int) -> bool:
        """Count one occurrence of ``kind``; whether it is one to strike at."""
        fault = self.fault
        if fault.connection not in (None, connection) or not fnmatchcase(kind, fault.after):
            return False
        self._seen += 1
        return self._seen >= fault.nth and not self._seen > self._last

    @property
    def spent(self) -> bool:
        """Whether it will never strike again."""
        return self._seen >= self._last

    @property
    def _last(self) -> float:
        fault = self.fault
        return float("inf") if fault.times is None else fault.nth + fault.times - 1


class Struck:
    """The faults struck while the server runs: counted over all connections, and gone when spent."""

    def __init__(self) -> None:
        self._pending: list[Pending] = []

    def add(self, fault: Fault) -> None:
        """From now on count its occurrences."""
        self._pending.append(Pending(fault))

    def clear(self) -> None:
        """Forget them all."""
        self._pending.clear()

    def faults(self) -> list[Fault]:
        """Those that may still strike."""
        return [pending.fault for pending in self._pending]

    def due(self, kind: str, connection: int) -> list[Fault]:
        """The faults of this occurrence of ``kind``."""
        if not self._pending:
            return []
        found = [pending.fault for pending in self._pending if pending.strikes(kind, connection)]
        self._pending = [pending for pending in self._pending if not pending.spent]
        return found


class Faults:
    """What is to go wrong on one connection (0: before there is any): its script's faults, and the struck."""

    def __init__(self, scripted: Iterable[Fault], struck: Struck, connection: int = 0) -> None:
        self._scripted = [Pending(fault) for fault in scripted]
        self._struck = struck
        self._connection = connection

    def due(self, kind: str) -> list[Fault]:
        """The faults of this occurrence of ``kind``."""
        own = [pending.fault for pending in self._scripted if pending.strikes(kind, self._connection)]
        return own + self._struck.due(kind, self._connection)


def of_upgrades(faults: Sequence[Fault], refuse: Sequence[int]) -> list[Fault]:
    """Those among a script's faults that strike before there is a connection."""
    refusals = [
        Fault(after=UPGRADE, nth=nth, do="refuse", code=status, text="refused by the script")
        for nth, status in enumerate(refuse, 1)
    ]
    return refusals + [fault for fault in faults if fault.after == UPGRADE]
