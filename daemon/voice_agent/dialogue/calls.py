"""Tool calls: each call id is run at most once and answered once, and a batch asks for speech at most once.

A call waits, runs, and is answered:

    enter -> waits -> start -> runs -> answered
               '--------- refused, given up ---^

Calls of a tool that is not parallel run one after another, in the order in which the model made them,
whichever responses they came with. A batch is the calls of one response. When its response is over and every
call is answered, it says whether anything is to be said about it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from voice_agent.dialogue.answers import keep_recent
from voice_agent.dialogue.manners import Manners, Outcome, Reply
from voice_agent.dialogue.values import ToolCall

MAX_OPEN = 8
"""Calls of one connection that are not answered: a model that wants more of a small device is confused."""

MARGIN_S = 5.0
"""Tools have time limits of their own: a call that has no outcome so long after its own is stuck."""

REMEMBERED = 256
"""Call ids: servers announce a call in several events, the last of them at the end of the response."""


@dataclass(slots=True)
class _Batch:
    """``replies``: what the answers so far want. ``spoke``: the response said something itself."""

    turn: int
    pending: set[str] = field(default_factory=set)
    replies: set[Reply] = field(default_factory=set)
    over: bool = False
    cancelled: bool = False
    spoke: bool = False

    @property
    def wants_speech(self) -> bool:
        return Reply.ALWAYS in self.replies or (Reply.IF_SILENT in self.replies and not self.spoke)


@dataclass(slots=True)
class _Open:
    """A call that is not answered. ``began``: when it was run (monotonic seconds); ``None``: it waits."""

    call: ToolCall
    response_id: str
    manners: Manners
    began: float | None = None

    @property
    def deadline(self) -> float | None:
        return None if self.began is None else self.began + self.manners.timeout_s + MARGIN_S


class Unanswered(NamedTuple):
    """An open call. ``began``: when it was run (monotonic seconds); ``None``: it waits."""

    call: ToolCall
    began: float | None


class Ended(NamedTuple):
    """A batch is complete. ``speaks``: the model should be asked to say something about it."""

    turn: int
    speaks: bool


class ToolCalls:
    """The calls of this connection, in the order in which they were made."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}
        self._seen: dict[str, None] = {}
        self._batches: dict[str, _Batch] = {}

    @property
    def pending(self) -> bool:
        """Some call is not answered yet."""
        return bool(self._open)

    @property
    def crowded(self) -> bool:
        """Whether there are more open calls than there may be."""
        return len(self._open) > MAX_OPEN

    @property
    def deadline(self) -> float | None:
        """When the first of the running calls has lasted too long (monotonic seconds)."""
        return min((each.deadline for each in self._open.values() if each.deadline is not None), default=None)

    def overdue(self, now: float) -> Sequence[Unanswered]:
        """Calls that have lasted too long. Those that wait have not: their time begins when they run."""
        return [
            Unanswered(each.call, each.began)
            for each in self._open.values()
            if each.deadline is not None and now >= each.deadline
        ]

    def lasting(self) -> Sequence[ToolCall]:
        """Calls that run, and run on whatever happens to the connection."""
        running = [each for each in self._open.values() if each.began is not None]
        return [each.call for each in running if not each.manners.cancellable]

    def pending_in(self, turn: int) -> bool:
        """Whether a call of ``turn``, or what follows its batch, is still to come."""
        return any(batch.turn == turn and not batch.cancelled for batch in self._batches.values())

    def awaited_in(self, turn: int) -> bool:
        """Whether somebody who speaks in ``turn`` waits for a call: it may have something to say."""
        batches = (self._batches.get(each.response_id) for each in self._open.values())
        return any(batch and batch.turn == turn and not batch.cancelled for batch in batches)

    # --------------------------------------------------------------------------------- a call's life

    def enter(self, call: ToolCall, response_id: str, manners: Manners, *, over: bool = False) -> bool:
        """Note a call, which waits; false if it was seen before. ``over``: its response has ended."""
        if call.call_id in self._seen or call.call_id in self._open:
            return False
        keep_recent(self._seen, call.call_id, None, limit=REMEMBERED)
        self._open[call.call_id] = _Open(call, response_id, manners)
        batch = self._batches.get(response_id) or keep_recent(self._batches, response_id, _Batch(call.turn))
        batch.pending.add(call.call_id)
        batch.over |= over
        return True

    def ignore(self, call_id: str) -> bool:
        """Note a call that is not ours to answer; false if it was seen before."""
        fresh = call_id not in self._seen
        keep_recent(self._seen, call_id, None, limit=REMEMBERED)
        return fresh

    def start(self, now: float) -> Sequence[tuple[ToolCall, Manners]]:
        """The waiting calls that may run now; they do from now on."""
        started = []
        busy: set[str] = set()
        for each in self._open.values():
            if each.began is None and (each.manners.parallel or each.call.name not in busy):
                each.began = now
                started.append((each.call, each.manners))
            busy.add(each.call.name)
        return started

    def give_up(self, turn: int) -> Sequence[Unanswered]:
        """The open calls of turns before ``turn`` that may be cancelled; they are still to be answered."""
        return [
            Unanswered(each.call, each.began)
            for each in self._open.values()
            if each.call.turn < turn and each.manners.cancellable
        ]

    def answered(self, call_id: str, outcome: Outcome) -> tuple[ToolCall, Ended | None] | None:
        """Strike out a call: the call, and its batch if that is complete. ``None``: it is not open."""
        if (found := self._open.pop(call_id, None)) is None:
            return None
        if (batch := self._batches.get(found.response_id)) is not None:
            batch.pending.discard(call_id)
            if outcome != "cancelled":
                batch.replies.add(found.manners.reply if outcome == "ok" else Reply.ALWAYS)
        return found.call, self._completed(found.response_id)

    def response_over(self, response_id: str, status: str | None, *, spoke: bool) -> Ended | None:
        """The response has ended: its batch, if that is complete. One that broke off is followed up."""
        if (batch := self._batches.get(response_id)) is None:
            return None
        batch.over, batch.cancelled, batch.spoke = True, status == "cancelled", spoke
        if status in ("failed", "incomplete"):
            batch.replies.add(Reply.ALWAYS)
        return self._completed(response_id)

    def _completed(self, response_id: str) -> Ended | None:
        batch = self._batches.get(response_id)
        if batch is None or batch.pending or not batch.over:
            return None
        del self._batches[response_id]
        return None if batch.cancelled else Ended(batch.turn, batch.wants_speech)
