"""The table of faults: what each does to a world, when it may strike, and what ends with it.

``strike`` returns at the moment of the network's return: recovery is measured from there.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from random import Random

from tests.chaos.resolver import TRY_AGAIN
from tests.chaos.world import World
from voice_agent.embedded import Fault
from voice_agent.embedded.faults import Deed

Strike = Callable[[World, Random], Awaitable[None]]


class Phase(Enum):
    """What is going on when a fault strikes."""

    IDLE = "idle"
    SPEAKING = "mid-word"
    WAITING = "waiting"
    TOOL = "tool"
    SOUNDING = "answer"
    BARGE_IN = "barge-in"


ALL = tuple(Phase)
TALKING = (Phase.SPEAKING, Phase.WAITING)


@dataclass(frozen=True)
class Kind:
    """One kind of fault.

    ``ends``: the connection is lost, so that recovery needs a new one. ``mangles``: answers may be
    incomplete because of it. ``every``: one in so many decks holds it, as it takes long by its nature.
    ``spoil``: how the first answer goes wrong by itself (Plan). ``patience_s``: by when all must be well.
    ``local_s``: sound that the device itself may lose, which nobody can count. ``asks``: the server asks for
    patience, so that how soon the daemon is back is a matter of manners and not of the network.
    """

    name: str
    strike: Strike
    phases: tuple[Phase, ...] = ALL
    ends: bool = True
    mangles: bool = False
    every: int = 1
    spoil: str = ""
    patience_s: float = 20.0
    local_s: float = 0.0
    asks: bool = False


async def nothing(_world: World, _draw: Random) -> None:
    """The fault is in the answer itself."""


# ---------------------------------------------------------------------------------------- the network


async def reset(world: World, _: Random) -> None:
    """RST."""
    world.proxy.reset()


async def finish(world: World, _: Random) -> None:
    """FIN without a closing frame."""
    world.proxy.finish()


async def half_frame(world: World, _: Random) -> None:
    """A frame cut in the middle."""
    world.proxy.cut()
    world.server.strike(Fault(after="now", do="send", text='{"type":"an.event.that.is.long.enough"}'))


def outage(begin: Callable[[World], None], shortest_s: float, longest_s: float) -> Strike:
    """Bad weather for a while."""

    async def strike(world: World, draw: Random) -> None:
        begin(world)
        await asyncio.sleep(draw.uniform(shortest_s, longest_s))
        await world.proxy.heal()

    return strike


async def long_black_hole(world: World, _: Random) -> None:
    """So long that it must be found, within the 15 s that are promised."""
    log_at = world.daemon.log_bytes
    world.proxy.black_hole()
    await asyncio.sleep(15.0)
    if ": no session" not in world.daemon.log(log_at):
        world.complaints.append("a dead connection was not found within 15 s")
    await world.proxy.heal()


def name_server(error: int) -> Strike:
    """The line drops, and names are looked up slowly or not at all for a while."""

    async def strike(world: World, draw: Random) -> None:
        seconds = draw.uniform(0.3, 1.5)
        world.resolver.answer(delay_ms=0 if error else round(seconds * 1000), error=error)
        world.proxy.reset()
        await asyncio.sleep(seconds)
        world.resolver.answer()

    return strike


# ---------------------------------------------------------------------------------------- the server


def deed(do: Deed, *, code: int | None = None, error: str = "", text: str = "by the chaos suite") -> Strike:
    """Something that the server does at once."""

    async def strike(world: World, _: Random) -> None:
        world.server.strike(Fault(after="now", do=do, code=code, error=error, text=text, ms=0))

    return strike


def soon(*faults: Fault) -> Strike:
    """Something that the server does at its next occasion."""

    async def strike(world: World, _: Random) -> None:
        world.server.strike(*faults)

    return strike


def refusal(
    code: int, *, text: str = "no", pause_s: float = 0.0, once: bool = False, **headers: str
) -> Strike:
    """The line drops, and the next upgrade is refused, or the next two."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def strike(world: World, draw: Random) -> None:
        times = 1 if once or pause_s else draw.choice((1, 1, 2))
        world.server.strike(
            Fault(after="upgrade", do="refuse", code=code, text=text, headers=named, times=times)
        )
        world.proxy.reset()
        await world.until(lambda: not world.server.state().faults, 60)
        await asyncio.sleep(pause_s)

    return strike


def slow_upgrade(fault: Fault) -> Strike:
    """The line drops, and the server takes its time with the next one."""

    async def strike(world: World, _: Random) -> None:
        world.server.strike(fault)
        world.proxy.reset()
        await world.until(lambda: not world.server.state().faults, 20)
        await asyncio.sleep((fault.ms or 0) / 1000)

    return strike


async def restart(world: World, draw: Random) -> None:
    """Everybody is sent away and turned away for a while."""
    world.server.strike(
        Fault(after="upgrade", do="refuse", code=503, times=None),
        Fault(after="now", do="close", code=1012, text="restarting"),
    )
    await asyncio.sleep(draw.uniform(0.3, 1.2))
    world.server.calm()


# ---------------------------------------------------------------------------------------- the sound card


async def unplugged(world: World, draw: Random) -> None:
    """Both devices vanish and come back."""
    world.card.fault("spk-gone", "mic-gone")
    await asyncio.sleep(draw.uniform(0.3, 1.5))
    world.card.heal()


REORDERED = tuple(Fault(after="response.*", do="late", nth=nth) for nth in (1, 4))
LATE = tuple(Fault(after="response.*", do="late", nth=nth, ms=150) for nth in (2, 5))
SLOW = 20
STUCK = 10


def refused(name: str, strike: Strike) -> Kind:
    """What people must cure: the daemon asks again after a minute."""
    return Kind(name, strike, (Phase.IDLE, Phase.SPEAKING), every=SLOW, patience_s=200.0, asks=True)


KINDS = (
    Kind("rst", reset),
    Kind("fin", finish),
    Kind("drop mid-word", deed("drop"), (Phase.SPEAKING,)),
    Kind("drop in a tool call", deed("drop"), (Phase.TOOL,)),
    Kind("drop in barge-in", deed("drop"), (Phase.BARGE_IN,)),
    Kind("drop in an answer", deed("drop"), (Phase.SOUNDING,)),
    Kind("half frame", half_frame),
    Kind("refused for a while", outage(lambda world: world.proxy.refuse(), 0.2, 1.5)),
    Kind("black hole", outage(lambda world: world.proxy.black_hole(), 0.3, 3.0), ends=False),
    Kind("black hole, long", long_black_hole, every=STUCK, patience_s=40.0),
    Kind("loss 5 %", outage(lambda world: world.proxy.lose(0.05), 1.0, 2.0), ends=False),
    Kind("loss 30 %", outage(lambda world: world.proxy.lose(0.3), 1.0, 2.0), ends=False),
    Kind("stall", outage(lambda world: world.proxy.stall(), 0.3, 2.5), ends=False),
    Kind("slow drip", outage(lambda world: world.proxy.drip(20_000), 0.5, 1.5), ends=False),
    Kind("latency", outage(lambda world: world.proxy.delay(0.15), 0.5, 1.0), ends=False),
    Kind("slow names", name_server(0)),
    Kind("no names", name_server(TRY_AGAIN)),
    Kind("http 429", refusal(429, pause_s=1.0, Retry_After="1"), patience_s=75.0, asks=True),
    Kind("http 500", refusal(500)),
    Kind("http 503", refusal(503)),
    Kind("captive portal", refusal(200, text="<h1>Welcome</h1>", Content_Type="text/html")),
    Kind("redirect", refusal(302, Location="http://127.0.0.1:9/")),
    Kind("slow upgrade", slow_upgrade(Fault(after="upgrade", do="stall", ms=700))),
    Kind("slow session", slow_upgrade(Fault(after="session.created", do="late", ms=500))),
    Kind("restart", restart),
    *(Kind(f"close {code}", deed("close", code=code)) for code in (1000, 1001, 1009, 1011, 1012, 4999)),
    Kind("close 1013", deed("close", code=1013), patience_s=75.0, asks=True),
    Kind("session expired", deed("error", code=1001, error="session_expired")),
    Kind("error event", deed("error", error="server_error"), ends=False),
    Kind("rate limit event", deed("error", error="rate_limit_exceeded"), ends=False),
    Kind("malformed", deed("send", text='{"type":"response.output_audio.delta","delta":7'), ends=False),
    Kind("wrong shape", deed("send", text='{"type":"response.done","response":[7]}'), ends=False),
    Kind("unknown", deed("send", text='{"type":"moon.phase","phase":"new"}'), ends=False),
    Kind("duplicated", soon(Fault(after="*.*", do="duplicate", times=8)), ends=False, mangles=True),
    Kind("reordered", soon(*REORDERED), ends=False, mangles=True),
    Kind("late", soon(*LATE), ends=False, mangles=True),
    Kind("text only", nothing, TALKING, ends=False, spoil="written"),
    Kind("response failed", nothing, TALKING, ends=False, spoil="failed"),
    Kind(
        "request refused",
        soon(Fault(after="response.create", do="refuse", type="server_error", error="oops")),
        (Phase.TOOL,),
        ends=False,
    ),
    Kind("sound restart", unplugged, ends=False, mangles=True, local_s=0.25),
    Kind(
        "no response", soon(Fault(after="response.created", do="swallow")), TALKING, ends=False, every=STUCK
    ),
    Kind(
        "no end",
        soon(Fault(after="response.done", do="swallow")),
        TALKING,
        ends=False,
        every=STUCK,
        patience_s=60,
    ),
    *(refused(f"http {code}", refusal(code, once=True)) for code in (400, 401, 403, 404)),
    *(refused(f"close {code}", deed("close", code=code)) for code in (1008, 3000, 4000)),
    refused("quota", deed("error", error="insufficient_quota")),
)

QUICK = tuple(kind for kind in KINDS if kind.every == 1)
RARE = tuple(kind for kind in KINDS if kind.every > 1)


def deal(seed: int, index: int) -> Kind:
    """The kind of the ``index``th fault: decks of all quick kinds, and now and then a slow one."""
    deck = 0  # of quick kinds alone: it is the one that the tests play
    while True:
        rare = (kind for place, kind in enumerate(RARE) if deck and (deck + place) % kind.every == 0)
        kinds = [*QUICK, *rare]
        if index < len(kinds):
            Random(f"{seed} {deck}").shuffle(kinds)
            return kinds[index]
        index -= len(kinds)
        deck += 1
