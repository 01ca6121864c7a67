"""Sample rate conversion by soxr, at the server's edges."""

import numpy as np
import soxr
from numpy.typing import NDArray

from voice_agent.embedded.engines import HEARING_RATE


class SoxrStream:
    """PCM16 on its way to 16 kHz, without seams between pieces.

    In floats, because soxr dithers what it makes 16 bits wide, differently in every run: the same sound
    would then not always be recognised as the same words.
    """

    def __init__(self, rate: int) -> None:
        same = rate == HEARING_RATE
        self._stream = (
            None if same else soxr.ResampleStream(rate, HEARING_RATE, 1, dtype="float32", quality="MQ")
        )

    def feed(self, pcm: bytes) -> bytes:
        """What ``pcm`` adds at 16 kHz; the filter's few milliseconds come later."""
        if self._stream is None:
            return pcm
        samples = np.frombuffer(pcm, "<i2").astype(np.float32)
        converted: NDArray[np.float32] = self._stream.resample_chunk(samples)
        return np.clip(np.rint(converted), -32768, 32767).astype("<i2").tobytes()


def to_pcm(samples: NDArray[np.float32], rate: int, wanted: int) -> bytes:
    """Floats in [-1, 1] at ``rate`` as PCM16 at ``wanted`` Hz."""
    converted = samples if rate == wanted else np.asarray(soxr.resample(samples, rate, wanted), np.float32)
    return (np.clip(converted, -1.0, 1.0) * 32767).astype("<i2").tobytes()


def to_floats(pcm: bytes) -> NDArray[np.float32]:
    """PCM16 as floats in [-1, 1)."""
    return np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768)
