"""The dialogue: one connection's conversation as a state machine without I/O.

Theory of operation. A *turn* begins when the server hears the user and lasts until it hears him again; turns
are numbered. Each response belongs to the turn in which it was asked for, and only responses of the
current turn are audible. So barge-in is one comparison: ``turn`` grows, what was queued is cut, and
whatever still arrives for an older turn is dropped by its response id. What has been heard is read off the
playout positions in each ``Moment``. There are no timers: ``deadline`` says when ``wake`` wants to be called.

Rules of this file. Everything that decides about the conversation is here or in the four books beside it
(``answers``, ``playout``, ``requests``, ``calls``). No method waits, reads a clock or raises because of
what a server sent. What dies with a connection lives in one ``Dialogue``, which is thrown away with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from voice_agent.dialogue.answers import Answer, Answers, keep_recent
from voice_agent.dialogue.calls import ToolCalls
from voice_agent.dialogue.playout import Playout, Utterance
from voice_agent.dialogue.requests import ResponseRequests
from voice_agent.dialogue.values import (
    Abandon,
    AgentSaid,
    AnswerDropped,
    AnswerFailed,
    Command,
    FirstSound,
    Granted,
    Moment,
    Play,
    RunTool,
    Send,
    ServerFault,
    Silence,
    Silenced,
    Tell,
    ToolAnswered,
    ToolCall,
    ToolCalled,
    ToolOutcome,
    TurnStarted,
    UserSaid,
    UserStopped,
)
from voice_agent.errors import ConnectionLost, Unauthorized
from voice_agent.formats import BYTES_PER_SAMPLE, samples_to_ms, samples_to_s
from voice_agent.realtime.codec import effective_rates
from voice_agent.realtime.events import (
    AudioDelta,
    CancelResponse,
    CreateItem,
    DeleteItem,
    ErrorDetail,
    Item,
    Malformed,
    OutputItemAdded,
    OutputItemDone,
    ResponseCreated,
    ResponseDone,
    ResponseInfo,
    ServerError,
    ServerEvent,
    SessionCreated,
    SessionUpdate,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
    TextDone,
    TranscriptDelta,
    TranscriptDone,
    TranscriptionCompleted,
    TruncateItem,
    Unrecognised,
    known,
)
from voice_agent.realtime.providers import (
    SERVER_TOOLS,
    Provider,
    SessionSettings,
    Verdict,
    judge,
    session_update,
)

ANSWER_PATIENCE_S = 30.0
"""After this long without an answer the turn counts as unanswered; live servers took up to 21.5 s."""

MIN_NAP_S = 0.02
"""``deadline`` is never nearer than this: the playout position moves in blocks of about 10 ms."""

SESSION_UPDATE_ID = "session_update"


class State(Enum):
    """What the agent is doing, as a person in the room would say it."""

    IDLE = "idle"
    """Nobody speaks and nothing is owed."""
    LISTENING = "listening"
    """The user is speaking."""
    THINKING = "thinking"
    """The user has finished, or a tool is at work; no sound yet."""
    SPEAKING = "speaking"
    """The answer is sounding."""


@dataclass(frozen=True, slots=True)
class _Onset:
    """The answer's first sample: where it stands and when it arrived."""

    position: int
    arrived: float


class Dialogue:
    """Takes server events, tool outcomes and moments; returns commands."""

    def __init__(self, provider: Provider, settings: SessionSettings, *, turn: int = 0) -> None:
        self.turn = turn
        self.deadline: float | None = None
        self._provider = provider
        self._settings = settings
        self._granted: Granted | None = None
        self._user_speaks = False
        self._stopped_at: float | None = None
        self._unanswered: int | None = None
        self._onset: _Onset | None = None
        self._answers = Answers()
        self._turn_of_item: dict[str, int] = {}
        self._playout = Playout()
        self._requests = ResponseRequests()
        self._calls = ToolCalls()

    @property
    def state(self) -> State:
        """Derived, so that it cannot contradict what it is derived from."""
        if self._user_speaks:
            return State.LISTENING
        if self._playout:
            return State.SPEAKING
        owed = self._unanswered is not None or self._requests.pending or self._calls.pending
        if owed or any(answer.turn == self.turn for answer in self._answers.under_way().values()):
            return State.THINKING
        return State.IDLE

    # -------------------------------------------------------------------------------------- inputs

    def receive(self, event: ServerEvent | Unrecognised | Malformed, at: Moment) -> Sequence[Command]:
        """What to do about an event."""
        return [*self._react(event, at), *self._settle(at)]

    def tool_finished(self, outcome: ToolOutcome, at: Moment) -> Sequence[Command]:
        """Deliver a tool's answer; ask for speech when it was the last of its batch in this turn."""
        if (entry := self._calls.answered(outcome.call_id)) is None:
            return []
        call, ask_in = entry
        self._ask(ask_in)
        output = Item(type="function_call_output", call_id=outcome.call_id, output=outcome.output)
        return [
            Send(CreateItem(item=output)),
            Tell(ToolAnswered(call.turn, call.name, outcome.ok, outcome.seconds)),
            *self._settle(at),
        ]

    def wake(self, at: Moment) -> Sequence[Command]:
        """Time has passed."""
        return self._settle(at)

    # -------------------------------------------------------------------------------------- events

    def _react(self, event: ServerEvent | Unrecognised | Malformed, at: Moment) -> Sequence[Command]:
        match event:
            case SpeechStarted():
                return self._begin_turn(event, at)
            case SpeechStopped():
                return self._end_speech(at)
            case TranscriptionCompleted(transcript=str(text)) if text.strip():
                turn = self._turn_of_item.get(event.item_id, self.turn)
                return [Tell(UserSaid(turn, text.strip()))]
            case SessionCreated() | SessionUpdated():
                return self._session(event)
            case ServerError(error=error):
                return self._weigh(error, at)
            case Unrecognised(type=kind):
                return [Tell(ServerFault("unrecognised", kind, ""))]
            case Malformed(type=kind, reason=reason):
                return [Tell(ServerFault("malformed", kind, reason))]
        return self._react_to_answer(event, at)

    def _react_to_answer(self, event: ServerEvent, at: Moment) -> Sequence[Command]:
        match event:
            case AudioDelta():
                return self._hear(event, at)
            case TranscriptDelta() | TextDelta():
                self._answer(event.response_id).write(event)
            case TranscriptDone(transcript=text) | TextDone(text=text):
                self._answer(event.response_id).finish(event.item_id, text)
            case ResponseCreated(response=info):
                return self._answer_begins(info)
            case OutputItemAdded():
                self._answer(event.response_id).note_item(event)
            case OutputItemDone():
                return self._item_done(event.response_id, event.item)
            case ResponseDone(response=info):
                return self._answer_ends(info)
        return []

    def _session(self, event: SessionCreated | SessionUpdated) -> Sequence[Command]:
        """Introduce ourselves; then obey the rates that the server states. Yandex may confirm twice."""
        if isinstance(event, SessionCreated):
            update = session_update(self._provider, self._settings)
            return [Send(SessionUpdate(event_id=SESSION_UPDATE_ID, session=update.session))]
        rate_in, rate_out = effective_rates(event.session)
        granted = Granted(rate_in or self._settings.input_rate, rate_out or self._provider.silent_output_rate)
        if granted == self._granted:
            return []
        self._granted = granted
        return [granted]

    def _weigh(self, error: ErrorDetail, at: Moment) -> Sequence[Command]:
        busy = error.code == "conversation_already_has_active_response"
        self._requests.was_refused(error.event_id, busy=busy, now=at.now)
        verdict = judge(error)
        message = error.message or error.type or "no message"
        told = Tell(ServerFault(verdict.value, error.code or "", message))
        if error.event_id == SESSION_UPDATE_ID and self._granted is None:
            return [told, Abandon(Unauthorized(f"the server refused our session settings: {message}"))]
        match verdict:
            case Verdict.EXPIRED:
                return [told, Abandon(ConnectionLost(message))]
            case Verdict.REFUSED:
                return [told, Abandon(Unauthorized(message))]
        return [told]

    # --------------------------------------------------------------------------------------- turns

    def _begin_turn(self, event: SpeechStarted, at: Moment) -> Sequence[Command]:
        """Barge-in: everything queued is cut, and the server learns what was heard of each item."""
        interrupts = at.queued > at.played
        commands: list[Command] = [*self._told_heard(at)]
        commands += [Silence()] if interrupts else []
        cut = self._playout.take_all()
        commands += self._corrections(cut, at.played)
        commands += self._cancellations()
        commands += [Tell(self._said(utterance, at.played)) for utterance in cut]
        self.turn += 1
        keep_recent(self._turn_of_item, event.item_id, self.turn)
        self._user_speaks = True
        self._stopped_at = self._onset = None
        commands.append(Tell(TurnStarted(self.turn, interrupts)))
        if cut:
            heard = max(self._ms(utterance.heard(at.played)) for utterance in cut)
            commands.append(Tell(Silenced(self.turn, len(cut), heard)))
        return commands

    def _corrections(self, cut: Sequence[Utterance], played: int) -> list[Command]:
        """Truncate what was heard in part; delete what was not heard at all (0 ms is refused by servers)."""
        commands: list[Command] = []
        for utterance in cut:
            heard_ms = self._ms(utterance.heard(played))
            if heard_ms > 0:
                commands.append(
                    Send(
                        TruncateItem(
                            item_id=utterance.item_id,
                            content_index=utterance.content_index,
                            audio_end_ms=heard_ms,
                        )
                    )
                )
            elif utterance.content_index == 0:
                commands.append(Send(DeleteItem(item_id=utterance.item_id)))
        sounded = {utterance.item_id for utterance in cut}
        for answer in self._answers.under_way().values():
            if answer.turn == self.turn:
                unheard = [item for item in answer.unheard_messages() if item not in sounded]
                commands += [Send(DeleteItem(item_id=item)) for item in unheard]
        return commands

    def _cancellations(self) -> list[Command]:
        """A server that interrupts by itself needs no cancel, and would call it an error."""
        if self._settings.server_interrupts:
            return []
        return [Send(CancelResponse(response_id=key)) for key in self._answers.under_way()]

    def _end_speech(self, at: Moment) -> Sequence[Command]:
        self._user_speaks = False
        self._stopped_at = at.now
        detection = self._settings.turn_detection
        if detection is not None and detection.create_response is not False:
            self._unanswered = self.turn
        else:
            self._requests.want(self.turn)  # a server that does not answer by itself is asked to
        return [Tell(UserStopped(self.turn))]

    # ------------------------------------------------------------------------------------- answers

    def _answer_begins(self, info: ResponseInfo) -> Sequence[Command]:
        """Assign the response to a turn. One that an older turn is owed, while the user speaks, is stale."""
        asked_in = self._requests.take_granted()
        owed_to = asked_in if asked_in is not None else self._unanswered
        self._unanswered = None
        if self._user_speaks and owed_to is not None and owed_to != self.turn:
            self._answers.begin(info.id, owed_to)
            return [Send(CancelResponse(response_id=info.id))]
        self._user_speaks = False  # a server that answers has stopped listening, whether it said so or not
        self._answers.begin(info.id, self.turn)
        return []

    def _answer(self, response_id: str) -> Answer:
        return self._answers.find(response_id, self.turn)

    def _hear(self, event: AudioDelta, at: Moment) -> Sequence[Command]:
        answer = self._answer(event.response_id)
        if answer.turn != self.turn:
            return [Tell(AnswerDropped(answer.turn, len(event.delta) // BYTES_PER_SAMPLE))]
        utterance = self._playout.find(event.item_id, event.content_index)
        starts = utterance is None
        if utterance is None:
            utterance = Utterance(event.item_id, event.content_index, event.response_id, self.turn)
            self._playout.add(utterance)
        pcm = utterance.whole_samples(event.delta)
        utterance.extend(at.queued, len(pcm) // BYTES_PER_SAMPLE)
        if self._stopped_at is not None and self._onset is None and pcm:
            self._onset = _Onset(at.queued, at.now)
        return [Play(pcm, starts)] if pcm else []

    def _item_done(self, response_id: str, item: Item) -> Sequence[Command]:
        if item.type == "function_call":
            return self._call(response_id, item)
        for utterance in self._playout:
            if utterance.item_id == item.id:
                utterance.complete = True
        return []

    def _call(self, response_id: str, item: Item) -> Sequence[Command]:
        """Run a call once; calls of server-side tools are the server's business."""
        answer = self._answer(response_id)
        call_id = known(item.call_id) or known(item.id)
        name = known(item.name) or answer.call_names.get(call_id, "")
        arguments = known(item.arguments)
        if self._provider.server_tools and name in SERVER_TOOLS:
            fresh = self._calls.ignore(call_id)
            return [Tell(ToolCalled(answer.turn, name, arguments, here=False))] if fresh else []
        call = ToolCall(call_id, name, arguments, answer.turn)
        if not self._calls.begin(call, response_id):
            return []
        return [RunTool(call), Tell(ToolCalled(answer.turn, name, arguments, here=True))]

    def _answer_ends(self, info: ResponseInfo) -> Sequence[Command]:
        answer = self._answer(info.id)
        commands: list[Command] = []
        for item in info.output:
            if item.type == "function_call":
                commands += self._call(info.id, item)
        answer.over = True
        self._playout.complete(info.id)
        self._requests.server_is_free()
        self._ask(self._calls.response_over(info.id, cancelled=info.status == "cancelled"))
        commands += [Tell(said) for said in self._unspoken(answer)]
        if info.status in ("failed", "incomplete"):
            commands.append(Tell(AnswerFailed(answer.turn, info.status, _reason(info))))
        return commands

    def _unspoken(self, answer: Answer) -> list[AgentSaid]:
        """Items of an answer that came as text only."""
        if answer.turn != self.turn:
            return []
        sounding = {utterance.item_id for utterance in self._playout}
        texts = answer.unspoken_words().items()
        return [AgentSaid(answer.turn, item, text, 0, 0) for item, text in texts if item not in sounding]

    def _ask(self, turn: int | None) -> None:
        if turn is not None and turn == self.turn:
            self._requests.want(turn)

    # ------------------------------------------------------------------------------ after each step

    def _settle(self, at: Moment) -> list[Command]:
        """Draw the conclusions of the moment: what was heard, what is overdue, what may now be asked."""
        commands: list[Command] = [*self._told_heard(at), *self._told_onset(at)]
        if self._overdue(at.now):
            commands.append(Tell(AnswerFailed(self.turn, "missing", "the server did not answer")))
            self._unanswered = None
        free = not self._user_speaks and not self._answers.under_way()
        if free and (request := self._requests.next_request(self.turn, now=at.now)):
            commands.append(Send(request))
        self.deadline = self._next_deadline(at)
        return commands

    def _told_heard(self, at: Moment) -> list[Command]:
        return [Tell(self._said(u, at.played)) for u in self._playout.take_finished(at.played)]

    def _told_onset(self, at: Moment) -> list[Command]:
        if self._onset is None or self._stopped_at is None or at.played <= self._onset.position:
            return []
        sounded_at = at.now - samples_to_s(at.played - self._onset.position, self._rate)
        fact = FirstSound(
            self.turn,
            seconds=sounded_at - self._stopped_at,
            model_s=self._onset.arrived - self._stopped_at,
        )
        self._onset = self._stopped_at = None
        return [Tell(fact)]

    def _overdue(self, now: float) -> bool:
        stopped = self._stopped_at
        return self._unanswered is not None and stopped is not None and now >= stopped + ANSWER_PATIENCE_S

    def _next_deadline(self, at: Moment) -> float | None:
        times = []
        if self._onset:
            times.append(at.now + samples_to_s(self._onset.position - at.played, self._rate))
        if (end := self._playout.next_end) is not None:
            times.append(at.now + samples_to_s(end - at.played, self._rate))
        if self._unanswered is not None and self._stopped_at is not None:
            times.append(self._stopped_at + ANSWER_PATIENCE_S)
        if (wanted := self._requests.deadline) is not None:
            times.append(wanted)
        return max(min(times), at.now + MIN_NAP_S) if times else None

    def _said(self, utterance: Utterance, played: int) -> AgentSaid:
        words = self._answer(utterance.response_id).words_of(utterance.item_id)
        words.told = True
        return AgentSaid(
            utterance.turn,
            utterance.item_id,
            words.text,
            heard_ms=self._ms(utterance.heard(played)),
            sent_ms=self._ms(utterance.received),
        )

    def _ms(self, samples: int) -> int:
        return samples_to_ms(samples, self._rate)

    @property
    def _rate(self) -> int:
        return self._granted.output_rate if self._granted else self._settings.output_rate


def _reason(info: ResponseInfo) -> str:
    details = info.status_details
    if details is None:
        return ""
    error = details.error
    if isinstance(error, ErrorDetail):
        return error.message or error.code or ""
    return details.reason or ""
