"""The real process, as systemd would start it, on a virtual sound card: what its tests share."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import numpy as np

from voice_agent.embedded import Fault, Script, Server, ServerOptions, Turn, running
from voice_agent.embedded.connection import Connection
from voice_agent.lab.card import VirtualCard
from voice_agent.realtime.events import AppendAudio

RATE = 24_000
KEY = "AQVN-the-key-of-the-system-test"


def loud(ms: int) -> bytes:
    """Somebody speaks, as far as a scripted server can tell."""
    samples = np.arange(RATE * ms // 1000)
    return bytes((8000 * np.sin(samples * 0.1)).astype("<i2"))


class Daemon:
    """The process, its log and its room."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, card: VirtualCard) -> None:
        self.process = process
        self.card = card
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text()

    async def until(self, condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
        async with asyncio.timeout(timeout_s):
            while not condition():
                assert self.process.poll() is None, f"the daemon has ended:\n{self.log}"
                await asyncio.sleep(0.02)

    async def until_logged(self, words: str, times: int = 1, *, timeout_s: float = 10.0) -> None:
        await self.until(lambda: len(re.findall(words, self.log)) >= times, timeout_s)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Exit code and seconds that stopping took."""
        started = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(timeout=10)
        return code, time.monotonic() - started


@contextmanager
def daemon(
    directory: Path,
    url: str,
    *,
    card: bool = True,
    environ: Mapping[str, str] | None = None,
    settings: str = "",
    key_file: Path | None = None,
    room: VirtualCard | None = None,
) -> Iterator[Daemon]:
    """``settings``: more TOML, between provider and ``[log]``. ``room``: if it is not to be a silent one."""
    room = room or VirtualCard(directory / "room", elastic=True)
    config = directory / "config.toml"
    dialect = "yandex" if "dialect=yandex" in url else "ga"
    provider = f'[provider]\nkind = "custom"\ndialect = "{dialect}"\nurl = "{url}"\n'
    provider += f'key_file = "{key_file}"\n' if key_file else ""
    if "[cues]" not in settings:
        settings += '\n[cues]\nquiet = ["ready"]\n'  # a recording begins with what the test is about
    if "[audio]\n" not in settings:
        settings += '\n[audio]\necho = "off"\n'  # this room has none
    # The room is silent, and that is no fault of the microphone.
    silent = "[audio.input]\nflat_after_s = 0\n"
    if "[audio.input]\n" in settings:
        settings = settings.replace("[audio.input]\n", silent)
    else:
        settings += f"\n{silent}"
    anywhere = "[metrics]\nport = 0\n"
    if "[metrics]\n" in settings:
        settings = settings.replace("[metrics]\n", anywhere)
    else:
        settings += f"\n{anywhere}"
    config.write_text(f'{provider}{settings}\n[log]\nlevel = "debug"\n')
    environment = (
        os.environ | room.environment() | {"VOICE_AGENT_API_KEY": KEY, "STATE_DIRECTORY": str(directory)}
    )
    environment |= dict(environ or {})
    if not card:
        environment["ALSA_CONFIG_PATH"] = str(_no_devices(directory))
    log = directory / "log"
    with room, log.open("wb") as stderr:
        command = [sys.executable, "-m", "voice_agent", "run", "--config", str(config)]
        # Without a terminal, as under systemd: there SIGHUP asks for a reload.
        process = subprocess.Popen(
            command, env=environment, stderr=stderr, stdout=stderr, start_new_session=True
        )
        try:
            yield Daemon(process, log, room)
        finally:
            process.kill()
            process.wait()


def _no_devices(directory: Path) -> Path:
    """A sound system whose only device cannot be opened."""
    path = directory / "none.conf"
    path.write_text('pcm.!default { type hw card "none" }\n')
    return path


@asynccontextmanager
async def conversation(
    directory: Path,
    *turns: Turn,
    faults: tuple[Fault, ...] = (),
    shared: bool = False,
    settings: str = "",
    environ: Mapping[str, str] | None = None,
) -> AsyncIterator[tuple[Server, Daemon]]:
    script = Script(turns=turns, faults=faults, shared=shared)
    async with running(ServerOptions(script=script)) as server:
        with daemon(directory, server.url, settings=settings, environ=environ) as running_daemon:
            yield server, running_daemon


Scene = Callable[[Path], Coroutine[None, None, None]]


def scene(play: Scene) -> Callable[[Path], None]:
    def test(tmp_path: Path) -> None:
        asyncio.run(play(tmp_path))

    return test


async def until_streaming(server: Server, connection: int = 1) -> Connection:
    """The daemon's ``connection``th connection has sent its first audio."""

    def streams() -> bool:
        found = server.connections[connection - 1 :]
        return bool(found) and any(isinstance(event, AppendAudio) for event in found[0].received)

    await server.watch.until(streams, 15)
    return server.connections[connection - 1]


def received(connection: Connection, kind: type) -> list[object]:
    return [event for event in connection.received if isinstance(event, kind)]
