"""Devices of a fleet: bare nodes at a switch, each with a room of its own; their controller has ssh."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.fleet.image import Debian
from tests.nspawn.conversation import Room, room
from tests.nspawn.node import Node, booted

CONTROLLER = "10.77.0.1"
USER = "pi"
"""Who may log in, and use sudo."""
PACKAGES = "/srv/packages"
"""Where a device finds what Debian's mirror has for others."""
REPOSITORY = "/srv/voice-agent"
"""And where an apt repository of ours is, for those that are told of it."""


class Switch:
    """A network of its own, in which the controller's programs run; this machine's is left alone."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._ports = 0
        run("ip", "netns", "add", name)
        for command in (
            ("link", "set", "lo", "up"),
            ("link", "add", "br0", "type", "bridge"),
            ("address", "add", f"{CONTROLLER}/24", "dev", "br0"),
            ("link", "set", "br0", "up"),
        ):
            run("ip", "-n", name, *command)

    def inside(self, *command: str) -> list[str]:
        """A command as the controller runs it."""
        return ["nsenter", f"--net=/run/netns/{self.name}", *command]

    def plug(self, node: Node) -> str:
        """The address that the node has from now on."""
        self._ports += 1
        port, address = f"port{self._ports}", f"10.77.0.{10 + self._ports}"
        peer = ("peer", "name", port, "netns", self.name)
        node.network("link", "add", "eth0", "type", "veth", *peer)
        node.network("address", "add", f"{address}/24", "dev", "eth0")
        node.network("link", "set", "eth0", "up")
        run("ip", "-n", self.name, "link", "set", port, "master", "br0", "up")
        return address


class Device(NamedTuple):
    """One of the fleet; ``before``: the files that it came with."""

    name: str
    address: str
    node: Node
    before: frozenset[str]

    def shown(self, what: str) -> str:
        """A property of the unit."""
        return self.node.run("systemctl", "show", "--property", what, "--value", "voice-agent")

    @property
    def process(self) -> str:
        """The daemon's number; "0" if there is none."""
        return self.shown("MainPID")

    def read(self, path: str) -> str:
        """A file's text."""
        return self.node.run("cat", path)

    def until_in_session(self) -> None:
        """Wait for it."""
        self.node.until(lambda: "in session" in self.shown("StatusText"), "a session", 30)

    def version(self) -> str:
        """Of the daemon that runs."""
        return self.node.run("voice-agent", "status").split()[1].rstrip(":")


@contextmanager
def switch() -> Iterator[Switch]:
    """A new one."""
    made = Switch(f"fleet{os.getpid()}")
    try:
        yield made
    finally:
        run("ip", "netns", "delete", made.name)


@contextmanager
def devices(
    there: Switch, debians: Sequence[tuple[str, Debian]], key: str, repository: Path
) -> Iterator[list[Device]]:
    """Booted, and open to whoever has this key of ssh."""
    with ExitStack() as stack:
        yield [_device(stack, there, name, debian, key, repository) for name, debian in debians]


def _device(stack: ExitStack, there: Switch, name: str, debian: Debian, key: str, repository: Path) -> Device:
    air: Room = stack.enter_context(room())
    binds = {**air.binds, debian.packages: PACKAGES, repository: REPOSITORY}
    node = stack.enter_context(booted((debian.root,), binds))
    node.run("hostname", name)
    node.write("/etc/hosts", f"127.0.0.1 localhost {name}\n")
    node.write("/etc/resolv.conf", "")
    node.run("useradd", "--create-home", "--shell", "/bin/sh", USER)
    node.write(f"/home/{USER}/.ssh/authorized_keys", key, "644")
    node.write("/etc/sudoers.d/one", f"{USER} ALL=(ALL) NOPASSWD: ALL\n", "440")
    node.run("rm", "-rf", "/etc/apt/sources.list", "/etc/apt/sources.list.d/debian.sources")
    node.write("/etc/apt/sources.list.d/bare.list", f"deb [trusted=yes] file:{PACKAGES} ./\n")
    stack.enter_context(air.plugged_into(node))
    address = there.plug(node)
    node.until(lambda: node.ask("systemctl", "is-active", "ssh").returncode == 0, "ssh")
    return Device(name, address, node, frozenset(files(node)))


PASSING = (
    "/dev",
    f"/home/{USER}/.ansible",
    "/proc",
    "/root/.ansible",
    "/run",
    "/srv",
    "/sys",
    "/tmp",
    "/usr/share",
    "/var/cache/apt",
    "/var/cache/debconf",
    "/var/lib/apt",
    "/var/lib/dpkg",
    "/var/lib/systemd",
    "/var/log",
    "/var/tmp",
)


def files(node: Node) -> set[str]:
    """All that may last, less what packages of Debian's bring to their own places."""
    skipped = " -o ".join(f"-path {place}" for place in PASSING)
    return set(node.run("sh", "-c", rf"find / -xdev \( {skipped} \) -prune -o -print").splitlines())


def run(*command: str) -> None:
    """On this machine."""
    subprocess.run(command, check=True, timeout=30)


def ssh_key(folder: Path) -> tuple[Path, str]:
    """A new private key's file, and its public part."""
    file = folder / "id"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file))
    return file, file.with_suffix(".pub").read_text()
