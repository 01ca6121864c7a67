"""QEMU's machine protocol: one JSON object a line, answers in order, events in between."""

import json
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

PATIENCE_S = 10.0


class Refused(Exception):
    """QEMU does not do that."""


class Qmp:
    """A connection. ``events``: the names of those that have come so far."""

    def __init__(self, link: socket.socket) -> None:
        link.settimeout(PATIENCE_S)
        self.events: list[str] = []
        self._link = link
        self._stream = link.makefile("rb")
        self._stream.readline()  # a greeting
        self.ask("qmp_capabilities")

    @classmethod
    def at(cls, path: Path) -> Self:
        """The machine that listens on that Unix socket."""
        link = socket.socket(socket.AF_UNIX)
        link.connect(str(path))
        return cls(link)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        self._link.close()

    def ask(self, command: str, **arguments: str) -> object:
        """What the machine answers. Raises Refused."""
        try:
            self._link.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
            return self._answer(command)
        except OSError as error:
            raise Refused(f"{command}: the machine has gone") from error

    def _answer(self, command: str) -> object:
        while line := self._stream.readline():
            match json.loads(line):
                case {"return": answer}:
                    return answer
                case {"error": {"desc": reason}}:
                    raise Refused(f"{command}: {reason}")
                case {"event": str(name)}:
                    self.events.append(name)
        raise Refused(f"{command}: the machine has gone")
