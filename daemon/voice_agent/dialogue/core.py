"""The dialogue: one connection's conversation as a state machine without I/O.

Theory of operation. A *turn* begins when the server hears the user and lasts until it hears him again; turns
are numbered. Each response belongs to the turn in which it was asked for, and only responses of the
current turn are audible. So barge-in is one comparison: ``turn`` grows, what was queued is cut, and
whatever still arrives for an older turn is dropped by its response id. What has been heard is read off the
playout positions in each ``Moment``. There are no timers: ``deadline`` says when ``wake`` wants to be called.

A connection *stands by* until ``go_live``: it is introduced, and nothing else. Then it is told what was said
before it (``Memory``) and what it has to make good (``Carried``). ``leave`` says what the next one has to.

Rules of this file. It only hands out: what to do is decided in ``turns``, ``answering``, ``calling``,
``patience``, ``restore`` and ``carry``, over the state in ``books``. No function waits, reads a clock or
raises because of what a server sent. What dies with a connection lives in one ``Dialogue``, which is thrown
away with it.
"""

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum

from voice_agent.dialogue import answering, calling, carry, patience, turns
from voice_agent.dialogue.books import Books
from voice_agent.dialogue.carried import Carried
from voice_agent.dialogue.declaration import INTRODUCTION_ID, Declaration
from voice_agent.dialogue.duplicates import Duplicates
from voice_agent.dialogue.manners import MannersOf, plain
from voice_agent.dialogue.memory import Memory
from voice_agent.dialogue.restore import Restoration
from voice_agent.dialogue.values import (
    Abandon,
    Command,
    FirstSound,
    Granted,
    Moment,
    Restored,
    Send,
    ServerFault,
    Tell,
    ToolOutcome,
    ToolsRefused,
)
from voice_agent.errors import Cause, ConnectionLost, RemoteProtocolError, Unauthorized
from voice_agent.realtime.codec import effective_rates
from voice_agent.realtime.events import (
    AudioDelta,
    AudioDone,
    Content,
    CreateItem,
    ErrorDetail,
    Item,
    Malformed,
    OutputItemAdded,
    OutputItemDone,
    ResponseCreated,
    ResponseDone,
    ServerCallFailed,
    ServerError,
    ServerEvent,
    ServerListFailed,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
    TextDone,
    ToolSpec,
    TranscriptDelta,
    TranscriptDone,
    TranscriptionCompleted,
    Unrecognised,
    response_of,
)
from voice_agent.realtime.providers import (
    BUSY,
    Provider,
    SessionSettings,
    Verdict,
    cause_of,
    judge,
    under_pressure,
)

MAX_FLIPS = 3
"""A server may correct the rates of a session; one that goes on changing them is broken."""


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


class Dialogue:
    """Takes server events, tool outcomes and moments; returns commands.

    ``quiet_since``: since when nothing is spoken, sounding, owed or at work (monotonic seconds); ``None``
    otherwise.
    """

    def __init__(
        self,
        provider: Provider,
        settings: SessionSettings,
        *,
        turn: int = 0,
        memory: Memory | None = None,
        manners: MannersOf = plain,
    ) -> None:
        self.deadline: float | None = None
        self.quiet_since: float | None = None
        self._memory = Memory() if memory is None else memory
        self._books = Books(provider, settings, turn, self._memory, manners)
        self._restoration = Restoration(provider.history, self._memory)
        self._duplicates = Duplicates()
        self._declaration = Declaration(provider, settings)
        self._flips = 0
        self._left = False

    @property
    def turn(self) -> int:
        """The number of the current turn; it never falls, from connection to connection."""
        return self._books.turn

    @property
    def state(self) -> State:
        """Derived, so that it cannot contradict what it is derived from."""
        books = self._books
        if books.user_speaks:
            return State.LISTENING
        if books.playout:
            return State.SPEAKING
        asked = books.awaited or books.requests.pending_in(books.turn) or books.questions.resent
        owed = asked or books.calls.awaited_in(books.turn)
        return State.THINKING if owed or books.under_way() else State.IDLE

    @property
    def onset(self) -> int | None:
        """The position in the playout whose sounding the next moments are to tell, if there is one."""
        return self._books.onset.position if self._books.onset else None

    # -------------------------------------------------------------------------------------- inputs

    def receive(self, event: ServerEvent | Unrecognised | Malformed, at: Moment) -> Sequence[Command]:
        """What to do about an event."""
        if self._left:
            return []
        books = self._books
        books.questions.sign_of_life(at)
        if isinstance(event, ServerEvent):
            if self._duplicates.known(event):
                return [Tell(ServerFault(Verdict.BENIGN.value, "duplicate", type(event).__name__))]
            books.committed_at = None
            if (response_id := response_of(event)) is not None:
                books.answers.progress(response_id, now=at.now)
        return [*self._react(event, at), *self._settle(at)]

    def tool_finished(self, outcome: ToolOutcome, at: Moment) -> Sequence[Command]:
        """Deliver a tool's answer; one that comes after ``leave`` is for the next connection to know."""
        if self._left:
            return calling.remember_late(self._books, outcome)
        return [*calling.deliver(self._books, outcome, at.now), *self._settle(at)]

    def redeclare(self, tools: tuple[ToolSpec, ...], at: Moment) -> Sequence[Command]:
        """From now on the model has these tools; a session that was told otherwise is told so."""
        self._books.settings = replace(self._books.settings, tools=tools)
        return [] if self._left else [*self._changed_tools(), *self._settle(at)]

    def hush(self, at: Moment) -> Sequence[Command]:
        """The user wants silence: a button says it, not speech."""
        return [] if self._left else [*turns.hush(self._books, at), *self._settle(at)]

    def ask(self, text: str, at: Moment) -> Sequence[Command]:
        """Let the model answer what nobody spoke; it is no turn of the user's."""
        if self._left:
            return []
        question = Item(type="message", role="user", content=[Content(type="input_text", text=text)])
        self._books.requests.want(self._books.turn)
        return [Send(CreateItem(item=question)), *self._settle(at)]

    def wake(self, at: Moment) -> Sequence[Command]:
        """Time has passed."""
        return [] if self._left else self._settle(at)

    # -------------------------------------------------------------------------- between connections

    def go_live(self, at: Moment, carried: Carried | None = None) -> Sequence[Command]:
        """From now on the captured sound goes to this connection, beginning at ``at.sent``.

        It is told what was said before it, and takes over what the one before it could not finish.
        """
        books, carried = self._books, carried or Carried()
        books.turn = max(books.turn, carried.turn)
        books.questions.go_live(at, books.input_rate)
        commands: list[Command] = [*carry.take_over(books, carried, at)]
        if events := self._restoration.begin(carried.words, at.now):
            commands += [Send(event) for event in events]
            commands.append(Tell(Restored(self._memory.turns, self._memory.chars)))
        return [*commands, *self._settle(at)]

    def leave(self, at: Moment, *, healthy: bool = False) -> Carried:
        """The connection is lost, or given up while ``healthy``: what the next one has to make good."""
        self._left = True
        self.deadline = self.quiet_since = None
        return carry.hand_over(self._books, at, healthy=healthy)

    # -------------------------------------------------------------------------------------- events

    def _react(self, event: ServerEvent | Unrecognised | Malformed, at: Moment) -> Sequence[Command]:
        match event:
            case SpeechStarted():
                return turns.begin_turn(self._books, event, at)
            case SpeechStopped():
                return turns.end_speech(self._books, event, at)
            case TranscriptionCompleted(transcript=str(text)) if text.strip():
                return turns.understand(self._books, event, text.strip())
            case SessionCreated() | SessionUpdated():
                return self._session(event, at)
            case ServerError(error=error):
                return self._weigh(error, at)
            case Unrecognised(type=kind):
                return [Tell(ServerFault("unrecognised", kind, ""))]
            case Malformed(type=kind, reason=reason):
                return [Tell(ServerFault("malformed", kind, reason))]
        return self._react_to_answer(event, at)

    def _react_to_answer(self, event: ServerEvent, at: Moment) -> Sequence[Command]:
        books = self._books
        match event:
            case AudioDelta():
                return answering.hear(books, event, at)
            case AudioDone():
                return answering.sound_ends(books, event.response_id, at)
            case TranscriptDelta() | TextDelta():
                books.answer(event.response_id).write(event)
            case TranscriptDone(transcript=text) | TextDone(text=text):
                books.answer(event.response_id).finish(event.item_id, text)
            case ResponseCreated(response=info):
                return answering.begins(books, info, at)
            case OutputItemAdded():
                books.answer(event.response_id).note_item(event)
            case OutputItemDone():
                return answering.item_done(books, event.response_id, event.item, at)
            case ResponseDone(response=info):
                return answering.ends(books, info, at)
            case ServerListFailed() | ServerCallFailed():
                return [Tell(calling.fault_of(event))]
        return []

    def _session(self, event: SessionCreated | SessionUpdated, at: Moment) -> Sequence[Command]:
        """Introduce ourselves; then obey the rates that the server states. Yandex may confirm twice."""
        books = self._books
        if isinstance(event, SessionCreated):
            return [Send(self._declaration.introduce(books.settings))]
        rate_in, rate_out = effective_rates(event.session)
        before = books.granted or Granted(books.settings.input_rate, books.provider.silent_output_rate)
        granted = Granted(rate_in or before.input_rate, rate_out or before.output_rate)
        if granted == books.granted:
            return []
        self._flips += books.granted is not None
        if self._flips > MAX_FLIPS:
            text = "the server changes the sample rates again and again"
            return [Abandon(RemoteProtocolError(text, cause=Cause.PROTOCOL))]
        cut = books.playout.take_all() if granted.output_rate != books.output_rate else []
        told = [Tell(books.said(utterance, at.played)) for utterance in cut]  # a new rate, a new playout
        books.granted = granted
        books.onset = None if cut else books.onset
        return [*told, granted, *self._changed_tools()]

    def _changed_tools(self) -> Sequence[Command]:
        """Tell a confirmed session which tools there are, if it was told otherwise."""
        books = self._books
        update = self._declaration.change(books.settings) if books.granted is not None else None
        return [] if update is None else [Send(update)]

    def _weigh(self, error: ErrorDetail, at: Moment) -> Sequence[Command]:
        books = self._books
        books.requests.was_refused(error.event_id, busy=error.code == BUSY, now=at.now)
        verdict = judge(error)
        message = error.told or error.type or "no message"
        if verdict in (Verdict.BENIGN, Verdict.COMPLAINT):
            instead = self._restoration.refused(error, at.now)
            if instead is not None:
                told = Tell(ServerFault(Verdict.BENIGN.value, error.code or "", message))
                return [told, *(Send(event) for event in instead)]
        told = Tell(ServerFault(verdict.value, error.code or "", message))
        if verdict is Verdict.COMPLAINT and (fewer := self._fewer_tools(error, message)):
            return [told, *fewer]
        if books.granted is None and verdict is Verdict.COMPLAINT:
            return [told, *self._unready(error, message)]
        match verdict:
            case Verdict.EXPIRED | Verdict.OVERLOADED:
                return [told, Abandon(ConnectionLost(message, cause=cause_of(error)))]
            case Verdict.REFUSED:
                return [told, Abandon(Unauthorized(message, cause=cause_of(error)))]
        return [told]

    def _fewer_tools(self, error: ErrorDetail, message: str) -> Sequence[Command]:
        """A complaint about a tool: the server is told of the others."""
        books = self._books
        confirmed = books.granted is not None
        if under_pressure(error):
            return []
        instead = self._declaration.refused(error, books.settings, confirmed=confirmed)
        return [] if instead is None else [Tell(ToolsRefused(instead.names, message)), Send(instead.event)]

    def _unready(self, error: ErrorDetail, message: str) -> Sequence[Command]:
        """A complaint before the session is confirmed: it may be the reason why it never will be."""
        if under_pressure(error):
            return [Abandon(ConnectionLost(message, cause=Cause.OVERLOADED))]
        if error.event_id == INTRODUCTION_ID:
            text = f"the server refused our session settings: {message}"
            return [Abandon(Unauthorized(text, cause=Cause.SETTINGS))]
        return []

    # ------------------------------------------------------------------------------ after each step

    def _settle(self, at: Moment) -> list[Command]:
        """Draw the conclusions of the moment: what was heard, what is overdue, what may now be asked."""
        books = self._books
        commands: list[Command] = [*self._told_heard(at), *self._told_onset(at), *patience.heal(books, at)]
        if books.free() and (request := books.requests.next_request(books.turn, now=at.now)):
            commands.append(Send(request))
        self.deadline = patience.deadline(books, at)
        if self.state is not State.IDLE or books.calls.pending:
            self.quiet_since = None
        elif self.quiet_since is None:
            self.quiet_since = at.now
        return commands

    def _told_heard(self, at: Moment) -> list[Command]:
        books = self._books
        return [Tell(books.said(u, at.played)) for u in books.playout.take_finished(at.played)]

    def _told_onset(self, at: Moment) -> list[Command]:
        books, onset, sounded = self._books, self._books.onset, at.onset
        if onset is None or books.stopped_at is None or sounded is None or at.played <= onset.position:
            return []
        fact = FirstSound(
            books.turn,
            seconds=sounded.heard_at - books.stopped_at,
            model_s=onset.arrived - books.stopped_at,
            hold_s=max(min(sounded.free_at, sounded.given_at) - onset.arrived, 0.0),
            device_s=sounded.heard_at - sounded.given_at,
        )
        books.onset = books.stopped_at = None
        return [Tell(fact)]
