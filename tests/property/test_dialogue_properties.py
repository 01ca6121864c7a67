"""Random conversations against a model server and a model loudspeaker, with a network between them.

Whatever the user, the server, the network, the tools and the clock do, and in whatever order:

* the server learns exactly what was heard of each item, and never more than it sent;
* after ``speech_started`` nothing old is audible;
* speech is never asked for while a response is known to be under way;
* every call is answered exactly once, and each batch of calls asks for speech at most once;
* when everybody has finished, the agent is idle and silent.
"""

import json
from collections import deque
from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.fakes.model_server import RATE, ModelServer, function_call, message
from tests.fakes.model_speaker import ModelSpeaker
from voice_agent.dialogue import Command, Dialogue, Play, RunTool, Send, Silence, State, ToolOutcome
from voice_agent.realtime.codec import decode_server
from voice_agent.realtime.events import (
    AudioDelta,
    CreateResponse,
    DeleteItem,
    OutputItemDone,
    ResponseCreated,
    ResponseDone,
    ServerError,
    ServerEvent,
    SpeechStarted,
    SpeechStopped,
    TruncateItem,
    TurnDetection,
)
from voice_agent.realtime.providers import OPENAI, YANDEX, Provider, SessionSettings

DELTAS = st.lists(st.integers(1, RATE // 2), max_size=4)
ITEMS = st.one_of(DELTAS, st.just("call"))


class Ledger:
    """Who was heard, kept independently of the code under test: a queue of (item, samples)."""

    def __init__(self) -> None:
        self.received: dict[str, int] = {}
        self.heard: dict[str, int] = {}
        self.complete: set[str] = set()
        self.corrected: set[str] = set()
        self._queue: deque[list[int | str]] = deque()

    def add(self, item: str, samples: int) -> None:
        self.received[item] = self.received.get(item, 0) + samples
        self.heard.setdefault(item, 0)
        self._queue.append([item, samples])

    def play(self, samples: int) -> None:
        while samples:
            item, left = self._queue[0]
            assert isinstance(left, int)
            taken = min(left, samples)
            self.heard[str(item)] += taken
            samples -= taken
            self._queue[0][1] = left - taken
            if taken == left:
                self._queue.popleft()

    def expected_corrections(self) -> dict[str, int]:
        """Heard milliseconds of every item that was not heard to its end; 0 means: to be deleted."""
        return {
            item: self.heard[item] * 1000 // RATE
            for item, received in self.received.items()
            if item not in self.corrected and (self.heard[item] < received or item not in self.complete)
        }

    def cut(self) -> None:
        self.corrected |= set(self.expected_corrections())
        self._queue.clear()


class Conversation(RuleBasedStateMachine):
    @initialize(plans=st.lists(st.lists(ITEMS, max_size=3), min_size=1, max_size=6), interrupts=st.booleans())
    def begin(self, plans: list[list[list[int]]], interrupts: bool) -> None:
        self.plans = deque(plans)
        self.server = ModelServer(self.next_answer, interrupts=interrupts)
        self.speaker = ModelSpeaker(RATE)
        detection = TurnDetection(interrupt_response=interrupts)
        self.dialogue = Dialogue(OPENAI, SessionSettings(turn_detection=detection))
        self.turns_with_answered_calls: set[int] = set()
        self.turn_of_call: dict[str, int] = {}
        self.responses_with_calls: set[str] = set()
        self.requests = 0
        self.refusals = 0
        self.user_is_heard = False
        self.ledger = Ledger()
        self.tools: list[str] = []
        self.underway: set[str] = set()
        self.silenced: set[str] = set()

    def next_answer(self, response_id: str) -> deque[ServerEvent]:
        plan = self.plans.popleft() if self.plans else []
        steps: list[ServerEvent] = []
        for index, entry in enumerate(plan):
            spoken = isinstance(entry, list)
            steps += message(response_id, index, entry) if spoken else function_call(response_id, index)
        return deque(steps)

    # ---------------------------------------------------------------------------------- what may happen

    @rule(late=st.integers(0, 2))
    @precondition(lambda self: not self.server.user_speaks)
    def user_starts(self, late: int) -> None:
        self.server.user_starts(late)

    @rule()
    @precondition(lambda self: self.server.user_speaks)
    def user_stops(self) -> None:
        self.server.user_stops()

    @rule(steps=st.integers(1, 6))
    def server_works(self, steps: int) -> None:
        for _ in range(steps):
            if self.server.active:
                self.server.work()

    @rule()
    @precondition(lambda self: self.server.towards_server)
    def server_reads(self) -> None:
        self.server.read()

    @rule(count=st.integers(1, 8))
    def client_reads(self, count: int) -> None:
        for _ in range(min(count, len(self.server.towards_client))):
            self.deliver(self.server.towards_client.popleft())

    @rule(ms=st.integers(1, 1500))
    def time_passes(self, ms: int) -> None:
        self.elapse(ms / 1000)
        self.obey(self.dialogue.wake(self.speaker.moment()))

    @rule(choice=st.randoms(use_true_random=False))
    @precondition(lambda self: self.tools)
    def a_tool_finishes(self, choice: object) -> None:
        call = self.tools.pop(choice.randrange(len(self.tools)))  # type: ignore[attr-defined]
        self.finish_tool(call)

    # ----------------------------------------------------------------------------------------- checks

    def finish_tool(self, call: str) -> None:
        self.turns_with_answered_calls.add(self.turn_of_call[call])
        self.obey(self.dialogue.tool_finished(ToolOutcome(call, "{}", True, 0.1), self.speaker.moment()))

    def deliver(self, event: ServerEvent) -> None:
        self.note(event)
        commands = self.dialogue.receive(event, self.speaker.moment())
        self.check(event, commands)
        self.obey(commands)
        if isinstance(event, SpeechStarted):
            assert self.speaker.silent, "something old is still audible"

    def note(self, event: ServerEvent) -> None:
        """What anybody who reads the events knows."""
        match event:
            case ResponseCreated(response=info):
                self.underway.add(info.id)
                self.silenced |= {info.id} if self.user_is_heard else set()
            case ResponseDone(response=info):
                self.underway.discard(info.id)
            case SpeechStarted():
                self.silenced |= self.underway
                self.user_is_heard = True
            case SpeechStopped():
                self.user_is_heard = False
            case ServerError():
                self.refusals += 1

    def check(self, event: ServerEvent, commands: Sequence[Command]) -> None:
        plays = [command for command in commands if isinstance(command, Play)]
        match event:
            case AudioDelta(response_id=response_id, item_id=item):
                assert not (plays and response_id in self.silenced), "audio of an older turn was played"
                if plays:
                    self.ledger.add(item, len(plays[0].pcm) // 2)
            case OutputItemDone(item=item):
                self.ledger.complete.add(str(item.id))
            case SpeechStarted():
                self.check_corrections(commands)
                self.ledger.cut()

    def check_corrections(self, commands: Sequence[Command]) -> None:
        reported: dict[str, int] = {}
        for command in commands:
            match command:
                case Send(TruncateItem(item_id=item, audio_end_ms=ms)):
                    reported[item] = ms
                case Send(DeleteItem(item_id=item)) if item in self.ledger.received:
                    reported[item] = 0
        assert reported == self.ledger.expected_corrections()
        if any(isinstance(command, Silence) for command in commands):
            assert isinstance(commands[0], Silence) or not self.speaker.silent

    def obey(self, commands: Sequence[Command]) -> None:
        self.speaker.obey(commands)
        for command in commands:
            match command:
                case Send(event):
                    if isinstance(event, CreateResponse):
                        assert not self.underway, "speech was asked for while a response was under way"
                        assert self.dialogue.turn in self.turns_with_answered_calls, "for an older turn"
                        self.requests += 1
                    self.server.towards_server.append(event)
                case RunTool(call):
                    self.tools.append(call.call_id)
                    self.turn_of_call[call.call_id] = call.turn
                    self.responses_with_calls.add(call.call_id.partition(".")[0])

    def elapse(self, seconds: float) -> None:
        before = self.speaker.played
        self.speaker.elapse(seconds)
        self.ledger.play(self.speaker.played - before)

    @invariant()
    def half_duplex_request(self) -> None:
        if hasattr(self, "server"):
            waiting = [e for e in self.server.towards_server if isinstance(e, CreateResponse)]
            assert len(waiting) <= 1, "two requests for speech at once"

    def teardown(self) -> None:
        """Everybody finishes; then the books must balance."""
        if not hasattr(self, "server"):
            return
        if self.server.user_speaks:
            self.server.user_stops()
        for _ in range(300):
            self.server_works(6)
            while self.server.towards_server:
                self.server.read()
            while self.server.towards_client:
                self.deliver(self.server.towards_client.popleft())
            for call in self.tools[:]:
                self.tools.remove(call)
                self.finish_tool(call)
            deadline = self.dialogue.deadline
            if deadline is None and not self.server.active and not self.server.towards_server:
                break
            if deadline is not None:
                self.elapse(max(deadline - self.speaker.now, 0.0))
                self.obey(self.dialogue.wake(self.speaker.moment()))
        assert self.dialogue.state is State.IDLE
        assert self.speaker.silent
        assert sorted(self.server.outputs) == sorted(self.server.calls), "each call is answered exactly once"
        assert self.requests - self.refusals <= len(self.responses_with_calls), "one request for each batch"


PIECES: dict[str, st.SearchStrategy[object]] = {
    "delta": st.sampled_from(["", "AAAA", "AAA=", "words"]),
    "item_id": st.sampled_from(["", "i1", "i2"]),
    "response_id": st.sampled_from(["", "r1", "r2"]),
    "item": st.fixed_dictionaries(
        {},
        optional={
            "id": st.sampled_from(["i1", "i2"]),
            "type": st.sampled_from(["message", "function_call", "mcp_call", ""]),
            "call_id": st.sampled_from(["", "c1", "c2"]),
            "name": st.sampled_from(["tool", "web_search", ""]) | st.none(),
            "arguments": st.text(max_size=3) | st.none(),
        },
    ),
    "response": st.fixed_dictionaries(
        {},
        optional={
            "id": st.sampled_from(["r1", "r2"]),
            "status": st.sampled_from(["completed", "cancelled", "failed", "odd"]) | st.none(),
            "status_details": st.none() | st.just({"error": None}) | st.just({"reason": "x"}),
        },
    ),
    "error": st.fixed_dictionaries(
        {}, optional={"code": st.sampled_from(["session_expired", "x"]), "event_id": st.just("create_1")}
    ),
    "transcript": st.text(max_size=3) | st.none(),
}
ANY_EVENT = st.builds(
    lambda kind, fields: decode_server(json.dumps(fields | {"type": kind})),
    st.sampled_from(sorted(str(cls.__struct_config__.tag) for cls in ServerEvent.__subclasses__())),
    st.fixed_dictionaries({}, optional=PIECES),
)


@given(st.lists(st.tuples(ANY_EVENT, st.integers(0, 2000)), max_size=30), st.sampled_from([OPENAI, YANDEX]))
def test_no_order_of_events_raises_or_wedges(
    events: list[tuple[ServerEvent, int]], provider: Provider
) -> None:
    dialogue, speaker = Dialogue(provider, SessionSettings()), ModelSpeaker(RATE)
    running: list[str] = []
    for event, ms in events:
        commands = dialogue.receive(event, speaker.moment())
        running += [command.call.call_id for command in commands if isinstance(command, RunTool)]
        speaker.obey(commands)
        speaker.elapse(ms / 1000)
        if running:
            outcome = ToolOutcome(running.pop(), "{}", ok=True, seconds=0.1)
            speaker.obey(dialogue.tool_finished(outcome, speaker.moment()))
        speaker.obey(dialogue.wake(speaker.moment()))
        assert dialogue.deadline is None or dialogue.deadline > speaker.now, (
            "a deadline in the past is a busy loop"
        )
    assert len(running) <= 1


TestConversation = Conversation.TestCase
TestConversation.settings = settings(
    max_examples=200, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
