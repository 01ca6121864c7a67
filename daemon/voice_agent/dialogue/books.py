"""Everything that one connection's conversation consists of: the books that the rules read and write.

State that dies together lives in one object. The rules are functions over it, one file for each concern:
``turns`` (the user), ``answering`` (the model), ``calling`` (its tools), ``patience`` (nobody), ``carry``
(the next connection).
"""

from dataclasses import dataclass

from voice_agent.dialogue.answers import Answer, Answers
from voice_agent.dialogue.calls import ToolCalls
from voice_agent.dialogue.carried import Onset
from voice_agent.dialogue.manners import MannersOf
from voice_agent.dialogue.memory import AgentLine, Memory, heard_words
from voice_agent.dialogue.playout import Playout, Utterance
from voice_agent.dialogue.questions import Questions
from voice_agent.dialogue.requests import ResponseRequests
from voice_agent.dialogue.values import AgentSaid, Granted
from voice_agent.formats import samples_to_ms
from voice_agent.realtime.events import SpeechStopped
from voice_agent.realtime.providers import Provider, SessionSettings


@dataclass(frozen=True, slots=True)
class Awaited:
    """A turn in which the server is expected to answer by itself, and since when (monotonic seconds)."""

    turn: int
    since: float


class Books:
    """The state of one connection. Moments are monotonic seconds.

    ``early_stop``: the end of an utterance whose beginning is still to be told. ``stopped_at``: when the user
    finished. ``committed_at``: when we ended his speech for the server, until it says anything.
    ``asked_again``: the turn in which an answer was asked for a second time.
    """

    def __init__(
        self, provider: Provider, settings: SessionSettings, turn: int, memory: Memory, manners: MannersOf
    ) -> None:
        self.provider = provider
        self.settings = settings
        self.manners = manners
        self.turn = turn
        self.memory = memory
        self.connection = memory.new_connection()
        self.granted: Granted | None = None
        self.answers = Answers()
        self.playout = Playout()
        self.requests = ResponseRequests()
        self.calls = ToolCalls()
        self.questions = Questions()
        self.turn_of_item: dict[str, int] = {}
        self.user_speaks = False
        self.hushed = False
        self.early_stop: SpeechStopped | None = None
        self.stopped_at: float | None = None
        self.committed_at: float | None = None
        self.awaited: Awaited | None = None
        self.asked_again: int | None = None
        self.onset: Onset | None = None

    @property
    def output_rate(self) -> int:
        """Hz of what we hear."""
        return self.granted.output_rate if self.granted else self.settings.output_rate

    @property
    def input_rate(self) -> int:
        """Hz of what we send."""
        return self.granted.input_rate if self.granted else self.settings.input_rate

    def answer(self, response_id: str) -> Answer:
        """The response with this id; one that was never announced belongs to the current turn."""
        return self.answers.find(response_id, self.turn)

    def under_way(self) -> bool:
        """Whether the server is making an answer for the current turn."""
        return any(answer.turn == self.turn for answer in self.answers.under_way().values())

    def free(self) -> bool:
        """Whether the model may be asked to speak now."""
        return not self.user_speaks and not self.answers.under_way()

    def promised(self) -> bool:
        """Whether an answer is to come for the current turn, as far as we know."""
        awaited = self.awaited is not None and self.awaited.turn == self.turn
        coming = self.requests.pending_in(self.turn) or self.calls.pending_in(self.turn)
        return awaited or coming or self.under_way()

    def said(self, utterance: Utterance, played: int) -> AgentSaid:
        """An utterance has ended at ``played``: what was heard of it enters the memory."""
        key, text = utterance.key, utterance.text
        if key is None:
            words = self.answer(utterance.response_id).words_of(utterance.item_id)
            words.told = True
            key, text = (self.connection, utterance.item_id), words.text
        heard, received = utterance.heard(played), utterance.received
        part = heard_words(text, heard, received, self.output_rate, complete=utterance.complete)
        cut = heard < received or utterance.broken or not utterance.complete
        self.memory.enter(key, AgentLine(utterance.turn, part, cut=cut))
        return AgentSaid(utterance.turn, utterance.item_id, text, self.ms(heard), self.ms(received))

    def ms(self, samples: int) -> int:
        """Milliseconds of playout."""
        return samples_to_ms(samples, self.output_rate)
