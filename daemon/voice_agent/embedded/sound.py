"""Sound that a test can predict to the sample."""

from array import array
from dataclasses import dataclass
from math import sin, tau

from voice_agent.formats import ms_to_samples


@dataclass(frozen=True, slots=True)
class Sound:
    """Deterministic audio. ``counter``: sample k is ``1 + k % 32767``, which shows loss and doubling."""

    ms: int
    wave: str = "tone"


def waveform(sound: Sound, rate: int) -> bytes:
    """PCM16 of a deterministic sound at ``rate`` Hz."""
    count = ms_to_samples(sound.ms, rate)
    if sound.wave == "silence":
        return bytes(2 * count)
    if sound.wave == "counter":
        return array("h", (1 + k % 32767 for k in range(count))).tobytes()
    return array("h", (int(8000 * sin(tau * 440 * k / rate)) for k in range(count))).tobytes()
