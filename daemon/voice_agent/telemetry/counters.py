"""What has happened since the start, in plain numbers: an observer of the conversation, and a few verbs.

Counts only grow. Their labels are few whatever a server or a model invents: a name that is not known, or one
too many, counts as ``other``. What was said is never kept.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, fields
from typing import TypeVar

from voice_agent.dialogue import (
    AgentSaid,
    AnswerDropped,
    AnswerFailed,
    Fact,
    FirstSound,
    Restored,
    ServerFault,
    Silenced,
    Stuck,
    TokensUsed,
    ToolAnswered,
    ToolCalled,
    TurnStarted,
    UserStopped,
)
from voice_agent.distribution import Distribution
from voice_agent.errors import Cause
from voice_agent.realtime.providers import Verdict
from voice_agent.telemetry.own_words import OwnWords

OTHER = "other"
MAX_LABELS = 20
"""Our own words for a thing are fewer, if they are not all listed; a server's are endless."""

MAX_TOOLS = 200
"""More than are ever offered at once; servers of tools may rename theirs every day."""

FIRST_AUDIO_S = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0)
ENDPOINTING_S = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0)
BRIEF_S = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.35, 0.5, 1.0)
STAGES = {"model": FIRST_AUDIO_S, "hold": BRIEF_S, "own": BRIEF_S, "device": BRIEF_S}
"""What the time to the first sound consists of: bounds for each."""
TOOL_S = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
RECONNECT_S = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)

ENDS = ("failed", "incomplete", "cancelled", "cut", "given up", "unheard")
"""How answers end that did not do their work."""

FAULTS = (*(verdict.value for verdict in Verdict), "unrecognised", "malformed")

STUCK = (
    ("endless_speech", "committed"),
    ("endless_speech", "abandoned"),
    ("no_response", "asked"),
    ("no_response", "abandoned"),
    ("refused", "abandoned"),
    ("no_progress", "cancelled"),
    ("no_progress", "asked_again"),
    ("no_progress", "abandoned"),
    ("no_audio", "asked_again"),
    ("failed", "asked_again"),
    ("tool", "answered"),
)

Label = TypeVar("Label", str, tuple[str, str])
TOKENS = tuple((way, kind) for way in ("input", "output") for kind in ("text", "audio"))


def _zeros(labels: Iterable[Label]) -> Counter[Label]:
    """From the start, so that the first increase is seen."""
    return Counter(dict.fromkeys(labels, 0))


def _causes() -> Counter[str]:
    return _zeros(cause.value for cause in Cause)


@dataclass(slots=True)
class Counts:
    """Totals since the start."""

    turns: int = 0
    interruptions: int = 0
    answers: int = 0
    """Answers that began to sound."""
    self_interruptions: int = 0
    """Interruptions that repeated the words of what they interrupted."""
    answers_failed: Counter[str] = field(default_factory=lambda: _zeros(ENDS))
    """By the status with which they ended."""
    first_audio: Distribution = field(default_factory=lambda: Distribution(FIRST_AUDIO_S))
    stages: dict[str, Distribution] = field(
        default_factory=lambda: {stage: Distribution(bounds) for stage, bounds in STAGES.items()}
    )
    """The same in parts, which add up."""
    endpointing: Distribution = field(default_factory=lambda: Distribution(ENDPOINTING_S))
    """From the end of speech, where the server puts it, to its word of it."""
    heard_ms: int = 0
    """Of answers, what sounded."""
    unheard_ms: int = 0
    """Of answers, what had arrived and was cut off."""
    late_s: float = 0.0
    """Of answers to older turns, which arrived late and were not played."""
    stuck: Counter[tuple[str, str]] = field(default_factory=lambda: _zeros(STUCK))
    """Conversations that had to be helped on, by what did not come and by what was done."""
    faults: Counter[str] = field(default_factory=lambda: _zeros(FAULTS))
    """Complaints of the server and events that are none, by kind."""
    tool_calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By tool and outcome; ``remote`` is what runs on the server."""
    tool_s: dict[str, Distribution] = field(default_factory=dict)
    """How long calls took here, by tool."""
    tokens: Counter[tuple[str, str]] = field(default_factory=lambda: _zeros(TOKENS))
    """By direction (``input`` or ``output``) and kind (``text`` or ``audio``)."""
    cached_tokens: int = 0
    """Of the input, and cheaper."""
    sessions: int = 0
    """Sessions that went live."""
    reconnect: Distribution = field(default_factory=lambda: Distribution(RECONNECT_S))
    """From the end of a session to the next live one."""
    renewals: int = 0
    parkings: int = 0
    exhaustions: int = 0
    """Days whose allowance was used up."""
    refusals: int = 0
    """Wrong passwords at the port of the metrics."""
    restored: int = 0
    """Sessions that began with what had been said before."""
    disconnects: Counter[str] = field(default_factory=_causes)
    """Sessions that went live and were lost, by cause."""
    attempts_failed: Counter[str] = field(default_factory=_causes)
    """Sessions that never went live, by cause."""
    last_disconnect: str = ""
    """The cause of the last of either."""

    def copy(self) -> "Counts":
        """As they are now."""
        copied = Counts()
        for each in fields(self):
            setattr(copied, each.name, _copied(getattr(self, each.name)))
        return copied


class Counters:
    """Observes the conversation's facts; ``tools`` count under their own names, as they change."""

    def __init__(self, tools: Collection[str] = ()) -> None:
        self._tools = tools
        self._named: set[str] = set()
        self._counts = Counts()
        self._own_words = OwnWords()
        self._is_live = False

    def statistics(self) -> Counts:
        """The totals as they are now; a tool is there from the start, so that its increase is seen."""
        counts = self._counts.copy()
        for tool in self._tools:
            counts.tool_calls.update({(tool, "ok"): 0, (tool, "failed"): 0})
        return counts

    # -------------------------------------------------------------------------------------- sessions

    def live(self, after_s: float | None, *, renewed: bool) -> None:
        """A session hears and speaks, so long after the last one; ``None``: it is the first."""
        self._is_live = True
        self._counts.sessions += 1
        self._counts.renewals += renewed
        if after_s is not None and not renewed:
            self._counts.reconnect.add(after_s)

    def lost(self, cause: Cause) -> None:
        """A session ended, or could not be opened."""
        counts, was_live, self._is_live = self._counts, self._is_live, False
        (counts.disconnects if was_live else counts.attempts_failed)[cause.value] += 1
        counts.last_disconnect = cause.value

    def unprepared(self, cause: Cause) -> None:
        """The successor of a live session could not be opened."""
        self._counts.attempts_failed[cause.value] += 1

    def parked(self) -> None:
        """A session was closed until somebody speaks."""
        self._is_live = False
        self._counts.parkings += 1

    def exhausted(self) -> None:
        """The day's allowance is used up."""
        self._is_live = False
        self._counts.exhaustions += 1

    def refused(self) -> None:
        """Somebody gave a wrong password at the port of the metrics."""
        self._counts.refusals += 1

    # ----------------------------------------------------------------------------------------- facts

    def __call__(self, fact: Fact) -> None:
        """Count one fact; those that are not counted pass."""
        counts = self._counts
        counts.self_interruptions += self._own_words.suspects(fact)
        match fact:
            case TurnStarted():
                counts.turns += 1
            case Silenced():
                counts.interruptions += 1
            case UserStopped(late_s=float(late_s)):
                counts.endpointing.add(late_s)
            case FirstSound():
                self._sounded(fact)
            case AgentSaid(heard_ms=heard_ms, sent_ms=sent_ms):
                counts.heard_ms += heard_ms
                counts.unheard_ms += max(sent_ms - heard_ms, 0)
            case AnswerFailed(status=status):
                _count(counts.answers_failed, status)
            case AnswerDropped(seconds=seconds):
                counts.late_s += seconds
            case ServerFault(kind=kind):
                _count(counts.faults, kind)
            case _:
                self._work(fact)

    def _work(self, fact: Fact) -> None:
        match fact:
            case ToolCalled(name=name, here=False):  # few names, reserved by the provider
                self._counts.tool_calls[name, "remote"] += 1
            case ToolAnswered():
                self._answered(fact)
            case Stuck(kind=kind, remedy=remedy):
                self._counts.stuck[kind, remedy] += 1
            case Restored():
                self._counts.restored += 1
            case TokensUsed():
                self._used(fact)
            case _:
                pass

    def _sounded(self, fact: FirstSound) -> None:
        counts = self._counts
        counts.answers += 1
        counts.first_audio.add(fact.seconds)
        parts = {"model": fact.model_s, "hold": fact.hold_s, "own": fact.own_s, "device": fact.device_s}
        for stage, seconds in parts.items():
            counts.stages[stage].add(seconds)

    def _used(self, cost: TokensUsed) -> None:
        tokens = self._counts.tokens
        tokens["input", "text"] += cost.input_text
        tokens["input", "audio"] += cost.input_audio
        tokens["output", "text"] += cost.output_text
        tokens["output", "audio"] += cost.output_audio
        self._counts.cached_tokens += cost.input_cached

    def _answered(self, fact: ToolAnswered) -> None:
        tool = self._known(fact.name)
        self._counts.tool_calls[tool, fact.outcome] += 1
        self._counts.tool_s.setdefault(tool, Distribution(TOOL_S)).add(fact.seconds)

    def _known(self, tool: str) -> str:
        """A tool that has been withdrawn keeps its name; a name that a model invented is none."""
        if tool in self._tools and len(self._named) < MAX_TOOLS:
            self._named.add(tool)
        return tool if tool in self._named else OTHER


def _count(counter: Counter[str], label: str) -> None:
    counter[label if label in counter or len(counter) < MAX_LABELS else OTHER] += 1


def _copied(value: object) -> object:
    """By hand: ``deepcopy`` takes five times as long, and there is no depth."""
    match value:
        case Distribution() | Counter():
            return value.copy()
        case dict():
            return {name: each.copy() for name, each in value.items()}
    return value
