"""Rings what is due, until somebody has heard it.

    due -> ring: group, pause, group, pause ... -> settled        by a button, a command, the model, a voice,
             ^ waits while anybody speaks                         or unanswered after three minutes

In the pauses voices are heard, even where the microphone is deaf while the loudspeaker sounds. A model that
hears understands "stop" and calls a tool; where none does, any voice will do, as there is nobody to tell what
it says. What becomes due meanwhile joins the ring: one stop is for all.
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

from voice_agent.alarms.clockwork import Clockwork
from voice_agent.alarms.entries import Entry

PAUSE_S = 3.0
"""Long enough for "stop" and for what a server needs to hear that it was all."""
RING_S = 180.0
"""Who has not come by then is not there."""
TRY_S = 0.2
"""How soon a ring goes on when nobody speaks any longer, or there is a loudspeaker again."""


class Bell:
    """Rings; ``run`` is a task.

    ``sound`` lets a cue begin, unless somebody speaks: how many seconds it takes, 0 if it did not begin;
    ``hush`` ends it. ``voice`` waits for one; ``is_understood``: a model hears it. ``wake``: somebody may be
    about to speak, and is understood sooner if there is a session by then.
    """

    def __init__(
        self,
        clockwork: Clockwork,
        *,
        sound: Callable[[str], Awaitable[float]],
        hush: Callable[[], None],
        voice: Callable[[], Awaitable[None]],
        is_understood: Callable[[], bool],
        wake: Callable[[], None],
    ) -> None:
        self._clockwork = clockwork
        self._sound = sound
        self._hush = hush
        self._voice = voice
        self._is_understood = is_understood
        self._wake = wake
        self._rung_s = 0.0

    def stop(self, why: str) -> bool:
        """End what rings; whether anything did. What is due and was not heard yet goes on."""
        if not self._clockwork.ringing:
            return False
        self._clockwork.settle(self._clockwork.ringing, why)
        return True

    async def run(self) -> None:
        """Ring whatever becomes due, for ever."""
        while True:
            await self._clockwork.due()
            self._wake()
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(self._listen())
                await self._ring()
                listening.cancel()

    async def _ring(self) -> None:
        while due := self._clockwork.look():
            took_s = await self._sound("alarm" if any(entry.kind == "alarm" for entry in due) else "timer")
            if took_s:
                self._count(due, took_s + PAUSE_S)
                await self._rest(took_s + PAUSE_S)
            else:
                await self._clockwork.change(TRY_S)
        self._hush()

    def _count(self, due: tuple[Entry, ...], seconds: float) -> None:
        """Note what is heard; who comes late to a ring is rung for as long as the others."""
        if self._clockwork.rings(due):
            self._rung_s = 0.0
        self._rung_s += seconds

    async def _rest(self, seconds: float) -> None:
        """Pause, unless nothing rings any more."""
        until = monotonic() + seconds
        while (left_s := until - monotonic()) > 0 and self._clockwork.ringing:
            await self._clockwork.change(left_s)
        if self._rung_s >= RING_S:
            self.stop("unanswered")

    async def _listen(self) -> None:
        while True:
            await self._voice()
            if not self._is_understood():
                self.stop("voice")
