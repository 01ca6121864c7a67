"""Answers that are kept for a while, so that a question is asked once, whoever else asks it meanwhile.

A question that is under way goes on when nobody waits for it any more (the user spoke): its answer is there
when he asks again. If none comes, one that is no longer fresh but not yet stale is given, with its age.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Generic, NamedTuple, TypeVar

from voice_agent.errors import ToolError

K = TypeVar("K")
V = TypeVar("V")

TOO_LATE = "the weather service did not answer in time; try again later"


class Aged(NamedTuple, Generic[V]):
    """An answer, and how many seconds ago it came."""

    value: V
    age_s: float


class Cache(Generic[K, V]):
    """At most ``size`` answers; the one that was of use longest ago goes first. Ages in monotonic seconds."""

    def __init__(
        self, *, size: int, fresh_s: float, stale_s: float, clock: Callable[[], float] = monotonic
    ) -> None:
        self._size = size
        self._fresh_s = fresh_s
        self._stale_s = stale_s
        self._clock = clock
        self._kept: OrderedDict[K, tuple[V, float]] = OrderedDict()
        self._asking: dict[K, asyncio.Task[V]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    async def get(self, key: K, ask: Callable[[], Coroutine[None, None, V]], *, within_s: float) -> Aged[V]:
        """The answer, by ``ask`` unless a fresh one is there. Raises ``ToolError`` if there is none."""
        kept = self._find(key)
        if kept is not None and kept.age_s < self._fresh_s:
            return kept
        try:
            return Aged(await self._ask(key, ask, within_s), 0.0)
        except ToolError:
            if kept is None:
                raise
            return kept

    async def _ask(self, key: K, ask: Callable[[], Coroutine[None, None, V]], within_s: float) -> V:
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.create_task(ask(), name="weather")
            task.add_done_callback(lambda done: self._answered(key, done))
        # Not asyncio.wait_for: whoever gives up waiting must not take the answer from the others.
        await asyncio.wait([task], timeout=max(within_s, 0.0))
        if not task.done():
            raise ToolError(TOO_LATE)
        return task.result()

    def _answered(self, key: K, done: asyncio.Task[V]) -> None:
        del self._asking[key]
        if done.cancelled() or done.exception() is not None:
            return  # whoever waits gets to know; nobody else cares
        self._kept[key] = done.result(), self._clock()
        self._kept.move_to_end(key)
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)

    def _find(self, key: K) -> Aged[V] | None:
        if key not in self._kept:
            return None
        value, at = self._kept[key]
        age_s = self._clock() - at
        if age_s >= self._stale_s:
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        return Aged(value, age_s)
