"""The real agent on a stage: the daemon's own ``Agent`` in this process, observed and nothing more."""

import asyncio
import bisect
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple, Protocol

from voice_agent.agent import Agent
from voice_agent.audio.devices import Condition
from voice_agent.config import Config
from voice_agent.config.schema import Metrics, Provider, Tools, Weather
from voice_agent.config.sound import Audio, Cues
from voice_agent.demo.chronicle import Chronicle
from voice_agent.demo.machine import NOTHING, Denied
from voice_agent.demo.server import ServerAddress
from voice_agent.dialogue import Fact, State
from voice_agent.errors import VoiceAgentError
from voice_agent.formats import samples_to_s
from voice_agent.ports import AudioStatistics
from voice_agent.service import SWITCH_INTERVAL_S

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

READY_TIMEOUT_S = 20.0
LOOK_S = 0.02
"""How often a condition is looked at: a listener would not notice such a delay."""


class Display(Protocol):
    """Whoever shows the conversation while it happens."""

    def progress(self, what: str, text: str) -> None:
        """Something that took place before the conversation."""

    def begin(self, zero_s: float) -> None:
        """The agent is ready; the timeline's zero in monotonic seconds."""

    def show(self, fact: Fact, at_s: float) -> None:
        """Something happened."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Both sides of the conversation on one timeline.

    ``user`` and ``agent``: mono samples at ``rate`` Hz; sample 0 of both stands at ``zero_s``, monotonic
    seconds. ``exact``: positions are those of the air itself, as only a virtual card knows them. ``waits``:
    when its clock had waited for a busy machine, in order; what it waited for is not in the recording.
    """

    user: "NDArray[np.int16]"
    agent: "NDArray[np.int16]"
    rate: int
    zero_s: float
    exact: bool
    waits: tuple["Wait", ...] = ()

    def position(self, at_s: float) -> int:
        """The sample at a moment; while the clock waits, the next one."""
        index = bisect.bisect_right(self.waits, at_s, key=lambda wait: wait.ended_s)
        since = self.waits[index - 1] if index else Wait(self.zero_s, 0, 0.0)
        position = since.position + round((at_s - since.ended_s) * self.rate)
        last = self.waits[index].position if index < len(self.waits) else position
        return max(0, min(position, last))


class Span(NamedTuple):
    """Samples ``[begin, end)``."""

    begin: int
    end: int


class Wait(NamedTuple):
    """The card's clock went on with that sample at ``ended_s``, monotonic seconds, after waiting so long."""

    ended_s: float
    position: int
    ms: float


class Ring(NamedTuple):
    """When a timer rang, monotonic seconds; ``ended_s`` is ``None`` if it still did in the end."""

    began_s: float
    ended_s: float | None


class Utterance(NamedTuple):
    """When the scripted user said a line (monotonic seconds); its samples in ``Recording.user``."""

    began_s: float
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a conversation left behind.

    ``latency_ms``: of the loudspeaker, as PortAudio says. ``faithful``: the
    virtual card played what it was given, sample by sample. ``unbroken``: no session was
    lost. ``said``: the script's lines in order, as far as they were spoken. ``rang``: timers, one after
    another. ``ended``: the session was closed, as asked. ``denied``: meanwhile, to the daemon and its server.
    """

    chronicle: Chronicle
    recording: Recording
    statistics: AudioStatistics
    latency_ms: float
    unbroken: bool
    said: tuple[Utterance, ...] = ()
    faithful: bool = True
    rang: tuple[Ring, ...] = ()
    ended: bool = False
    denied: Denied = NOTHING


class Stage:
    """The agent while it performs.

    ``state``: where it keeps what is set. ``echo``: whether its microphone may hear its loudspeaker.
    """

    def __init__(self, server: ServerAddress, display: Display, state: Path, *, echo: bool) -> None:
        self.chronicle = Chronicle()
        self._display = display
        self._metrics = _served_if_free()
        config = _config(server, self._metrics, echo=echo)
        self.agent = Agent(config, lambda: None, observers=[self._observe], state=state)
        self._work: asyncio.Task[None] | None = None
        self.rang: list[Ring] = []

    @property
    def state(self) -> State:
        """What the agent is doing."""
        session = self.agent.session
        return session.dialogue.state if session is not None else State.IDLE

    @property
    def latency_ms(self) -> float:
        """Of the loudspeaker, as PortAudio says."""
        speaker = self.agent.ports.speaker
        return samples_to_s(speaker.latency, speaker.rate) * 1000

    @property
    def unbroken(self) -> bool:
        """Whether every session that has ended was closed because somebody took leave."""
        counts = self.agent.counters.statistics()
        return counts.sessions == counts.parkings + (self.agent.session is not None)

    @property
    def ended(self) -> bool:
        """Whether the conversation is over, until somebody speaks again."""
        return self.agent.herald.state == "parked"

    def rings_for(self, seconds: float) -> bool:
        """Whether a timer has been ringing for so long."""
        last = self.rang[-1] if self.rang else None
        return last is not None and last.ended_s is None and monotonic() >= last.began_s + seconds

    @asynccontextmanager
    async def performing(self) -> AsyncIterator[None]:
        """The agent at work: in session, and with both devices open."""
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._work = work = asyncio.create_task(self.agent.run())
        watching = asyncio.create_task(self._watch_rings())
        try:
            if not await self.until(self._ready, READY_TIMEOUT_S):
                raise VoiceAgentError(f"the agent did not get ready: {self.agent.status()}")
            self._tell_where_to_look()
            yield
        finally:
            watching.cancel()
            work.cancel()
            await asyncio.wait([work, watching])

    async def until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait for ``condition``; false if it does not come true in time. The agent's bugs surface here."""
        deadline = monotonic() + timeout_s
        while not condition():
            if self._work is not None and self._work.done():
                self._work.result()
            if monotonic() >= deadline:
                return False
            await asyncio.sleep(LOOK_S)
        return True

    def _tell_where_to_look(self) -> None:
        if self._metrics.enabled:
            where = f"http://{self._metrics.address}:{self._metrics.port}/"
            self._display.progress("status", f"{where} while it lasts; `make observe` watches it")

    async def _watch_rings(self) -> None:
        while True:
            is_ringing = bool(self.agent.clockwork.ringing)
            is_known = bool(self.rang) and self.rang[-1].ended_s is None
            if is_ringing and not is_known:
                self.rang.append(Ring(monotonic(), None))
            elif is_known and not is_ringing:
                self.rang[-1] = self.rang[-1]._replace(ended_s=monotonic())
            await asyncio.sleep(LOOK_S)

    def _ready(self) -> bool:
        session, devices = self.agent.session, self.agent.ports.devices.state()
        listens = session is not None and session.statistics().ready
        return listens and devices.output.condition is devices.input.condition is Condition.OPEN

    def _observe(self, fact: Fact) -> None:
        at_s = monotonic()
        self.chronicle.take(fact, at_s)
        self._display.show(fact, at_s)


def _served_if_free() -> Metrics:
    """Where everybody expects them, unless a daemon is there already."""
    usual = Metrics()
    try:
        socket.create_server((usual.address, usual.port)).close()
    except OSError:
        return Metrics(enabled=False)
    return usual


def _config(server: ServerAddress, metrics: Metrics, *, echo: bool) -> Config:
    """The daemon's defaults, but for where the server and its weather are."""
    weather = Weather(
        geocoding_url=f"{server.http_url}/v1/search", forecast_url=f"{server.http_url}/v1/forecast"
    )
    return Config(
        provider=Provider(kind="local", url=server.url),
        tools=Tools(weather=weather),
        audio=Audio(echo="auto" if echo else "off"),
        cues=Cues(enabled=False),  # whatever else sounds is judged to be stray; timers ring all the same
        metrics=metrics,
    )
