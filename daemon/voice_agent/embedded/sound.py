"""Sound that a test can predict to the sample."""

from array import array
from dataclasses import dataclass
from math import sin, tau

from voice_agent.formats import ms_to_samples


@dataclass(frozen=True, slots=True)
class Sound:
    """Deterministic audio.

    ``counter`` counts from ``low`` to ``high`` and begins again, which shows loss, doubling and whose it is.
    """

    ms: int
    wave: str = "tone"
    low: int = 1
    high: int = 32767


def waveform(sound: Sound, rate: int) -> bytes:
    """PCM16 of a deterministic sound at ``rate`` Hz."""
    count = ms_to_samples(sound.ms, rate)
    if sound.wave == "silence":
        return bytes(2 * count)
    if sound.wave == "counter":
        span = sound.high - sound.low + 1
        return array("h", (sound.low + k % span for k in range(count))).tobytes()
    return array("h", (int(8000 * sin(tau * 440 * k / rate)) for k in range(count))).tobytes()
