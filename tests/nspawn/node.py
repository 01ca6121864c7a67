"""A node: Debian with a systemd of its own, booted in a second by systemd-nspawn, and thrown away afterwards.

It has no network but its own loopback, no sound card, and this machine's kernel and clock, which it may not
set.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from enum import Enum
from pathlib import Path
from time import monotonic, sleep

from tests.nspawn.layers import in_memory, mounted

BOOT_S = 30.0
COMMAND_S = 60.0
LOOK_S = 0.1
LIMITS = ("memory", "pids")
"""Hierarchies of version 1 that a node may use."""
POWEROFF = signal.SIGRTMIN + 4
"""What systemd as the first process understands."""
HARMLESS = ("setpriv", "--bounding-set=-sys_time,-sys_module,-sys_boot", "--inh-caps=-all")
"""Who enters a node from outside brings this machine's rights, and could set its clock."""


class Node:
    """A machine that runs; ``power``: starts its systemd-nspawn, who writes what its console shows."""

    def __init__(self, power: Callable[[], subprocess.Popen[bytes]], console: Path) -> None:
        self._power = power
        self._process = power()
        self._console = console

    def ask(self, *command: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command as root to its end, however that is."""
        enter = ("nsenter", "-t", str(self._init()), "-m", "-u", "-i", "-n", "-p", "-C")
        return subprocess.run(
            [*HARMLESS, *enter, *command],
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )

    def run(self, *command: str, given: str | None = None) -> str:
        """What a command says that must succeed."""
        done = self.ask(*command, given=given)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def write(self, path: str, text: str, mode: str = "644") -> None:
        """A file, with its directories."""
        self.run("install", "-D", "-m", mode, "/dev/stdin", path, given=text)

    def until(self, condition: Callable[[], bool], what: str, limit_s: float = 20.0) -> float:
        """Seconds until the condition holds."""
        began = monotonic()
        while not condition():
            assert monotonic() - began < limit_s, f"not in {limit_s:g} s: {what}"
            sleep(LOOK_S)
        return monotonic() - began

    def network(self, *command: str) -> None:
        """Change the node's network with this machine's ``ip``."""
        enter = ("nsenter", "-t", str(self._init()), "-n", "ip")
        subprocess.run([*enter, *command], check=True, timeout=COMMAND_S)

    def reboot(self) -> None:
        """Down, and up again; what was written stays."""
        before = self._init()
        self.ask("systemctl", "--no-block", "reboot")
        self.until(lambda: self._init() != before, "the end", BOOT_S)
        with suppress(subprocess.TimeoutExpired):  # or systemd-nspawn goes on by itself
            self._process.wait(1)
            self._process = self._power()
        self.wait()

    def wait(self) -> None:
        """Until all of it has started."""
        deadline = monotonic() + BOOT_S
        while self._process.poll() is None and monotonic() < deadline:
            if self._init() and self._state() in {"running", "degraded"}:
                return
            sleep(LOOK_S)
        raise AssertionError(f"the node did not boot:\n{self._console.read_text(errors='replace')[-2000:]}")

    def end(self) -> None:
        """Switched off; after ten seconds the plug is pulled."""
        init = self._init()
        for number in (POWEROFF, signal.SIGKILL):
            if init:
                with suppress(ProcessLookupError):
                    os.kill(init, number)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                continue
            return
        self._process.kill()
        self._process.wait()

    def _state(self) -> str:
        return self.ask("systemctl", "is-system-running").stdout.strip()

    def _init(self) -> int:
        """The first process, by this machine's number; 0 while there is none."""
        if self._process.poll() is not None:
            return 0
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        return int(next(iter(children.split()), 0))


class Hierarchy(Enum):
    """Of control groups: what the node's systemd finds, as environment and as its arguments."""

    UNIFIED = "1", ()
    LEGACY = "0", ("SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1",)
    """The only one in which this machine may have limits of memory and tasks to give away."""


@contextmanager
def booted(
    below: Sequence[Path], binds: Mapping[Path, str] | None = None, hierarchy: Hierarchy = Hierarchy.UNIFIED
) -> Iterator[Node]:
    """A node on these layers; ``binds``: what of this machine it sees, and where."""
    unified, arguments = hierarchy.value
    with ExitStack() as stack:
        folder = stack.enter_context(in_memory())
        root = stack.enter_context(mounted(below, folder))
        groups = stack.enter_context(_control_groups(folder.name, hierarchy))
        console = stack.enter_context((folder / "console").open("wb"))
        seen = [f"--bind={ours}:{theirs}" for ours, theirs in (binds or {}).items()]

        def power() -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                [*_command(root, groups), *seen, *arguments],
                env=os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": unified},
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )

        node = Node(power, folder / "console")
        stack.callback(node.end)
        node.wait()
        yield node


def _command(root: Path, groups: list[Path]) -> list[str]:
    """A shell moves itself into the control groups and becomes systemd-nspawn."""
    move = 'while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs"; shift; done; shift; exec "$@"'
    nspawn = ["systemd-nspawn", "--boot", f"--directory={root}"]
    nspawn += [f"--machine={root.parent.name.replace('_', 'x')}", "--register=no", "--private-network"]
    nspawn += ["--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=pipe"]
    nspawn += ["--kill-signal=SIGRTMIN+4", *(["--keep-unit"] if groups else [])]
    return ["sh", "-ec", move, "sh", *map(str, groups), "--", *nspawn]


@contextmanager
def _control_groups(name: str, hierarchy: Hierarchy) -> Iterator[list[Path]]:
    """Control groups of the node's own, or it would take ours. Where systemd runs here, it makes them."""
    if Path("/run/systemd/system").exists():
        yield []
        return
    groups = [group / name for group in _ours(LIMITS if hierarchy is Hierarchy.LEGACY else ())]
    for group in groups:
        group.mkdir()
    try:
        yield groups
    finally:
        for group in groups:
            for inner in sorted(group.rglob("*/"), reverse=True):
                inner.rmdir()
            group.rmdir()


def _ours(limits: Sequence[str]) -> Iterator[Path]:
    """Of the hierarchies that systemd keeps processes in: version 2, the named one, these of version 1."""
    mounted_at = Path("/sys/fs/cgroup")
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            unified = mounted_at / "unified"
            yield (unified if unified.exists() else mounted_at) / path.lstrip("/")
        elif controllers.startswith("name=") or controllers in limits:
            yield mounted_at / controllers.removeprefix("name=") / path.lstrip("/")
