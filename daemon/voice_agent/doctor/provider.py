"""The provider itself: a session is opened as the daemon opens one, confirmed, and closed again.

The dialogue is the daemon's own, so what it would take for a refusal is one here. No sound is sent and no
answer is asked for: nothing is paid for.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from statistics import median
from time import monotonic

from voice_agent.assembly import endpoint_for, provider_for, settings_for, toolbox_for
from voice_agent.dialogue import Abandon, Command, Dialogue, Granted, Moment, Send, Tell
from voice_agent.dialogue.values import ServerFault
from voice_agent.doctor.case import Case
from voice_agent.doctor.findings import Finding, NotChecked, fail, ok, warn
from voice_agent.doctor.remedies import remedy_for
from voice_agent.errors import Cause, RemoteProtocolError, SessionError
from voice_agent.realtime.codec import decode_server, encode
from voice_agent.realtime.events import ServerError, SessionUpdated
from voice_agent.realtime.providers import probe
from voice_agent.wire import Socket, connect

CONFIRM_S = 10.0
"""From the open socket to the confirmed session."""
PINGS = 3
PONG_S = 1.5
PROBE_S = 4.0
SLOW_MS = 400.0
"""Round trips are paid twice before an answer is heard."""


class Patient:
    """One connection, spoken to by the daemon's dialogue."""

    def __init__(self, case: Case, socket: Socket) -> None:
        config = case.settings
        self.provider = provider_for(config)
        self.settings = settings_for(config, toolbox_for(config).specs())
        self._dialogue = Dialogue(self.provider, self.settings)
        self._socket = socket
        self.granted: Granted | None = None
        self.faults: list[str] = []

    async def confirmed(self) -> Granted:
        """Introduce ourselves and wait for consent; raises the reason why there is none."""
        while self.granted is None:
            event = decode_server(await self._socket.receive())
            for command in self._dialogue.receive(event, Moment(monotonic(), 0, 0)):
                await self._carry_out(command)
        return self.granted

    async def _carry_out(self, command: Command) -> None:
        match command:
            case Send(event):
                await self._socket.send(encode(event))
            case Granted():
                self.granted = command
            case Abandon(error):
                raise error
            case Tell(ServerFault(_, code, message)):
                self.faults.append(f"{code}: {message}")
            case _:
                pass

    async def pongs(self) -> list[float]:
        """Milliseconds that pings took; none if the server does not answer them."""
        took: list[float] = []
        for number in range(PINGS):
            answered = asyncio.Event()
            self._socket.on_pong = partial(_note, answered)
            started = monotonic()
            await self._socket.ping(str(number).encode())
            if not await self._until(answered, PONG_S):
                break
            took.append((monotonic() - started) * 1000)
        return took

    async def probed(self) -> float | None:
        """Milliseconds that a setting which changes nothing took to be confirmed."""
        started = monotonic()
        await self._socket.send(encode(probe(self.provider, self.settings)))
        try:
            async with asyncio.timeout(PROBE_S):
                while not isinstance(
                    decode_server(await self._socket.receive()), SessionUpdated | ServerError
                ):
                    pass
        except TimeoutError:
            return None
        return (monotonic() - started) * 1000

    async def _until(self, answered: asyncio.Event, limit_s: float) -> bool:
        """Only who reads meets a pong."""
        reading = asyncio.ensure_future(self._socket.receive())
        waiting = asyncio.ensure_future(answered.wait())
        await asyncio.wait([reading, waiting], timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        for task in (reading, waiting):
            task.cancel()
        await asyncio.gather(reading, waiting, return_exceptions=True)
        return answered.is_set()


def _note(answered: asyncio.Event, _payload: bytes) -> None:
    answered.set()


async def handshake(case: Case) -> Sequence[Finding]:
    """A session like the daemon's is opened and confirmed; and how far away the server is."""
    if not case.reached:
        raise NotChecked("the provider was not reached")
    kind = case.settings.provider.kind
    started = monotonic()
    try:
        endpoint = replace(endpoint_for(case.settings, case.secret), tls=case.trust)
        async with connect(endpoint) as socket:
            patient = Patient(case, socket)
            granted = await _confirmed(patient)
            took_ms = round((monotonic() - started) * 1000, 1)
            return [_judged_session(patient, granted, took_ms), await _round_trip(patient)]
    except SessionError as error:
        return [fail("handshake", str(error), remedy_for(error, kind), cause=error.cause.value)]


async def _confirmed(patient: Patient) -> Granted:
    try:
        async with asyncio.timeout(CONFIRM_S):
            return await patient.confirmed()
    except TimeoutError as error:
        said = f"; it said {patient.faults[-1]}" if patient.faults else ""
        text = f"the server did not confirm the session within {CONFIRM_S:g} s{said}"
        raise RemoteProtocolError(text, cause=Cause.HANDSHAKE) from error


def _judged_session(patient: Patient, granted: Granted, took_ms: float) -> Finding:
    rates = f"{granted.input_rate} Hz in, {granted.output_rate} Hz out"
    seen = f"session confirmed by {patient.provider.name} in {took_ms:.0f} ms, {rates}"
    figures = {
        "handshake_ms": took_ms,
        "input_rate": float(granted.input_rate),
        "output_rate": float(granted.output_rate),
    }
    if patient.faults:
        remedy = "voice-agent check, the model's name"
        return warn("handshake", f"{seen}; but it complained: {patient.faults[-1]}", remedy, **figures)
    return ok("handshake", seen, **figures)


async def _round_trip(patient: Patient) -> Finding:
    try:
        pongs = await patient.pongs()
        took_ms = median(pongs) if pongs else await patient.probed()
    except SessionError as error:
        remedy = remedy_for(error, patient.provider.name)
        return fail("round-trip", f"the session ended at once: {error}", remedy, cause=error.cause.value)
    return judged_round_trip(took_ms, by_ping=bool(pongs))


def judged_round_trip(took_ms: float | None, *, by_ping: bool) -> Finding:
    """How far away the server is."""
    if took_ms is None:
        return warn("round-trip", "the server answers neither pings nor settings", "tell the provider")
    how = "ping" if by_ping else "setting confirmed (it answers no pings)"
    seen = f"{how} in {took_ms:.0f} ms"
    figures = {"round_trip_ms": round(took_ms, 1), "by_ping": by_ping}
    if took_ms > SLOW_MS:
        remedy = "answers will begin late: look at Wi-Fi, or choose a nearer region"
        return warn("round-trip", f"{seen}: far", remedy, **figures)
    return ok("round-trip", seen, **figures)
