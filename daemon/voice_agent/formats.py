"""Sample arithmetic: the only place where samples, milliseconds and bytes are converted.

Audio is PCM16, mono, little-endian everywhere in this package. Time inside the daemon is counted in
samples; it becomes milliseconds at the wire and in reports.
"""

from typing import NamedTuple

BYTES_PER_SAMPLE = 2
FRAME_MS = 20
"""A frame: what one ``input_audio_buffer.append`` carries."""


def samples_to_ms(samples: int, rate: int) -> int:
    """Whole milliseconds contained in ``samples`` (rounded down: never claim more than there is)."""
    return samples * 1000 // rate


def ms_to_samples(ms: float, rate: int) -> int:
    """Samples in ``ms`` milliseconds, rounded down."""
    return int(ms * rate // 1000)


def samples_to_s(samples: int, rate: int) -> float:
    """Seconds as a float, for reports and deadlines."""
    return samples / rate


def frame_bytes(rate: int) -> int:
    """Bytes of one 20 ms frame at ``rate`` Hz."""
    return rate * FRAME_MS // 1000 * BYTES_PER_SAMPLE


class Sounded(NamedTuple):
    """How a sample of the playout came out, in monotonic seconds."""

    free_at: float
    """From then on nothing held it back on purpose."""
    given_at: float
    """The device was given it."""
    heard_at: float
    """It left the loudspeaker."""
