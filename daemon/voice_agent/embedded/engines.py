"""What the server needs to hear, think and speak, as Protocols, and the choice between implementations.

Models are slow and share two cores with everything else: they run in one worker thread, in turn, so that
the event loop stays live. The voice activity detector is quick (0.6 ms per 32 ms) and keeps time with the
audio: it runs where the audio arrives.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, Protocol, TypeVar

from voice_agent.embedded.mind import Mind

HEARING_RATE = 16_000
"""Speech models listen at 16 kHz."""
FRAME_SAMPLES = 512
"""Silero's frame at 16 kHz: 32 ms."""

P = ParamSpec("P")
T = TypeVar("T")


class Vad(Protocol):
    """A voice activity detector; keeps state between frames."""

    def probability(self, frame: bytes, /) -> float:
        """How likely 512 samples at 16 kHz are speech, 0 to 1."""


class Stt(Protocol):
    """Speech to text."""

    def transcribe(self, pcm: bytes, /) -> str:
        """The words in PCM16 at 16 kHz; empty when there are none."""


class Tts(Protocol):
    """Text to speech."""

    def speak(self, sentence: str, rate: int, /) -> bytes:
        """PCM16 of one sentence at ``rate`` Hz."""


class Resampler(Protocol):
    """A stream of PCM16 on its way to 16 kHz."""

    def feed(self, pcm: bytes, /) -> bytes:
        """What ``pcm`` (whole samples) adds at 16 kHz."""


@dataclass(frozen=True, slots=True)
class Engines:
    """What one connection hears, thinks and speaks with; slow work runs in ``worker``, or inline without."""

    vad: Vad
    stt: Stt
    tts: Tts
    mind: Mind
    new_resampler: Callable[[int], Resampler]
    worker: Executor | None = None

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Slow work, off the loop."""
        if self.worker is None:
            return work(*args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self.worker, partial(work, *args, **kwargs))
