"""The command line's side: asks the running daemon, at its socket."""

import http.client
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from voice_agent.controls.panel import Status
from voice_agent.errors import VoiceAgentError

T = TypeVar("T", bound=msgspec.Struct)

TIMEOUT_S = 5.0
SERVICE_SOCKET = Path("/run/voice-agent/control")
NOT_RUNNING = (
    "no daemon is listening at {path}. Does it run (systemctl status voice-agent)? If its configuration sets"
    " control.socket, name that with --socket"
)


class NotRunning(VoiceAgentError):
    """There is no daemon to ask, or it does not answer; the text says what to look at."""


class Absent(NotRunning):
    """Nobody listens: nothing was asked, let alone done."""


class NotDone(VoiceAgentError):
    """The daemon refuses; the text is its own."""


def ask(method: str, deed: str, path: Path | None = None) -> Status:
    """Ask the daemon for a deed (``mute``, ``volume?to=40``); how its controls stand then."""
    return ask_for(Status, method, deed, path)


def ask_for(
    shape: type[T],
    method: str,
    deed: str,
    path: Path | None = None,
    *,
    body: bytes | None = None,
    patience_s: float = TIMEOUT_S,
    root: str = "/control",
) -> T:
    """Ask the daemon for a deed, or for what else is below ``root``; its answer, which has this shape."""
    found = path or next(iter(candidates()))
    connection = _Connection(found, patience_s)
    try:
        with suppress(BrokenPipeError):  # it would not hear more, and may have said why
            connection.request(method, f"{root}/{deed}".rstrip("/"), body, headers={"X-Voice-Agent": "cli"})
        answer = connection.getresponse()
        status, content = answer.status, answer.read()
    except PermissionError as error:
        raise NotRunning(f"you may not use {found}; try as root, or as a member of its group") from error
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise Absent(NOT_RUNNING.format(path=found)) from error
    except (OSError, http.client.HTTPException) as error:
        raise NotRunning(f"the daemon at {found} does not answer: {error!r}") from error
    finally:
        connection.close()
    return _understood(shape, status, content)


def candidates(environ: Mapping[str, str] = os.environ) -> Iterator[Path]:
    """Where daemons listen: this user's own, if there is one, then the system's."""
    own = Path(environ.get("XDG_RUNTIME_DIR", "")) / "voice-agent" / "control"
    if own.is_absolute() and own.exists():
        yield own
    yield SERVICE_SOCKET


def _understood(shape: type[T], status: int, body: bytes) -> T:
    if status == http.client.REQUEST_ENTITY_TOO_LARGE:
        raise NotDone("that is more than the daemon listens to; a tool takes arguments of up to 64 KiB")
    try:
        if status == http.client.OK:
            return msgspec.json.decode(body, type=shape)
        raise NotDone(msgspec.json.decode(body, type=dict[str, str])["error"])
    except (msgspec.MsgspecError, UnicodeError, RecursionError, KeyError) as error:
        raise NotRunning(f"what answers is no voice-agent: status {status}") from error


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, patience_s: float) -> None:
        super().__init__("localhost", timeout=patience_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
