"""When the model may be asked to speak: one ``response.create`` at a time, and only into silence.

A server makes one response at a time. Asking while it makes another is refused, and servers also start
responses by themselves when the user stops speaking, so a request can lose a race. The request stays
*wanted* until it is granted or its turn is over. A response that begins is taken for the one that was asked
for; if a refusal of that request follows, it was another, and the request is wanted again.
"""

from dataclasses import dataclass

from voice_agent.realtime.events import CreateResponse

REFUSED_PAUSE_S = 1.0
"""A refused request waits this long, unless a response ends before: no tight loop."""

PATIENCE_S = 20.0
"""A request that is neither granted nor refused within this time is taken for lost: the server is stuck."""

MAX_BUSY = 5
"""So often in a row a server may be busy with responses that we know nothing of."""

MAX_REJECTED = 4
"""A request that is rejected for another reason is repeated three times."""


@dataclass(frozen=True, slots=True)
class _Asked:
    event_id: str
    turn: int
    at: float


class ResponseRequests:
    """At most one wanted and one outstanding request, and perhaps one whose fate is unknown."""

    def __init__(self) -> None:
        self._asked: _Asked | None = None
        self._granted: _Asked | None = None
        self._astray: _Asked | None = None
        self._wanted_for: int | None = None
        self._not_before = 0.0
        self._count = 0
        self._busy = 0
        self._rejected = 0

    def deadline(self, *, free: bool) -> float | None:
        """When ``next_request`` or ``take_lost`` wants to be called. ``free``: the server is idle."""
        if self._asked:
            return self._asked.at + PATIENCE_S
        return self._not_before if free and self._wanted_for is not None else None

    @property
    def hopeless(self) -> bool:
        """The server refuses again and again."""
        return self._busy >= MAX_BUSY or self._rejected >= MAX_REJECTED

    def give_up(self) -> None:
        """Want nothing more."""
        self._wanted_for = None
        self._busy = self._rejected = 0

    def pending_in(self, turn: int) -> bool:
        """Whether a request for ``turn`` is wanted or outstanding."""
        return self._wanted_for == turn or (self._asked is not None and self._asked.turn == turn)

    def want(self, turn: int, not_before: float = 0.0) -> None:
        """The model should speak in ``turn``, but not be asked before a moment (monotonic seconds)."""
        self._wanted_for = turn
        self._not_before = max(self._not_before, not_before)

    def take_lost(self, now: float) -> int | None:
        """Forget the outstanding request if it has waited too long: the turn that it was for."""
        if self._asked is None or now < self._asked.at + PATIENCE_S:
            return None
        asked, self._asked = self._asked, None
        return asked.turn

    def next_request(self, turn: int, *, now: float) -> CreateResponse | None:
        """The event to send, when nothing outstanding forbids it. The caller sees the server free."""
        if self._wanted_for is not None and self._wanted_for != turn:
            self._wanted_for = None
        if self._wanted_for is None or self._asked or now < self._not_before:
            return None
        self._count += 1
        self._asked = _Asked(f"create_{self._count}", turn, now)
        self._wanted_for = None
        return CreateResponse(event_id=self._asked.event_id)

    def take_granted(self, awaited: int | None, *, now: float) -> int | None:
        """A response began: the turn that it is for, if anybody can say.

        ``awaited``: the turn that the server is to answer by itself. If a request waits as well, it may still
        be on its way, and be granted later.
        """
        asked, self._asked = self._asked, None
        if asked is not None:
            self._granted = asked if awaited is None else None
        self._busy = self._rejected = 0
        if asked is None and awaited is None:
            asked, self._astray = self._astray, None
            return asked.turn if asked and now < asked.at + PATIENCE_S else None
        if asked is not None and awaited is not None:
            self._astray = asked
        return asked.turn if asked else awaited

    def was_refused(self, event_id: str | None, *, busy: bool, now: float) -> bool:
        """Whether the refusal concerns our request. ``busy``: the server was making another response."""
        asked = self._asked or (self._granted if busy else None)
        if self._astray is not None and event_id == self._astray.event_id:
            self._astray = None
        if asked is None or not (event_id == asked.event_id or (busy and not event_id)):
            return False
        self._asked = self._granted = None
        self._busy += busy
        self._rejected += not busy
        if self._wanted_for is None:
            self._wanted_for = asked.turn
        self._not_before = max(self._not_before, now + REFUSED_PAUSE_S)
        return True

    def server_is_free(self) -> None:
        """A response ended: a refused request need not wait any longer."""
        self._not_before = 0.0
