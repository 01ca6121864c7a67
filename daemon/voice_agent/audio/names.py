"""Which device is meant: names that survive a reboot and another order of plugging in.

A device may be called by (tried in this order, in any case)

* PortAudio's name for it, with or without the numbers at its end: ``USB Audio Device: - (hw:1,0)``;
* its ALSA id, as ``aplay -L`` writes it: ``hw:CARD=Device,DEV=0``, ``CARD=Device`` or ``Device`` alone;
* the USB socket it is plugged into: ``usb:1-1.4``;
* a part of its name that no other device has.

Never by a number: numbers are given in the order of arrival.
"""

import re
from collections.abc import Callable, Sequence
from enum import Enum
from typing import NamedTuple

from voice_agent.errors import DeviceUnavailable

DEFAULT = "default"

PLACE = re.compile(r" ?\(hw:(\d+),(\d+)\)$")
"""What PortAudio 19 hangs behind the name of an ALSA card's device: card and device by their numbers."""

ALSA_ID = re.compile(r"(?:\w+:)?card=([^,]+)(?:,dev=(\d+))?")
NUMBER = re.compile(r"(?:(?:plug)?hw:)?\d+(?:,\d+)*")


class Direction(Enum):
    """Which way audio flows, seen from the daemon."""

    OUTPUT = "output"
    INPUT = "input"


class Device(NamedTuple):
    """A sound device as PortAudio enumerates it."""

    name: str
    host_api: str
    outputs: int
    """Channels it can play; zero for a pure microphone."""
    inputs: int
    rate: int
    """Its preferred rate, Hz."""
    number: int
    """Its index in this enumeration; means nothing in the next one."""
    card: str = ""
    """The id of its ALSA card; empty if it is not one card's."""
    usb: str = ""
    """The socket it is plugged into; empty if it is none of USB's."""

    def channels(self, direction: Direction) -> int:
        """The most that it can do this way."""
        return self.outputs if direction is Direction.OUTPUT else self.inputs

    def has(self, direction: Direction) -> bool:
        """Whether audio can flow this way."""
        return self.channels(direction) > 0

    @property
    def bare_name(self) -> str:
        """Its name without the numbers, which will be others tomorrow."""
        return bare(self.name)

    @property
    def part(self) -> int:
        """Which of its card's devices it is."""
        place = hardware_place(self.name)
        return place[1] if place else 0

    @property
    def alsa_id(self) -> str:
        """What ALSA calls it, by its card's id; empty if it is not one card's."""
        return f"hw:CARD={self.card},DEV={self.part}" if self.card else ""

    @property
    def pcm(self) -> str:
        """What alsa-lib opens."""
        place = hardware_place(self.name)
        return f"hw:{place[0]},{place[1]}" if place else self.name


def hardware_place(name: str) -> tuple[int, int] | None:
    """The numbers of card and device that a name ends in."""
    found = PLACE.search(name)
    return (int(found[1]), int(found[2])) if found else None


def bare(name: str) -> str:
    """A name without the numbers that PortAudio hangs behind it."""
    return PLACE.sub("", name)


def choose(devices: Sequence[Device], wanted: str, direction: Direction) -> Device:
    """The one device that is meant. Raises DeviceUnavailable and says what there is."""
    usable = [device for device in devices if device.has(direction)]
    if NUMBER.fullmatch(wanted.casefold()):
        raise DeviceUnavailable(
            f'"{wanted}" is a number, and those change: name the {direction.value} device; there are:'
            f" {_names(usable)}"
        )
    for meant in _readings(wanted):
        match [device for device in usable if meant(device)]:
            case [device]:
                return device
            case [_, *_] as several:
                problem = f'"{wanted}" may be any of these {direction.value} devices: {_names(several)}'
                raise DeviceUnavailable(problem)
    problem = f'no {direction.value} device is called "{wanted}"; there are: {_names(usable)}'
    raise DeviceUnavailable(problem)


def _readings(wanted: str) -> Sequence[Callable[[Device], bool]]:
    """What the words may mean, the most exact first."""
    words = wanted.casefold()
    alsa = ALSA_ID.fullmatch(words)
    card, part = (alsa[1], int(alsa[2] or 0)) if alsa else (words, 0)
    return (
        lambda device: device.name == wanted,
        lambda device: device.bare_name.casefold() == bare(words),
        lambda device: device.card.casefold() == card and device.part == part,
        lambda device: f"usb:{device.usb}" == words and device.part == 0,
        lambda device: words in device.bare_name.casefold(),
    )


def _names(devices: Sequence[Device]) -> str:
    return ", ".join(f'"{device.name}"' for device in devices) or "none"
