"""What the audio edge needs to know about samples."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
"""PCM16, mono, in memory. On the wire and in frames the same audio is little-endian ``bytes``."""

SAMPLE = np.dtype("<i2")


@lru_cache(maxsize=256)
def fade_ramp(length: int) -> NDArray[np.float32]:
    """Gains that fall in a straight line from just below one to exactly zero, in ``length`` samples."""
    return np.linspace(1, 0, length + 1, dtype=np.float32)[1:]


def fade_out(samples: Samples) -> None:
    """Fade ``samples`` to silence, in place."""
    np.multiply(samples, fade_ramp(len(samples)), out=samples, casting="unsafe")
