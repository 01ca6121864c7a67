"""What one connection hands on to the next: a value, so that nothing of a dead connection lives on.

What had arrived of the agent's speech plays to its end, and can still be interrupted. What the user had said
is answered: from his words if they are known, else from the captured sound, which is sent again.
"""

from dataclasses import dataclass

from voice_agent.dialogue.memory import Key
from voice_agent.dialogue.playout import Utterance
from voice_agent.dialogue.values import Fact


@dataclass(frozen=True, slots=True)
class Onset:
    """An answer's first sample: where it stands in the playout and when it arrived (monotonic seconds)."""

    position: int
    arrived: float


@dataclass(frozen=True, slots=True)
class Carried:
    """What the next connection has to make good.

    ``words``: lines of the memory with words of the user that are to be answered. ``resend_from``: the
    position in the captured sound (samples at input rate) from which it is to be sent again. ``question``:
    the turn whose utterance is known to lie in that sound. ``attempts``: how many connections were lost
    after they had got the words or heard the utterance. ``sounding``: what is still queued or sounding.
    ``stopped_at``: when the user had finished (monotonic seconds). ``onset``: the first sample of an answer
    that has not sounded yet. ``facts``: to be told to the observers at once.
    """

    turn: int = 0
    words: tuple[Key, ...] = ()
    resend_from: int | None = None
    question: int | None = None
    attempts: int = 0
    sounding: tuple[Utterance, ...] = ()
    stopped_at: float | None = None
    onset: Onset | None = None
    facts: tuple[Fact, ...] = ()

    @property
    def owed(self) -> bool:
        """The model is to be asked for an answer: the user's words are known."""
        return bool(self.words)
