"""What is played into the emulated microphone, and what can be said of what came out. All is PCM16."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RATE = 24_000
CHUNK_MS = 10
LOUD = 500
"""Mean absolute value above which a chunk is heard: the answers' tone has 5000, the hum 50."""

HUM_S = 40
HUM_LEVEL = 100


def hum() -> bytes:
    """Soft noise that never repeats in a chunk's length, so that each piece of it tells its place."""
    noise = np.random.default_rng(4).integers(-HUM_LEVEL, HUM_LEVEL + 1, HUM_S * RATE)
    return noise.astype("<i2").tobytes()


def question(ms: int = 1200) -> bytes:
    """Something like speech: a voice's harmonics, in syllables."""
    time = np.arange(ms * RATE // 1000) / RATE
    voice = sum(np.sin(2 * np.pi * 140 * k * time) / k for k in range(1, 12))
    syllables = 0.6 - 0.4 * np.cos(2 * np.pi * 4 * time)
    return (6000 * voice * syllables).astype("<i2").tobytes()


class Continuity(NamedTuple):
    """How much of the hum arrived. ``lost_ms``: what is missing between its pieces."""

    heard_ms: int
    lost_ms: float
    gaps: int


def continuity(received: bytes, played: bytes) -> Continuity:
    """Follow the hum through what was received; what is no hum, such as a question, is passed over."""
    size = RATE * CHUNK_MS // 1000 * 2
    heard = gaps = lost = 0
    before: tuple[int, int] | None = None  # where the last piece was found: in what was received, and played
    for at in range(0, len(received) - size + 1, size):
        piece = received[at : at + size]
        if before and played.startswith(piece, (before[1] + at - before[0]) % len(played)):
            place = before[1] + at - before[0]
        elif (place := _aligned(played, piece)) < 0:
            continue
        elif before:
            gap = (place - before[1] - (at - before[0])) % len(played)
            missing = gap if gap < len(played) // 2 else 0
            lost, gaps = lost + missing, gaps + bool(missing)
        heard += CHUNK_MS
        before = (at, place)
    return Continuity(heard, lost / 2 / RATE * 1000, gaps)


def _aligned(played: bytes, piece: bytes) -> int:
    at = played.find(piece)
    while at % 2 and at >= 0:
        at = played.find(piece, at + 1)
    return at


def sounding_ms(pcm: bytes, *, rate: int = RATE, channels: int = 1) -> list[tuple[int, int]]:
    """Where something is heard, as stretches of milliseconds from the beginning."""
    levels = _levels(pcm, rate * channels * CHUNK_MS // 1000)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], levels > LOUD, [False])).astype(int)))
    return [(int(a) * CHUNK_MS, int(b) * CHUNK_MS) for a, b in edges.reshape(-1, 2)]


def _levels(pcm: bytes, size: int) -> NDArray[np.float64]:
    samples = np.frombuffer(pcm[: len(pcm) // (2 * size) * 2 * size], "<i2").reshape(-1, size)
    levels: NDArray[np.float64] = np.abs(samples.astype(np.float64)).mean(axis=1)
    return levels
