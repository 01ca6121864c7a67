"""What a session stands between: a socket, the devices, the tools. Shapes only; each is made elsewhere."""

from collections.abc import Callable
from typing import Protocol

from voice_agent.dialogue import Outcome
from voice_agent.formats import Sounded
from voice_agent.realtime.events import ToolSpec


class Speaker(Protocol):
    """The playout, as far as a session is concerned."""

    def play(self, pcm: bytes, *, starts: bool = False) -> None:
        """Append whole samples."""

    def finish(self) -> None:
        """What was played last is complete."""

    def silence(self) -> None:
        """Stop sounding now; forget what is queued."""

    def positions(self) -> tuple[int, int]:
        """``(queued, played)`` sample positions."""

    def sounded(self, position: int) -> Sounded | None:
        """When the sample there was free to play, given to the device and heard, once it was given."""


class Chunk(Protocol):
    """A piece of captured sound."""

    @property
    def pcm(self) -> bytes:
        """Whole samples."""


class Reader(Protocol):
    """The right to take captured sound; it goes from one live session to the next."""

    def take(self) -> Chunk | None:
        """The next piece, if there is one and the right has not gone."""

    async def wait(self) -> None:
        """Until there is something to take; for ever if the right has gone."""


class Ear(Protocol):
    """The captured sound on its way to the server, as far as a session is concerned."""

    @property
    def position(self) -> int:
        """Position after the last sample taken."""

    def listen(self) -> Reader:
        """Become the one reader."""


class AudioPorts(Protocol):
    """The devices. They outlive sessions."""

    @property
    def speaker(self) -> Speaker:
        """What plays now."""

    @property
    def ear(self) -> Ear:
        """What listens now."""

    def retune(self, input_rate: int, output_rate: int) -> None:
        """From now on, frames and samples are at these rates (Hz)."""


class Toolbox(Protocol):
    """Runs tools; every failure is an outcome."""

    def specs(self) -> tuple[ToolSpec, ...]:
        """What to declare to the model."""

    async def run(self, name: str, arguments: str) -> tuple[str, Outcome]:
        """The answer for the model and how the call ended, within the tool's time limit."""


class Connection(Protocol):
    """An open socket. ``on_pong`` is told the payload of each pong."""

    on_pong: Callable[[bytes], None]

    async def send(self, frame: bytes) -> None:
        """Send one frame."""

    async def ping(self, payload: bytes) -> bool:
        """Send a protocol ping; whether it went out."""

    async def receive(self) -> str | bytes:
        """The next frame; raises a ``SessionError`` when there will be none."""
