"""A realtime server as a few rules: one response at a time, its own VAD, and a network in both directions.

It makes what a real one makes (speech events, responses with several items and calls, errors) in an order
that the test chooses, and it keeps the books that the client's events must agree with.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from voice_agent.realtime.events import (
    AudioDelta,
    CancelResponse,
    ClientEvent,
    CreateItem,
    CreateResponse,
    DeleteItem,
    ErrorDetail,
    Item,
    OutputItemAdded,
    OutputItemDone,
    ResponseCreated,
    ResponseDone,
    ResponseInfo,
    ServerError,
    ServerEvent,
    SessionUpdate,
    SpeechStarted,
    SpeechStopped,
    TranscriptDelta,
    TranscriptionCompleted,
    TruncateItem,
)

RATE = 24000

WORDS = "as many words as fit into the mouth of a model"
"""What every spoken item says; it arrives before the sound, as with real servers."""


@dataclass
class Plan:
    """What a response will do, step by step, and the items that it has finished."""

    response_id: str
    steps: deque[ServerEvent]
    output: list[Item] = field(default_factory=list)


class ModelServer:
    """``towards_client`` and ``towards_server`` are the network: events sent and not yet delivered.

    ``secretly_busy``: so many requests are refused for a reason that the client cannot see.
    """

    def __init__(self, write_answer: Callable[[str], deque[ServerEvent]], *, interrupts: bool) -> None:
        self._write_answer = write_answer
        self._interrupts = interrupts
        self.towards_client: deque[ServerEvent] = deque()
        self.towards_server: deque[ClientEvent] = deque()
        self.user_speaks = False
        self.active: Plan | None = None
        self.announced: set[str] = set()
        self.sent_samples: dict[str, int] = {}
        self.truncated: dict[str, int] = {}
        self.deleted: set[str] = set()
        self.outputs: list[str] = []
        self.calls: set[str] = set()
        self.told: list[Item] = []
        self.refuses_updates = False
        self.secretly_busy = 0
        self._count = 0
        self._utterances = 0

    # ---------------------------------------------------------------------------------- what happens

    def user_starts(self, late_deltas: int, ms: int = 0) -> str:
        """The VAD hears the user: the active response is cancelled, though some of it is still under way."""
        self.user_speaks = True
        self._utterances += 1
        item = f"u{self._utterances}"
        self._emit(SpeechStarted(item_id=item, audio_start_ms=ms))
        if self._interrupts:
            self._cancel(late_deltas)
        return item

    def transcribe(self, item: str, words: str) -> None:
        """What the user said is recognised, sooner or later."""
        self._emit(TranscriptionCompleted(item_id=item, transcript=words))

    def user_stops(self, ms: int = 0) -> None:
        """The VAD hears silence: the server answers by itself."""
        self.user_speaks = False
        self._emit(SpeechStopped(item_id=f"u{self._utterances}", audio_end_ms=ms))
        if self._interrupts:
            self._cancel(0)
        if not self.active:
            self._begin_response()

    def begin_by_itself(self) -> None:
        """Nobody asked, as far as the client knows."""
        self._begin_response()

    def work(self, status: str = "completed") -> None:
        """The active response makes one step; the last one ends it with this status."""
        assert self.active
        if self.active.steps:
            self._emit(self.active.steps.popleft())
        else:
            self._end_response(status)

    def read(self) -> None:
        """One client event arrives and is obeyed."""
        match self.towards_server.popleft():
            case CreateResponse(event_id=event_id):
                if self.active or self.secretly_busy:
                    self.secretly_busy = max(self.secretly_busy - 1, 0)
                    code = "conversation_already_has_active_response"
                    self._emit(ServerError(error=ErrorDetail(code=code, event_id=str(event_id))))
                else:
                    self._begin_response()
            case CancelResponse(response_id=response_id):
                if self.active and self.active.response_id == response_id:
                    self._end_response("cancelled")
            case TruncateItem(item_id=item, audio_end_ms=ms):
                assert item not in self.truncated, "an item is truncated once"
                assert item not in self.deleted, "a deleted item cannot be truncated"
                assert 0 < ms <= self.sent_samples[item] * 1000 // RATE, "nothing unsent can have been heard"
                self.truncated[item] = ms
            case DeleteItem(item_id=item):
                assert item in self.announced, "only items of this connection can be deleted"
                assert item not in self.deleted
                assert item not in self.truncated
                self.deleted.add(item)
            case SessionUpdate(event_id=str(event_id)) if self.refuses_updates:
                self._emit(ServerError(error=ErrorDetail(code="invalid_value", event_id=event_id)))
            case CreateItem(item=item) if item.type == "function_call_output":
                assert item.call_id in self.calls, "only calls of this connection can be answered"
                self.outputs.append(str(item.call_id))
            case CreateItem(item=item):
                assert item.type == "message", "what is restored is told in words"
                self.told.append(item)

    # -------------------------------------------------------------------------------------- machinery

    def _emit(self, event: ServerEvent) -> None:
        match event:
            case OutputItemAdded(item=item):
                self.announced.add(str(item.id))
            case AudioDelta(item_id=item, delta=delta):
                self.sent_samples[item] = self.sent_samples.get(item, 0) + len(delta) // 2
            case OutputItemDone(item=item):
                if self.active:
                    self.active.output.append(item)
                if item.type == "function_call":
                    self.calls.add(str(item.call_id))
        self.towards_client.append(event)

    def _begin_response(self) -> None:
        self._count += 1
        response_id = f"r{self._count}"
        self._emit(ResponseCreated(response=ResponseInfo(id=response_id, status="in_progress")))
        self.active = Plan(response_id, self._write_answer(response_id))

    def _cancel(self, late_deltas: int) -> None:
        if self.active:
            audio = [step for step in self.active.steps if isinstance(step, AudioDelta)]
            for step in audio[:late_deltas]:
                self._emit(step)
            self._end_response("cancelled")

    def _end_response(self, status: str) -> None:
        assert self.active
        info = ResponseInfo(id=self.active.response_id, status=status, output=self.active.output)
        self._emit(ResponseDone(response=info))
        self.active = None


def message(response_id: str, index: int, deltas: list[int]) -> list[ServerEvent]:
    """The steps of a spoken item; ``deltas`` in samples."""
    item = Item(id=f"{response_id}.m{index}")
    audio = [AudioDelta(response_id=response_id, item_id=str(item.id), delta=bytes(n * 2)) for n in deltas]
    words = TranscriptDelta(response_id=response_id, item_id=str(item.id), delta=WORDS)
    return [
        OutputItemAdded(response_id=response_id, item=item),
        words,
        *audio,
        OutputItemDone(response_id=response_id, item=item),
    ]


def function_call(response_id: str, index: int, name: str = "tool") -> list[ServerEvent]:
    """The steps of a function call."""
    call_id = f"{response_id}.c{index}"
    item = Item(id=call_id, type="function_call", name=name, call_id=call_id, arguments="{}")
    return [
        OutputItemAdded(response_id=response_id, item=item),
        OutputItemDone(response_id=response_id, item=item),
    ]
