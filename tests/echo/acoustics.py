"""Rooms between a loudspeaker and a microphone: responses of a few numbers, and the sound in them."""

import numpy as np
from numpy.typing import NDArray

from tests.echo.voices import RATE, Sound

DIRECT_SHARE = 0.5
"""Of the energy at the microphone: it stands near the loudspeaker, but not against it."""


def response(rt60_s: float, length_s: float, seed: int) -> NDArray[np.float32]:
    """Taps of a room: the direct sound, then noise that falls by 60 dB in ``rt60_s``; energy 1.

    White Gaussian noise under an exponential is the classic model of a diffuse reverberation (Polack, 1988).
    """
    count = round(length_s * RATE)
    decay = 10 ** (-3 * np.arange(count) / (rt60_s * RATE))
    taps = np.random.default_rng(seed).standard_normal(count) * decay
    taps[: RATE // 500] = 0  # the first reflection has travelled 2 ms further
    taps *= np.sqrt((1 - DIRECT_SHARE) / np.sum(taps**2))
    taps[0] = np.sqrt(DIRECT_SHARE)
    return taps.astype(np.float32)


def convolved(sound: Sound, taps: NDArray[np.float32]) -> Sound:
    """``sound`` as it arrives through ``taps``, as long as it was."""
    size = 1 << (len(sound) + len(taps) - 1).bit_length()
    product = np.fft.rfft(sound, size) * np.fft.rfft(taps.astype(np.float64), size)
    heard: Sound = np.fft.irfft(product, size)[: len(sound)]
    return heard


def level(db: float) -> float:
    """The RMS of a sound of ``db`` dBFS, in steps of the converter."""
    return float(32768 * 10 ** (db / 20))


def noise(count: int, db: float, seed: int) -> Sound:
    """White noise of ``db`` dBFS."""
    return np.random.default_rng(seed).standard_normal(count) * level(db)
