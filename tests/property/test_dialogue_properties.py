"""Random conversations against model servers and a model loudspeaker, with a network that may be cut.

Whatever the user, the server, the network, the tools and the clock do, and in whatever order:

* the server learns exactly what was heard of each of its items, never more than it sent, and nothing about
  items of another connection;
* after ``speech_started`` nothing old is audible;
* speech is never asked for while a response is known to be under way, nor without a reason;
* every call is answered exactly once, and each batch of calls asks for speech at most once;
* turns only grow, deadlines lie in the future, and the memory is bounded and never holds more than was heard;
* wherever the connection is lost, what the user said is answered, asked for, heard again or told as failed;
* when everybody has finished, the agent is idle and silent.
"""

import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.fakes.model_server import RATE, WORDS, ModelServer, function_call, message
from tests.fakes.model_speaker import ModelSpeaker
from voice_agent.dialogue import (
    Abandon,
    AnswerFailed,
    Command,
    Dialogue,
    Fact,
    Memory,
    Play,
    RunTool,
    Send,
    Silence,
    State,
    Stuck,
    Tell,
    ToolOutcome,
)
from voice_agent.dialogue.memory import MAX_CHARS_PER_S, AgentLine
from voice_agent.realtime.codec import decode_server
from voice_agent.realtime.events import (
    AudioDelta,
    CancelResponse,
    CreateResponse,
    DeleteItem,
    OutputItemDone,
    ResponseCreated,
    ResponseDone,
    ServerError,
    ServerEvent,
    SpeechStarted,
    SpeechStopped,
    TranscriptionCompleted,
    TruncateItem,
    TurnDetection,
)
from voice_agent.realtime.providers import OPENAI, YANDEX, Provider, SessionSettings

DELTAS = st.lists(st.integers(1, RATE // 2), max_size=4)
ITEMS = st.one_of(DELTAS, st.just("call"))

LAG_S = 0.8
"""How long the network keeps an event, if it is not a slow one: less than the core allows for."""

HEARING_S = 3.0
"""How long a server works off sound that was sent again."""

MAX_CHARS = 300


@dataclass
class Utterance:
    """What the user said, where it lies in the captured sound (samples), and what became of it."""

    begin: int
    end: int | None = None
    item: str = ""
    turn: int = 0
    known: bool = False
    settled: bool = False


@dataclass
class Sound:
    """One item's sound: how much came, how much was heard."""

    received: int = 0
    heard: int = 0
    complete: bool = False
    corrected: bool = False


@dataclass
class Ledger:
    """Who was heard, kept independently of the code under test: a queue of (item, samples)."""

    sounds: dict[tuple[int, str], Sound] = field(default_factory=dict)
    queue: deque[tuple[Sound, int]] = field(default_factory=deque)

    def add(self, key: tuple[int, str], samples: int) -> None:
        sound = self.sounds.setdefault(key, Sound())
        sound.received += samples
        self.queue.append((sound, samples))

    def play(self, samples: int) -> None:
        while samples:
            sound, left = self.queue.popleft()
            taken = min(left, samples)
            sound.heard += taken
            samples -= taken
            if taken < left:
                self.queue.appendleft((sound, left - taken))

    def expected_corrections(self, connection: int) -> dict[str, int]:
        """Heard milliseconds of every item that was not heard to its end; 0 means: to be deleted."""
        return {
            item: sound.heard * 1000 // RATE
            for (number, item), sound in self.sounds.items()
            if number == connection
            and not sound.corrected
            and (sound.heard < sound.received or not sound.complete)
        }

    def cut(self, connection: int) -> None:
        for item in self.expected_corrections(connection):
            self.sounds[connection, item].corrected = True
        self.queue.clear()


class Conversation(RuleBasedStateMachine):
    @initialize(
        plans=st.lists(st.lists(ITEMS, max_size=3), min_size=1, max_size=6),
        interrupts=st.booleans(),
        slow=st.booleans(),
    )
    def begin(self, plans: list[list[list[int]]], interrupts: bool, slow: bool) -> None:
        self.plans = deque(plans)
        self.slow = slow
        self.interrupts = interrupts
        self.speaker = ModelSpeaker(RATE)
        self.captured = 0
        self.memory = Memory(max_turns=3, max_chars=MAX_CHARS)
        self.utterances: list[Utterance] = []
        self.ledger = Ledger()
        self.facts: list[Fact] = []
        self.connection = 0
        self.turn = 0
        self.user_speaks = False
        self.connect()
        self.obey(self.dialogue.go_live(self.speaker.moment(self.dialogue.onset)))

    def connect(self) -> None:
        """A new connection stands by."""
        self.connection += 1
        self.server = ModelServer(self.next_answer, interrupts=self.interrupts)
        detection = TurnDetection(interrupt_response=self.interrupts)
        self.dialogue = Dialogue(
            OPENAI, SessionSettings(turn_detection=detection), turn=self.turn, memory=self.memory
        )
        self.base = self.captured
        self.live_at = self.speaker.now
        self.unheard: deque[Utterance] = deque()
        self.lag_s = 0.0
        self.reasons: set[int] = set()
        self.turn_of_call: dict[str, int] = {}
        self.turn_of_request: dict[str, int] = {}
        self.batches: set[str] = set()
        self.requests = self.refusals = self.excuses = 0
        self.user_is_heard = False
        self.tools: list[str] = []
        self.underway: set[str] = set()
        self.silenced: set[str] = set()

    def next_answer(self, response_id: str) -> deque[ServerEvent]:
        plan = self.plans.popleft() if self.plans else [[RATE // 4]]
        steps: list[ServerEvent] = []
        for index, entry in enumerate(plan):
            spoken = isinstance(entry, list)
            steps += message(response_id, index, entry) if spoken else function_call(response_id, index)
        return deque(steps)

    # ---------------------------------------------------------------------------------- what may happen

    @rule(late=st.integers(0, 2))
    @precondition(lambda self: not self.user_speaks)
    def user_starts(self, late: int) -> None:
        self.hear_everything()
        self.user_speaks = True
        self.utterances.append(Utterance(self.captured))
        self.hear(self.utterances[-1], late)

    @rule()
    @precondition(lambda self: self.user_speaks)
    def user_stops(self) -> None:
        self.hear_everything()
        self.elapse(0.1)
        self.user_speaks = False
        self.utterances[-1].end = self.captured
        self.server.user_stops(self.ms(self.captured))

    @rule(steps=st.integers(1, 6))
    def server_works(self, steps: int) -> None:
        for _ in range(steps):
            if self.server.active:
                self.server.work()

    @rule()
    @precondition(lambda self: self.server.towards_server)
    def server_reads(self) -> None:
        self.server.read()

    @rule()
    @precondition(lambda self: self.unheard)
    def server_hears(self) -> None:
        self.hear(self.unheard.popleft(), 0)

    @rule()
    def server_understands(self) -> None:
        for utterance in self.utterances:
            if utterance.item and utterance.end is not None and not utterance.known:
                self.server.transcribe(utterance.item, "what the user said")

    @rule(count=st.integers(1, 8))
    def client_reads(self, count: int) -> None:
        for _ in range(min(count, len(self.server.towards_client))):
            self.deliver(self.server.towards_client.popleft())

    @rule(ms=st.integers(1, 1500))
    def time_passes(self, ms: int) -> None:
        self.elapse(ms / 1000)
        self.obey(self.dialogue.wake(self.speaker.moment(self.dialogue.onset)))

    @rule(choice=st.randoms(use_true_random=False))
    @precondition(lambda self: self.tools)
    def a_tool_finishes(self, choice: object) -> None:
        call = self.tools.pop(choice.randrange(len(self.tools)))  # type: ignore[attr-defined]
        self.finish_tool(call)

    @rule(offline_ms=st.integers(0, 3000))
    def connection_is_lost(self, offline_ms: int) -> None:
        carried = self.dialogue.leave(self.speaker.moment(self.dialogue.onset))
        assert self.dialogue.receive(SpeechStarted(), self.speaker.moment(self.dialogue.onset)) == []
        self.note_facts(carried.facts)
        self.turn = carried.turn
        self.check_outputs(all_of_them=False)
        resend_from = self.captured if carried.resend_from is None else carried.resend_from
        assert 0 <= resend_from <= self.captured
        if self.batches and carried.question is not None:
            self.reopen(carried.question)
        self.check_debts(resend_from, answered=carried.owed or carried.question is not None)
        self.let_sound(offline_ms / 1000)
        self.connect()
        self.base = self.speaker.sent = resend_from
        self.hear_again(resend_from)
        owes = {carried.turn} if carried.owed else set()
        self.reasons |= owes
        self.excuses += len(owes)
        self.obey(self.dialogue.go_live(self.speaker.moment(self.dialogue.onset), carried))

    # ----------------------------------------------------------------------------- the captured sound

    def ms(self, position: int) -> int:
        """As this server counts."""
        return max(position - self.base, 0) * 1000 // RATE

    def hear(self, utterance: Utterance, late: int) -> None:
        self.speaker.sent = self.captured
        utterance.item = self.server.user_starts(late, self.ms(utterance.begin))
        if utterance.end is not None:
            self.server.user_stops(self.ms(utterance.end))

    def hear_everything(self) -> None:
        while self.unheard:
            self.server_hears()

    def hear_again(self, position: int) -> None:
        """The new server will hear whatever lies behind ``position``."""
        for utterance in self.utterances:
            utterance.item = ""
            if utterance.end is None or utterance.end > position:
                assert self.slow or not utterance.settled, "an answered utterance is heard again"
                self.unheard.append(utterance)
                utterance.turn, utterance.known = 0, False

    def elapse(self, seconds: float) -> None:
        """Time passes while the connection is live."""
        if not self.slow and self.lag_s + seconds > LAG_S:
            while self.server.towards_client:
                self.deliver(self.server.towards_client.popleft())
        if self.speaker.now + seconds > self.live_at + HEARING_S:
            self.hear_everything()
        self.lag_s = self.lag_s + seconds if self.server.towards_client else 0.0
        self.let_sound(seconds)
        self.speaker.sent = self.captured

    def let_sound(self, seconds: float) -> None:
        before = self.speaker.played
        self.speaker.elapse(seconds)
        self.captured += round(seconds * RATE)
        self.ledger.play(self.speaker.played - before)

    # ----------------------------------------------------------------------------------------- checks

    def check_debts(self, resend_from: int, *, answered: bool) -> None:
        """What was said and not settled will be answered from its words, or heard again from its begin."""
        for utterance in self.utterances:
            if not (self.slow or utterance.settled):
                asked = answered and utterance.known
                assert asked or resend_from <= utterance.begin, "an utterance is lost"

    def note_facts(self, facts: Sequence[Fact]) -> None:
        self.facts += facts
        for fact in facts:
            match fact:
                case AnswerFailed(turn=turn):
                    self.settle(turn)
                case Stuck(turn=turn, remedy="asked" | "asked_again" | "committed"):
                    self.reasons.add(turn)
                    self.excuses += 1

    def settle(self, turn: int) -> None:
        """Something was heard, or told as failed, in ``turn``: earlier words have had their answer."""
        for utterance in self.utterances:
            utterance.settled |= 0 < utterance.turn <= turn and utterance.end is not None

    def reopen(self, turn: int) -> None:
        """What was heard so far announced a tool, and its result is still to be told."""
        for utterance in self.utterances:
            utterance.settled &= utterance.turn != turn

    def finish_tool(self, call: str) -> None:
        self.reasons.add(self.turn_of_call[call])
        self.obey(
            self.dialogue.tool_finished(
                ToolOutcome(call, "{}", "ok", 0.1), self.speaker.moment(self.dialogue.onset)
            )
        )

    def deliver(self, event: ServerEvent) -> None:
        self.note(event)
        commands = self.dialogue.receive(event, self.speaker.moment(self.dialogue.onset))
        if isinstance(event, SpeechStarted):
            self.utterance_of(event.item_id).turn = self.dialogue.turn
        self.check(event, commands)
        self.obey(commands)
        if isinstance(event, SpeechStarted):
            assert self.speaker.silent, "something old is still audible"

    def utterance_of(self, item: str) -> Utterance:
        return next(utterance for utterance in self.utterances if utterance.item == item)

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
            case TranscriptionCompleted(item_id=item):
                self.utterance_of(item).known = True
            case ServerError():
                self.refusals += 1

    def check(self, event: ServerEvent, commands: Sequence[Command]) -> None:
        plays = [command for command in commands if isinstance(command, Play)]
        match event:
            case AudioDelta(response_id=response_id, item_id=item):
                assert not (plays and response_id in self.silenced), "audio of an older turn was played"
                if plays:
                    self.ledger.add((self.connection, item), len(plays[0].pcm) // 2)
                    self.settle(self.dialogue.turn)
            case OutputItemDone(item=item) if (self.connection, str(item.id)) in self.ledger.sounds:
                self.ledger.sounds[self.connection, str(item.id)].complete = True
            case SpeechStarted():
                self.check_corrections(commands)
                self.ledger.cut(self.connection)

    def check_corrections(self, commands: Sequence[Command]) -> None:
        reported: dict[str, int] = {}
        for command in commands:
            match command:
                case Send(TruncateItem(item_id=item, audio_end_ms=ms)):
                    reported[item] = ms
                case Send(DeleteItem(item_id=item)) if (self.connection, item) in self.ledger.sounds:
                    reported[item] = 0
        assert reported == self.ledger.expected_corrections(self.connection)
        if any(isinstance(command, Silence) for command in commands):
            assert isinstance(commands[0], Silence) or not self.speaker.silent

    def obey(self, commands: Sequence[Command]) -> None:
        self.speaker.obey(commands)
        self.note_facts([command.fact for command in commands if isinstance(command, Tell)])
        for command in commands:
            match command:
                case Send(event):
                    self.send(event)
                case RunTool(call):
                    self.tools.append(call.call_id)
                    self.turn_of_call[call.call_id] = call.turn
                    self.batches.add(call.call_id.partition(".")[0])
        deadline = self.dialogue.deadline
        assert deadline is None or deadline > self.speaker.now, "a deadline in the past is a busy loop"
        if any(isinstance(command, Abandon) for command in commands):
            self.connection_is_lost(0)

    def send(self, event: object) -> None:
        match event:
            case CreateResponse(event_id=event_id):
                assert not self.underway, "speech was asked for while a response was under way"
                assert self.dialogue.turn in self.reasons, "speech was asked for without a reason"
                self.requests += 1
                self.turn_of_request[str(event_id)] = self.dialogue.turn
            case CancelResponse(response_id=response_id):
                self.underway.discard(str(response_id))  # taken for lost
        self.server.towards_server.append(event)  # type: ignore[arg-type]

    @invariant()
    def one_request_at_a_time(self) -> None:
        if hasattr(self, "server"):
            waiting = [e for e in self.server.towards_server if isinstance(e, CreateResponse)]
            turns = [self.turn_of_request[str(event.event_id)] for event in waiting]
            assert len(set(turns)) == len(turns), "two requests for one turn at once"

    @invariant()
    def turns_only_grow(self) -> None:
        if hasattr(self, "server"):
            assert self.dialogue.turn >= self.turn
            self.turn = self.dialogue.turn

    @invariant()
    def memory_is_bounded_and_honest(self) -> None:
        if not hasattr(self, "server"):
            return
        assert self.memory.turns <= 3
        assert self.memory.chars <= MAX_CHARS
        for key, line in self.memory.entries():
            if isinstance(line, AgentLine):
                sound = self.ledger.sounds[key]
                queued = sum(samples for other, samples in self.ledger.queue if other is sound)
                audible = sound.heard + queued
                assert len(line.text) <= len(WORDS) * audible // sound.received
                assert (
                    line.text == WORDS or len(line.text) <= MAX_CHARS_PER_S * audible / RATE or sound.complete
                )

    def check_outputs(self, *, all_of_them: bool) -> None:
        outputs, calls = sorted(self.server.outputs), sorted(self.server.calls)
        assert len(set(outputs)) == len(outputs), "each call is answered at most once"
        assert outputs == calls or not all_of_them, "each call is answered"

    def teardown(self) -> None:
        """Everybody finishes; then the books must balance."""
        if not hasattr(self, "server"):
            return
        if self.user_speaks:
            self.user_stops()
        for _ in range(300):
            self.hear_everything()
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
            if deadline is not None and not self.server.active and not self.server.towards_server:
                self.elapse(max(deadline - self.speaker.now, 0.0))
                self.obey(self.dialogue.wake(self.speaker.moment(self.dialogue.onset)))
        assert self.dialogue.state is State.IDLE
        assert self.dialogue.quiet_since is not None
        assert self.speaker.silent
        self.check_outputs(all_of_them=True)
        assert self.requests - self.refusals <= len(self.batches) + self.excuses, (
            "one request for each reason"
        )
        assert self.slow or all(utterance.settled for utterance in self.utterances), "nobody answered"


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


DROP = st.none()


@given(
    st.lists(st.tuples(ANY_EVENT | DROP, st.integers(0, 20_000)), max_size=30),
    st.sampled_from([OPENAI, YANDEX]),
)
def test_no_order_of_events_raises_or_wedges(
    events: list[tuple[ServerEvent | None, int]], provider: Provider
) -> None:
    memory, speaker = Memory(), ModelSpeaker(RATE)
    dialogue = Dialogue(provider, SessionSettings(), memory=memory)
    running: list[str] = []
    for event, ms in events:
        if event is None:
            carried = dialogue.leave(speaker.moment())
            running.clear()
            dialogue = Dialogue(provider, SessionSettings(), turn=carried.turn, memory=memory)
            commands = dialogue.go_live(speaker.moment(), carried)
        else:
            commands = dialogue.receive(event, speaker.moment())
        running += [command.call.call_id for command in commands if isinstance(command, RunTool)]
        speaker.obey(commands)
        speaker.elapse(ms / 1000)
        speaker.sent += ms * RATE // 1000
        if running:
            outcome = ToolOutcome(running.pop(), "{}", outcome="ok", seconds=0.1)
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
