"""What happened, turn by turn: the conversation's facts with the moments at which they were told.

All times are monotonic seconds. A turn holds what the user said *and* the answer to it, so an interrupted
turn is the one whose answer was cut, and the interrupting words stand in the turn after it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest

from voice_agent.dialogue import (
    AgentSaid,
    AnswerFailed,
    Fact,
    FirstSound,
    Restored,
    ServerFault,
    Silenced,
    ToolAnswered,
    ToolCalled,
    ToolsRefused,
    TurnStarted,
    UserSaid,
    UserStopped,
)

BENIGN = "benign"


@dataclass(slots=True)
class ToolUse:
    """One call; ``ok`` is ``None`` until it is answered."""

    name: str
    arguments: str
    called_s: float
    ok: bool | None = None
    seconds: float | None = None


@dataclass(slots=True)
class Turn:
    """From the beginning of the user's words to the end of the answer to them."""

    number: int
    began_s: float
    stopped_s: float | None = None
    user: str = ""
    tools: list[ToolUse] = field(default_factory=list)
    first_audio_s: float | None = None
    answers: list[str] = field(default_factory=list)
    heard_ms: int = 0
    sent_ms: int = 0
    ended_s: float | None = None
    """When the last of the answer had sounded, or was cut."""
    interrupted: bool = False
    failure: str = ""

    @property
    def assistant(self) -> str:
        """All that the model meant to say."""
        return " ".join(self.answers)

    @property
    def sounded_s(self) -> float | None:
        """When the answer's first sample left the loudspeaker."""
        if self.stopped_s is None or self.first_audio_s is None:
            return None
        return self.stopped_s + self.first_audio_s


class Chronicle:
    """Takes facts in the order in which they are told."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.faults: list[ServerFault] = []

    def take(self, fact: Fact, at_s: float) -> None:
        """Note one fact."""
        match fact:
            case TurnStarted(turn=number):
                self.turns.append(Turn(number, at_s))
            case ServerFault():
                self.faults.append(fact)
            case Restored() | ToolsRefused():
                pass  # belong to no turn
            case _:
                turn = self.turn(fact.turn)
                if turn is not None:
                    _enter(fact, turn, at_s)
        if isinstance(fact, Silenced) and len(self.turns) > 1:
            self._cut(self.turns[-2], fact, at_s)

    def turn(self, number: int) -> Turn | None:
        """The turn of that number."""
        return next((turn for turn in reversed(self.turns) if turn.number == number), None)

    def with_next(self) -> Iterator[tuple[Turn, Turn | None]]:
        """Each turn and the one after it."""
        return zip_longest(self.turns, self.turns[1:])

    def _cut(self, turn: Turn, fact: Silenced, at_s: float) -> None:
        turn.interrupted = True
        turn.heard_ms = turn.heard_ms or fact.heard_ms
        turn.ended_s = at_s


def _enter(fact: Fact, turn: Turn, at_s: float) -> None:
    match fact:
        case UserStopped():
            turn.stopped_s = at_s
        case UserSaid(text=text):
            turn.user = f"{turn.user} {text}".strip()
        case FirstSound(seconds=seconds):
            turn.first_audio_s = seconds
        case AgentSaid(text=text, heard_ms=heard_ms, sent_ms=sent_ms):
            turn.answers.append(text)
            turn.heard_ms += heard_ms
            turn.sent_ms += sent_ms
            turn.ended_s = at_s
        case ToolCalled(name=name, arguments=arguments):
            turn.tools.append(ToolUse(name, arguments, at_s))
        case ToolAnswered(name=name, seconds=seconds):
            use = next((use for use in turn.tools if use.name == name and use.ok is None), None)
            if use is not None:
                use.ok, use.seconds = fact.ok, seconds
        case AnswerFailed(status=status, reason=reason):
            turn.failure = f"{status}: {reason}".strip(": ")
