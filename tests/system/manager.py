"""What systemd would hear of the daemon."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Manager:
    """The end of NOTIFY_SOCKET. It reads all the time, as systemd does, so that nobody waits."""

    def __init__(self, directory: Path) -> None:
        self.address = directory / "notify"
        self.told: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.address))
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def environ(self) -> dict[str, str]:
        return {"NOTIFY_SOCKET": str(self.address)}

    def has_heard(self, words: str, times: int = 1) -> bool:
        return sum(each.startswith(words) for each in self.told) >= times

    def _read(self) -> None:
        while words := self._socket.recv(4096):
            self.told.append(words.decode())

    def close(self) -> None:
        """What was said before this is in ``told`` after it."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", str(self.address))
        self._reader.join()
        self._socket.close()


@contextmanager
def manager(directory: Path) -> Iterator[Manager]:
    one = Manager(directory)
    try:
        yield one
    finally:
        one.close()
