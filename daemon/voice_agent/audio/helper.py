"""Blocking calls that may never return, kept off the event loop.

Not ``asyncio.to_thread``: its threads are joined when the interpreter ends, and one that hangs inside
PortAudio would then hang the exit. These are daemon threads, one for each call; a call that misses its
deadline is left behind.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Generic, TypeVar

from voice_agent.errors import AudioError

T = TypeVar("T")


async def in_helper(
    work: Callable[[], T], *, name: str, deadline_s: float, undo: Callable[[T], None] | None = None
) -> T:
    """What ``work`` returns, or the ``AudioError`` it raises; ``TimeoutError`` after ``deadline_s``.

    If nobody waits any more when ``work`` returns at last, ``undo`` gets the result, in a thread again.
    """
    call = _Call(work, name, undo)
    threading.Thread(target=call.run, name=name, daemon=True).start()
    try:
        # Not asyncio.timeout: in Debian 12's Python 3.11.2 it does not expire in a task being cancelled.
        await asyncio.wait([call.done], timeout=deadline_s)
        if not call.done.done():
            raise TimeoutError
        return call.done.result()
    finally:
        call.done.cancel()


class _Call(Generic[T]):
    def __init__(self, work: Callable[[], T], name: str, undo: Callable[[T], None] | None) -> None:
        self.done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._work = work
        self._name = name
        self._undo = undo

    def run(self) -> None:
        """In the helper thread."""
        # A bug's traceback is printed by the thread; this is what makes the waiting task fail as well.
        deliver: Callable[[], None] = partial(self._fail, RuntimeError(f"{self._name} ended with a bug"))
        try:
            deliver = partial(self._succeed, self._work())
        except AudioError as error:
            deliver = partial(self._fail, error)
        finally:
            with suppress(RuntimeError):  # the loop is closed: the process is on its way out
                self.done.get_loop().call_soon_threadsafe(deliver)

    def _succeed(self, result: T) -> None:
        if not self.done.done():
            self.done.set_result(result)
        elif self._undo:
            threading.Thread(target=self._undo, args=(result,), name=self._name, daemon=True).start()

    def _fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)
