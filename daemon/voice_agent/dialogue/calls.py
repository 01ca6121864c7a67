"""Tool calls: each call id is run once and answered once, and a batch asks for speech once.

A batch is the calls of one response. The model is asked to speak when its response is over and every
call is answered, and only if the user has not begun a new turn meanwhile: answers of older turns are
delivered without asking for speech.
"""

from dataclasses import dataclass, field

from voice_agent.dialogue.answers import keep_recent
from voice_agent.dialogue.values import ToolCall


@dataclass(slots=True)
class _Batch:
    turn: int
    pending: set[str] = field(default_factory=set)
    over: bool = False
    cancelled: bool = False


class ToolCalls:
    """The calls of this connection, by response."""

    def __init__(self) -> None:
        self._calls: dict[str, tuple[ToolCall, str]] = {}
        self._seen: dict[str, None] = {}
        self._batches: dict[str, _Batch] = {}

    @property
    def pending(self) -> bool:
        """Some call is not answered yet."""
        return bool(self._calls)

    def begin(self, call: ToolCall, response_id: str) -> bool:
        """Enter a call; false if it was seen before (servers announce a call in several events)."""
        if call.call_id in self._seen:
            return False
        keep_recent(self._seen, call.call_id, None)
        self._calls[call.call_id] = (call, response_id)
        self._batches.setdefault(response_id, _Batch(call.turn)).pending.add(call.call_id)
        return True

    def ignore(self, call_id: str) -> bool:
        """Note a call that is not ours to answer; false if it was seen before."""
        fresh = call_id not in self._seen
        keep_recent(self._seen, call_id, None)
        return fresh

    def answered(self, call_id: str) -> tuple[ToolCall, int | None] | None:
        """Strike out a call: the call, and the turn in which to ask for speech if its batch is done."""
        if (entry := self._calls.pop(call_id, None)) is None:
            return None
        call, response_id = entry
        self._batches[response_id].pending.discard(call_id)
        return call, self._completed(response_id)

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
