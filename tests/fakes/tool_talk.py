"""A device, its server and the network between them, talking with the help of tools, under observation."""

from collections import deque
from collections.abc import Mapping, Sequence

from tests.fakes.model_server import RATE, ModelServer, function_call, message
from tests.fakes.model_speaker import ModelSpeaker
from tests.fakes.tool_observer import Line, Observer
from voice_agent.dialogue import (
    Abandon,
    Carried,
    Command,
    Dialogue,
    Manners,
    Memory,
    Outcome,
    Send,
    ToolOutcome,
)
from voice_agent.dialogue.memory import ToolLine
from voice_agent.realtime.events import (
    OutputItemDone,
    ServerEvent,
    SessionCreated,
    SessionUpdated,
    ToolSpec,
    TurnDetection,
)
from voice_agent.realtime.providers import OPENAI, SessionSettings

LAG_S = 0.8
"""No event is longer on its way."""


class ToolTalk:
    """What follows from what happens. ``terse``: the server tells of calls only when it ends the response."""

    interrupts: bool
    refuses: bool
    terse: bool

    def start(self, known: Mapping[str, Manners], tools: Sequence[str], plans: Sequence[list[int]]) -> None:
        """``plans``: what responses hold: samples of speech, or, below zero, a call of one of ``tools``."""
        self.known, self.tools, self.plans = known, tools, deque(plans)
        self.speaker = ModelSpeaker(RATE)
        self.memory = Memory(max_turns=1000, max_chars=10**6)
        self.observer = Observer(known, self.speaker)
        self.user_speaks = False
        self.old: list[tuple[Dialogue, str]] = []
        self.connect(Carried(), early=False)

    @property
    def line(self) -> Line:
        """What the observer knows of this connection."""
        return self.observer.line

    def connect(self, carried: Carried, *, early: bool) -> None:
        """``early``: the tools change before the session is confirmed."""
        self.server = ModelServer(self.next_answer, interrupts=self.interrupts)
        self.server.refuses_updates = self.refuses
        self.observer.connects(carried)
        self.lag_s = 0.0
        self.dialogue = Dialogue(
            OPENAI,
            SessionSettings(
                turn_detection=TurnDetection(interrupt_response=self.interrupts), tools=self.specs()
            ),
            turn=carried.turn,
            memory=self.memory,
            manners=self.known.__getitem__,
        )
        self.deliver(SessionCreated())
        if early:
            self.there_are_other_tools()
            assert len(self.server.towards_server) == 1, "an introduction is not to be overtaken"
        self.server.towards_server.clear()  # no server refuses what it does not know yet
        self.line.confirmed = True
        self.deliver(SessionUpdated())
        self.line.live = True
        self.obey(self.dialogue.go_live(self.speaker.moment(self.dialogue.onset), carried))

    def specs(self) -> tuple[ToolSpec, ...]:
        """The tools that there are now."""
        return (ToolSpec(name=f"tool_{self.observer.tools}"),)

    def next_answer(self, response_id: str) -> deque[ServerEvent]:
        """What the server's next response is made of."""
        plan = self.plans.popleft() if self.plans else [RATE // 4]
        steps: list[ServerEvent] = []
        for index, entry in enumerate(plan):
            if entry < 0:
                steps += function_call(response_id, index, self.tools[entry % len(self.tools)])
            else:
                steps += message(response_id, index, [entry])
        return deque(steps)

    def wait(self, seconds: float) -> None:
        """Whoever runs the core wakes it when it wants to be; the network is never slow for long."""
        until = self.speaker.now + seconds
        while self.speaker.now < until:
            deadline = self.dialogue.deadline
            step_s = min(until if deadline is None else deadline, until) - self.speaker.now
            step_s = min(step_s, LAG_S)
            self.lag_s += step_s
            if self.lag_s > LAG_S:
                self.network_catches_up()
            self.speaker.elapse(step_s)
            self.obey(self.dialogue.wake(self.speaker.moment(self.dialogue.onset)))

    def network_catches_up(self) -> None:
        """Everything arrives."""
        self.lag_s = 0.0
        while self.server.towards_server:
            self.server.read()
        self.client_catches_up()

    def client_catches_up(self) -> None:
        """Everything arrives that is on its way to the device."""
        while self.server.towards_client:
            self.deliver(self.server.towards_client.popleft())

    def deliver(self, event: ServerEvent) -> None:
        """One event arrives."""
        if self.terse and isinstance(event, OutputItemDone) and event.item.type == "function_call":
            return
        self.observer.before(event)
        commands = self.dialogue.receive(event, self.speaker.moment(self.dialogue.onset))
        self.observer.after(event, commands)
        self.obey(commands)

    def obey(self, commands: Sequence[Command]) -> None:
        """Whoever runs the core does as it says."""
        self.speaker.obey(commands)
        for position, command in enumerate(commands):
            self.observer.check(command, commands[position + 1 :])
            if isinstance(command, Send):
                self.server.towards_server.append(command.event)
        deadline = self.dialogue.deadline
        assert deadline is None or deadline > self.speaker.now, "a deadline in the past is a busy loop"
        if any(isinstance(command, Abandon) for command in commands):
            self.lose(0.0, early=False)

    def there_are_other_tools(self) -> None:
        """They change, and somebody says so twice."""
        self.observer.tools += 1
        for _ in range(2):
            self.obey(self.dialogue.redeclare(self.specs(), self.speaker.moment(self.dialogue.onset)))

    def lose(self, offline_s: float, *, early: bool) -> None:
        """The connection is lost, and made anew."""
        before, state = len(self.unfinished()), self.dialogue.state
        carried = self.dialogue.leave(self.speaker.moment(self.dialogue.onset))
        self.observer.check_left(carried, state)
        lasting = [call_id for call_id in self.running() if not self.line.made[call_id].manners.cancellable]
        assert len(self.unfinished()) == before + len(lasting), "the next session is told of them"
        self.old += [(self.dialogue, call_id) for call_id in lasting]
        for call_id in lasting:
            output = self.outcome_of(call_id, "ok").output
            self.observer.answered[self.line.made[call_id].name, output] += 1
        assert not self.dialogue.redeclare((), self.speaker.moment(self.dialogue.onset))
        self.speaker.elapse(offline_s)
        self.user_speaks = False
        self.connect(carried, early=early)

    def unfinished(self) -> list[ToolLine]:
        """Notes of calls that went on when their connection was lost."""
        return [line for line in self.tool_lines() if "do not call it again" in line.text]

    def tool_lines(self) -> list[ToolLine]:
        """What the memory says of calls."""
        return [line for line in self.memory if isinstance(line, ToolLine)]

    def running(self) -> list[str]:
        """The ids of calls at work."""
        return [call_id for call_id, made in self.line.made.items() if made.running]

    def outcome_of(self, call_id: str, outcome: Outcome) -> ToolOutcome:
        """What a tool says: each call something else."""
        return ToolOutcome(call_id, f'{{"from": "{call_id}"}}', outcome, 0.1)
