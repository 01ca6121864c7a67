"""The rounds: floor, bare player and daemon in turns, each on a new virtual card in real time.

Of each round: the CPU time of the floor and of the daemon over the same length of full-duplex audio, the
daemon's memory, and the delays of both paths to the loudspeaker. Sending moments walk through the ten
milliseconds of a block in golden steps, so that both paths meet all phases of the card's clock alike.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from struct import pack
from time import clock_gettime, monotonic
from typing import NamedTuple

from tests.bench import paths
from tests.bench.failures import MeasurementFailed
from tests.bench.loudspeaker import Loudspeaker
from tests.bench.player import FRAME, FRAMES_PER_DELTA, LEAD_DELTAS
from voice_agent.embedded.app import Server
from voice_agent.lab.card import VirtualCard

ROUNDS = 3
MORE_STARTS = 4
SETTLE_S = 1.0
CPU_WINDOW_S = 5.0
ONSETS = 24
"""Of each path in each round."""
LEAST_ONSETS = 30
TRIES = 3
ENOUGH = 0.9
"""What has to sound of a continuous answer: a busy machine costs some blocks, a fault costs all."""
BLOCK_S = 0.01
GOLDEN = 0.618
QUIET_S = 0.08
SOUNDING_S = 0.12
LONG_ANSWER_S = 110
"""Fills the daemon's ring of 120 s but for a little: its memory then is as large as it gets."""

DELTA_S = 0.1
DELTA = pack("<h", 4000) * FRAME * FRAMES_PER_DELTA


@dataclass
class Delays:
    """Of one path, in ms. ``starved``: onsets left out, because the card had an xrun just then."""

    to_sound: list[float] = field(default_factory=list)
    to_silence: list[float] = field(default_factory=list)
    starved: int = 0


class Usage(NamedTuple):
    """CPU seconds per second of audio: of the process, and of what is not the virtual card's thread in it."""

    whole: float
    own: float


@dataclass
class Results:
    """Everything measured, round by round."""

    floor: list[Usage] = field(default_factory=list)
    daemon: list[Usage] = field(default_factory=list)
    floor_rss_mb: list[float] = field(default_factory=list)
    talking_rss_mb: list[float] = field(default_factory=list)
    long_answer_rss_mb: list[float] = field(default_factory=list)
    bare_delays: Delays = field(default_factory=Delays)
    daemon_delays: Delays = field(default_factory=Delays)
    first_frame_s: list[float] = field(default_factory=list)


async def measure(server: Server, directory: Path, *, progress: Callable[[str], None]) -> Results:
    """Everything, in rounds; ``server`` runs in this process, which otherwise sleeps."""
    results = Results()
    for number in range(ROUNDS):
        progress(f"round {number + 1} of {ROUNDS}")
        await _round(server, directory / f"round-{number}", results)
    progress("starts")
    for number in range(MORE_STARTS):
        async with paths.daemon(directory / f"start-{number}", server) as daemon:
            results.first_frame_s.append(daemon.first_frame_s)
    for delays in (results.bare_delays, results.daemon_delays):
        if len(delays.to_sound) < LEAST_ONSETS:
            raise MeasurementFailed(f"{delays.starved} of {ROUNDS * ONSETS} onsets met an xrun")
    return results


async def _round(server: Server, directory: Path, results: Results) -> None:
    async with paths.floor(directory / "floor") as (card, process):
        results.floor.append(await _usage(card, process.pid))
        results.floor_rss_mb.append(rss_mb(process.pid))
    async with paths.bare_player(directory / "bare") as player:
        await _onsets(player, results.bare_delays)
    async with paths.daemon(directory / "daemon", server) as daemon:
        results.first_frame_s.append(daemon.first_frame_s)
        results.daemon.append(await _talking_usage(daemon))
        results.talking_rss_mb.append(rss_mb(daemon.process.pid))
        await _onsets(daemon, results.daemon_delays)
        results.long_answer_rss_mb.append(await _rss_with_long_answer(daemon))


# ------------------------------------------------------------------------------------------- CPU


async def _talking_usage(daemon: paths.Daemon) -> Usage:
    """Of a continuous answer, sent at its own pace."""
    async with _talking(daemon):
        before, began = daemon.frames(), monotonic()
        usage = await _usage(daemon.card, daemon.process.pid)
        per_second = (daemon.frames() - before) / (monotonic() - began)
    daemon.interrupt()
    if abs(per_second - 1 / (2 * BLOCK_S)) > 1:
        raise MeasurementFailed(f"{per_second:.1f} frames of the microphone a second came, not 50")
    return usage


@asynccontextmanager
async def _talking(daemon: paths.Daemon) -> AsyncIterator[None]:
    daemon.begin()
    speaking = asyncio.create_task(_speak_for_ever(daemon))
    try:
        yield
    finally:
        speaking.cancel()
        with suppress(asyncio.CancelledError):
            await speaking


async def _speak_for_ever(daemon: paths.Daemon) -> None:
    """Deltas of 100 ms, a constant lead ahead of the loudspeaker."""
    for _ in range(LEAD_DELTAS):
        daemon.say(DELTA)
    due = monotonic()
    while True:
        daemon.say(DELTA)
        due += DELTA_S
        await asyncio.sleep(due - monotonic())


async def _usage(card: VirtualCard, pid: int) -> Usage:
    """Over a time in which the loudspeaker really sounded; a machine that stood still is asked again."""
    part = 0.0
    for _ in range(TRIES):
        usage, part = await _usage_while_sounding(card, pid)
        if part >= ENOUGH:
            return usage
    raise MeasurementFailed(f"the loudspeaker of the {card.directory.name} sounds {part:.0%} of the time")


async def _usage_while_sounding(card: VirtualCard, pid: int) -> tuple[Usage, float]:
    """The usage, and the part of the time that was not silence."""
    await asyncio.sleep(SETTLE_S)
    began, cpu_s, card_s = monotonic(), process_cpu_s(pid), card_cpu_s(pid)
    await asyncio.sleep(CPU_WINDOW_S)
    ended, spent_s, card_spent_s = monotonic(), process_cpu_s(pid) - cpu_s, card_cpu_s(pid) - card_s
    usage = Usage(spent_s / (ended - began), (spent_s - card_spent_s) / (ended - began))
    return usage, Loudspeaker.of(card).sounding_part(began, ended - QUIET_S)


def process_cpu_s(pid: int) -> float:
    """User and system time of all threads so far (clock_getcpuclockid(3), in nanosecond steps)."""
    return clock_gettime((~pid << 3) | 2)


def card_cpu_s(pid: int) -> float:
    """Of the virtual card's clock, which is the one thread with real-time priority; 0 if that was refused."""
    spent_ns = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        policy = (thread / "stat").read_text().rpartition(")")[2].split()[38]
        if policy == "2":  # SCHED_RR: field 41 of proc_pid_stat(5)
            spent_ns += int((thread / "schedstat").read_text().split()[0])
    return spent_ns / 1e9


# ---------------------------------------------------------------------------------------- memory


def rss_mb(pid: int) -> float:
    """Resident memory in MB (10^6 bytes), shared libraries included."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise MeasurementFailed(f"process {pid} has no memory")


async def _rss_with_long_answer(daemon: paths.Daemon) -> float:
    daemon.begin()
    for _ in range(round(LONG_ANSWER_S / DELTA_S)):
        daemon.say(DELTA)
    await daemon.outbox.flushed()
    await asyncio.sleep(SETTLE_S)
    megabytes = rss_mb(daemon.process.pid)
    daemon.interrupt()
    return megabytes


# ---------------------------------------------------------------------------------------- delays


async def _onsets(path: paths.Route, delays: Delays) -> None:
    """Sound and silence, again and again. An onset that met an xrun tells of the machine: it is left out."""
    await asyncio.sleep(SETTLE_S)
    sent = [await _sound_and_silence(path, number) for number in range(ONSETS)]
    after = monotonic()
    await asyncio.sleep(QUIET_S)
    loudspeaker = Loudspeaker.of(path.card)
    for (said, interrupted), following in zip(sent, [*(begin for begin, _ in sent[1:]), after], strict=True):
        if loudspeaker.starved(said - QUIET_S, following):
            delays.starved += 1
            continue
        delays.to_sound.append((loudspeaker.began_s(said, interrupted) - said) * 1000)
        delays.to_silence.append((loudspeaker.ended_s(interrupted, following) - interrupted) * 1000)


async def _sound_and_silence(path: paths.Route, number: int) -> tuple[float, float]:
    """When both were sent. The first delta is followed by more at once, as from a server."""
    path.begin()
    phase_s = number * GOLDEN % 1 * BLOCK_S
    await asyncio.sleep(QUIET_S + phase_s)
    said = path.say(DELTA)
    for _ in range(4):
        path.say(DELTA)
    await asyncio.sleep(SOUNDING_S)
    interrupted = path.interrupt()
    await asyncio.sleep(QUIET_S)
    return said, interrupted
