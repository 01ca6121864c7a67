"""Nothing ends quietly and nothing hangs quietly: whatever should run for ever is watched.

    what goes wrong                        who sees it             what follows
    a task raises                          its TaskGroup           its group ends: a session, or the process
    a task returns, or cancels itself      ``forever``             ``Ended``: a bug, which ends the process
    what talk can do without ends          ``restarting``          it begins anew, after a back-off
    a component hangs                      ``Supervisor.look``     its cure; if none helps, ``Hang``: a bug
    the event loop hangs                   ``LoopGuard``, a thread all stacks on stderr, exit 75

Patience is counted in looks, not by a clock: a process that was stopped, suspended or starved finds every
component old at its first look, and each of them has shown itself alive before the third.
"""

import asyncio
import faulthandler
import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, NoReturn, Self

from voice_agent.backoff import Backoff
from voice_agent.distribution import Distribution
from voice_agent.errors import VoiceAgentError
from voice_agent.repeats import Repeats

log = logging.getLogger(__name__)

LOOK_S = 1.0
LAG_S = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
OVERDUE_LOOKS = 3  # overdue in this many looks in a row means down
RECURE_LOOKS = 10  # what a cure may take: reopening sound devices has deadlines of 5 s
MAX_CURES = 3  # what they do not help, a fresh process may
SETTLED_S = 5.0  # a restarted component that lives this long is up again
CALM_S = 60.0  # one that has been up for so long and then falls is news
LOOP_LIMIT_S = 15.0  # nothing on the loop takes a tenth of a second: this is no slowness
REPORT_S = 2.0  # the stacks may take this long; a reader of stderr that hangs must not keep us

Work = Callable[[], Coroutine[None, None, None]]
Cure = Callable[[str], None]
"""Gets the reason in words. Abandons a session, reopens devices, or raises ``Hang``."""


class Ended(Exception):
    """Something that should run for ever has come to an end. A bug: outside of the tree of errors."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} ended, though nobody had asked it to")


class Hang(Exception):
    """Something hangs that only a fresh process can cure. A bug: outside of the tree of errors."""


async def forever(name: str, work: Coroutine[None, None, None]) -> NoReturn:
    """Run ``work``, whose end is a bug unless it is cancelled or raises.

    A task that awaits a future cancelled by somebody else is cancelled, too, and a TaskGroup forgives that.
    """
    try:
        await work
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and not task.cancelling():
            raise Ended(name) from error
        raise
    raise Ended(name)


def end_process(reason: str) -> NoReturn:
    """The cure of last resort."""
    raise Hang(reason)


@dataclass(frozen=True, slots=True, eq=False)
class Vital:
    """A component's sign of life.

    ``age`` says for how many seconds it has owed one: zero while it has nothing to do. Beyond ``limit_s``
    it hangs. Two sessions may each have an uplink: vitals of one name are told apart by identity.
    """

    name: str
    age: Callable[[], float]
    limit_s: float
    cure: Cure = end_process


class Component(NamedTuple):
    """One component now. ``reason``: why it is down. ``troubles``: hangs and ends since the start."""

    up: bool
    reason: str
    troubles: int


class SupervisorStatistics(NamedTuple):
    """A snapshot. ``lags``: how late the event loop was at each look.

    ``hanging``: of the components that are down those that a fresh process might cure, and why.
    """

    components: Mapping[str, Component]
    lags: Distribution
    hanging: Mapping[str, str] = {}


class _Watch:
    """A vital and what was seen of it. It is down exactly while it has a reason."""

    def __init__(self, vital: Vital) -> None:
        self.vital = vital
        self.overdue = 0
        self.reason = ""


class Supervisor:
    """Looks at every vital once in ``look_s``: ``run`` as a task, for ever."""

    def __init__(self, *, look_s: float = LOOK_S, on_look: Callable[[], None] = lambda: None) -> None:
        self._look_s = look_s
        self._on_look = on_look
        self._watches: list[_Watch] = []
        self._fallen: dict[str, str] = {}
        self._faults = Repeats(log)
        self._troubles: Counter[str] = Counter()
        self._lags = Distribution(LAG_S)

    async def run(self) -> NoReturn:
        """Look until cancelled; raises ``Hang`` when a component is beyond cure."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + self._look_s
            await asyncio.sleep(self._look_s)
            self._lags.add(max(loop.time() - due, 0.0))
            self._on_look()
            try:
                self.look()
            except Hang as hang:
                log.critical("beyond cure", extra={"reason": str(hang), "tasks": "; ".join(_tasks())})
                raise

    @property
    def hanging(self) -> dict[str, str]:
        """What is down and a fresh process might cure, and why."""
        return {watch.vital.name: watch.reason for watch in self._watches if watch.reason}

    def statistics(self) -> SupervisorStatistics:
        """How everything is that is or ever was watched; what has left is up."""
        hanging = self.hanging
        reasons = hanging | self._fallen
        components = {
            name: Component(name not in reasons, reasons.get(name, ""), troubles)
            for name, troubles in self._troubles.items()
        }
        return SupervisorStatistics(components, self._lags.copy(), hanging)

    @contextmanager
    def watching(self, *vitals: Vital) -> Iterator[None]:
        """Look at these, too, until the block is left."""
        watches = [_Watch(vital) for vital in vitals]
        for vital in vitals:
            self._troubles[vital.name] += 0
        self._watches += watches
        try:
            yield
        finally:
            self._watches = [watch for watch in self._watches if watch not in watches]

    async def restarting(
        self, name: str, work: Work, backoff: Backoff, *, settled_s: float = SETTLED_S
    ) -> NoReturn:
        """Run ``work`` again and again, however it ends: for what the conversation can do without."""
        self._troubles[name] += 0
        while True:
            # A task of its own: whatever it dies of stays in it, bugs as well, and is told below.
            task = asyncio.create_task(work(), name=name)
            try:
                await asyncio.wait([task], timeout=settled_s)
                if not task.done():
                    self._rise(name)
                    backoff.succeeded()
                    await asyncio.wait([task])
            finally:
                await _end(task)
            self._fall(name, task)
            await asyncio.sleep(backoff.next_delay(self._look_s))

    # ------------------------------------------------------------------------------------ looking

    def look(self) -> None:
        """Judge every component once."""
        for watch in tuple(self._watches):
            age_s = watch.vital.age()
            if age_s > watch.vital.limit_s:
                watch.overdue += 1
                self._overdue(watch, age_s)
                continue
            watch.overdue = 0
            if watch.reason:
                watch.reason = ""
                log.info("component up", extra={"component": watch.vital.name})
                self._faults.over(watch.vital.name, within_s=CALM_S)

    def _overdue(self, watch: _Watch, age_s: float) -> None:
        cures, waited = divmod(watch.overdue - OVERDUE_LOOKS, RECURE_LOOKS)
        if cures < 0 or waited:
            return
        vital = watch.vital
        reason = f"{vital.name}: no sign of life for {age_s:.1f} s, and {vital.limit_s:g} s is the limit"
        if not watch.reason:
            self._troubles[vital.name] += 1
            extra = {"component": vital.name, "reason": reason}
            self._faults.tell(vital.name, "component down", extra, again=logging.INFO)
        watch.reason = reason
        if cures >= MAX_CURES:
            end_process(f"{reason}; {cures} cures did not help")
        vital.cure(reason)

    # ------------------------------------------------------------------------------------ restarting

    def _rise(self, name: str) -> None:
        if (reason := self._fallen.pop(name, None)) is not None:
            log.info("component up", extra={"component": name})
            self._faults.over((name, reason), within_s=CALM_S)

    def _fall(self, name: str, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        bug = error if not isinstance(error, OSError | VoiceAgentError) else None
        # What a bug says may quote somebody, and the reason stands in the status as well.
        reason = f"a bug: {type(bug).__name__}" if bug else str(error or Ended(name))
        again = logging.DEBUG if name in self._fallen else logging.INFO
        self._fallen[name] = reason
        self._troubles[name] += 1
        extra = {"component": name, "reason": reason}
        self._faults.tell((name, reason), "component down", extra, again=again, error=bug)


async def _end(task: asyncio.Task[None]) -> None:
    if not task.done():
        task.cancel()
        await asyncio.wait([task])


def _tasks() -> Iterator[str]:
    """Where each task waits, at the innermost line of ours or of a library's."""
    for task in asyncio.all_tasks():
        place = task.get_coro()
        while (inner := getattr(place, "cr_await", None)) is not None and hasattr(inner, "cr_frame"):
            place = inner
        frame = getattr(place, "cr_frame", None)
        where = f"{frame.f_code.co_qualname} line {frame.f_lineno}" if frame is not None else "?"
        yield f"{task.get_name()} in {where}"


class LoopGuard:
    """A thread that ends the process when ``beat`` is not called for ``limit_s``.

    It guards the loop while it begins, turns and is wound up: for as long as the block is not left. What
    holds the interpreter itself stops this thread, too: that is for systemd's watchdog (``WatchdogSec=``).
    """

    def __init__(self, limit_s: float = LOOP_LIMIT_S, *, look_s: float = LOOK_S) -> None:
        self._limit_s = limit_s
        self._look_s = look_s
        self._beats = 0  # written by the loop's thread alone, the next two by the guard's
        self._seen = 0
        self._missed = 0
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loop-guard", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        self._thread.join()

    def beat(self) -> None:
        """The loop turns."""
        self._beats += 1

    def look(self) -> bool:
        """Whether the loop has missed too many looks in a row, this one included."""
        beats = self._beats
        self._missed = self._missed + 1 if beats == self._seen else 0
        self._seen = beats
        return self._missed * self._look_s >= self._limit_s

    def _run(self) -> None:
        while not self._left.wait(self._look_s):
            if self.look():
                self._leave()

    def _leave(self) -> NoReturn:
        """Not by the log: the thread that hangs may hold its lock, or hang in writing to stderr."""
        report = threading.Thread(target=self._report, name="last-words", daemon=True)
        report.start()
        report.join(REPORT_S)
        os._exit(os.EX_TEMPFAIL)

    def _report(self) -> None:
        text = f"voice-agent: the event loop has not turned for {self._limit_s:g} s; leaving\n"
        os.write(STDERR, text.encode())
        faulthandler.dump_traceback(STDERR, all_threads=True)


STDERR = 2
"""The descriptor itself: ``sys.stderr`` has a buffer and a lock."""
