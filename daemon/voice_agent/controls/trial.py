"""A trial of the way from the model to the loudspeaker, while the daemon runs: ``voice-agent self-test``.

The model is asked in writing for a few words. Those that leave the loudspeaker prove that the key is taken,
that the model answers, and that its sound arrives and is played. Nobody is interrupted: it waits until nobody
speaks and nothing is owed. The microphone is no part of it; whether it delivers is part of ``/readyz``.
"""

import asyncio
from collections.abc import Callable
from time import monotonic

from msgspec import Struct

from voice_agent.dialogue import AgentSaid, AnswerFailed, Fact

TEXT = "(This is a self-test of the device. Say nothing but: ready.)"
LOOK_S = 0.2
"""How often it is tried whether somebody is free to answer."""
LONGEST_S = 300.0


class Tried(Struct, frozen=True):
    """How a trial ended. ``reason``: why nothing was heard; empty if something was."""

    seconds: float
    heard_ms: int
    reason: str = ""


class Trial:
    """Makes one at a time; an observer of the conversation.

    ``ask``: the model, in writing; whether it was asked. ``wake``: a session that is parked.
    """

    def __init__(self, ask: Callable[[str], bool], wake: Callable[[], None]) -> None:
        self._ask = ask
        self._wake = wake
        self._verdict: asyncio.Future[tuple[int, str]] | None = None

    def __call__(self, fact: Fact) -> None:
        """What was heard, or why nothing will be."""
        if self._verdict is None or self._verdict.done():
            return
        match fact:
            case AgentSaid(heard_ms=heard_ms) if heard_ms:
                self._verdict.set_result((heard_ms, ""))
            case AnswerFailed(status=status, reason=reason):
                self._verdict.set_result(
                    (0, f"the answer {status}: {reason}" if reason else f"the answer {status}")
                )

    async def run(self, limit_s: float) -> Tried:
        """Let it say something, within this time."""
        began = monotonic()
        if self._verdict is not None:
            return Tried(0.0, 0, "a self-test is under way")
        self._verdict = asyncio.get_running_loop().create_future()
        waiting = "nobody was free to answer: see voice-agent status"
        try:
            async with asyncio.timeout(min(limit_s, LONGEST_S)):
                while not self._ask(TEXT):
                    self._wake()
                    await asyncio.sleep(LOOK_S)
                waiting = "the model was asked, and nothing was heard"
                heard_ms, reason = await self._verdict
        except TimeoutError:
            heard_ms, reason = 0, waiting
        finally:
            self._verdict = None
        return Tried(monotonic() - began, heard_ms, reason)
