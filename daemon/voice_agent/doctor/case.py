"""What is being examined, and what the checks so far have found out for those that follow."""

import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from voice_agent.audio.portaudio import Direction
from voice_agent.config import Config
from voice_agent.credentials import Secret
from voice_agent.doctor.findings import Finding, NotChecked

PROC = Path("/proc")


@dataclass
class Case:
    """One device with its configuration.

    ``trust``: whose certificates are believed; None for the system's authorities. ``proc``: where the kernel
    tells of processes and sound cards. ``clock``: the seconds in which the sound devices' clocks run.
    """

    config_path: Path
    quick: bool = False
    trust: ssl.SSLContext | None = None
    proc: Path = PROC
    clock: Callable[[], float] = monotonic
    config: Config | None = None
    """What can be used of the configuration, once it was read."""
    secret: Secret | None = None
    usable: set[Direction] = field(default_factory=set)
    """Directions in which a device opened."""
    addresses: list[str] = field(default_factory=list)
    """Of the provider."""
    reached: bool = False
    """Whether the provider took a connection."""
    blocked: dict[str, str] = field(default_factory=dict)
    """Checks that make no sense any more, and why."""

    @property
    def settings(self) -> Config:
        """The configuration; raises NotChecked if there is none."""
        if self.config is None:
            raise NotChecked("there is no configuration")
        return self.config


class Check(NamedTuple):
    """One examination. ``doing``: what people are told while it takes its time."""

    name: str
    examine: Callable[[Case], Awaitable[Sequence[Finding]]]
    doing: str
    limit_s: float = 10.0
    also: tuple[str, ...] = ()
    """Names of its findings, beside its own."""
    needs: tuple[str, ...] = ()
    """Checks that have to be made before."""
    is_sound: bool = False
    """Whether it opens sound devices."""
    audible: bool = False
