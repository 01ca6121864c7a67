"""A pure tone and what is wrong with it: the measure of everything that only ought to carry sound."""

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

AMPLITUDE = 16_000


def sine(frequency: float, rate: int, seconds: float) -> Samples:
    """A tone at half of full scale."""
    at = np.arange(round(rate * seconds)) / rate
    return np.array(np.rint(AMPLITUDE * np.sin(2 * np.pi * frequency * at)), np.int16)


def residual(samples: Samples, frequency: float, rate: int) -> NDArray[np.float64]:
    """What is left of ``samples`` without the tone of that frequency and without an offset."""
    at = 2 * np.pi * frequency * np.arange(len(samples)) / rate
    parts = np.stack([np.sin(at), np.cos(at), np.ones_like(at)], axis=1)
    found, *_ = np.linalg.lstsq(parts, samples.astype(float), rcond=None)
    return np.asarray(samples - parts @ found, float)


def thd_n_db(samples: Samples, frequency: float, rate: int) -> float:
    """Total harmonic distortion and noise against the tone, in dB (IEC 61606: all that is not the tone)."""
    rest = residual(samples, frequency, rate)
    return float(10 * np.log10(np.mean(rest**2) / np.mean((samples - rest) ** 2)))


def worst_step(samples: Samples, frequency: float, rate: int) -> float:
    """The largest jump off the tone from one sample to the next; a click at a block's edge would show."""
    return float(np.abs(np.diff(residual(samples, frequency, rate))).max())
