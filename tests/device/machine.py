"""An emulated arm64 machine: started, asked for things, given and deprived of a loudspeaker, and ended.

Its clock counts the instructions that it has executed, two nanoseconds each, and follows ours only while it
idles. So to itself it is a small computer of constant speed, however busy this one is: its sound does not
stutter, and times that are measured by its own clock can be judged.
"""

import asyncio
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import chain
from pathlib import Path
from time import monotonic
from typing import TypeVar
from xmlrpc.client import Fault, ServerProxy

import msgspec

from tests.device.guest import PORT
from tests.device.image import Image
from tests.device.needs import NotPossible
from tests.device.qmp import Qmp

BOOT_DEADLINE_S = 180.0
HOST = "10.0.2.2"
"""This machine, seen from the emulated one."""

READY = "guest: ready"

T = TypeVar("T")


class CommandFailed(Exception):
    """A command in the machine ended badly; the text is what it wrote."""


class Machine:
    """A machine that runs. Its times are seconds of its own monotonic clock."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self._plugged = 0

    # ---------------------------------------------------------------------------------- from outside

    def plug_in(self) -> None:
        """Give it a USB loudspeaker: 48 kHz stereo, PCM16, no microphone."""
        with Qmp.at(self._folder / "qmp.sock") as qmp:
            where = f"usb{self._plugged}"
            qmp.ask("device_add", driver="usb-audio", id=where, bus="xhci.0", port="1", audiodev=where)
        self._plugged += 1

    def pull_out(self) -> None:
        """Take that away."""
        with Qmp.at(self._folder / "qmp.sock") as qmp:
            qmp.ask("device_del", id=f"usb{self._plugged - 1}")

    def heard_over_usb(self, time: int) -> bytes:
        """What the loudspeaker has played since it was plugged in for the ``time``th time, from zero."""
        path = self._folder / f"usb{time}.wav"
        return path.read_bytes()[44:] if path.exists() else b""

    # ----------------------------------------------------------------------------------- from inside

    async def clock(self) -> float:
        """Now."""
        return (await self._ask(list[float], "clock"))[0]

    async def passes(self, seconds: float) -> None:
        """Let so much of its time go by, which may take longer."""
        until = await self.clock() + seconds
        while (rest := until - await self.clock()) > 0:
            await asyncio.sleep(rest)

    async def wall_offset(self) -> float:
        """What is to be taken from its wall clock to get its monotonic one."""
        monotonic_s, wall_s = await self._ask(list[float], "clock")
        return wall_s - monotonic_s

    async def run(self, *command: str, timeout_s: float = 120.0) -> str:
        """What a command writes."""
        code, text = await self._ask(tuple[int, str], "run", command, timeout_s)
        if code:
            raise CommandFailed(f"{' '.join(command)}: {code}: {text}")
        return text

    async def start(self, name: str, *command: str, environ: dict[str, str] | None = None) -> None:
        """Start a process; its output is the file /var/log/``name``."""
        await self._tell("start", name, command, environ or {})

    async def has_ended(self, name: str) -> bool:
        """Whether it runs no more."""
        return await self._ask(bool, "has_ended", name)

    async def stop(self, name: str) -> int:
        """End it with SIGTERM; its exit code."""
        return await self._ask(int, "stop", name)

    async def hum(self, command: list[str], rate: int, pcm: bytes) -> None:
        """Play ``pcm`` for ever with a command that reads it."""
        await self._tell("hum", command, rate, pcm)

    async def say(self, pcm: bytes) -> None:
        """Interrupt that with ``pcm``."""
        await self._tell("say", pcm)

    async def fetch(self, url: str) -> str:
        """What a web server in it answers."""
        return await self._ask(str, "fetch", url)

    async def read(self, path: str, offset: int = 0) -> bytes:
        """A file."""
        return await self._ask(bytes, "read", path, offset)

    async def write(self, path: str, data: str) -> tuple[float, float]:
        """Write a file; when that began and ended."""
        return await self._ask(tuple[float, float], "write", path, data.encode())

    async def _tell(self, method: str, *arguments: object) -> None:
        await asyncio.to_thread(self._call, method, arguments)

    async def _ask(self, kind: type[T], method: str, *arguments: object) -> T:
        return msgspec.convert(await asyncio.to_thread(self._call, method, arguments), kind)

    def _call(self, method: str, arguments: tuple[object, ...]) -> object:
        address = f"http://127.0.0.1:{self._port}"
        try:
            with ServerProxy(address, allow_none=True, use_builtin_types=True) as guest:
                answer: object = getattr(guest, method)(*arguments)
        except (Fault, OSError) as error:
            raise CommandFailed(f"{method}{arguments!r:.200}: {error}") from error
        return answer


@asynccontextmanager
async def running(image: Image, folder: Path) -> AsyncIterator[Machine]:
    """A machine for the length of an ``async with``. ``folder`` keeps what its console says."""
    port = _free_port()
    with _process(image, folder, port) as process:
        deadline = monotonic() + BOOT_DEADLINE_S
        while READY not in _told(folder):
            if process.poll() is not None or monotonic() > deadline:
                raise NotPossible(f"the emulated machine does not start:\n{_told(folder)[-3000:]}")
            await asyncio.sleep(0.2)
        yield Machine(folder, port)


def _told(folder: Path) -> str:
    """What QEMU and the machine's console have written."""
    texts = [folder / "qemu.log", folder / "console.log"]
    return "".join(path.read_text(errors="replace") for path in texts if path.exists())


@contextmanager
def _process(image: Image, folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "qemu.log").open("wb") as log:
        command = [*_leash(), *_command(image, port)]
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _leash() -> list[str]:
    """A machine does not outlive a rig that was killed."""
    return [found, "--pdeathsig", "KILL"] if (found := shutil.which("setpriv")) else []


def _command(image: Image, port: int) -> list[str]:
    usb = [("-audiodev", f"wav,id=usb{time},path=usb{time}.wav,out.frequency=48000") for time in range(2)]
    return [
        "qemu-system-aarch64",
        *("-M", "virt,gic-version=2", "-cpu", "cortex-a72", "-m", "1536"),
        *("-accel", "tcg,thread=single,tb-size=512", "-icount", "shift=1,sleep=on"),
        *("-kernel", str(image.kernel), "-initrd", str(image.initrd)),
        # No counter-measures against spying, no auditing: they cost much where every instruction is emulated.
        *("-append", "console=ttyAMA0 quiet mitigations=off audit=0 panic=-1"),
        *("-nodefaults", "-no-reboot", "-display", "none", "-serial", "file:console.log"),
        *("-qmp", "unix:qmp.sock,server=on,wait=off"),
        *("-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{port}-:{PORT}"),
        *("-device", "virtio-net-pci,netdev=net,romfile=", "-device", "qemu-xhci,id=xhci"),
        *chain(*usb),
    ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
