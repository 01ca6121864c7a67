"""Runs inside the emulated machine and does what the rig on the host asks for, over XML-RPC.

Nothing but the standard library. Times are this machine's: seconds of its monotonic clock.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import deque
from pathlib import Path
from socketserver import ThreadingMixIn
from threading import Thread
from xmlrpc.server import SimpleXMLRPCServer

PORT = 7000
CHUNK_S = 0.1
PIPE_BYTES = 8192  # what waits in a pipe is heard late


class Mouth:
    """Plays into a sound device without a pause: what is to be said, and otherwise ``hum``, round and round.

    A device that has gone is tried again until it is back, which costs nothing of the hum.
    """

    def __init__(self, command: list[str], rate: int, hum: bytes) -> None:
        self._command = command
        self._size = int(rate * CHUNK_S) * 2
        self._hum = [hum[at : at + self._size] for at in range(0, len(hum), self._size)]
        self._hummed = 0
        self._words: deque[bytes] = deque()
        Thread(target=self._play, daemon=True).start()

    def say(self, pcm: bytes) -> None:
        """Say this next."""
        self._words.extend(pcm[at : at + self._size] for at in range(0, len(pcm), self._size))

    def _play(self) -> None:
        while True:
            with subprocess.Popen(self._command, stdin=subprocess.PIPE) as player:
                stream = player.stdin
                assert stream
                fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
                try:
                    while True:
                        os.write(stream.fileno(), self._next())
                except BrokenPipeError:
                    pass
            time.sleep(0.2)

    def _next(self) -> bytes:
        if self._words:
            return self._words.popleft()
        chunk = self._hum[self._hummed % len(self._hum)]
        self._hummed += 1
        return chunk


class Guest:
    """What the rig may ask for: every public method."""

    def __init__(self) -> None:
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._mouth: Mouth | None = None

    def clock(self) -> list[float]:
        """Monotonic and wall time."""
        return [time.monotonic(), time.time()]

    def run(self, command: list[str], timeout_s: float) -> list[object]:
        """The exit code of a command and what it wrote."""
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout_s, check=False
        )
        return [done.returncode, done.stdout.decode(errors="replace")]

    def start(self, name: str, command: list[str], environ: dict[str, str]) -> None:
        """Start a process, whose output goes to /var/log/``name``, from its beginning."""
        with Path("/var/log", name).open("wb") as log:
            self._processes[name] = subprocess.Popen(
                command, env=os.environ | environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def has_ended(self, name: str) -> bool:
        """Whether a process that was started runs no more."""
        return self._processes[name].poll() is not None

    def stop(self, name: str, number: int = signal.SIGTERM, patience_s: float = 20.0) -> int:
        """Signal a process that was started; its exit code. Kills it if it takes too long."""
        process = self._processes[name]
        process.send_signal(number)
        try:
            return process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def hum(self, command: list[str], rate: int, hum: bytes) -> None:
        """Play ``hum`` for ever with a command that reads raw sound."""
        self._mouth = Mouth(command, rate, hum)

    def say(self, pcm: bytes) -> None:
        """Say something in the middle of it."""
        assert self._mouth, "hum first"
        self._mouth.say(pcm)

    def fetch(self, url: str) -> str:
        """What a web server of this machine answers."""
        with urllib.request.urlopen(url, timeout=10) as answer:
            text: str = answer.read().decode()
            return text

    def read(self, path: str, offset: int = 0) -> bytes:
        """A file from an offset on."""
        with Path(path).open("rb") as file:
            file.seek(offset)
            return file.read()

    def write(self, path: str, data: bytes) -> list[float]:
        """Write into a file, or at one of the kernel's levers; when that began and ended."""
        began = time.monotonic()
        Path(path).write_bytes(data)
        return [began, time.monotonic()]


class Server(ThreadingMixIn, SimpleXMLRPCServer):
    """Answers several questions at once."""

    daemon_threads = True


def main() -> None:
    """Serve for ever."""
    with Server(("", PORT), logRequests=False, allow_none=True, use_builtin_types=True) as server:
        server.register_instance(Guest())
        print("guest: ready", file=sys.stderr, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
