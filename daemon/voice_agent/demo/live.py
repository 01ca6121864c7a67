"""A person in front of real devices. What passes the callbacks is kept for the recording and the picture.

The recording ends where PortAudio begins: how long the air and the devices take is not measured here.
"""

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from voice_agent.audio.edge import Callback
from voice_agent.demo.server import ServerAddress
from voice_agent.demo.stage import Display, Evidence, Recording, Stage
from voice_agent.formats import BYTES_PER_SAMPLE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KEPT_S = 900
"""A quarter of an hour of both sides is 86 MB; what is said later is not recorded."""


class Tap:
    """Keeps what passes a callback. Called by PortAudio: it appends a block and does nothing else."""

    def __init__(self, callback: Callback, rate: int) -> None:
        self.began_s = 0.0
        self._callback = callback
        self._blocks: list[bytes] = []
        self._room = KEPT_S * rate * BYTES_PER_SAMPLE

    def __call__(
        self, in_data: bytes | None, frame_count: int, time_info: Mapping[str, float], status: int, /
    ) -> tuple[bytes | None, int]:
        """Pass a block on."""
        answer = self._callback(in_data, frame_count, time_info, status)
        block = in_data or answer[0]
        if block and self._room > 0:
            self.began_s = self.began_s or monotonic()
            self._blocks.append(block)
            self._room -= len(block)
        return answer

    def samples(self, zero_s: float, rate: int) -> "NDArray[np.int16]":
        """All of it, on a timeline that begins at ``zero_s``."""
        import numpy as np

        before = max(0, round((self.began_s - zero_s) * rate)) if self.began_s else 0
        return np.frombuffer(bytes(before * BYTES_PER_SAMPLE) + b"".join(self._blocks), np.dtype("<i2"))


async def converse(server: ServerAddress, display: Display, stop: asyncio.Event, limit_s: float) -> Evidence:
    """Talk with whoever is there until ``stop`` or for ``limit_s``."""
    with tempfile.TemporaryDirectory(prefix="voice-agent-demo-") as scratch:
        return await _converse(Stage(server, display, Path(scratch), echo=True), display, stop, limit_s)


async def _converse(stage: Stage, display: Display, stop: asyncio.Event, limit_s: float) -> Evidence:
    speaker, microphone = stage.agent.ports.speaker, stage.agent.ports.microphone
    played, captured = Tap(speaker.callback, speaker.rate), Tap(microphone.callback, microphone.rate)
    speaker.callback = played
    setattr(microphone, "callback", captured)  # noqa: B010 - a method of its own; mypy forbids the plain form
    zero_s = monotonic()
    async with stage.performing():
        display.begin(zero_s)
        await stage.until(stop.is_set, timeout_s=limit_s)
        statistics, unbroken = stage.agent.ports.statistics(), stage.unbroken
    return Evidence(
        chronicle=stage.chronicle,
        recording=Recording(
            captured.samples(zero_s, microphone.rate),
            played.samples(zero_s, speaker.rate),
            speaker.rate,
            zero_s,
            exact=False,
        ),
        statistics=statistics,
        latency_ms=stage.latency_ms,
        unbroken=unbroken,
    )
