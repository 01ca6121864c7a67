"""The daemon's echo canceller, tried on a recording."""

from importlib.util import find_spec

import numpy as np

from voice_agent.audio.echo.canceller import Canceller
from voice_agent.doctor.signals import Samples
from voice_agent.formats import FRAME_MS, ms_to_samples


def is_installed() -> bool:
    """Whether the optional package is there."""
    return find_spec("pywebrtc_audio") is not None


def cancelled(recorded: Samples, played: Samples, rate: int) -> tuple[Samples, Samples]:
    """``recorded``, in whole frames, and what is left without the echo of ``played``, which leads it."""
    canceller, size = Canceller(rate), ms_to_samples(FRAME_MS, rate)
    length = min(len(recorded), len(played)) // size * size
    frames = [slice(at, at + size) for at in range(0, length, size)]
    cleaned = b"".join(canceller.process(recorded[one].tobytes(), played[one]).pcm for one in frames)
    return recorded[:length], np.frombuffer(cleaned, np.int16)
