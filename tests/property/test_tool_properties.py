"""Random conversations with tools of all manners, barge-ins, failures, rivals of our requests, and drops.

An observer who sees what anybody can see (events, commands, time) and knows each tool's manners keeps books
of his own (``tests/fakes/tool_observer.py``), and holds the core to them:

* every call is answered exactly once, for a reason that he can see, and remembered, or handed over with the
  connection; one that hangs is answered for in time;
* a call runs at most once, in its order, never beside another of a serial tool; never more than eight are
  open, and none waits without having to;
* a new turn, spoken or by a button, gives up every call that may be cancelled, and no other;
* speech is asked for into silence only, at once and once for each batch of this turn that wants it or has
  failed, and a request that lost a race is repeated, after a pause;
* nobody is shown as waiting for what he does not wait for; no session is taken for quiet while a tool runs;
* who waits for a tool is not forgotten when the connection is lost, and who does not is not answered again;
* new tools are declared once, and at once, and a refusal of them ends nothing;
* when everybody has finished, the agent is idle, and owes nothing.
"""

from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from functools import partial

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.fakes.model_server import RATE
from tests.fakes.tool_observer import MOST
from tests.fakes.tool_talk import ToolTalk
from voice_agent.dialogue import Manners, Outcome, Reply, State, Tell

TOOLS = {
    f"{lane}_{reply.value}_{weight}_{limit_s}": Manners(lane == "side", reply, weight == "light", limit_s)
    for lane in ("side", "serial")
    for reply in Reply
    for weight in ("light", "lasting")
    for limit_s in (2, 40)
}
SOUNDS = st.integers(1, RATE // 2)
CALLS = st.integers(-4, -1)
"""The tools of an example, by number: few, so that calls of the same one meet."""
CROWD = st.lists(CALLS, min_size=9, max_size=11)
BATCHES = st.one_of(*[st.lists(CALLS, min_size=1, max_size=3)] * 4, CROWD)
SAME: list[list[Outcome]] = [[], ["cancelled"] * 3, ["failed"]]
ENDS = st.sampled_from(["completed"] * 6 + ["incomplete", "failed", "cancelled"])
OUTCOMES: st.SearchStrategy[Outcome] = st.sampled_from(
    ["ok", "ok", "ok", "ok", "failed", "crashed", "timeout", "unknown", "invalid", "cancelled"]
)
EVENTS = ["speech", "question", "button", "drop", "drop", "tools", "time", "batch", "rival", "rivals", "busy"]
STAGES = 6
GAPS = st.sampled_from([*range(STAGES + 1), 3, 4, 4, STAGES])
"""Mostly around the request, and at the end."""
OK: list[Outcome] = ["ok"] * MOST
HANGS_MS = 7_500
"""Longer than a call of two seconds is waited for."""


class Tools(ToolTalk, RuleBasedStateMachine):
    @initialize(
        plans=st.lists(st.lists(SOUNDS | CALLS, max_size=5), min_size=1, max_size=8),
        tools=st.lists(st.sampled_from(sorted(TOOLS)), min_size=1, max_size=4, unique=True),
        interrupts=st.booleans(),
        refuses=st.booleans(),
        terse=st.sampled_from([False, False, True]),
    )
    def begin(
        self, plans: list[list[int]], tools: list[str], interrupts: bool, refuses: bool, terse: bool
    ) -> None:
        self.interrupts, self.refuses, self.terse = interrupts, refuses, terse
        self.start(TOOLS, tools, plans)

    # ------------------------------------------------------------------------------ what may happen

    @rule(late=st.integers(0, 2))
    @precondition(lambda self: not self.user_speaks)
    def user_starts(self, late: int) -> None:
        self.user_speaks = True
        self.utterance = self.server.user_starts(late)

    @rule(understood=st.booleans())
    @precondition(lambda self: self.user_speaks)
    def user_stops(self, understood: bool) -> None:
        self.user_speaks = False
        self.server.user_stops()
        if understood:
            self.server.transcribe(self.utterance, "Do it")

    @rule()
    @precondition(lambda self: self.line.batches)
    def somebody_presses_a_button(self) -> None:
        self.observer.before_silence()
        commands = self.dialogue.hush(self.speaker.moment(self.dialogue.onset))
        self.observer.silenced(commands)
        self.obey(commands)

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

    @rule(
        says=st.booleans(),
        calls=BATCHES,
        asked=st.booleans(),
        end=ENDS,
        outcomes=st.lists(OUTCOMES, max_size=3) | st.sampled_from(SAME),
        pace=st.sampled_from(["quick", "usual", "usual", "slow"]),
        events=st.dictionaries(GAPS, st.sampled_from(EVENTS), max_size=2),
    )
    def something_happens_to_a_batch(
        self,
        says: bool,
        calls: list[int],
        asked: bool,
        end: str,
        outcomes: list[Outcome],
        pace: str,
        events: dict[int, str],
    ) -> None:
        """The shortest way through all that a batch goes through, with events in its gaps.

        ``asked``: the user wants it. ``pace``: quick tools have finished before the response has.
        """
        self.plans.appendleft([*([RATE // 8] if says else []), *calls])
        finish = [partial(self.server_ends, end)]
        if pace != "slow":
            finish.insert(pace != "quick", partial(self.tools_end, outcomes))
        stages: list[Callable[[], None]] = [
            self.user_asks if asked else self.nobody_asks,
            self.server_calls,
            *finish,
            self.network_catches_up,
            partial(self.server_ends, "completed"),
        ]
        for index, stage in enumerate(stages):
            self.happens(events.get(index, ""))
            stage()
            if index not in (2, 3):  # what is asked for then may be overtaken
                self.network_catches_up()
            else:
                self.client_catches_up()
        self.it_is_known_what_is_owed()
        self.happens(events.get(STAGES, ""))

    def it_is_known_what_is_owed(self) -> None:
        """What would be handed on if the connection were lost now."""
        carried = deepcopy(self.dialogue).leave(self.speaker.moment(self.dialogue.onset))
        self.observer.check_left(carried, self.dialogue.state)

    def user_asks(self) -> None:
        if not self.user_speaks:
            self.user_starts(0)
        self.user_stops(understood=self.interrupts)

    def nobody_asks(self) -> None:
        if not (self.server.active or self.user_speaks):
            self.server.begin_by_itself()

    def server_calls(self) -> None:
        while self.server.active and self.server.active.steps:
            self.server.work()

    def server_ends(self, end: str) -> None:
        while self.server.active:
            self.server.work(end)

    def tools_end(self, outcomes: list[Outcome]) -> None:
        for outcome in [*outcomes, *OK]:
            if running := self.running():
                self.end_tool(running[-1], outcome)

    def happens(self, event: str) -> None:
        match event:
            case "speech" if not self.user_speaks:
                self.user_starts(1)
            case "question":
                self.user_asks()
            case "button":
                self.somebody_presses_a_button()
            case "drop":
                self.lose(0.0, early=True)
            case "tools":
                self.there_are_other_tools()
            case "time":
                self.wait(HANGS_MS / 1000)
            case "batch" if not (self.server.active or self.user_speaks):
                self.plans.appendleft([-1])
                self.nobody_asks()
                self.server_ends("completed")
            case "rival" | "rivals" | "busy":
                self.request_is_refused(event)
        self.client_catches_up()

    def request_is_refused(self, event: str) -> None:
        """If there is one on its way: for a response that can be seen, the second of two, or none."""
        if event == "busy":
            self.server.secretly_busy = 2
        else:
            self.nobody_asks()
        if event == "rivals":
            self.client_catches_up()
            self.server_ends("completed")
            self.nobody_asks()
            self.client_catches_up()
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
            if self.server.towards_client:  # a connection may be given up in the middle
                self.deliver(self.server.towards_client.popleft())

    @rule(choice=st.integers(0, MOST), outcome=OUTCOMES)
    @precondition(lambda self: self.running())
    def a_tool_ends(self, choice: int, outcome: Outcome) -> None:
        running = self.running()
        self.end_tool(running[choice % len(running)], outcome)

    def end_tool(self, call_id: str, outcome: Outcome) -> None:
        self.line.made[call_id].given = outcome
        self.obey(
            self.dialogue.tool_finished(
                self.outcome_of(call_id, outcome), self.speaker.moment(self.dialogue.onset)
            )
        )

    @rule(choice=st.integers(0, MOST))
    @precondition(lambda self: any(made.cancelled for made in self.line.made.values()))
    def a_tool_ends_that_was_given_up(self, choice: int) -> None:
        cancelled = [call_id for call_id, made in self.line.made.items() if made.cancelled]
        outcome = self.outcome_of(cancelled[choice % len(cancelled)], "ok")
        commands = self.dialogue.tool_finished(outcome, self.speaker.moment(self.dialogue.onset))
        self.obey(commands)  # and no call is answered twice

    @rule()
    @precondition(lambda self: self.old)
    def a_tool_of_an_earlier_connection_ends(self) -> None:
        self.end_old()

    def end_old(self) -> None:
        dialogue, call_id = self.old.pop()
        unfinished = len(self.unfinished())
        commands = dialogue.tool_finished(
            self.outcome_of(call_id, "ok"), self.speaker.moment(self.dialogue.onset)
        )
        assert [type(command) for command in commands] == [Tell]
        assert len(self.unfinished()) == unfinished - 1, "what came of it takes the place of the note"

    @rule(ms=st.one_of(*[st.integers(1, 1500)] * 4, st.just(HANGS_MS)))
    @precondition(lambda self: self.dialogue.deadline or self.user_speaks or self.server.towards_client)
    def time_passes(self, ms: int) -> None:
        self.wait(ms / 1000)

    @rule(offline_ms=st.integers(0, 3000), early=st.booleans())
    @precondition(lambda self: self.line.batches)
    def connection_is_lost(self, offline_ms: int, early: bool) -> None:
        self.lose(offline_ms / 1000, early=early)

    @invariant()
    def the_books_agree(self) -> None:
        if hasattr(self, "observer"):
            self.observer.check_calls(self.dialogue)
            self.observer.check_waiting(self.dialogue)

    def teardown(self) -> None:
        """Everybody finishes; then the books must balance."""
        if not hasattr(self, "observer"):
            return
        if self.user_speaks:
            self.user_stops(understood=False)
        for _ in range(400):
            self.server_works(30, "completed")
            self.network_catches_up()
            self.tools_end([])
            deadline = self.dialogue.deadline
            if not (self.server.active or self.server.towards_server or self.server.towards_client):
                if deadline is None:
                    break
                self.speaker.elapse(max(deadline - self.speaker.now, 0.0))
                self.obey(self.dialogue.wake(self.speaker.moment(self.dialogue.onset)))
        self.the_books_agree()
        while self.old:
            self.end_old()
        assert self.dialogue.state is State.IDLE
        assert self.dialogue.quiet_since is not None
        assert not self.line.due, "something was to be said"
        assert not self.line.open()
        assert sorted(self.server.outputs) == sorted(self.server.calls)
        assert self.unfinished() == []
        assert Counter((line.name, line.text) for line in self.tool_lines()) == self.observer.answered
        self.observer.check_left(self.dialogue.leave(self.speaker.moment(self.dialogue.onset)), State.IDLE)


TestTools = Tools.TestCase
TestTools.settings = settings(
    max_examples=200, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
