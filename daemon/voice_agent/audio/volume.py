"""Volume as people set it, and what it means for samples.

0       silence
1...100 -50 dB to 0 dB: equal steps of half a decibel, as ears count
...130  to +12 dB; the loudspeaker's soft limiter keeps that from clipping
"""

LOUDEST = 130
FULL = 100
RANGE_DB = 50.0
"""Of steps 1 to 100. Below that nothing is heard in a room with people in it (30 dB(A) against 80)."""
HEADROOM_DB = 12.0


def decibels(level: int) -> float:
    """Gain of a level from 1 to 130, in dB."""
    if level > FULL:
        return (level - FULL) * HEADROOM_DB / (LOUDEST - FULL)
    return (level - FULL) * RANGE_DB / (FULL - 1)


def gain_of(level: int) -> float:
    """The factor for samples; exactly 1 at 100, so that answers stay as they are."""
    return 10 ** (decibels(level) / 20) if level > 0 else 0.0


def bounded(level: int) -> int:
    """The nearest level that there is."""
    return min(max(level, 0), LOUDEST)
