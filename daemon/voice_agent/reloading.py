"""A reload: the configuration is read again, judged in full, and taken as far as a running daemon can.

     asked -> read and judged, beside the loop --- problems: said aloud; the old one holds
                                              '--- none: taken, but for what takes a restart, which is named

A file that is wrong changes nothing, and ends nothing. Sound, conversation and timers go on: what a server
must be told is told to the next session, which takes over in a quiet moment as at any renewal (ADR 15).
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from voice_agent.agent import Agent
from voice_agent.assembly import cues_for, tools_for
from voice_agent.audio.cues import Cues
from voice_agent.audio.helper import in_helper
from voice_agent.config import Config, InvalidConfig
from voice_agent.config.changes import differences, takeable
from voice_agent.config.schema import Log
from voice_agent.controls.desk import Reloaded
from voice_agent.credentials import Secret
from voice_agent.errors import ConfigError
from voice_agent.judging import judged, needed_key
from voice_agent.telemetry.systemd import ServiceManager
from voice_agent.tools.base import Tool

log = logging.getLogger(__name__)

JUDGING_S = 15.0
"""A disk that does not give a file away in this time is broken."""

MAX_TOLD = 20
"""Of the problems of a file: another program's may have thousands. `voice-agent check` names them all."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A configuration without problems, and what is made by it. ``left``: settings that take a restart."""

    config: Config
    changed: Sequence[str]
    left: Sequence[str]
    key: Secret | None
    cues: Cues
    tools: Mapping[str, Sequence[Tool]]


@dataclass(frozen=True, slots=True)
class Faulty:
    """All that is wrong with the file."""

    problems: Sequence[str]


class Reloader:
    """Reloads when it is asked to; ``run`` is a task. ``set_log`` is given what the log is to be like."""

    def __init__(
        self, file: Path, agent: Agent, manager: ServiceManager, set_log: Callable[[Log], None]
    ) -> None:
        self._file = file
        self._agent = agent
        self._manager = manager
        self._set_log = set_log
        self._asked = asyncio.Event()
        self._waiting: list[asyncio.Future[Reloaded]] = []

    def ask(self) -> None:
        """Reload soon; once more, if it is just being done."""
        self._asked.set()

    async def reload(self) -> Reloaded:
        """Ask, and wait for what becomes of the file as it is now."""
        result: asyncio.Future[Reloaded] = asyncio.get_running_loop().create_future()
        self._waiting.append(result)
        self.ask()
        return await result

    async def run(self) -> None:
        """Reload whenever somebody asks, for ever."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            waiting, self._waiting = self._waiting, []
            outcome = Reloaded(problems=("the daemon failed over it; its log says how",))
            self._manager.reloading()
            try:
                outcome = await self._reload()
            finally:
                self._manager.ready()
                for result in waiting:
                    if not result.done():  # whoever asked may have left
                        result.set_result(outcome)

    async def _reload(self) -> Reloaded:
        try:
            found = await in_helper(self._judge, name="reload", deadline_s=JUDGING_S)
        except TimeoutError:
            found = Faulty([f"{self._file}: could not be read within {JUDGING_S:g} s"])
        match found:
            case Faulty(problems):
                self._refuse(problems)
                return Reloaded(problems=tuple(problems[:MAX_TOLD]))
            case Sound():
                self._take(found)
                return Reloaded(due=tuple(found.left))

    def _judge(self) -> Sound | Faulty:
        """In a helper: files, schemas and imports would hold the loop."""
        agent, running = self._agent, self._agent.config
        try:
            wanted = judged(self._file)
            config, left = takeable(running, wanted)
            key = needed_key(config)
            cues = cues_for(config)
            cues.review()
            tools = tools_for(config, agent.handle, agent.clockwork)
        except InvalidConfig as error:
            return Faulty([str(problem) for problem in error.problems])
        except ConfigError as error:
            return Faulty([str(error)])
        changed = list(differences(running, config))
        return Sound(config, changed, left, key.secret if key else None, cues, tools)

    def _refuse(self, problems: Sequence[str]) -> None:
        extra = {"file": str(self._file), "count": len(problems), "problems": " | ".join(problems[:MAX_TOLD])}
        log.error("the configuration is not taken, and the old one holds", extra=extra)
        counted = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        self._agent.note(f"configuration not taken: {counted} ({problems[0]}), running with the old one")

    def _take(self, found: Sound) -> None:
        self._set_log(found.config.log)
        self._agent.take(found.config, found.key, found.cues, found.tools)
        log.info("configuration taken", extra={"changed": ", ".join(found.changed) or "nothing"})
        due = f"takes a restart: {', '.join(found.left)}" if found.left else ""
        if due:
            log.warning(due)
        self._agent.note(due)
