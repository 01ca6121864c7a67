"""A node: Debian with a systemd of its own, booted in a second by systemd-nspawn, and thrown away afterwards.

It has no network but its own loopback, no sound card, and this machine's kernel and clock, which it may not
set.
"""

import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep

BOOT_S = 30.0
COMMAND_S = 60.0
LOOK_S = 0.1
POWEROFF = signal.SIGRTMIN + 4
"""What systemd as the first process understands."""
HARMLESS = ("setpriv", "--bounding-set=-sys_time,-sys_module,-sys_boot", "--inh-caps=-all")
"""Who enters a node from outside brings this machine's rights, and could set its clock."""


class Node:
    """A machine that runs. ``init``: its first process, by our number."""

    def __init__(self, init: int) -> None:
        self._enter = (*HARMLESS, "nsenter", "-t", str(init), "-m", "-u", "-i", "-n", "-p", "-C")

    def ask(self, *command: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command as root to its end, however that is."""
        return subprocess.run(
            [*self._enter, *command],
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


@contextmanager
def booted(ground: Path) -> Iterator[Node]:
    """A node on this ground."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="node-")))
        root = stack.enter_context(_layered(ground, folder))
        groups = stack.enter_context(_control_groups(f"node-{os.getpid()}"))
        console = stack.enter_context((folder / "console").open("wb"))
        process = subprocess.Popen(
            _command(root, groups),
            env=os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            start_new_session=True,
        )
        stack.callback(_end, process)
        yield _when_running(process, folder / "console")


def _command(root: Path, groups: list[Path]) -> list[str]:
    """A shell moves itself into the control groups and becomes systemd-nspawn."""
    move = 'while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs"; shift; done; shift; exec "$@"'
    nspawn = [
        "systemd-nspawn",
        "--boot",
        f"--directory={root}",
        f"--machine={root.parent.name.replace('_', '-')}",
    ]
    nspawn += [
        "--register=no",
        "--private-network",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
    ]
    nspawn += ["--console=pipe", "--kill-signal=SIGRTMIN+4", *(["--keep-unit"] if groups else [])]
    return ["sh", "-ec", move, "sh", *map(str, groups), "--", *nspawn]


@contextmanager
def _layered(ground: Path, folder: Path) -> Iterator[Path]:
    root, upper, work = folder / "root", folder / "upper", folder / "work"
    for each in (root, upper, work):
        each.mkdir()
    layers = f"lowerdir={ground},upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(root)], check=True)
    try:
        yield root
    finally:
        subprocess.run(["umount", str(root)], check=True)


@contextmanager
def _control_groups(name: str) -> Iterator[list[Path]]:
    """Control groups of the node's own, or it would take ours. Where systemd runs here, it makes them."""
    if Path("/run/systemd/system").exists():
        yield []
        return
    groups = [group / name for group in _ours()]
    for group in groups:
        group.mkdir()
    try:
        yield groups
    finally:
        for group in groups:
            for inner in sorted(group.rglob("*/"), reverse=True):
                inner.rmdir()
            group.rmdir()


def _ours() -> Iterator[Path]:
    """Of the hierarchies that systemd keeps processes in, version 2 and the named one of version 1."""
    mounted = Path("/sys/fs/cgroup")
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            unified = mounted / "unified"
            yield (unified if unified.exists() else mounted) / path.lstrip("/")
        elif controllers.startswith("name="):
            yield mounted / controllers.removeprefix("name=") / path.lstrip("/")


def _when_running(process: subprocess.Popen[bytes], console: Path) -> Node:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = monotonic() + BOOT_S
    while process.poll() is None and monotonic() < deadline:
        for init in children.read_text().split()[:1]:
            node = Node(int(init))
            if node.ask("systemctl", "is-system-running").stdout.strip() in {"running", "degraded"}:
                return node
        sleep(LOOK_S)
    raise AssertionError(f"the node did not boot:\n{console.read_text(errors='replace')[-2000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Switched off; after ten seconds the plug is pulled."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    inits = [int(each) for each in children.read_text().split()[:1]] if process.poll() is None else []
    for number in (POWEROFF, signal.SIGKILL):
        for init in inits:
            os.kill(init, number)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            continue
        return
    process.kill()
    process.wait()
