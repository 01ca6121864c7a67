"""Running in the foreground: one coroutine, ended by SIGTERM or SIGINT in time whatever happens.

SIGHUP is such a signal only where it says that the terminal was closed.

The first signal asks (``stop``), and soon after insists (cancels). Should something hang even then, as
PortAudio may when a device has gone, a timer ends the process. A second signal ends it at once.
"""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Coroutine

log = logging.getLogger(__name__)

Work = Callable[[asyncio.Event], Coroutine[None, None, None]]

SIGNALS = (signal.SIGTERM, signal.SIGINT)
INSIST_AFTER_S = 1.8
LEAVE_AFTER_S = 2.5
"""Three seconds are promised, and a busy machine may wake the timer late."""


def run_in_foreground(work: Work) -> None:
    """Run ``work(stop)`` to its end; a signal sets ``stop``."""
    asyncio.run(_until_signal(work))


def has_terminal() -> bool:
    """Whether there is a terminal that could be closed. A service has none, nor what `setsid` began."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _goodbyes() -> tuple[signal.Signals, ...]:
    """What ends us. SIGHUP does by its own nature, but in an orderly way; `nohup` has us ignore it."""
    hangs_up = has_terminal() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return (*SIGNALS, signal.SIGHUP) if hangs_up else SIGNALS


async def _until_signal(work: Work) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    task = loop.create_task(work(stop))
    goodbyes = _goodbyes()

    def on_signal(number: signal.Signals) -> None:
        for each in goodbyes:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)
        log.info("stopping", extra={"signal": number.name})
        stop.set()
        loop.call_later(INSIST_AFTER_S, task.cancel)
        _leave_later(number)

    for each in goodbyes:
        loop.add_signal_handler(each, on_signal, each)
    try:
        await task
    except asyncio.CancelledError:
        if not stop.is_set():
            raise
        log.warning("cut short: the work did not end when asked", extra={"after_s": INSIST_AFTER_S})


def _leave_later(number: signal.Signals) -> None:
    timer = threading.Timer(LEAVE_AFTER_S, _leave, [number])
    timer.daemon = True
    timer.start()


def _leave(number: signal.Signals) -> None:
    """End the process as the signal would have done: some thread is stuck outside Python."""
    log.error("something hangs; leaving without it", extra={"after_s": LEAVE_AFTER_S})
    os._exit(128 + number)
