"""Drives a dialogue by hand: events in, commands out, one loudspeaker, one clock."""

from collections.abc import Sequence
from typing import TypeVar

from tests.fakes.model_speaker import ModelSpeaker
from voice_agent.dialogue import (
    Carried,
    Command,
    Dialogue,
    Fact,
    Manners,
    Memory,
    Moment,
    Outcome,
    Send,
    Tell,
    ToolOutcome,
)
from voice_agent.realtime.events import (
    AudioDelta,
    ClientEvent,
    Item,
    Malformed,
    OutputItemAdded,
    OutputItemDone,
    ResponseCreated,
    ResponseDone,
    ResponseInfo,
    ServerEvent,
    SpeechStarted,
    SpeechStopped,
    TranscriptDelta,
    TranscriptionCompleted,
    Unrecognised,
)
from voice_agent.realtime.providers import OPENAI, Provider, SessionSettings

FactT = TypeVar("FactT", bound=Fact)

MS = 24
"""Samples in a millisecond at 24 kHz."""

INPUT_RATE = 24000


class Conversation:
    """A dialogue, a loudspeaker and a microphone that is never silent, driven by hand.

    ``drops`` and ``reconnects`` make a new dialogue over the same memory. ``manners``: of tools, by name.
    """

    def __init__(
        self, provider: Provider = OPENAI, settings: SessionSettings | None = None, **manners: Manners
    ) -> None:
        self.provider, self.settings, self.manners = provider, settings or SessionSettings(), manners
        self.speaker = ModelSpeaker()
        self.memory = Memory()
        self.dialogue = self._dialogue()
        self.carried = Carried()
        self.commands: list[Command] = []

    def _dialogue(self, turn: int = 0) -> Dialogue:
        return Dialogue(
            self.provider,
            self.settings,
            turn=turn,
            memory=self.memory,
            manners=lambda name: self.manners.get(name, Manners()),
        )

    def moment(self) -> Moment:
        """The present, with what the dialogue wants to know."""
        return self.speaker.moment(self.dialogue.onset)

    def hears(self, *events: ServerEvent | Unrecognised | Malformed) -> list[Command]:
        """The server says something; returns what the dialogue wants done about it."""
        fresh: list[Command] = []
        for event in events:
            commands = self.dialogue.receive(event, self.moment())
            self._obey(commands)
            fresh += commands
        return fresh

    def waits(self, seconds: float) -> list[Command]:
        """Time passes, and the dialogue is woken at its deadlines."""
        until = self.speaker.now + seconds
        fresh: list[Command] = []
        while (deadline := self.dialogue.deadline) is not None and deadline <= until:
            self._elapse(max(deadline - self.speaker.now, 0.0))
            commands = self.dialogue.wake(self.moment())
            self._obey(commands)
            fresh += commands
        self._elapse(max(until - self.speaker.now, 0.0))
        return fresh

    def _elapse(self, seconds: float) -> None:
        self.speaker.elapse(seconds)
        self.speaker.sent += round(seconds * INPUT_RATE)

    def answers_tool(self, call_id: str, output: str = "{}", outcome: Outcome = "ok") -> list[Command]:
        """A tool finishes."""
        finished = ToolOutcome(call_id, output, outcome, seconds=0.1)
        commands = list(self.dialogue.tool_finished(finished, self.moment()))
        self._obey(commands)
        return commands

    def goes_live(self) -> list[Command]:
        """The captured sound is connected."""
        commands = list(self.dialogue.go_live(self.moment(), self.carried))
        self._obey(commands)
        return commands

    def drops(self) -> Carried:
        """The connection is lost."""
        self.carried = self.dialogue.leave(self.moment())
        return self.carried

    def reconnects(self) -> list[Command]:
        """A new connection is ready, and hears from where it should."""
        self.dialogue = self._dialogue(self.carried.turn)
        if self.carried.resend_from is not None:
            self.speaker.sent = self.carried.resend_from
        return self.goes_live()

    def _obey(self, commands: Sequence[Command]) -> None:
        self.speaker.obey(commands)
        self.commands += commands

    def user_speaks(self, words: str = "", item: str = "") -> None:
        """The user says something and stops; his words are recognised at once, or not at all."""
        self.hears(SpeechStarted(item_id=item), SpeechStopped(item_id=item))
        if words:
            self.hears(TranscriptionCompleted(item_id=item, transcript=words))

    def agent_answers(self, *, item: str = "a", ms: int = 1000, response: str = "r", words: str = "") -> None:
        """A whole answer arrives at once."""
        self.hears(
            ResponseCreated(response=ResponseInfo(id=response)),
            OutputItemAdded(response_id=response, item=Item(id=item)),
            TranscriptDelta(response_id=response, item_id=item, delta=words),
            audio(ms, item=item, response=response),
            OutputItemDone(response_id=response, item=Item(id=item)),
            ResponseDone(response=ResponseInfo(id=response, status="completed")),
        )


def begun(response: str = "r") -> ResponseCreated:
    """The model begins an answer."""
    return ResponseCreated(response=ResponseInfo(id=response))


def audio(ms: int, *, item: str = "a", response: str = "r", index: int = 0) -> AudioDelta:
    """So much sound of an answer."""
    return AudioDelta(response_id=response, item_id=item, content_index=index, delta=b"\1\0" * ms * MS)


def call(name: str, call_id: str, response: str = "r") -> OutputItemDone:
    """The model calls a tool."""
    item = Item(id=f"i_{call_id}", type="function_call", name=name, call_id=call_id, arguments="{}")
    return OutputItemDone(response_id=response, item=item)


def done(response: str = "r", status: str = "completed") -> ResponseDone:
    """The model has finished an answer."""
    return ResponseDone(response=ResponseInfo(id=response, status=status))


def sent(commands: Sequence[Command]) -> list[ClientEvent]:
    """What goes to the server."""
    return [command.event for command in commands if isinstance(command, Send)]


def told(commands: Sequence[Command], kind: type[FactT]) -> list[FactT]:
    """The facts of one kind."""
    return [c.fact for c in commands if isinstance(c, Tell) and isinstance(c.fact, kind)]
