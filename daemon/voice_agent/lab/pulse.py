"""A private PulseAudio with one loudspeaker and one microphone: the same daemon on a real sound server.

    with PrivatePulse(directory, rate=24_000) as pulse:
        os.environ.update(pulse.environment())      # before PortAudio initialises
        pulse.speak(pcm)
        ...
        pulse.played()

The server is nobody's session: own socket, own state, ended with the context. Its devices are null sinks at
exactly the stream's rate, since a resampled client stalls now and then, and with ``norewinds``, without
which a null sink renders two seconds at a time and the first stream after a pause waits for them.
"""

import os
import shutil
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TYPE_CHECKING, Self

from voice_agent.errors import LabUnavailable
from voice_agent.formats import BYTES_PER_SAMPLE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PROGRAMS = ("pulseaudio", "pactl", "parec", "pacat")
PACKAGES = "apt-get install pulseaudio pulseaudio-utils libasound2-plugins"
START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 2.0
PLAYER_LATENCY_MS = 1000
"""A player with a small buffer underruns on a busy machine, and its silence looks like the microphone's."""

ALSA_CONFIG = """pcm.speaker { type pulse device speaker }
pcm.mic { type pulse device mic }
pcm.!default { type asym playback.pcm "speaker" capture.pcm "mic" }
"""


class PrivatePulse:
    """A sound server whose files, the recording of its loudspeaker included, are in ``directory``."""

    def __init__(self, directory: Path, *, rate: int) -> None:
        self.directory = directory.resolve()
        self.rate = rate
        self._stack = ExitStack()
        self._socket = Path()
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        _require_programs()
        with ExitStack() as stack:  # what was begun is undone if not all of it succeeds
            short = stack.enter_context(TemporaryDirectory(prefix="pulse-"))  # a socket's path has 108 bytes
            self._socket = Path(short) / "native"
            self._write_files()
            stack.callback(self.kill)
            self.start()
            recording = str(self.directory / "speaker.raw")
            self._run(
                stack, "parec", "--latency-msec=10", "-d", "speaker.monitor", *self._format(), recording
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def environment(self) -> dict[str, str]:
        """What a playing process needs in its environment before PortAudio initialises."""
        return {
            "PULSE_SERVER": f"unix:{self._socket}",
            "PULSE_COOKIE": str(self.directory / "cookie"),
            "ALSA_CONFIG_PATH": str(self.directory / "alsa.conf"),
            "JACK_NO_START_SERVER": "1",
        }

    def start(self) -> None:
        """Run the server, and wait until it can be used."""
        self._server = self._spawn(*self._command())
        self._wait_for_server()

    def kill(self) -> None:
        """Let the server die, with all that is connected to it; ``start`` brings another one."""
        if self._server:
            self._server.kill()
            self._server.wait()

    def speak(self, pcm: bytes) -> None:
        """Begin to say PCM16 into the microphone; returns at once."""
        said = self.directory / "said.raw"
        said.write_bytes(pcm)
        player = ("pacat", "-d", "micbus", f"--latency-msec={PLAYER_LATENCY_MS}", *self._format(), str(said))
        self._run(self._stack, *player)

    def played(self) -> "NDArray[np.int16]":
        """What the loudspeaker has played so far."""
        import numpy as np

        path = self.directory / "speaker.raw"
        pcm = path.read_bytes() if path.exists() else b""
        return np.frombuffer(pcm[: len(pcm) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE], np.dtype("<i2"))

    def _write_files(self) -> None:
        settings = self.directory / ".config" / "pulse"
        settings.mkdir(parents=True, exist_ok=True)
        rates = f"default-sample-rate = {self.rate}\nalternate-sample-rate = {self.rate}\n"
        (settings / "daemon.conf").write_text(rates + "flat-volumes = no\n")
        (self.directory / "alsa.conf").write_text(ALSA_CONFIG)

    def _format(self) -> tuple[str, ...]:
        return ("--raw", "--format=s16le", "--channels=1", f"--rate={self.rate}")

    def _command(self) -> list[str]:
        sound = f"format=s16le rate={self.rate} channels=1"
        modules = (
            f"module-native-protocol-unix auth-anonymous=1 socket={self._socket}",
            f"module-null-sink sink_name=speaker norewinds=1 {sound}",
            f"module-null-sink sink_name=micbus norewinds=1 {sound}",
            f"module-remap-source source_name=mic master=micbus.monitor {sound}",
        )
        options = ["-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1", "--system=no"]
        log = f"--log-target=file:{self.directory / 'server.log'}"
        return ["pulseaudio", *options, log, *(f"--load={module}" for module in modules)]

    def _wait_for_server(self) -> None:
        """It answers before its last module is loaded: ask for the last one."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while b"\tmic\t" not in self._ask("list", "short", "sources"):
            if time.monotonic() > deadline:
                raise LabUnavailable(f"PulseAudio did not start; see {self.directory / 'server.log'}")
            time.sleep(0.01)

    def _ask(self, *question: str) -> bytes:
        command = ["pactl", *question]
        environment = self._child_environment()
        return subprocess.run(command, env=environment, capture_output=True, check=False).stdout  # noqa: S603

    def _run(self, stack: ExitStack, *command: str) -> None:
        """Start a program that ends, at the latest, with the context."""
        stack.callback(_end, self._spawn(*command))

    def _spawn(self, *command: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own command lines, no shell
            command, env=self._child_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def _child_environment(self) -> dict[str, str]:
        """Without the user's session: a stray server or a D-Bus must not be found."""
        short = str(self._socket.parent)
        private = dict.fromkeys(("XDG_RUNTIME_DIR", "PULSE_RUNTIME_PATH", "PULSE_STATE_PATH"), short)
        kept = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.directory)}
        return kept | private | self.environment()


def _require_programs() -> None:
    if missing := [program for program in PROGRAMS if not shutil.which(program)]:
        raise LabUnavailable(f"{', '.join(missing)} not found: {PACKAGES}")


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
