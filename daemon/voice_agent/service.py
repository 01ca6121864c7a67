"""The daemon as a process: what it tells the service manager, the signals that it obeys, its end."""

import asyncio
import gc
import signal
import sys
from collections.abc import Callable

from voice_agent.agent import Agent
from voice_agent.assembly import control_socket_for
from voice_agent.config import Config
from voice_agent.storage import state_directory
from voice_agent.telemetry.facts import FactLog
from voice_agent.telemetry.systemd import ServiceManager
from voice_agent.terms import KeySource

SWITCH_INTERVAL_S = 0.001
"""An audio callback waits up to this long for the interpreter; Python's default is 5 ms."""


async def run(config: Config, key: KeySource, *, stop: asyncio.Event, beat: Callable[[], None]) -> None:
    """Be the daemon until ``stop`` is set. ``beat`` is called while the event loop turns."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.freeze()  # what is loaded stays: a collection that looks at all of it holds the interpreter for 18 ms
    gc.set_threshold(700, 10, 1)  # what is left is small: let its cycles wait for minutes, not for an hour
    manager = ServiceManager()

    def on_look() -> None:
        beat()
        manager.alive()

    facts = FactLog(transcripts=config.log.transcripts)
    agent = Agent(
        config,
        key,
        observers=[facts],
        on_status=manager.status,
        on_look=on_look,
        state=state_directory(),
        control=control_socket_for(config),
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, agent.push)
    work = asyncio.create_task(agent.run())
    manager.ready()
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([work, stopping], return_when=asyncio.FIRST_COMPLETED)
        manager.stopping()
        stopping.cancel()
        work.cancel()
        await asyncio.gather(work, return_exceptions=stop.is_set())
    finally:
        agent.budget.close()
        agent.controls.close()
        agent.clockwork.close()
