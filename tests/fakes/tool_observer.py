"""Somebody who sees what anybody can see (events, commands, time), knows the tools, and keeps his own books.

He holds the core to its manners: each method of his asserts. Nothing here is taken from the core's own books.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.fakes.model_speaker import ModelSpeaker
from voice_agent.dialogue import (
    AnswerFailed,
    CancelTool,
    Carried,
    Command,
    Dialogue,
    Manners,
    Outcome,
    Play,
    Reply,
    RunTool,
    Send,
    State,
    Stuck,
    Tell,
    ToolAnswered,
)
from voice_agent.realtime.events import (
    AudioDelta,
    CancelResponse,
    ClientEvent,
    CreateItem,
    CreateResponse,
    Item,
    OutputItemDone,
    ResponseCreated,
    ResponseDone,
    ResponseInfo,
    ServerError,
    ServerEvent,
    SessionUpdate,
    SpeechStarted,
    SpeechStopped,
    ToolSpec,
)

MOST = 8
SLACK_S = 5.0
"""So long after its own limit a call is answered for."""
PAUSE_S = 1.0
"""After a refusal, or an answer that failed."""
NAP_S = 0.05


@dataclass
class Made:
    """A call. ``epoch``: in which turn, by the observer's count."""

    name: str
    batch: str
    epoch: int
    manners: Manners
    began: float | None = None
    cancelled: bool = False
    given: Outcome | None = None
    outcome: str = ""

    @property
    def running(self) -> bool:
        return self.began is not None and not self.outcome


@dataclass
class Batch:
    """A response that may call tools."""

    epoch: int
    sounded: bool = False
    status: str = ""
    dealt_with: bool = False


@dataclass
class Line:
    """One connection. ``due``: the reasons to ask for speech. ``question``: the user waits for an answer."""

    made: dict[str, Made] = field(default_factory=dict)
    batches: dict[str, Batch] = field(default_factory=dict)
    due: set[str] = field(default_factory=set)
    requests: dict[str, int] = field(default_factory=dict)
    outstanding: str = ""
    expecting: bool = False
    resent: bool = False
    hears_user: bool = False
    hushed: bool = False
    question: bool = False
    confirmed: bool = False
    live: bool = False
    declared: int = -1
    pause_ends: float = 0.0
    refused_at: float | None = None

    @property
    def underway(self) -> dict[str, Batch]:
        return {key: batch for key, batch in self.batches.items() if not batch.status}

    def open(self) -> list[Made]:
        return [made for made in self.made.values() if not made.outcome]


class Observer:
    """``tools``: how often the tools have changed. ``answered``: what the memory should say of calls."""

    def __init__(self, tools: Mapping[str, Manners], speaker: ModelSpeaker) -> None:
        self.known = tools
        self.speaker = speaker
        self.epoch = self.tools = 0
        self.answered: Counter[tuple[str, str]] = Counter()
        self.line = Line()

    def connects(self, carried: Carried) -> None:
        """A new connection."""
        self.line = Line(resent=carried.question is not None)
        if carried.owed:
            self.line.due.add("owed")

    def waits(self) -> list[Made]:
        """Open calls for which somebody waits."""
        calls = [made for made in self.line.open() if made.epoch == self.epoch]
        return [made for made in calls if self.line.batches[made.batch].status != "cancelled"]

    def coming(self) -> bool:
        """Whether a tool or a request still stands between the user and his answer."""
        requested = self.line.requests.get(self.line.outstanding) == self.epoch
        return bool(self.waits() or self.line.due or requested)

    # ------------------------------------------------------------------------------ what is said to it

    def before(self, event: ServerEvent) -> None:
        """The core is about to be told of this."""
        line = self.line
        match event:
            case SpeechStarted():
                self.new_epoch()
                line.hears_user, line.expecting, line.resent = True, False, False
            case SpeechStopped():
                line.hears_user, line.expecting = False, True
                line.question = not line.hushed  # else the button came after all that he said
            case OutputItemDone(item=item, response_id=batch) if item.type == "function_call":
                self.makes(item, batch)
            case ResponseDone(response=info):
                self.ends(info)
            case ServerError(error=error) if str(error.event_id) in line.requests:
                self.refusal(str(error.event_id))

    def after(self, event: ServerEvent, commands: Sequence[Command]) -> None:
        """What the core did about it."""
        sends = [command.event for command in commands if isinstance(command, Send)]
        cancels = {str(each.response_id) for each in sends if isinstance(each, CancelResponse)}
        match event:
            case ResponseCreated(response=info):
                self.begins(info.id, stale=info.id in cancels)
            case AudioDelta(response_id=response_id):
                batch = self.line.batches[response_id]
                plays = any(isinstance(command, Play) for command in commands)
                assert plays is (batch.epoch == self.epoch), "the answer to this turn is heard, and no other"
                batch.sounded |= plays

    def silenced(self, commands: Sequence[Command]) -> None:
        """Somebody has pressed a button."""
        line = self.line
        if line.hears_user:
            assert not commands
            return
        sends = [command.event for command in commands if isinstance(command, Send)]
        cancels = {str(each.response_id) for each in sends if isinstance(each, CancelResponse)}
        assert cancels >= set(line.underway), "it goes on for nobody"

    def before_silence(self) -> None:
        """Somebody presses a button."""
        if not self.line.hears_user:
            self.new_epoch()
            self.line.hushed, self.line.expecting = True, False

    def new_epoch(self) -> None:
        """A turn begins: what was due is so no more."""
        self.epoch += 1
        self.line.due.clear()
        self.line.hushed = self.line.question = False

    def makes(self, item: Item, batch: str) -> None:
        """The model makes a call; it may be told twice."""
        name, epoch = str(item.name), self.line.batches[batch].epoch
        self.line.made.setdefault(str(item.call_id), Made(name, batch, epoch, self.known[name]))

    def begins(self, response_id: str, *, stale: bool) -> None:
        """A response has begun. ``stale``: the core has cancelled it at once."""
        line = self.line
        wanted = line.expecting or line.requests.get(line.outstanding) == self.epoch
        assert stale or wanted or not line.hushed, "the user has asked for silence"
        assert not stale or line.hushed or line.hears_user, "it was for this turn"
        assert stale or not (line.hears_user and line.outstanding), "it is for an older turn"
        line.batches[response_id] = Batch(-1 if stale else self.epoch)
        line.expecting, line.outstanding = False, ""
        line.hears_user &= stale

    def ends(self, info: ResponseInfo) -> None:
        """A response is over; it names its calls once more."""
        line = self.line
        for item in info.output:
            if item.type == "function_call":
                self.makes(item, info.id)
        line.batches[info.id].status = str(info.status)
        line.pause_ends, line.refused_at = 0.0, None
        self.look_at(info.id)
        if line.batches[info.id].epoch == self.epoch and not self.coming():
            line.question = False

    def refusal(self, event_id: str) -> None:
        """A request has lost a race; an earlier one is made good by its successor."""
        line = self.line
        line.pause_ends = max(line.pause_ends, self.speaker.now + PAUSE_S)
        if event_id == list(line.requests)[-1] and line.requests[event_id] == self.epoch:
            line.due.add("refused")
        if line.outstanding == event_id:
            line.outstanding, line.refused_at = "", self.speaker.now

    def look_at(self, response_id: str) -> None:
        """Whether a batch is complete, and what follows."""
        batch = self.line.batches[response_id]
        calls = [made for made in self.line.made.values() if made.batch == response_id]
        if batch.dealt_with or not calls or not batch.status or not all(made.outcome for made in calls):
            return
        batch.dealt_with = True
        if batch.status == "cancelled" or batch.epoch != self.epoch:
            return
        replies = {made.manners.reply for made in calls if made.outcome == "ok"}
        if (
            Reply.ALWAYS in replies
            or (Reply.IF_SILENT in replies and not batch.sounded)
            or any(made.outcome not in ("ok", "cancelled") for made in calls)
            or batch.status != "completed"
        ):
            self.line.due.add(response_id)
        elif not self.coming():
            self.line.question = False

    # ------------------------------------------------------------------------------ what the core does

    def check(self, command: Command, rest: Sequence[Command]) -> None:
        """One command, and those that follow it."""
        match command:
            case RunTool(call, lasting):
                self.check_run(call.call_id, lasting)
            case CancelTool(call_id):
                self.check_cancel(call_id)
            case Send(event):
                self.check_sent(event, rest)
            case Tell(Stuck(remedy="asked" | "asked_again" | "committed" as remedy)):
                self.line.due.add("stuck")
                if remedy == "committed":  # a speech without end
                    self.line.hears_user = False
                if remedy == "asked_again":
                    self.line.pause_ends = max(self.line.pause_ends, self.speaker.now + PAUSE_S)
            case Tell(AnswerFailed(turn, status)) if turn == self.epoch:
                assert status not in ("incomplete", "failed") or not self.coming(), "it may still come"
                self.line.question = False

    def check_run(self, call_id: str, lasting: bool) -> None:
        """A call begins."""
        made = self.line.made[call_id]
        assert made.began is None, "a call runs once"
        assert not made.outcome
        assert lasting is not made.manners.cancellable
        assert made.epoch == self.epoch or not made.manners.cancellable, "nobody wants it any more"
        if not made.manners.parallel:
            same = [other for other in self.line.made.values() if other.name == made.name]
            assert all(other.outcome for other in same[: same.index(made)]), "out of order, or side by side"
        made.began = self.speaker.now

    def check_cancel(self, call_id: str) -> None:
        """A call is given up."""
        made = self.line.made[call_id]
        assert made.running
        assert made.manners.cancellable
        assert made.epoch < self.epoch
        made.cancelled = True

    def check_sent(self, event: ClientEvent, rest: Sequence[Command]) -> None:
        """Something goes to the server."""
        match event:
            case CreateItem(item=item) if item.type == "function_call_output":
                facts = [c.fact for c in rest if isinstance(c, Tell) and isinstance(c.fact, ToolAnswered)]
                self.check_output(str(item.call_id), str(item.output), facts[0])
            case CreateResponse(event_id=event_id):
                self.check_request(str(event_id))
            case SessionUpdate(session=session):
                assert session.tools == [ToolSpec(name=f"tool_{self.tools}")]
                assert self.line.declared < self.tools, "told once"
                self.line.declared = self.tools

    def check_output(self, call_id: str, output: str, fact: ToolAnswered) -> None:
        """A call is answered, for a reason that can be seen."""
        made = self.line.made[call_id]
        assert not made.outcome, "a call is answered once"
        ran_s = self.speaker.now - made.began if made.began is not None else 0.0
        match fact.outcome:
            case outcome if outcome == made.given:
                assert made.running
            case "cancelled":
                assert made.manners.cancellable
                assert made.epoch < self.epoch
                assert made.cancelled is (made.began is not None)
            case "refused":
                assert made.began is None
                assert len(self.line.open()) > MOST
            case outcome:
                assert outcome == "timeout"
                assert made.began is not None
                assert ran_s >= made.manners.timeout_s
        assert made.given or "error" in output
        assert fact.name == made.name
        made.outcome = fact.outcome
        self.answered[made.name, output] += 1
        self.look_at(made.batch)

    def check_request(self, event_id: str) -> None:
        """The model is asked to speak."""
        line = self.line
        assert not line.underway, "speech was asked for while a response was under way"
        assert not line.hears_user, "speech was asked for while the user speaks"
        assert line.due, "speech was asked for without a reason, or twice for one"
        assert not line.outstanding, "two requests at once"
        assert event_id not in line.requests, "a refusal must say which"
        if line.refused_at is not None:
            assert self.speaker.now >= line.refused_at + PAUSE_S, "a tight loop"
        line.due.clear()
        line.outstanding, line.requests[event_id] = event_id, self.epoch

    # ------------------------------------------------------------------------------ how things stand

    def check_calls(self, dialogue: Dialogue) -> None:
        """Open calls are where they should be."""
        calls = self.line.open()
        assert dialogue.turn == self.epoch
        assert len(calls) <= MOST
        assert not calls or dialogue.quiet_since is None, "a session with tools at work is not quiet"
        for made in calls:
            assert made.epoch == self.epoch or not made.manners.cancellable, "it should have been given up"
            if made.began is None:
                assert not made.manners.parallel, "it need not wait"
                assert any(other.running and other.name == made.name for other in calls), "for nothing"
                continue
            limit = made.began + made.manners.timeout_s + SLACK_S
            assert self.speaker.now <= limit + NAP_S, "it should have been answered for"
            assert dialogue.deadline is not None
            assert dialogue.deadline <= max(limit, self.speaker.now) + NAP_S, "who wakes it?"

    def check_waiting(self, dialogue: Dialogue) -> None:
        """Who waits is shown as waiting, and nobody else; and what may be asked for now has been."""
        line = self.line
        assert line.declared == self.tools or not line.confirmed, "new tools are declared at once"
        coming = self.coming() or line.expecting or any(b.epoch == self.epoch for b in line.underway.values())
        assert not coming or dialogue.state is not State.IDLE
        assert coming or line.resent or line.outstanding or dialogue.state is not State.THINKING
        if line.due and line.live and not (line.underway or line.hears_user or line.outstanding):
            assert self.speaker.now < line.pause_ends + NAP_S, "what is the core waiting for?"

    def check_left(self, carried: Carried, state: State) -> None:
        """The connection has gone: what its user waits for is handed on, and nothing else."""
        owed = carried.owed or carried.question is not None
        given_up = any(isinstance(fact, AnswerFailed) for fact in carried.facts)
        assert not owed or state is not State.IDLE, "nobody waits for that"
        if self.line.question and self.coming():
            assert owed or given_up, "the user has had no answer"
