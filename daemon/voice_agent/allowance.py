"""The day's allowance as sessions see it: what each of them has used is noted in the budget, once."""

from voice_agent.budget import Budget
from voice_agent.dialogue import Fact, TokensUsed
from voice_agent.formats import samples_to_s
from voice_agent.ports import Ports
from voice_agent.session import Session, SessionStatistics


class Allowance:
    """Keeps the account of sessions; an observer of facts, too, as these tell of tokens."""

    def __init__(self, budget: Budget, ports: Ports) -> None:
        self.streamed_s = 0.0
        """Sound that went to servers since the start, in seconds."""
        self.received_s = 0.0
        """Sound that came from them."""
        self._budget = budget
        self._ports = ports
        self._accounted: tuple[Session, SessionStatistics] | None = None

    @property
    def exhausted(self) -> bool:
        """Nothing is left of the day's allowance."""
        return self._budget.exhausted

    def account(self, session: Session) -> None:
        """Note the sound that a session has sent and received since it was last asked."""
        now = session.statistics()
        sent, received = now.samples_sent, now.samples_received
        if self._accounted and self._accounted[0] is session:
            sent -= self._accounted[1].samples_sent
            received -= self._accounted[1].samples_received
        self._accounted = session, now
        sent_s = samples_to_s(sent, self._ports.microphone.rate)
        received_s = samples_to_s(received, self._ports.speaker.rate)
        self.streamed_s += sent_s
        self.received_s += received_s
        self._budget.streamed(sent_s=sent_s, received_s=received_s)

    def __call__(self, fact: Fact) -> None:
        """Note a fact, if it tells of tokens."""
        if isinstance(fact, TokensUsed):
            self._budget.spent(
                {
                    "input_text": fact.input_text,
                    "input_audio": fact.input_audio,
                    "output_text": fact.output_text,
                    "output_audio": fact.output_audio,
                }
            )
