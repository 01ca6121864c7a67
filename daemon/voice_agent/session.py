"""One connection: carries events into the dialogue and its commands out, until either side ends it.

    ear -> uplink -----------------------------------.
                                                      v
    socket -> downlink -> Dialogue -> carry_out -> outbox -> sender -> socket
                 |          ^  ^         |-> speaker                     ^
                 v          |  '- alarm  '-> tool tasks -.               |
              heartbeat     '----------------------------'   pulse ------'

A session stands by from ``session.updated`` until ``go_live``: confirmed, silent, without the user's sound.
Then it is the one that hears and speaks, until it ends or ``leave`` takes that from it.

``carry_out`` is a plain function: between an event and its effects nothing else runs. Only sender, uplink
and pulse wait for the socket, so a stalled socket delays what is *sent*, never what is *silenced*. Sound
waits until the outbox is empty: what was restored or corrected is known to the server before the next word.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import NamedTuple

from voice_agent import concern
from voice_agent.concern import Concern
from voice_agent.dialogue import (
    Abandon,
    CancelTool,
    Carried,
    Command,
    Dialogue,
    Fact,
    Finish,
    Granted,
    Moment,
    Play,
    RunTool,
    Send,
    Silence,
    State,
    Tell,
    ToolCall,
    ToolOutcome,
)
from voice_agent.errors import Cause, ConnectionLost, RemoteProtocolError, SessionError
from voice_agent.formats import BYTES_PER_SAMPLE
from voice_agent.heartbeat import Dead, Heartbeat, HeartbeatStatistics, Ping, Probe
from voice_agent.realtime.codec import decode_server, encode
from voice_agent.realtime.events import AppendAudio, ClientEvent
from voice_agent.seams import AudioPorts, Connection, Reader, Toolbox
from voice_agent.supervision import Vital, forever

HANDSHAKE_TIMEOUT_S = 15.0
"""From the open socket to ``session.updated``."""

STALL_LIMIT_S = 10.0
"""One frame may take this long to be taken by the socket: TCP itself gives a dead path up no later."""

SILENCE_LIMIT_S = 60.0
"""Longer than any heartbeat lets a server be silent: the heartbeat itself must have failed."""

ALARM_LIMIT_S = 5.0
"""A deadline may be missed by this much."""


class SessionStatistics(NamedTuple):
    """A snapshot of one session's counters. Samples are at the session's input and output rate."""

    events: int
    samples_sent: int
    samples_received: int
    ready: bool
    live: bool
    heartbeat: HeartbeatStatistics


class Session:
    """Runs until the connection ends; ``run`` then raises the reason, a ``SessionError``.

    ``errands``: where tools run, as some of them must not be cut by the end of the connection; without it,
    all are.
    """

    def __init__(
        self,
        connection: Connection,
        dialogue: Dialogue,
        audio: AudioPorts,
        tools: Toolbox,
        observe: Callable[[Fact], None],
        heartbeat: Heartbeat,
        *,
        probe: ClientEvent,
        errands: asyncio.TaskGroup | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._connection = connection
        self._dialogue = dialogue
        connection.on_pong = lambda payload: heartbeat.pong(payload, clock())
        self._audio = audio
        self._tools = tools
        self._observe = observe
        self._heartbeat = heartbeat
        self._probe = probe
        self._clock = clock
        self.on_ready: Callable[[], None] = _nothing
        self._outbox: deque[ClientEvent] = deque()
        self._posted = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._rearmed = asyncio.Event()
        self._ready = asyncio.Event()
        self._live = asyncio.Event()
        self._given_up = asyncio.Event()
        self._granted: Granted | None = None
        self._reader: Reader | None = None
        self._left = False
        self._reason: SessionError | None = None
        self._tasks = asyncio.TaskGroup()
        self._errands = errands or self._tasks
        self._cancellable: dict[str, asyncio.Task[None]] = {}
        self._over = False
        self._concern = Concern(lambda: dialogue.turn)
        self._writing: dict[str, float] = {}
        self._began = 0  # where in the captured sound this session went live
        self._taken = 0  # samples taken since
        self._skipped = 0  # samples passed over since
        self._events = 0
        self._samples_sent = 0
        self._samples_received = 0

    def statistics(self) -> SessionStatistics:
        """Counters so far."""
        return SessionStatistics(
            self._events,
            self._samples_sent,
            self._samples_received,
            self._ready.is_set(),
            self._live.is_set() and not self._left,
            self._heartbeat.statistics(),
        )

    @property
    def given_up(self) -> SessionError | None:
        """Why the session was given up, if it was, whatever else happened then."""
        return self._reason

    @property
    def dialogue(self) -> Dialogue:
        """The conversation of this connection."""
        return self._dialogue

    def vitals(self) -> tuple[Vital, ...]:
        """Signs of life of the parts that can hang; the cure is another session."""
        return (
            Vital("downlink", self._silence_s, SILENCE_LIMIT_S, self._stalled),
            Vital("sender", lambda: self._since(self._writing.get("sender")), STALL_LIMIT_S, self._stalled),
            Vital("uplink", lambda: self._since(self._writing.get("uplink")), STALL_LIMIT_S, self._stalled),
            Vital("alarm", lambda: self._since(self._dialogue.deadline), ALARM_LIMIT_S, self._stalled),
            Vital("heartbeat", lambda: self._since(self._heartbeat.deadline), ALARM_LIMIT_S, self._stalled),
        )

    def _silence_s(self) -> float:
        return self._since(self._heartbeat.statistics().heard_at)

    def _since(self, moment: float | None) -> float:
        return 0.0 if moment is None or self._left else self._clock() - moment

    def _stalled(self, reason: str) -> None:
        self.give_up(ConnectionLost(reason, cause=Cause.STALLED))

    async def wait_ready(self) -> None:
        """Until the server has confirmed the session."""
        await self._ready.wait()

    async def run(self) -> None:
        """Hold the conversation."""
        concern.carry(self._concern)
        parts = {
            "downlink": self._downlink(),
            "sender": self._sender(),
            "uplink": self._uplink(),
            "alarm": self._alarm(),
            "heartbeat": self._pulse(),
        }
        try:
            async with self._tasks:
                for name, part in parts.items():
                    self._tasks.create_task(forever(name, part))
                self._tasks.create_task(self._handshake())
                self._tasks.create_task(self._end())
        finally:
            self._over = True
            for tool in self._cancellable.values():
                tool.cancel()

    # --------------------------------------------------------------------------------- taking turns

    def go_live(self, carried: Carried | None) -> None:
        """From now on this session hears the user and speaks; ``carried`` is what its forerunner left."""
        if self._granted is not None:
            self._audio.retune(self._granted.input_rate, self._granted.output_rate)
        self._reader = self._audio.ear.listen()
        self._began = self._audio.ear.position
        self._live.set()
        concern.prevail(self._concern)
        self._carry_out(self._dialogue.go_live(self._moment(), carried))
        self.redeclare()

    def leave(self, *, healthy: bool = False) -> Carried:
        """Hear and speak no more: what the next session has to make good. ``healthy``: nothing was lost."""
        carried = self._dialogue.leave(self._moment(), healthy=healthy)
        self._left = True
        for fact in carried.facts:
            self._observe(fact)
        return carried

    def redeclare(self) -> None:
        """The tools may have changed: the model has those that the toolbox has now."""
        self._carry_out(self._dialogue.redeclare(self._tools.specs(), self._moment()))

    def hush(self) -> None:
        """Fall silent, and forget what is still owed: somebody has pressed a button."""
        if self._live.is_set() and not self._left:
            self._carry_out(self._dialogue.hush(self._moment()))

    def ask(self, text: str) -> bool:
        """Let the model answer what nobody spoke, unless it is busy; whether it was asked."""
        free = self._live.is_set() and not self._left and self._dialogue.state is State.IDLE
        if free:
            self._carry_out(self._dialogue.ask(text, self._moment()))
        return free

    def give_up(self, reason: SessionError) -> None:
        """End the session from outside."""
        self._reason = self._reason or reason
        self._given_up.set()

    async def _end(self) -> None:
        await self._given_up.wait()
        if self._reason is not None:
            raise self._reason

    # ----------------------------------------------------------------------------------- components

    async def _handshake(self) -> None:
        try:
            async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
                await self._ready.wait()
        except TimeoutError as error:
            text = f"the server did not confirm the session within {HANDSHAKE_TIMEOUT_S:.0f} s"
            raise RemoteProtocolError(text, cause=Cause.HANDSHAKE) from error

    async def _downlink(self) -> None:
        while True:
            frame = await self._connection.receive()
            self._heartbeat.inbound(self._clock())
            self._events += 1
            event = decode_server(frame)
            self._concern.note(event)
            self._carry_out(self._dialogue.receive(event, self._moment()))

    async def _sender(self) -> None:
        while True:
            await self._posted.wait()
            self._posted.clear()
            while self._outbox:
                await self._write("sender", encode(self._outbox.popleft()))
            self._emptied.set()

    async def _uplink(self) -> None:
        await self._live.wait()
        reader = self._reader
        while reader is not None:
            await reader.wait()
            await self._emptied.wait()
            position = self._audio.ear.position
            if (chunk := reader.take()) is not None:
                self._note_taken(position, len(chunk.pcm) // BYTES_PER_SAMPLE)
                await self._write("uplink", encode(AppendAudio(audio=chunk.pcm)))
                self._samples_sent += len(chunk.pcm) // BYTES_PER_SAMPLE

    def _note_taken(self, position: int, samples: int) -> None:
        """The server counts what it gets, we count what was captured: the difference is what was withheld."""
        self._skipped = position - self._began - self._taken
        self._taken += samples

    async def _write(self, component: str, frame: bytes) -> None:
        self._writing[component] = self._clock()
        await self._connection.send(frame)
        del self._writing[component]

    async def _alarm(self) -> None:
        while True:
            self._rearmed.clear()
            deadline = self._dialogue.deadline
            if await self._rest(deadline):
                continue
            self._carry_out(self._dialogue.wake(self._moment()))

    async def _rest(self, until: float | None) -> bool:
        """Wait for a moment; whether a new deadline came before it."""
        wait_s = None if until is None else max(until - self._clock(), 0.0)
        try:
            async with asyncio.timeout(wait_s):
                return await self._rearmed.wait()
        except TimeoutError:
            return False

    async def _pulse(self) -> None:
        await self._ready.wait()
        while True:
            for deed in self._heartbeat.wake(self._clock()):
                match deed:
                    case Ping(payload):
                        if await self._connection.ping(payload):
                            self._heartbeat.pinged(payload, self._clock())
                    case Probe():
                        self._post(self._probe)
                    case Dead(text):
                        raise ConnectionLost(text, cause=Cause.SILENT)
            await asyncio.sleep(max(self._heartbeat.deadline - self._clock(), 0.0))

    def _see_to_tool(self, command: RunTool | CancelTool) -> None:
        """A tool runs in a task of its own; once the connection has ended, none is begun."""
        match command:
            case RunTool(call, lasting) if not self._over:
                task = self._errands.create_task(self._run_tool(call))
                if not lasting:
                    self._cancellable[call.call_id] = task
            case CancelTool(call_id) if call_id in self._cancellable:
                self._cancellable.pop(call_id).cancel()

    async def _run_tool(self, call: ToolCall) -> None:
        concern.carry(self._concern.in_turn(call.turn))
        started = self._clock()
        output, outcome = await self._tools.run(call.name, call.arguments)
        self._cancellable.pop(call.call_id, None)
        finished = ToolOutcome(call.call_id, output, outcome, self._clock() - started)
        self._carry_out(self._dialogue.tool_finished(finished, self._moment()))

    def _moment(self) -> Moment:
        queued, played = self._audio.speaker.positions()
        sent = self._audio.ear.position if self._live.is_set() else 0
        onset = self._dialogue.onset
        sounded = None if onset is None else self._audio.speaker.sounded(onset)
        at = Moment(self._clock(), queued, played, sent, self._skipped)
        return at if sounded is None else at._replace(onset=sounded)

    def _carry_out(self, commands: Sequence[Command]) -> None:
        """The one gate between the core and the world."""
        for command in commands:
            match command:
                case Play(pcm, starts):
                    self._samples_received += len(pcm) // BYTES_PER_SAMPLE
                    self._audio.speaker.play(pcm, starts=starts)
                case Finish():
                    self._audio.speaker.finish()
                case Silence():
                    self._audio.speaker.silence()
                case Send(event):
                    self._post(event)
                case Tell(fact):
                    self._observe(fact)
                case RunTool() | CancelTool():
                    self._see_to_tool(command)
                case Granted():
                    self._obey(command)
                case Abandon(error):
                    self.give_up(error)
        self._rearmed.set()

    def _post(self, event: ClientEvent) -> None:
        self._outbox.append(event)
        self._emptied.clear()
        self._posted.set()

    def _obey(self, granted: Granted) -> None:
        """Devices follow the rates of the session that is live; one that stands by must wait."""
        self._granted = granted
        if self._live.is_set():
            self._audio.retune(granted.input_rate, granted.output_rate)
        if not self._ready.is_set():
            self._ready.set()
            self.on_ready()


def _nothing() -> None:
    """Nobody wants to know."""
