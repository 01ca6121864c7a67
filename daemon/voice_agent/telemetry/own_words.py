"""Whether the daemon may have interrupted itself: what the server understood is what it had just said.

A loudspeaker that is heard by its own microphone makes a server hear a user who is not there. Of an
interruption whose words are known, the words are compared with those of the answer that was cut. Nothing of
either is kept longer than for that; a user who repeats the agent word for word is suspected, too.
"""

import re

from voice_agent.dialogue import AgentSaid, Fact, TurnStarted, UserSaid

LEAST_WORDS = 2
"""One word may be anybody's."""

ALIKE = 0.7
"""Of the user's words, so many are the agent's; recognition of an echo is none too good."""


class OwnWords:
    """Follows the conversation's facts; says which of them is a suspicion."""

    def __init__(self) -> None:
        self._said: set[str] = set()
        self._turn = 0  # the one in which the agent said so
        self._cut_by: int | None = None

    def suspects(self, fact: Fact) -> bool:
        """Whether this fact says that an interruption repeated what it interrupted."""
        match fact:
            case AgentSaid(turn=turn, text=text):
                self._said = words(text) | (self._said if turn == self._turn else set())
                self._turn = turn
            case TurnStarted(turn=turn, interrupts=interrupts):
                self._cut_by = turn if interrupts else None
            case UserSaid(turn=turn, text=text) if turn == self._cut_by:
                self._cut_by = None
                return self._is_repeated(words(text))
        return False

    def _is_repeated(self, heard: set[str]) -> bool:
        return len(heard) >= LEAST_WORDS and len(heard & self._said) >= ALIKE * len(heard)


def words(text: str) -> set[str]:
    """The words, whatever their case."""
    return set(re.findall(r"\w+", text.casefold()))
