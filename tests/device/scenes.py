"""What the daemon must do with real devices, scene by scene. Each returns its figures, or raises NotSeen.

All times are the machine's own.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import pairwise

from tests.device import sounds
from tests.device.daemon import Daemon, Line, NotSeen
from tests.device.image import WHERE
from tests.device.machine import Machine
from tests.device.rig import LOUDSPEAKER, MICROPHONE, USB, Room, conversation, daemon

START_S = 180.0
"""Patience, in our own time: a Python that was never compiled starts slowly where all is emulated."""

NOTICED_S = 2.0
HEALED_S = 10.0
GONE_S = 3.0
GAP_MS = 100
"""When this machine stands still for a moment, the emulated one misses some sound; more would be a tear."""

SHORT_MS, LONG_MS = 4_000, 20_000


@dataclass(frozen=True, slots=True)
class Figure:
    """Something measured. ``least`` and ``most``: what it should be."""

    name: str
    value: float
    unit: str = ""
    least: float = 0.0
    most: float = float("inf")

    @property
    def good(self) -> bool:
        """Whether it is as it should be."""
        return self.least <= self.value <= self.most


Scene = Callable[[Machine], Awaitable[list[Figure]]]


async def conversation_is_held(machine: Machine) -> list[Figure]:
    """What is said into the microphone is answered, and the answer comes out of the loudspeaker, whole."""
    began = await machine.clock()
    async with conversation(machine, SHORT_MS) as room, daemon(room, MICROPHONE, LOUDSPEAKER) as voice:
        ready = await room.until_arriving(0, START_S)
        await room.record()
        await _ask(room, voice)
        await machine.passes(SHORT_MS / 1000 + 3)
        answer = sounds.sounding_ms(await room.stop_recording())
        arrived = room.arrived()
    return [
        Figure("from its start to the microphone's sound at the server", ready - began, "s"),
        *_answer(answer, SHORT_MS),
        Figure("microphone heard by the server", arrived.heard_ms / 1000, "s", least=3),
        Figure("microphone lost", arrived.lost_ms, "ms", most=GAP_MS),
    ]


async def loudspeaker_is_unplugged(machine: Machine) -> list[Figure]:
    """A USB loudspeaker is pulled out in the middle of an answer, and plugged in again."""
    machine.plug_in()
    await _is_listed(machine, USB)
    async with conversation(machine, LONG_MS) as room, daemon(room, MICROPHONE, USB) as voice:
        await room.until_arriving(0, START_S)
        await _ask(room, voice)
        await room.until_heard(lambda: machine.heard_over_usb(0), 1000, 30)
        before = len(room.received())
        pulled_at = await machine.clock()
        machine.pull_out()
        noticed = await voice.until("the loss", device("output", "failed", "absent"), since=pulled_at)
        await machine.passes(GONE_S)
        plugged_at = await machine.clock()
        machine.plug_in()
        healed = await voice.until("the return", device("output", "open"), since=plugged_at)
        heard = await room.until_heard(lambda: machine.heard_over_usb(1), 500, 30)
        await machine.passes(3)
        arrived = room.arrived(before)
        session = await _session(voice)
        closed = await _restarts(voice, "input")
    return [
        Figure("loss noticed after", noticed.at - pulled_at, "s", most=NOTICED_S),
        Figure("open again after", healed.at - plugged_at, "s", most=HEALED_S),
        Figure("heard again after", heard - plugged_at, "s", most=HEALED_S),
        Figure("microphone heard meanwhile", arrived.heard_ms / 1000, "s", least=GONE_S),
        Figure("microphone lost meanwhile", arrived.lost_ms, "ms", most=GAP_MS),
        Figure("times that it was closed", closed, most=0),
        *session,
    ]


async def microphone_is_lost(machine: Machine) -> list[Figure]:
    """The kernel loses the microphone's card in the middle of an answer, and finds it again."""
    async with conversation(machine, LONG_MS) as room, daemon(room, MICROPHONE, LOUDSPEAKER) as voice:
        await room.until_arriving(0, START_S)
        await room.record()
        await _ask(room, voice)
        await machine.passes(3)
        lost_at = await machine.clock()
        unbinding = asyncio.create_task(room.unbind("Mic"))
        noticed = await voice.until("the loss", device("input", "failed", "absent"), since=lost_at)
        _, let_go_at = await unbinding
        await machine.passes(GONE_S)
        before = len(room.received())
        found_at, _ = await room.bind("Mic")
        healed = await voice.until("the return", device("input", "open"), since=found_at)
        arriving = await room.until_arriving(before)
        await machine.passes(LONG_MS / 1000 - 5)
        answer = sounds.sounding_ms(await room.stop_recording())
        session = await _session(voice)
    return [
        Figure("loss noticed after", noticed.at - lost_at, "s", most=NOTICED_S),
        Figure("device let go after", let_go_at - lost_at, "s"),
        Figure("open again after", healed.at - found_at, "s", most=HEALED_S),
        Figure("arriving again after", arriving - found_at, "s", most=HEALED_S),
        *_answer(answer, LONG_MS),
        *session,
    ]


async def cards_come_late(machine: Machine) -> list[Figure]:
    """The daemon starts without any sound card; then there are some."""
    async with conversation(machine, SHORT_MS) as room:
        for card in ("Mic", "Spk"):
            await room.unbind(card)
        async with daemon(room, MICROPHONE, LOUDSPEAKER) as voice:
            for direction in ("input", "output"):
                await voice.until(f"no {direction}", device(direction, "absent"), patience_s=START_S)
            await voice.until("a session", lambda line: line.message == "session ready", patience_s=START_S)
            found_at, _ = await room.bind("Mic")
            await room.bind("Spk")
            healed = [
                await voice.until(f"the {direction}", device(direction, "open"), since=found_at)
                for direction in ("input", "output")
            ]
            await room.until_arriving(0)
            await room.record()
            await _ask(room, voice)
            await machine.passes(SHORT_MS / 1000 + 3)
            answer = sounds.sounding_ms(await room.stop_recording())
            session = await _session(voice)
    microphone, loudspeaker = (line.at - found_at for line in healed)
    return [
        Figure("microphone open after", microphone, "s", most=HEALED_S),
        Figure("loudspeaker open after", loudspeaker, "s", most=HEALED_S),
        *_answer(answer, SHORT_MS),
        *session,
    ]


SCENES: dict[str, Scene] = {
    "a conversation": conversation_is_held,
    "USB loudspeaker unplugged": loudspeaker_is_unplugged,
    "capture card unbound": microphone_is_lost,
    "started without a sound card": cards_come_late,
}


def device(direction: str, *conditions: str) -> Callable[[Line], bool]:
    """Lines that say that the device of this direction is in one of these conditions."""
    messages = {f"sound device {condition}" for condition in conditions}
    return lambda line: line.message in messages and line.extras.get("direction") == direction


async def _is_listed(machine: Machine, name: str) -> None:
    """What ``voice-agent devices`` shows can be written into the configuration."""
    listed = await machine.run("env", f"PYTHONPATH=/{WHERE}", "python3", "-m", "voice_agent", "devices")
    if name not in listed:
        raise NotSeen(f"`voice-agent devices` does not list {name}:\n{listed}")


async def _ask(room: Room, voice: Daemon) -> None:
    asked_at = await room.machine.clock()
    await room.ask()
    await voice.until("a turn", lambda line: line.message == "user speaks", since=asked_at)


def _answer(stretches: list[tuple[int, int]], length_ms: int) -> list[Figure]:
    heard_ms = sum(end - begin for begin, end in stretches)
    gaps_ms = [begin - end for (_, end), (begin, _) in pairwise(stretches)]
    return [
        Figure("answer heard", heard_ms / 1000, "s", 0.97 * length_ms / 1000, 1.03 * length_ms / 1000),
        Figure("gaps in it", len(gaps_ms)),
        Figure("longest gap in it", max(gaps_ms, default=0), "ms", most=GAP_MS),
    ]


async def _restarts(voice: Daemon, direction: str) -> float:
    figures = (await voice.figures()).items()
    mark = f'direction="{direction}"'
    return sum(value for name, value in figures if name.startswith("device_restarts_total") and mark in name)


async def _session(voice: Daemon) -> list[Figure]:
    figures = await voice.figures()
    lost = sum(value for name, value in figures.items() if name.startswith("disconnects_total"))
    return [
        Figure("sessions", figures["sessions_total"], least=1, most=1),
        Figure("disconnections", lost, most=0),
    ]
