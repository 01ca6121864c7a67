"""Sounds of the daemon's own, for when the provider cannot speak: tones, and a few recorded phrases.

Tones are arithmetic. Phrases are package data in English and Russian (``scripts/make-phrases`` records them):
the device needs no voice for them. One that cannot be loaded is told in the log and stays silent.
"""

import logging
import re
import wave
from array import array
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from math import cos, pi, sin
from typing import Literal, NamedTuple

from voice_agent.audio.pcm import resampled
from voice_agent.formats import BYTES_PER_SAMPLE, ms_to_samples

log = logging.getLogger(__name__)

Language = Literal["en", "ru"]

PEAK = 4600
"""-20 dBFS for a sine, like the phrases: heard across a room, and nobody jumps."""
FADE_MS = 8.0
"""At both ends of a tone: a sine that begins at once clicks."""


class Tone(NamedTuple):
    """A sine, in Hz and ms; ``gain`` to the usual level."""

    hz: float
    ms: float
    gain: float = 1.0


TONES: dict[str, tuple[Tone, ...]] = {
    "lost": (Tone(660, 140), Tone(440, 220)),
    "back": (Tone(440, 140), Tone(660, 220)),
    "thinking": (Tone(880, 25, 0.4),),
}
PHRASES = ("offline", "refused", "allowance", "no_answer")
"""No connection; the key is refused; the day's allowance is used up; no answer came."""


class Cues:
    """The sounds in one language."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._told: set[str] = set()

    def pcm(self, name: str, rate: int) -> bytes:
        """A tone or phrase as PCM16 at ``rate`` Hz; empty if it cannot be had."""
        if name in TONES:
            return tones(TONES[name], rate)
        try:
            return phrase(self._language, name, rate)
        except (OSError, EOFError, wave.Error) as error:
            if name not in self._told:
                self._told.add(name)
                log.warning("a cue is missing", extra={"cue": name, "reason": str(error)})
            return b""


def language_of(languages: Iterable[str], instructions: str) -> Language:
    """Which language to speak: that of the first tag that we speak, or of the instructions' script."""
    for tag in languages:
        match tag.lower().replace("_", "-").partition("-")[0]:
            case "ru":
                return "ru"
            case "en":
                return "en"
    cyrillic = len(re.findall("[\u0400-\u04ff]", instructions))
    return "ru" if cyrillic > len(re.findall("[A-Za-z]", instructions)) else "en"


@lru_cache(maxsize=8)
def phrase(language: Language, name: str, rate: int) -> bytes:
    """A recorded phrase; raises what opening and reading a WAV raises."""
    file = files(__package__) / "phrases" / f"{language}-{name}.wav"
    with file.open("rb") as stored, wave.open(stored) as sound:
        if (sound.getnchannels(), sound.getsampwidth()) != (1, BYTES_PER_SAMPLE):
            raise wave.Error("not mono PCM16")
        return resampled(sound.readframes(sound.getnframes()), sound.getframerate(), rate)


@lru_cache(maxsize=8)
def tones(parts: tuple[Tone, ...], rate: int) -> bytes:
    """Tones, one after another."""
    return b"".join(_tone(part, rate) for part in parts)


def _tone(tone: Tone, rate: int) -> bytes:
    count = ms_to_samples(tone.ms, rate)
    sound = [PEAK * tone.gain * sin(2 * pi * tone.hz * index / rate) for index in range(count)]
    fade = min(ms_to_samples(FADE_MS, rate), count // 2)
    for index in range(fade):
        gain = 0.5 - 0.5 * cos(pi * index / fade)
        sound[index] *= gain
        sound[-1 - index] *= gain
    return array("h", map(round, sound)).tobytes()
