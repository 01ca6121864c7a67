"""The echo canceller, tried on a recording: the one place of the doctor that knows which one it is."""

from importlib.util import find_spec

import numpy as np

from voice_agent.doctor.signals import Samples

RATE = 16_000
"""One of those that WebRTC's canceller can do (16, 32 and 48 kHz); the test sounds fit into it."""
FRAME = RATE // 100


def is_installed() -> bool:
    """Whether the optional package is there."""
    return find_spec("pywebrtc_audio") is not None


def cancelled(recorded: Samples, played: Samples, rate: int) -> tuple[Samples, Samples]:
    """``recorded`` and what is left of it without the echo of ``played``, which leads it; at ``RATE``."""
    from pywebrtc_audio import EchoCanceller

    canceller = EchoCanceller(sample_rate=RATE)
    near, far = _at_canceller_rate(recorded, rate), _at_canceller_rate(played, rate)
    length = min(len(near), len(far)) // FRAME * FRAME
    frames = [slice(begin, begin + FRAME) for begin in range(0, length, FRAME)]
    cleaned = [canceller.process(near[frame], far[frame]) for frame in frames]
    return near[:length], np.concatenate([near[:0], *cleaned])


def _at_canceller_rate(samples: Samples, rate: int) -> Samples:
    """The whole of it at once, by its spectrum: no stream is being resampled here."""
    count = len(samples) * RATE // rate
    spectrum = np.fft.rfft(samples)[: count // 2 + 1]
    return (np.fft.irfft(spectrum, count) * count / len(samples)).clip(-32768, 32767).round().astype(np.int16)
