"""Another daemon on this machine: known by the socket of its controls, or by the figures that it serves."""

import asyncio
import socket
from collections.abc import Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from voice_agent.config import Config
from voice_agent.controls.client import ask, candidates
from voice_agent.controls.panel import Status
from voice_agent.doctor.case import Case
from voice_agent.doctor.findings import Finding, NotChecked, ok, warn
from voice_agent.errors import VoiceAgentError

ANSWER_S = 2.0
MAX_PAGE_BYTES = 65_536
STOP_FIRST = "to have everything checked, stop it first: systemctl stop voice-agent"


class Daemon(NamedTuple):
    """One that runs here. ``status``: how its controls stand, if it lets itself be asked."""

    where: str
    status: Status | None


class Port(Enum):
    """Who has the port of the metrics."""

    FREE = "free"
    OURS = "ours"
    OTHER = "other"
    UNKNOWN = "unknown"
    """None is configured, so nothing can be concluded."""


async def instance(case: Case) -> Sequence[Finding]:
    """No other daemon runs with this configuration."""
    config = case.settings
    if daemon := await running_daemon(config):
        return [judged_daemon(daemon)]
    match await port_of(config):
        case Port.FREE:
            return [ok("instance", "no other daemon is running", running=False)]
        case Port.UNKNOWN if not list(_sockets(config)):
            raise NotChecked(
                "the configuration names neither socket nor port by which a daemon could be known"
            )
        case Port.UNKNOWN:
            return [ok("instance", "no other daemon answers", running=False)]
        case _:
            place = f"{config.metrics.address}:{config.metrics.port}"
            seen = f"another program listens at {place}, where the figures are to be served"
            return [warn("instance", seen, "choose another metrics.port", running=False)]


def judged_daemon(daemon: Daemon) -> Finding:
    """A daemon that runs: not wrong, but it has the sound devices; and nobody hears a word if it is muted."""
    seen, status = f"a daemon is running ({daemon.where})", daemon.status
    if status is None:
        return warn("instance", seen, STOP_FIRST, running=True)
    seen += f": {status.connection}, volume {status.volume}"
    figures = {"running": True, "muted": status.muted, "volume": float(status.volume)}
    if status.muted:
        return warn("instance", f"{seen}, muted", f"voice-agent unmute; {STOP_FIRST}", **figures)
    return warn("instance", seen, STOP_FIRST, **figures)


async def running_daemon(config: Config) -> Daemon | None:
    """The daemon that answers at this configuration's socket or port."""
    for path in _sockets(config):
        try:
            return Daemon(str(path), await asyncio.to_thread(ask, "GET", "", path))
        except VoiceAgentError:  # nobody there, or not for us: the port may tell
            continue
    if await port_of(config) is Port.OURS:
        return Daemon(f"{config.metrics.address}:{config.metrics.port}", None)
    return None


def _sockets(config: Config) -> Iterable[Path]:
    """Where a daemon with this configuration takes commands, whoever started it."""
    wanted = config.control.socket
    if wanted == "auto":
        return candidates()
    return [Path(wanted)] if wanted else []


async def port_of(config: Config) -> Port:
    """Who listens where the daemon serves its figures."""
    wanted = config.metrics
    if not wanted.enabled or not wanted.port:
        return Port.UNKNOWN
    family = socket.AF_INET6 if ":" in wanted.address else socket.AF_INET
    try:
        socket.create_server((wanted.address, wanted.port), family=family).close()
    except OSError:
        page = await _page(wanted.address, wanted.port)
        return Port.OURS if b"voice_agent_" in page else Port.OTHER
    return Port.FREE


async def _page(host: str, port: int) -> bytes:
    """The first part of what is served at ``/metrics``; empty if that is nothing."""
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                return await _read(reader)
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return b""


async def _read(reader: asyncio.StreamReader) -> bytes:
    page = b""
    while len(page) < MAX_PAGE_BYTES and (piece := await reader.read(MAX_PAGE_BYTES)):
        page += piece
    return page
