"""Recorded sounds: WAV files into PCM16 of one channel at any rate, or the reason why not.

Our own are package data, an operator's come from a folder of his: nothing about the latter is trusted.
"""

import wave
from array import array
from functools import lru_cache
from pathlib import Path

from voice_agent.audio.pcm import resampled
from voice_agent.formats import BYTES_PER_SAMPLE

LOWEST_HZ, HIGHEST_HZ = 8000, 48_000
LONGEST_S = 10.0
"""A cue that is longer is music."""

UNREADABLE = (OSError, EOFError, RuntimeError, wave.Error)
"""What opening and reading a file may raise; the text says why. RuntimeError has none:
a part says that it is longer than the whole."""


def recording(path: Path, rate: int) -> bytes:
    """The sound in a file, at ``rate`` Hz; raises one of ``UNREADABLE``. A changed one is read anew."""
    return _recording(path, path.stat().st_mtime_ns, rate)


def examine(path: Path) -> None:
    """Raise one of ``UNREADABLE`` if a file cannot be played, without reading its samples."""
    with path.open("rb") as stored, wave.open(stored) as sound:
        _judge(sound)


@lru_cache(maxsize=8)  # a tick is wanted every few seconds; ten seconds at 48 kHz are a megabyte
def _recording(path: Path, _changed_ns: int, rate: int) -> bytes:
    with path.open("rb") as stored, wave.open(stored) as sound:
        _judge(sound)
        pcm = sound.readframes(sound.getnframes())
        channels, stored_rate = sound.getnchannels(), sound.getframerate()
    pcm = pcm[: len(pcm) // (channels * BYTES_PER_SAMPLE) * channels * BYTES_PER_SAMPLE]
    if not pcm:
        raise wave.Error("it ends before its first sample")
    return resampled(pcm if channels == 1 else _mixed(pcm), stored_rate, rate)


def _judge(sound: wave.Wave_read) -> None:
    channels, rate, frames = sound.getnchannels(), sound.getframerate(), sound.getnframes()
    if sound.getsampwidth() != BYTES_PER_SAMPLE:
        raise wave.Error(f"its samples have {8 * sound.getsampwidth()} bits, not 16")
    if channels > 2:
        raise wave.Error(f"it has {channels} channels, not one or two")
    if not LOWEST_HZ <= rate <= HIGHEST_HZ:
        raise wave.Error(f"its rate is {rate} Hz, not {LOWEST_HZ} to {HIGHEST_HZ}")
    if frames > LONGEST_S * rate:
        raise wave.Error(f"it lasts {frames / rate:.1f} s, not {LONGEST_S:g} at most")
    if not frames:
        raise wave.Error("it holds no sound")


def _mixed(pcm: bytes) -> bytes:
    """Two channels as one: their mean, which cannot clip."""
    samples = array("h", pcm)
    return array(
        "h", [(left + right) // 2 for left, right in zip(samples[::2], samples[1::2], strict=True)]
    ).tobytes()
