"""Random conversations with tools of all manners, barge-ins, failures, rivals of our requests, and drops.

An observer who sees what anybody can see (events, commands, time) and knows each tool's manners keeps books
of his own, and holds the core to them:

* every call is answered exactly once, for a reason that he can see, or handed over with the connection;
* a call runs at most once, in its order, never beside another of a serial tool; never more than eight are
  open, and none waits without having to;
* a new turn, spoken or by a button, gives up every call that may be cancelled, and no other;
* speech is asked for into silence only, once a batch at most, for batches of this turn that want it or have
  failed, and a request that lost a race is repeated;
* nobody is shown as waiting for what he does not wait for; no session is taken for quiet while a tool runs;
* new tools are declared once, and a refusal of them ends nothing;
* when everybody has finished, the agent is idle.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.fakes.model_server import RATE, ModelServer, function_call, message
from tests.fakes.model_speaker import ModelSpeaker
from voice_agent.dialogue import (
    Abandon,
    CancelTool,
    Carried,
    Command,
    Dialogue,
    Manners,
    Memory,
    Outcome,
    Play,
    Reply,
    RunTool,
    Send,
    State,
    Stuck,
    Tell,
    ToolAnswered,
    ToolOutcome,
)
from voice_agent.dialogue.memory import ToolLine
from voice_agent.realtime.events import (
    AudioDelta,
    CancelResponse,
    ClientEvent,
    CreateItem,
    CreateResponse,
    OutputItemDone,
    ResponseCreated,
    ResponseDone,
    ServerError,
    ServerEvent,
    SessionCreated,
    SessionUpdate,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    ToolSpec,
    TurnDetection,
)
from voice_agent.realtime.providers import OPENAI, SessionSettings

TOOLS = {
    f"{lane}_{reply.value}_{weight}_{limit_s}": Manners(lane == "side", reply, weight == "light", limit_s)
    for lane in ("side", "serial")
    for reply in Reply
    for weight in ("light", "lasting")
    for limit_s in (2, 40)
}
SERIAL = [name for name in TOOLS if name.startswith("serial")]
ITEMS = st.one_of(st.integers(1, RATE // 2), st.sampled_from(sorted(TOOLS)), st.sampled_from(SERIAL[:2]))
ENDS = st.sampled_from(["completed"] * 4 + ["incomplete", "failed"])
OUTCOMES: st.SearchStrategy[Outcome] = st.sampled_from(
    ["ok", "ok", "ok", "failed", "crashed", "timeout", "unknown"]
)

MOST = 8
LAG_S = 0.8


@dataclass
class Made:
    """A call, as the observer sees it. ``epoch``: in which turn, by his count."""

    name: str
    batch: str
    epoch: int
    began: float | None = None
    cancelled: bool = False
    given: Outcome | None = None
    outcome: str = ""

    @property
    def manners(self) -> Manners:
        return TOOLS[self.name]

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
    """What the observer knows of one connection."""

    made: dict[str, Made] = field(default_factory=dict)
    batches: dict[str, Batch] = field(default_factory=dict)
    due: set[str] = field(default_factory=set)
    requests: dict[str, int] = field(default_factory=dict)
    outstanding: str = ""
    expecting: bool = False
    resent: bool = False
    hears_user: bool = False
    declared: int = -1

    @property
    def underway(self) -> list[Batch]:
        return [batch for batch in self.batches.values() if not batch.status]

    def open(self) -> list[Made]:
        return [made for made in self.made.values() if not made.outcome]


class Tools(RuleBasedStateMachine):
    @initialize(
        plans=st.lists(st.lists(ITEMS, max_size=5), min_size=1, max_size=8),
        interrupts=st.booleans(),
        refuses=st.booleans(),
    )
    def begin(self, plans: list[list[int | str]], interrupts: bool, refuses: bool) -> None:
        self.plans = deque(plans)
        self.interrupts, self.refuses = interrupts, refuses
        self.speaker = ModelSpeaker(RATE)
        self.memory = Memory(max_turns=1000, max_chars=10**6)
        self.epoch = self.answers = self.tools = 0
        self.user_speaks = False
        self.old: list[tuple[Dialogue, str]] = []
        self.connect(Carried())

    def connect(self, carried: Carried) -> None:
        self.server = ModelServer(self.next_answer, interrupts=self.interrupts)
        self.server.refuses_updates = self.refuses
        self.line = Line(resent=carried.question is not None)
        if carried.owed:
            self.line.due.add("owed")
        self.lag_s = 0.0
        self.dialogue = Dialogue(
            OPENAI,
            SessionSettings(
                turn_detection=TurnDetection(interrupt_response=self.interrupts), tools=self.specs()
            ),
            turn=carried.turn,
            memory=self.memory,
            manners=TOOLS.__getitem__,
        )
        self.deliver(SessionCreated())
        self.server.towards_server.clear()  # no server refuses what it does not know yet
        self.deliver(SessionUpdated())
        self.obey(self.dialogue.go_live(self.speaker.moment(), carried))

    def specs(self) -> tuple[ToolSpec, ...]:
        return (ToolSpec(name=f"tool_{self.tools}"),)

    def next_answer(self, response_id: str) -> deque[ServerEvent]:
        self.answers += 1
        plan = self.plans.popleft() if self.plans else [RATE // 4]
        steps: list[ServerEvent] = []
        for index, entry in enumerate(plan):
            if isinstance(entry, str):
                steps += function_call(response_id, index, entry)
            else:
                steps += message(response_id, index, [entry])
        return deque(steps)

    # ------------------------------------------------------------------------------ what may happen

    @rule(late=st.integers(0, 2))
    @precondition(lambda self: not self.user_speaks)
    def user_starts(self, late: int) -> None:
        self.user_speaks = True
        self.server.user_starts(late)

    @rule()
    @precondition(lambda self: self.user_speaks)
    def user_stops(self) -> None:
        self.user_speaks = False
        self.server.user_stops()

    @rule()
    def somebody_presses_a_button(self) -> None:
        if not self.line.hears_user:
            self.new_epoch()
            self.line.expecting = False
        self.obey(self.dialogue.hush(self.speaker.moment()))

    @rule(steps=st.integers(1, 12), end=ENDS)
    @precondition(lambda self: self.server.active)
    def server_works(self, steps: int, end: str) -> None:
        for _ in range(steps):
            if self.server.active:
                self.server.work(end)

    @rule()
    @precondition(lambda self: self.server.active is None and not self.user_speaks)
    def server_begins_by_itself(self) -> None:
        self.server.begin_by_itself()

    @rule(name=st.sampled_from(sorted(TOOLS)), again=st.booleans(), end=ENDS)
    @precondition(lambda self: self.server.active is None and not self.user_speaks)
    def server_calls_tools_and_all_is_read(self, name: str, again: bool, end: str) -> None:
        """The shortest way to tools at work; a long one is made of the other rules."""
        self.plans.appendleft([name, name] if again else [name])
        self.server.begin_by_itself()
        self.server_works(12, end)
        self.network_catches_up()

    @rule(count=st.integers(1, 5))
    @precondition(lambda self: self.server.towards_server)
    def server_reads(self, count: int) -> None:
        for _ in range(min(count, len(self.server.towards_server))):
            self.server.read()

    @rule(count=st.integers(1, 12))
    @precondition(lambda self: self.server.towards_client)
    def client_reads(self, count: int) -> None:
        for _ in range(min(count, len(self.server.towards_client))):
            self.deliver(self.server.towards_client.popleft())

    @rule(ms=st.integers(1, 1500))
    def time_passes(self, ms: int) -> None:
        self.lag_s += ms / 1000
        if self.lag_s > LAG_S:
            self.network_catches_up()
        self.speaker.elapse(ms / 1000)
        self.obey(self.dialogue.wake(self.speaker.moment()))

    def network_catches_up(self) -> None:
        self.lag_s = 0.0
        while self.server.towards_server:
            self.server.read()
        while self.server.towards_client:
            self.deliver(self.server.towards_client.popleft())

    @rule(choice=st.integers(0, MOST), outcome=OUTCOMES)
    @precondition(lambda self: any(made.running for made in self.line.made.values()))
    def a_tool_ends(self, choice: int, outcome: Outcome) -> None:
        running = [call_id for call_id, made in self.line.made.items() if made.running]
        self.end_tool(running[choice % len(running)], outcome)

    def end_tool(self, call_id: str, outcome: Outcome) -> None:
        self.line.made[call_id].given = outcome
        self.obey(self.dialogue.tool_finished(self.outcome_of(call_id, outcome), self.speaker.moment()))

    def outcome_of(self, call_id: str, outcome: Outcome) -> ToolOutcome:
        return ToolOutcome(call_id, '{"from": "the tool"}', outcome, 0.1)

    @rule(choice=st.integers(0, MOST))
    @precondition(lambda self: any(made.cancelled for made in self.line.made.values()))
    def a_tool_ends_that_was_given_up(self, choice: int) -> None:
        cancelled = [call_id for call_id, made in self.line.made.items() if made.cancelled]
        outcome = self.outcome_of(cancelled[choice % len(cancelled)], "ok")
        self.obey(
            self.dialogue.tool_finished(outcome, self.speaker.moment())
        )  # and no call is answered twice

    @rule()
    @precondition(lambda self: self.old)
    def a_tool_of_an_earlier_connection_ends(self) -> None:
        self.end_old()

    def end_old(self) -> None:
        dialogue, call_id = self.old.pop()
        unfinished = len(self.unfinished())
        commands = dialogue.tool_finished(self.outcome_of(call_id, "ok"), self.speaker.moment())
        assert [type(command) for command in commands] == [Tell]
        assert len(self.unfinished()) == unfinished - 1, "what came of it takes the place of the note"

    @rule()
    def there_are_other_tools(self) -> None:
        self.tools += 1
        for _ in range(2):
            self.obey(self.dialogue.redeclare(self.specs(), self.speaker.moment()))

    @rule(offline_ms=st.integers(0, 3000))
    def connection_is_lost(self, offline_ms: int) -> None:
        before = len(self.unfinished())
        carried = self.dialogue.leave(self.speaker.moment())
        lasting = [
            call_id
            for call_id, made in self.line.made.items()
            if made.running and not made.manners.cancellable
        ]
        assert len(self.unfinished()) == before + len(lasting), "the next session is told of them"
        self.old += [(self.dialogue, call_id) for call_id in lasting]
        assert not self.dialogue.redeclare((), self.speaker.moment())
        self.speaker.elapse(offline_ms / 1000)
        self.user_speaks = False
        self.connect(carried)

    def unfinished(self) -> list[ToolLine]:
        return [
            line for line in self.memory if isinstance(line, ToolLine) and "do not call it again" in line.text
        ]

    # -------------------------------------------------------------------------------- what is seen

    def deliver(self, event: ServerEvent) -> None:
        line = self.line
        commands: Sequence[Command] | None = None
        match event:
            case SpeechStarted():
                self.new_epoch()
                line.hears_user, line.expecting, line.resent = True, False, False
            case SpeechStopped():
                line.hears_user, line.expecting = False, True
            case ResponseCreated(response=info):
                commands = self.dialogue.receive(event, self.speaker.moment())
                self.note_response(info.id, commands)
            case OutputItemDone(item=item, response_id=batch) if item.type == "function_call":
                line.made[str(item.call_id)] = Made(str(item.name), batch, line.batches[batch].epoch)
            case ResponseDone(response=info):
                line.batches[info.id].status = str(info.status)
                self.look_at(info.id)
            case ServerError(error=error) if str(error.event_id) in line.requests:
                self.note_refusal(str(error.event_id))
        if commands is None:
            commands = self.dialogue.receive(event, self.speaker.moment())
        if isinstance(event, AudioDelta) and any(isinstance(command, Play) for command in commands):
            line.batches[event.response_id].sounded = True
        self.obey(commands)

    def note_response(self, response_id: str, commands: Sequence[Command]) -> None:
        line = self.line
        stale = any(isinstance(c, Send) and isinstance(c.event, CancelResponse) for c in commands)
        line.batches[response_id] = Batch(-1 if stale else self.epoch)
        line.expecting, line.outstanding = False, ""
        line.hears_user &= stale

    def note_refusal(self, event_id: str) -> None:
        is_latest = event_id == list(self.line.requests)[-1]  # an earlier one is made good by its successor
        if is_latest and self.line.requests[event_id] == self.epoch:
            self.line.due.add("refused")
        if self.line.outstanding == event_id:
            self.line.outstanding = ""

    def new_epoch(self) -> None:
        self.epoch += 1
        self.line.due.clear()

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
        wants = (
            Reply.ALWAYS in replies
            or (Reply.IF_SILENT in replies and not batch.sounded)
            or any(made.outcome not in ("ok", "cancelled") for made in calls)
            or batch.status != "completed"
        )
        if wants:
            self.line.due.add(response_id)

    # ------------------------------------------------------------------------------ what is checked

    def obey(self, commands: Sequence[Command]) -> None:
        self.speaker.obey(commands)
        for position, command in enumerate(commands):
            match command:
                case RunTool(call, lasting):
                    self.check_run(call.call_id, lasting)
                case CancelTool(call_id):
                    self.check_cancel(call_id)
                case Send(event):
                    self.check_sent(event, commands[position + 1 :])
                case Tell(Stuck(remedy="asked" | "asked_again" | "committed")):
                    self.line.due.add("stuck")
        deadline = self.dialogue.deadline
        assert deadline is None or deadline > self.speaker.now, "a deadline in the past is a busy loop"
        if any(isinstance(command, Abandon) for command in commands):
            self.connection_is_lost(0)

    def check_run(self, call_id: str, lasting: bool) -> None:
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
        made = self.line.made[call_id]
        assert made.running
        assert made.manners.cancellable
        assert made.epoch < self.epoch
        made.cancelled = True

    def check_sent(self, event: ClientEvent, rest: Sequence[Command]) -> None:
        match event:
            case CreateItem(item=item) if item.type == "function_call_output":
                facts = [c.fact for c in rest if isinstance(c, Tell) and isinstance(c.fact, ToolAnswered)]
                self.check_output(str(item.call_id), str(item.output), facts[0])
            case CreateResponse(event_id=event_id):
                self.check_request(str(event_id))
            case SessionUpdate(session=session):
                assert session.tools == list(self.specs())
                assert self.line.declared < self.tools, "told once"
                self.line.declared = self.tools
        self.server.towards_server.append(event)

    def check_output(self, call_id: str, output: str, fact: ToolAnswered) -> None:
        made = self.line.made[call_id]
        assert not made.outcome, "a call is answered once"
        open_calls = len(self.line.open())
        ran_s = self.speaker.now - made.began if made.began is not None else 0.0
        match fact.outcome:
            case "cancelled":
                assert made.manners.cancellable
                assert made.epoch < self.epoch
                assert made.cancelled is (made.began is not None)
                assert "error" in output
            case "refused":
                assert made.began is None
                assert open_calls > MOST
            case "timeout" if made.given is None:
                assert made.began is not None
                assert ran_s >= made.manners.timeout_s
                assert "error" in output
            case outcome:
                assert outcome == made.given
        assert fact.name == made.name
        made.outcome = fact.outcome
        self.look_at(made.batch)

    def check_request(self, event_id: str) -> None:
        line = self.line
        assert not line.underway, "speech was asked for while a response was under way"
        assert not line.hears_user, "speech was asked for while the user speaks"
        assert line.due, "speech was asked for without a reason, or twice for one"
        assert not line.outstanding, "two requests at once"
        line.due.clear()
        line.outstanding, line.requests[event_id] = event_id, self.epoch

    @invariant()
    def open_calls_are_where_they_should_be(self) -> None:
        if not hasattr(self, "line"):
            return
        calls = self.line.open()
        assert len(calls) <= MOST
        for made in calls:
            assert made.epoch == self.epoch or not made.manners.cancellable, "it should have been given up"
            if made.began is None:
                assert not made.manners.parallel, "it need not wait"
                assert any(other.running and other.name == made.name for other in calls), "for nothing"
        assert not calls or self.dialogue.quiet_since is None, "a session with tools at work is not quiet"

    @invariant()
    def who_waits_and_nobody_else_is_shown_waiting(self) -> None:
        if not hasattr(self, "line"):
            return
        line = self.line
        waits = [made for made in line.open() if made.epoch == self.epoch]
        waits = [made for made in waits if line.batches[made.batch].status != "cancelled"]
        assert not waits or self.dialogue.state is not State.IDLE
        if self.dialogue.state is not State.THINKING:
            return
        coming = any(batch.epoch == self.epoch for batch in line.underway)
        assert waits or coming or line.due or line.outstanding or line.expecting or line.resent

    def teardown(self) -> None:
        """Everybody finishes; then the books must balance."""
        if not hasattr(self, "line"):
            return
        if self.user_speaks:
            self.user_stops()
        for _ in range(400):
            self.server_works(30, "completed")
            self.network_catches_up()
            for call_id in [call_id for call_id, made in self.line.made.items() if made.running]:
                if self.line.made.get(call_id, Made("", "", 0)).running:
                    self.end_tool(call_id, "ok")
            deadline = self.dialogue.deadline
            if not (self.server.active or self.server.towards_server or self.server.towards_client):
                if deadline is None:
                    break
                self.speaker.elapse(max(deadline - self.speaker.now, 0.0))
                self.obey(self.dialogue.wake(self.speaker.moment()))
        while self.old:
            self.end_old()
        assert self.dialogue.state is State.IDLE
        assert self.dialogue.quiet_since is not None
        assert not self.line.due, "something was to be said"
        assert not self.line.open()
        assert self.line.declared == self.tools
        assert sorted(self.server.outputs) == sorted(self.server.calls)
        assert self.unfinished() == []


TestTools = Tools.TestCase
TestTools.settings = settings(
    max_examples=300, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
