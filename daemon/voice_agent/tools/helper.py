"""Blocking work of tools, kept off the event loop.

Not ``asyncio.to_thread``: its threads are joined when the interpreter ends, and one that hangs would hang the
exit. These are daemon threads, one for each call.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


def beside(work: Callable[[], T], name: str) -> asyncio.Future[Future[T]]:
    """Begin ``work`` in a thread. The outer future is done when the thread has ended, however it did.

    A future inside of a future, so that whatever ``work`` raises (``StopIteration``, ``SystemExit``) is a
    value until somebody asks for the inner result.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[Future[T]] = loop.create_future()

    def run() -> None:
        outcome: Future[T] = Future()
        try:
            outcome.set_result(work())
        except BaseException as error:  # noqa: BLE001 — part of the tool boundary: raised where it is awaited
            outcome.set_exception(error)
        with suppress(RuntimeError):  # the loop is closed: the process is on its way out
            loop.call_soon_threadsafe(_tell, ended, outcome)

    threading.Thread(target=run, name=name, daemon=True).start()
    return ended


def _tell(ended: asyncio.Future[Future[T]], outcome: Future[T]) -> None:
    if not ended.done():
        ended.set_result(outcome)
