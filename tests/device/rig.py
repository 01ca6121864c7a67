"""The emulated machine's room: sound for its microphone, ears at its loudspeaker, cards that come and go.

Times are the machine's; patience is of this one.

The kernel's loopback cards are cables: what the rig plays into device 1 of ``Mic`` is captured from device 0,
and what the daemon plays into device 0 of ``Spk`` is recorded from device 1.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic

from tests.device import sounds
from tests.device.daemon import Daemon, NotSeen
from tests.device.machine import HOST, Machine
from voice_agent.embedded import Script, Server, ServerOptions, Turn, running
from voice_agent.realtime.events import AppendAudio

MICROPHONE = "hw:CARD=Mic,DEV=0"
LOUDSPEAKER = "hw:CARD=Spk,DEV=0"
USB = "usb:1-1"

CARDS = {"Mic": "snd_aloop.0", "Spk": "snd_aloop.1"}
DRIVER = "/sys/bus/platform/drivers/snd_aloop"
RAW = ("-q", "-t", "raw", "-f", "S16_LE", "-c", "1", "-r", str(sounds.RATE))
PLAYER = ["aplay", *RAW, "--buffer-time=400000", "--period-time=100000", "-D", "hw:CARD=Mic,DEV=1"]
RECORDING = "/tmp/heard"
RECORDER = ("arecord", *RAW, "--buffer-time=500000", "-D", "hw:CARD=Spk,DEV=1", RECORDING)
RECORDER_NAME = "recorder"


class Room:
    """What happens to a machine, and what is heard of it."""

    def __init__(self, machine: Machine, server: Server) -> None:
        self.machine = machine
        self.server = server
        self._hum = sounds.hum()

    async def ask(self) -> None:
        """Somebody speaks."""
        await self.machine.say(sounds.question())

    async def bind(self, card: str) -> tuple[float, float]:
        """The kernel finds that loopback card; when that began and ended."""
        return await self.machine.write(f"{DRIVER}/bind", CARDS[card])

    async def unbind(self, card: str) -> tuple[float, float]:
        """The kernel loses it. Ends when nobody holds it any more."""
        return await self.machine.write(f"{DRIVER}/unbind", CARDS[card])

    # -------------------------------------------------------------------------------- loudspeaker

    async def record(self) -> None:
        """Record what is played into the loopback loudspeaker, until ``recorded``."""
        await self.machine.start(RECORDER_NAME, *RECORDER)

    async def recorded(self) -> bytes:
        """What has been recorded so far."""
        return await self.machine.read(RECORDING)

    async def stop_recording(self) -> bytes:
        """All of it."""
        await self.machine.stop(RECORDER_NAME)
        return await self.recorded()

    async def until_heard(self, pcm: Callable[[], bytes], least_ms: int, patience_s: float) -> float:
        """Wait until that much sounds, 48 kHz stereo; when that was so."""
        deadline = monotonic() + patience_s
        while monotonic() < deadline:
            stretches = sounds.sounding_ms(pcm(), rate=48_000, channels=2)
            if sum(end - begin for begin, end in stretches) >= least_ms:
                return await self.machine.clock()
            await asyncio.sleep(0.05)
        raise NotSeen(f"the loudspeaker is not heard within {patience_s:.0f} s")

    # --------------------------------------------------------------------------------- microphone

    def received(self) -> bytes:
        """What the server has received of the microphone on its last connection."""
        events = self.server.connections[-1].received if self.server.connections else ()
        return b"".join(event.audio for event in list(events) if isinstance(event, AppendAudio))

    def arrived(self, since: int = 0) -> sounds.Continuity:
        """How whole that is, from a byte on."""
        return sounds.continuity(self.received()[since:], self._hum)

    async def until_arriving(self, since: int, patience_s: float = 90.0) -> float:
        """Wait for the hum beyond a byte of what was received; when that was so."""
        deadline = monotonic() + patience_s
        while monotonic() < deadline:
            if self.arrived(since).heard_ms >= 100:
                return await self.machine.clock()
            await asyncio.sleep(0.05)
        raise NotSeen(f"nothing arrives from the microphone within {patience_s:.0f} s")


async def begin_hum(machine: Machine) -> None:
    """From now on the microphone is never silent."""
    await machine.hum(PLAYER, sounds.RATE, sounds.hum())


async def mend(machine: Machine) -> None:
    """Bring cards back that an earlier scene, which broke off, has left lost."""
    there = await machine.run("ls", DRIVER)
    for place in CARDS.values():
        if place not in there:
            await machine.write(f"{DRIVER}/bind", place)


@asynccontextmanager
async def conversation(machine: Machine, answer_ms: int) -> AsyncIterator[Room]:
    """A server that answers every question with a tone, and a room around the machine."""
    turns = (Turn(heard="Is anybody there?", say="Yes.", ms=answer_ms, wave="tone"),)
    async with running(ServerOptions(script=Script(turns=turns, loop=True, shared=True))) as server:
        yield Room(machine, server)


@asynccontextmanager
async def daemon(room: Room, microphone: str, loudspeaker: str) -> AsyncIterator[Daemon]:
    """The daemon in that room."""
    url = room.server.url.replace("127.0.0.1", HOST)
    started = await Daemon.start(room.machine, url, microphone=microphone, loudspeaker=loudspeaker)
    try:
        yield started
    finally:
        await started.stop()
