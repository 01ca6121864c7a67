"""One connection: carries events into the dialogue and its commands out, until either side ends it.

    microphone -> uplink ----------------------------.
                                                      v
    socket -> downlink -> Dialogue -> carry_out -> outbox -> sender -> socket
                            ^  ^         |-> speaker
                            |  '- alarm  '-> tool tasks -.
                            '----------------------------'

``carry_out`` is a plain function: between an event and its effects nothing else runs. Only the sender and
the uplink wait for the socket, so a stalled socket delays what is *sent*, never what is *silenced*.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import NamedTuple, Protocol

from voice_agent.dialogue import (
    Abandon,
    Command,
    Dialogue,
    Fact,
    Granted,
    Moment,
    Play,
    RunTool,
    Send,
    Silence,
    Tell,
    ToolCall,
    ToolOutcome,
)
from voice_agent.errors import RemoteProtocolError
from voice_agent.realtime.codec import decode_server, encode
from voice_agent.realtime.events import AppendAudio, ClientEvent

HANDSHAKE_TIMEOUT_S = 15.0
"""From the open socket to ``session.updated``."""


class Speaker(Protocol):
    """The playout, as far as a session is concerned."""

    def play(self, pcm: bytes, *, starts: bool = False) -> None:
        """Append whole samples."""

    def silence(self) -> None:
        """Stop sounding now; forget what is queued."""

    def positions(self) -> tuple[int, int]:
        """``(queued, played)`` sample positions."""


class Microphone(Protocol):
    """The captured sound, as far as a session is concerned."""

    async def frame(self) -> bytes:
        """The next 20 ms; waits for it."""


class AudioPorts(Protocol):
    """The devices. They outlive sessions."""

    @property
    def speaker(self) -> Speaker:
        """What plays now."""

    @property
    def microphone(self) -> Microphone:
        """What listens now."""

    def retune(self, input_rate: int, output_rate: int) -> None:
        """From now on, frames and samples are at these rates (Hz)."""


class Toolbox(Protocol):
    """Runs tools; every failure is an outcome."""

    async def run(self, name: str, arguments: str) -> tuple[str, bool]:
        """The answer for the model and whether the tool did its work, within the tool's time limit."""


class Connection(Protocol):
    """An open socket."""

    async def send(self, frame: bytes) -> None:
        """Send one frame."""

    async def receive(self) -> str | bytes:
        """The next frame; raises a ``SessionError`` when there will be none."""


class SessionStatistics(NamedTuple):
    """A snapshot of one session's counters."""

    events: int
    frames_sent: int
    ready: bool


class Session:
    """Runs until the connection ends; ``run`` then raises the reason, a ``SessionError``."""

    def __init__(
        self,
        connection: Connection,
        dialogue: Dialogue,
        audio: AudioPorts,
        tools: Toolbox,
        observe: Callable[[Fact], None],
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._connection = connection
        self._dialogue = dialogue
        self._audio = audio
        self._tools = tools
        self._observe = observe
        self._clock = clock
        self.on_ready: Callable[[], None] = _nothing
        self._outbox: deque[ClientEvent] = deque()
        self._posted = asyncio.Event()
        self._rearmed = asyncio.Event()
        self._ready = asyncio.Event()
        self._tasks = asyncio.TaskGroup()
        self._events = 0
        self._frames_sent = 0

    def statistics(self) -> SessionStatistics:
        """Counters so far."""
        return SessionStatistics(self._events, self._frames_sent, self._ready.is_set())

    @property
    def dialogue(self) -> Dialogue:
        """The conversation of this connection."""
        return self._dialogue

    async def wait_ready(self) -> None:
        """Until the server has confirmed the session."""
        await self._ready.wait()

    async def run(self) -> None:
        """Hold the conversation."""
        async with self._tasks:
            for part in (self._downlink(), self._sender(), self._uplink(), self._alarm(), self._handshake()):
                self._tasks.create_task(part)

    async def _handshake(self) -> None:
        try:
            async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
                await self._ready.wait()
        except TimeoutError as error:
            text = f"the server did not confirm the session within {HANDSHAKE_TIMEOUT_S:.0f} s"
            raise RemoteProtocolError(text) from error

    async def _downlink(self) -> None:
        while True:
            event = decode_server(await self._connection.receive())
            self._events += 1
            self._carry_out(self._dialogue.receive(event, self._moment()))

    async def _sender(self) -> None:
        while True:
            await self._posted.wait()
            self._posted.clear()
            while self._outbox:
                await self._connection.send(encode(self._outbox.popleft()))

    async def _uplink(self) -> None:
        await self._ready.wait()
        while True:
            frame = await self._audio.microphone.frame()
            await self._connection.send(encode(AppendAudio(audio=frame)))
            self._frames_sent += 1

    async def _alarm(self) -> None:
        while True:
            self._rearmed.clear()
            deadline = self._dialogue.deadline
            wait_s = None if deadline is None else max(deadline - self._clock(), 0.0)
            try:
                async with asyncio.timeout(wait_s):
                    await self._rearmed.wait()
            except TimeoutError:
                self._carry_out(self._dialogue.wake(self._moment()))

    async def _run_tool(self, call: ToolCall) -> None:
        started = self._clock()
        output, ok = await self._tools.run(call.name, call.arguments)
        outcome = ToolOutcome(call.call_id, output, ok, self._clock() - started)
        self._carry_out(self._dialogue.tool_finished(outcome, self._moment()))

    def _moment(self) -> Moment:
        queued, played = self._audio.speaker.positions()
        return Moment(self._clock(), queued, played)

    def _carry_out(self, commands: Sequence[Command]) -> None:
        """The one gate between the core and the world."""
        for command in commands:
            match command:
                case Play(pcm, starts):
                    self._audio.speaker.play(pcm, starts=starts)
                case Silence():
                    self._audio.speaker.silence()
                case Send(event):
                    self._outbox.append(event)
                    self._posted.set()
                case Tell(fact):
                    self._observe(fact)
                case RunTool(call):
                    self._tasks.create_task(self._run_tool(call))
                case Granted(input_rate, output_rate):
                    self._audio.retune(input_rate, output_rate)
                    if not self._ready.is_set():
                        self._ready.set()
                        self.on_ready()
                case Abandon(error):
                    raise error
        self._rearmed.set()


def _nothing() -> None:
    """Nobody wants to know."""
