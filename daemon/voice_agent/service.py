"""The daemon as a process: what it tells the service manager, the signals that it obeys, its end."""

import asyncio
import gc
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from voice_agent.agent import Agent
from voice_agent.assembly import control_socket_for
from voice_agent.backoff import Backoff
from voice_agent.config import Config
from voice_agent.config.schema import Log
from voice_agent.credentials import Secret, find_key
from voice_agent.dialogue import Fact
from voice_agent.foreground import has_terminal
from voice_agent.reloading import Reloader
from voice_agent.repeats import Repeats
from voice_agent.storage import state_directory
from voice_agent.telemetry import logs
from voice_agent.telemetry.facts import FactLog
from voice_agent.telemetry.systemd import ServiceManager

SWITCH_INTERVAL_S = 0.001
"""An audio callback waits up to this long for the interpreter; Python's default is 5 ms."""


class Service:
    """The agent and what stands between it and the process. ``beat`` is called while the loop turns."""

    def __init__(self, config: Config, file: Path, beat: Callable[[], None]) -> None:
        self._beat = beat
        self.manager = ServiceManager()
        self._facts = FactLog(transcripts=config.log.transcripts)
        self.agent = Agent(
            config,
            self._key,
            observers=[self._observe],
            on_status=self.manager.status,
            on_look=self.look,
            state=state_directory(),
            control=control_socket_for(config),
        )
        self.reloader = Reloader(file, self.agent, self.manager, self._set_log)
        self.agent.reload = self.reloader.reload

    def _key(self) -> Secret | None:
        found = find_key(self.agent.config.provider.key_file)
        return found.secret if found is not None else None

    def _observe(self, fact: Fact) -> None:
        self._facts(fact)

    def look(self) -> None:
        """What follows from each look of the supervisor."""
        self._beat()
        self.manager.alive(well=not self.agent.supervisor.hanging)
        Repeats.look_everywhere()

    def _set_log(self, wanted: Log) -> None:
        set_log(wanted)
        self._facts = FactLog(transcripts=wanted.transcripts)

    async def run(self, stop: asyncio.Event) -> None:
        """Be the daemon until ``stop`` is set."""
        agent, reloader = self.agent, self.reloader
        reloading = agent.supervisor.restarting("reload", reloader.run, Backoff(1.0, 60.0))
        tasks = [asyncio.create_task(each) for each in (agent.run(), stop.wait(), reloading)]
        with self._obeying():
            self.manager.ready()
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                self.manager.stopping()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=stop.is_set())
            finally:
                agent.budget.close()
                agent.controls.close()
                agent.clockwork.close()
                self.manager.close()

    @contextmanager
    def _obeying(self) -> Iterator[None]:
        """SIGUSR1 is the button, SIGHUP asks for a reload, unless it says that our terminal was closed."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, self.agent.push)
        if has_terminal():
            yield
            return
        loop.add_signal_handler(signal.SIGHUP, self.reloader.ask)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGHUP)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # who leaves has nothing to reload


def set_log(wanted: Log) -> None:
    """Write the log like this from now on."""
    logs.setup(wanted.level, wanted.format, transcripts=wanted.transcripts)


async def run(config: Config, file: Path, *, stop: asyncio.Event, beat: Callable[[], None]) -> None:
    """Be the daemon until ``stop`` is set. ``file``: where ``config`` comes from, and the next one."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.freeze()  # what is loaded stays: a collection that looks at all of it holds the interpreter for 18 ms
    gc.set_threshold(700, 10, 1)  # what is left is small: let its cycles wait for minutes, not for an hour
    await Service(config, file, beat).run(stop)
