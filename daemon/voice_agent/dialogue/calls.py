"""Tool calls: each call id is run once and answered once, and a batch asks for speech once.

A batch is the calls of one response. The model is asked to speak when its response is over and every
call is answered, and only if the user has not begun a new turn meanwhile: answers of older turns are
delivered without asking for speech.
"""

from dataclasses import dataclass, field

from voice_agent.dialogue.answers import keep_recent
from voice_agent.dialogue.values import ToolCall

MAX_CONCURRENT = 8
"""Calls of one response that run at the same time: a model that wants more of a small device is confused."""

PATIENCE_S = 60.0
"""A call without an outcome: tools have shorter limits of their own, so whoever runs them is stuck."""


@dataclass(slots=True)
class _Batch:
    turn: int
    pending: set[str] = field(default_factory=set)
    over: bool = False
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class _Running:
    call: ToolCall
    response_id: str
    deadline: float


class ToolCalls:
    """The calls of this connection, by response."""

    def __init__(self) -> None:
        self._calls: dict[str, _Running] = {}
        self._seen: dict[str, None] = {}
        self._batches: dict[str, _Batch] = {}

    @property
    def pending(self) -> bool:
        """Some call is not answered yet."""
        return bool(self._calls)

    @property
    def deadline(self) -> float | None:
        """When the call that began first has lasted too long (monotonic seconds)."""
        return min((running.deadline for running in self._calls.values()), default=None)

    def overdue(self, now: float) -> list[ToolCall]:
        """Calls that have lasted too long."""
        return [running.call for running in self._calls.values() if now >= running.deadline]

    def pending_in(self, turn: int) -> bool:
        """Whether a call of ``turn``, or the request for speech that follows its batch, is still to come."""
        return any(batch.turn == turn and not batch.cancelled for batch in self._batches.values())

    def crowded(self, response_id: str) -> bool:
        """Whether no more calls of this response may run now."""
        batch = self._batches.get(response_id)
        return batch is not None and len(batch.pending) > MAX_CONCURRENT

    def begin(self, call: ToolCall, response_id: str, *, now: float) -> bool:
        """Enter a call; false if it was seen before (servers announce a call in several events)."""
        if call.call_id in self._seen:
            return False
        keep_recent(self._seen, call.call_id, None)
        self._calls[call.call_id] = _Running(call, response_id, now + PATIENCE_S)
        self._batches.setdefault(response_id, _Batch(call.turn)).pending.add(call.call_id)
        return True

    def ignore(self, call_id: str) -> bool:
        """Note a call that is not ours to answer; false if it was seen before."""
        fresh = call_id not in self._seen
        keep_recent(self._seen, call_id, None)
        return fresh

    def answered(self, call_id: str) -> tuple[ToolCall, int | None] | None:
        """Strike out a call: the call, and the turn in which to ask for speech if its batch is done."""
        if (running := self._calls.pop(call_id, None)) is None:
            return None
        self._batches[running.response_id].pending.discard(call_id)
        return running.call, self._completed(running.response_id)

    def response_over(self, response_id: str, *, cancelled: bool) -> int | None:
        """The response has ended: the turn in which to ask for speech if its batch is done."""
        if (batch := self._batches.get(response_id)) is None:
            return None
        batch.over, batch.cancelled = True, cancelled
        return self._completed(response_id)

    def _completed(self, response_id: str) -> int | None:
        batch = self._batches[response_id]
        if batch.pending or not batch.over:
            return None
        del self._batches[response_id]
        return None if batch.cancelled else batch.turn
