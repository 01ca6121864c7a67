"""What a log line is about: session, turn and response, without every call passing them on.

A session's own tasks carry its concern along, also one that only stands by. All other lines, of devices and
controls, belong to the session that is live. Ids are the server's words: bounded, and escaped where they
are written.
"""

from collections.abc import Callable
from contextvars import ContextVar

from voice_agent.realtime.codec import session_id
from voice_agent.realtime.events import ResponseCreated, SessionCreated, SessionUpdated

MAX_ID_CHARS = 100
MAX_TURNS = 8
"""A word about an older turn than these has no response beside it."""

Fields = dict[str, str | int]


class Concern:
    """One session and where its conversation is. ``turn``: the number of the present one."""

    def __init__(self, turn: Callable[[], int] = int) -> None:
        self.session = ""
        self._turn = turn
        self._responses: dict[int, str] = {}

    def note(self, event: object) -> None:
        """Learn an id from what the server says."""
        match event:
            case SessionCreated(session=session) | SessionUpdated(session=session):
                self.session = session_id(session)[:MAX_ID_CHARS] or self.session
            case ResponseCreated(response=response):
                self._responses.pop(turn := self._turn(), None)
                self._responses[turn] = response.id[:MAX_ID_CHARS]
                if len(self._responses) > MAX_TURNS:
                    del self._responses[next(iter(self._responses))]

    def in_turn(self, turn: int) -> "Concern":
        """The same for work that may outlive the turn which it belongs to."""
        fixed = Concern(lambda: turn)
        fixed.session, fixed._responses = self.session, self._responses
        return fixed

    def fields(self, turn: object = None) -> Fields:
        """What is known: ``session``, ``turn`` and that turn's latest ``response``. ``turn``: another one."""
        about = turn if isinstance(turn, int) else self._turn()
        response = self._responses.get(about, "")
        known: Fields = {"session": self.session, "turn": about, "response": response}
        return {name: value for name, value in known.items() if value}


_NOBODYS = Concern()
_live = _NOBODYS
_carried: ContextVar[Concern] = ContextVar("concern")


def carry(concern: Concern) -> None:
    """This task, and those that it begins from now on, are about that."""
    _carried.set(concern)


def prevail(concern: Concern | None) -> None:
    """So is everything that does not carry a concern of its own. ``None``: there is no session."""
    global _live  # noqa: PLW0603 — like the log itself there is one for the process
    _live = concern or _NOBODYS


def present() -> Concern:
    """What a line that is written now is about."""
    return _carried.get(_live)
