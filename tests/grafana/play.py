"""A fleet's fate in a few minutes, so that every panel has something to show. All are well at first; then:

kitchen   nothing goes wrong; sessions are renewed, tools are called, an allowance is being used up
hall      a bad network: a thin line, a delay, resets
studio    it hears its own loudspeaker, and people speak over every answer
lobby     its loudspeaker is unplugged for a while; somebody closes the microphone
office    an answer is promised and does not come; the provider is away for a while; the microphone is
          unplugged and comes back; then the process is killed and begins anew
attic     from some moment on its key is refused
cellar    from some moment on it is gone
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from time import monotonic

from tests.grafana.homes import Home, Mood, home
from voice_agent.embedded import Fault

BEGUN = 0.08
"""When people begin to talk: machines that start seven devices at once are slow."""
CALM = 0.31
"""Until when all are well. Both are shares of the play."""


class Play:
    """All homes, for ``seconds``. ``changed`` is told whenever one of them begins anew."""

    def __init__(self, directory: Path, seconds: float, changed: Callable[[Iterable[Home]], None]) -> None:
        self._directory = directory
        self._seconds = seconds
        self._changed = changed
        self._homes: dict[str, Home] = {}
        self._moods = {name: Mood(4.0 if name == "hall" else 1.8) for name in FATES}
        self._began = 0.0

    async def perform(self) -> None:
        """From the first session to the end of the last."""
        self._began = monotonic()
        async with asyncio.TaskGroup() as group:
            for name, (site, fate) in FATES.items():
                group.create_task(self._live(name, site, fate))
            group.create_task(self._tire())

    async def at(self, share: float) -> None:
        """Wait until so much of the play is over."""
        await asyncio.sleep(max(self._began + share * self._seconds - monotonic(), 0))

    async def _tire(self) -> None:
        await self.at(CALM)
        for mood in self._moods.values():
            mood.tired = True

    async def _live(self, name: str, site: str, fate: "Fate") -> None:
        """A home whose fate ends early has a second life, if that says so."""
        life = 1
        while True:
            async with home(self._directory / f"{name}-{life}", name, site, self._moods[name]) as one:
                self._homes[name] = one
                self._changed(self._homes.values())
                await self.at(BEGUN)
                people = asyncio.create_task(one.lived_in())
                again = await fate(self, one, life)
                people.cancel()
            if not again:
                break
            life += 1
        await self.at(1)


async def _kitchen(play: Play, _home: Home, _life: int) -> bool:
    await play.at(1)
    return False


async def _hall(play: Play, home: Home, _life: int) -> bool:
    await play.at(0.32)
    home.network.drip(34_000)  # speech at 24 kHz needs 64 kB a second as base64
    await play.at(0.45)
    await home.network.heal()
    home.network.delay(0.35)
    await play.at(0.65)
    await home.network.heal()
    for share in (0.7, 0.76, 0.9):
        await play.at(share)
        home.network.reset()
    await play.at(1)
    return False


async def _lobby(play: Play, home: Home, _life: int) -> bool:
    await play.at(0.35)
    home.voice.card.fault("spk-gone")
    await play.at(0.55)
    home.voice.card.heal()
    await play.at(0.75)
    await home.says("mute")
    await play.at(1)
    return False


async def _office(play: Play, home: Home, life: int) -> bool:
    if life == 1:
        await play.at(CALM)
        home.server.strike(Fault(after="response.created", do="swallow"))
        await play.at(0.42)
        home.network.refuse()
        await play.at(0.58)
        await home.network.heal()
        await play.at(0.64)
        home.voice.card.fault("mic-gone")
        await play.at(0.69)
        home.voice.card.heal()
        await play.at(0.8)
        return True
    await play.at(1)
    return False


async def _attic(play: Play, home: Home, _life: int) -> bool:
    await play.at(0.6)
    home.server.strike(Fault(after="upgrade", do="refuse", code=401, times=None))
    home.network.reset()
    await play.at(1)
    return False


async def _cellar(play: Play, _home: Home, _life: int) -> bool:
    await play.at(0.85)
    return False


Fate = Callable[[Play, Home, int], Awaitable[bool]]
"""Until it ends; whether the device begins anew then."""

FATES: Mapping[str, tuple[str, Fate]] = {
    "kitchen": ("riverside", _kitchen),
    "hall": ("riverside", _hall),
    "studio": ("riverside", _kitchen),
    "lobby": ("hilltop", _lobby),
    "office": ("hilltop", _office),
    "attic": ("hilltop", _attic),
    "cellar": ("hilltop", _cellar),
}
