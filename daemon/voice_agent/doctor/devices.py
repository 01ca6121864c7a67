"""Microphone and loudspeaker: there, ours to use, and free; and if not, who has them."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from voice_agent.assembly import settings_for
from voice_agent.audio.edge import Callback
from voice_agent.audio.pcm import samples_in
from voice_agent.audio.portaudio import Direction, Shape
from voice_agent.config import Config
from voice_agent.doctor.case import Case
from voice_agent.doctor.findings import Finding, fail, ok, warn
from voice_agent.doctor.holders import Holder, holders
from voice_agent.doctor.instance import running_daemon
from voice_agent.doctor.streams import Player, Recorder, Wish, found_device, opened
from voice_agent.errors import AudioError
from voice_agent.formats import FRAME_MS

NODES = Path("/dev/snd")
STOP_IT = "systemctl stop voice-agent, to have it checked"
NEEDED_BY = {Direction.INPUT: "microphone", Direction.OUTPUT: "loudspeaker"}
"""Checks that make no sense without the device."""


class Ends(NamedTuple):
    """What one direction is to be opened with."""

    device: str
    rate: int
    block_ms: float
    channel: int = 0


def ends(config: Config, direction: Direction) -> Ends:
    """As the daemon would do it."""
    session = settings_for(config, ())
    if direction is Direction.INPUT:
        return Ends(config.audio.input.device, session.input_rate, FRAME_MS, config.audio.input.channel)
    return Ends(config.audio.output.device, session.output_rate, config.audio.output.block_ms)


async def devices(case: Case) -> Sequence[Finding]:
    """Microphone and loudspeaker are there, and open as the daemon would open them."""
    return [await _device(case, direction) for direction in (Direction.INPUT, Direction.OUTPUT)]


async def _device(case: Case, direction: Direction) -> Finding:
    wanted, way = ends(case.settings, direction), direction.value
    name = ""
    try:
        name = await found_device(direction, wanted.device)
        async with opened(Wish(direction, *wanted, _idle(direction, wanted.rate))) as [stream]:
            found = judged_stream(way, name, wanted.rate, stream.shape, stream.latency_s)
    except AudioError as error:
        case.blocked[NEEDED_BY[direction]] = "its device does not open"
        return await _unopened(case, direction, name, str(error))
    case.usable.add(direction)
    return found


def judged_stream(way: str, name: str, rate: int, shape: Shape, latency_s: float) -> Finding:
    """A device that opened; ``rate`` is the session's, ``shape`` what the device does."""
    latency_ms = round(1000 * latency_s, 1)
    channels = "mono" if shape.channels == 1 else f"{shape.channels} channels"
    from_or_to = "to" if way == Direction.INPUT.value else "from"
    resampled = f", resampled {from_or_to} {rate}" if shape.rate != rate else ""
    return ok(
        way,
        f"{name} opens at {shape.rate} Hz {channels}{resampled}, {latency_ms:.0f} ms away",
        device=name,
        rate=float(shape.rate),
        channels=float(shape.channels),
        session_rate=float(rate),
        latency_ms=latency_ms,
    )


def _idle(direction: Direction, rate: int) -> Callback:
    """Nothing to be played, nobody who listens."""
    return (
        Player(samples_in(b""), rate).callback
        if direction is Direction.OUTPUT
        else Recorder(rate, 0.1).callback
    )


async def _unopened(case: Case, direction: Direction, name: str, reason: str) -> Finding:
    """Why a device does not open, as far as can be known; ``name`` is empty if it was not even found."""
    if not name:
        return judged_missing(direction, reason, may_use=_may_use(NODES))
    held_by = holders(direction, case.proc, name)
    running = await running_daemon(case.settings) is not None
    return judged_unopened(direction, reason, held_by, daemon_runs=running)


def _may_use(nodes: Path) -> bool:
    """Whether this user may use sound devices; nobody is kept from what is not there."""
    return all(os.access(node, os.R_OK | os.W_OK) for node in nodes.glob("pcm*"))


def judged_missing(direction: Direction, reason: str, *, may_use: bool) -> Finding:
    """No device of that name."""
    if not may_use:
        return fail(direction.value, f"{reason}; this user may not use {NODES}", "usermod -aG audio <user>")
    remedy = f"voice-agent devices lists names for audio.{direction.value}.device; is it plugged in?"
    return fail(direction.value, reason, remedy)


def judged_unopened(
    direction: Direction, reason: str, held_by: Sequence[Holder], *, daemon_runs: bool
) -> Finding:
    """A device that is there and does not open."""
    way = direction.value
    if any(holder.is_ours for holder in held_by):
        return warn(way, f"in use by {', '.join(map(str, held_by))}", STOP_IT)
    if held_by:
        remedy = "stop it, or let a sound server (PipeWire) share the device"
        return fail(way, f"{reason}; held by {', '.join(map(str, held_by))}", remedy)
    if daemon_runs:
        return warn(way, f"{reason}; the running daemon may hold it", STOP_IT)
    return fail(
        way, reason, "does another program use it (fuser -v /dev/snd/*)? unplug it and plug it in again"
    )
