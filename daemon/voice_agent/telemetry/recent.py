"""What went wrong lately, and how quick the last answers were: a short memory without anybody's words."""

from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

from voice_agent.dialogue import AnswerFailed, Fact, FirstSound, ServerFault, Silenced, Stuck, ToolAnswered
from voice_agent.telemetry.report import Fault, Turn

MAX_FAULTS = 20
MAX_TURNS = 10
MAX_KIND_CHARS = 60
"""Ends of answers are called as the server calls them."""

FAILURES = frozenset({"failed", "timeout", "crashed"})
"""Outcomes of a tool that ran. Of others the name may be the model's invention."""

TROUBLES = frozenset({"absent", "failed"})
"""Conditions of a sound device that nobody wanted."""


class _Answered(NamedTuple):
    """A turn whose answer began to sound at ``at`` (monotonic seconds)."""

    sound: FirstSound
    at: float
    interrupted: bool = False


class Recent:
    """Observes the conversation's facts, and is told the rest. ``clock``: monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._faults: dict[str, tuple[int, float]] = {}  # by kind, the newest at the end
        self._answered: deque[_Answered] = deque(maxlen=MAX_TURNS)
        self._conditions: dict[str, str] = {}
        self._lost_at: float | None = None
        self._retry_at: float | None = None

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Newest first."""
        now = self._clock()
        found = [Fault(kind, count, round(now - last, 3)) for kind, (count, last) in self._faults.items()]
        return tuple(reversed(found))

    @property
    def turns(self) -> tuple[Turn, ...]:
        """How soon the last answers were heard, newest first."""
        now = self._clock()
        return tuple(_turn(answered, now) for answered in reversed(self._answered))

    @property
    def lost_ago_s(self) -> float | None:
        """Seconds since a session was last lost or could not be opened."""
        return None if self._lost_at is None else self._clock() - self._lost_at

    @property
    def retry_s(self) -> float | None:
        """Seconds until the next attempt, zero while it is under way; ``None``: none is due."""
        return None if self._retry_at is None else max(self._retry_at - self._clock(), 0.0)

    def lost(self, cause: str, retry_s: float) -> None:
        """There is no session, and the next attempt follows after so many seconds."""
        self._lost_at = self._clock()
        self._retry_at = self._lost_at + retry_s
        self._note(f"session {cause}")

    def settled(self) -> None:
        """There is a session, or none is wanted."""
        self._retry_at = None

    def device(self, name: str, condition: str) -> None:
        """A sound device is in this condition."""
        if condition in TROUBLES and condition != self._conditions.get(name):
            self._note(f"{name} {condition}")
        self._conditions[name] = condition

    def __call__(self, fact: Fact) -> None:
        """Note a fact, if something went wrong or began to sound."""
        match fact:
            case FirstSound():
                self._answered.append(_Answered(fact, self._clock()))
            case Silenced(turn=turn):
                self._cut(turn)
            case AnswerFailed(status=status):
                self._note(f"answer {status}")
            case Stuck(kind=kind, remedy=remedy):
                self._note(f"stuck {kind}, {remedy}")
            case ServerFault(kind=kind) if kind != "benign":
                self._note(f"server {kind}")
            case ToolAnswered(name=name, outcome=outcome) if outcome in FAILURES:
                self._note(f"tool {name} {outcome}")

    def _cut(self, turn: int) -> None:
        """What is silenced is the answer to the turn before."""
        if self._answered and self._answered[-1].sound.turn == turn - 1:
            self._answered[-1] = self._answered[-1]._replace(interrupted=True)

    def _note(self, kind: str) -> None:
        kind = kind[:MAX_KIND_CHARS]
        count, _ = self._faults.pop(kind, (0, 0.0))
        self._faults[kind] = count + 1, self._clock()
        if len(self._faults) > MAX_FAULTS:
            del self._faults[next(iter(self._faults))]


def _turn(answered: _Answered, now: float) -> Turn:
    sound = answered.sound
    return Turn(
        ago_s=round(now - answered.at, 3),
        model_s=round(sound.model_s, 3),
        client_s=round(sound.hold_s + sound.own_s, 3),
        device_s=round(sound.device_s, 3),
        interrupted=answered.interrupted,
    )
