"""What crosses the border of the core: moments in, commands and facts out. All frozen."""

from dataclasses import dataclass
from typing import NamedTuple

from voice_agent.dialogue.manners import Outcome
from voice_agent.errors import SessionError
from voice_agent.formats import Sounded
from voice_agent.realtime.events import ClientEvent


class Moment(NamedTuple):
    """When, on both of our clocks: the only way that time and audio enter the core.

    ``now``: monotonic seconds. ``queued``: the playout position at which the next sample played will stand.
    ``played``: the position up to which sound has left the loudspeaker. Both count samples at the output
    rate. ``sent``: the position in the captured sound up to which it went to this server, in samples at the
    input rate; ``skipped``: so many of them did not, since the session went live. Positions never wrap.
    ``onset``: how the sample at ``Dialogue.onset`` came out, once it was given to the device.
    """

    now: float
    queued: int
    played: int
    sent: int = 0
    skipped: int = 0
    onset: Sounded | None = None


# ----------------------------------------------------------------------------------------- commands


@dataclass(frozen=True, slots=True)
class Send:
    """Put an event into the outbox."""

    event: ClientEvent


@dataclass(frozen=True, slots=True)
class Play:
    """Append whole samples (PCM16). ``starts``: an item begins, so a pause before it is no gap."""

    pcm: bytes
    starts: bool


@dataclass(frozen=True, slots=True)
class Finish:
    """What was played last is complete: do not wait for more of it, and silence after it is no gap."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Stop sounding now and forget what is queued."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model made. ``arguments``: JSON text, not yet validated."""

    call_id: str
    name: str
    arguments: str
    turn: int


@dataclass(frozen=True, slots=True)
class RunTool:
    """Run a tool and report its ``ToolOutcome``. ``lasting``: not even the end of the connection cuts it."""

    call: ToolCall
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class CancelTool:
    """Give up a call that runs; it has been answered, and what becomes of it is of no interest."""

    call_id: str


@dataclass(frozen=True, slots=True)
class Granted:
    """The session is ready, at these rates (Hz). The daemon obeys them, whatever it asked for."""

    input_rate: int
    output_rate: int


@dataclass(frozen=True, slots=True)
class Abandon:
    """This connection is of no more use."""

    error: SessionError


@dataclass(frozen=True, slots=True)
class Tell:
    """Let the observers know a fact."""

    fact: "Fact"


Command = Send | Play | Finish | Silence | RunTool | CancelTool | Granted | Abandon | Tell


class ToolOutcome(NamedTuple):
    """A tool's answer. ``output``: the text for the model, which describes a failure unless ``ok``."""

    call_id: str
    output: str
    outcome: Outcome
    seconds: float

    @property
    def ok(self) -> bool:
        """The tool did its work."""
        return self.outcome == "ok"


# -------------------------------------------------------------------------------------------- facts


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """The user began to speak. ``interrupts``: the agent was still to be heard."""

    turn: int
    interrupts: bool


@dataclass(frozen=True, slots=True)
class UserStopped:
    """The server's endpointing decided that the user has finished.

    ``late_s``: so much sound had been sent to it by then beyond the end that it names, if it names one.
    """

    turn: int
    late_s: float | None = None


@dataclass(frozen=True, slots=True)
class UserSaid:
    """What the user said, as the server understood it. Private: never logged unless asked for."""

    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class FirstSound:
    """The answer's first sample left the loudspeaker, this long after the user had stopped.

    Of these ``seconds``, ``model_s`` passed before the answer's first audio arrived; it was held back on
    purpose for ``hold_s``; and the device needed ``device_s`` to make it heard.
    """

    turn: int
    seconds: float
    model_s: float
    hold_s: float = 0.0
    device_s: float = 0.0

    @property
    def own_s(self) -> float:
        """The rest, which the daemon needed."""
        return max(self.seconds - self.model_s - self.hold_s - self.device_s, 0.0)


@dataclass(frozen=True, slots=True)
class AgentSaid:
    """An item of an answer has ended. ``text``: what the model wrote; ``heard_ms`` of ``sent_ms`` sounded."""

    turn: int
    item_id: str
    text: str
    heard_ms: int
    sent_ms: int


@dataclass(frozen=True, slots=True)
class Silenced:
    """The user's speech silenced the agent: items cut, and how much of the last audible one was heard."""

    turn: int
    items: int
    heard_ms: int


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The model called a tool. ``here`` is false for tools that run on the server."""

    turn: int
    name: str
    arguments: str
    here: bool


@dataclass(frozen=True, slots=True)
class ToolAnswered:
    """A tool's answer went back to the model."""

    turn: int
    name: str
    outcome: Outcome
    seconds: float

    @property
    def ok(self) -> bool:
        """The tool did its work."""
        return self.outcome == "ok"


@dataclass(frozen=True, slots=True)
class ToolsRefused:
    """The server would not have these tools: they were left out, and the conversation goes on without."""

    names: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class AnswerDropped:
    """Audio of an older turn arrived late and was not played."""

    turn: int
    seconds: float


@dataclass(frozen=True, slots=True)
class AnswerFailed:
    """An answer ended without doing its work."""

    turn: int
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Stuck:
    """The conversation did not move on, and something was done about it. Few stable words, for counters.

    ``kind``: endless_speech, no_response, no_progress, no_audio, failed, tool, refused. ``remedy``:
    committed, asked, asked_again, cancelled, answered, abandoned.
    """

    turn: int
    kind: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Restored:
    """A new connection was told what was said before it."""

    turns: int
    chars: int


@dataclass(frozen=True, slots=True)
class TokensUsed:
    """What a response cost, in tokens. ``input_cached`` are part of the input, and cheaper."""

    turn: int
    input_text: int
    input_audio: int
    input_cached: int
    output_text: int
    output_audio: int

    @property
    def total(self) -> int:
        """Both directions."""
        return self.input_text + self.input_audio + self.output_text + self.output_audio


@dataclass(frozen=True, slots=True)
class ServerFault:
    """The server reported an error, or sent something that is none of the protocol's events."""

    kind: str
    code: str
    message: str


Fact = (
    TurnStarted
    | UserStopped
    | UserSaid
    | FirstSound
    | AgentSaid
    | Silenced
    | ToolCalled
    | ToolAnswered
    | ToolsRefused
    | AnswerDropped
    | AnswerFailed
    | Stuck
    | Restored
    | TokensUsed
    | ServerFault
)
