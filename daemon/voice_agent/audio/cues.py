"""Sounds of the daemon's own, for when the provider cannot speak: tones, and a few recorded phrases.

Tones are arithmetic. Phrases are package data in English and Russian (``scripts/make-phrases`` records
them): the device needs no voice for them. An operator may quiet any of them, or put a file in its place. What
cannot be loaded is told in the log, and ours is played, or nothing. ``docs/cues.md`` says when each sounds.
"""

import logging
import re
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache
from math import cos, pi, sin
from pathlib import Path
from typing import Literal, NamedTuple

from voice_agent.audio.recordings import HIGHEST_HZ, LONGEST_S, LOWEST_HZ, UNREADABLE, examine, recording
from voice_agent.formats import ms_to_samples

log = logging.getLogger(__name__)

Language = Literal["en", "ru"]
LANGUAGES: tuple[Language, ...] = ("en", "ru")

PEAK = 4600
"""-20 dBFS for a sine, like the phrases: heard across a room, and nobody jumps."""
FADE_MS = 8.0
"""At both ends of a tone: a sine that begins at once clicks."""

OURS = Path(__file__).parent / "phrases"

REMEDY = (
    f"make it WAV, PCM of 16 bits, mono or stereo, {LOWEST_HZ} to {HIGHEST_HZ} Hz, at most {LONGEST_S:g} s:"
    f" ffmpeg -i YOURS -c:a pcm_s16le -ac 1 -ar 24000 -t {LONGEST_S:g} NAME.wav"
)


class Tone(NamedTuple):
    """A sine, in Hz and ms; ``gain`` to the usual level."""

    hz: float
    ms: float
    gain: float = 1.0


TONES: Mapping[str, tuple[Tone, ...]] = {
    "ready": (Tone(523, 110), Tone(659, 110), Tone(784, 180)),
    "listening": (Tone(880, 90),),
    "thinking": (Tone(880, 25, 0.4),),
    "lost": (Tone(660, 140), Tone(440, 220)),
    "back": (Tone(440, 140), Tone(660, 220)),
    "loudspeaker_back": (Tone(523, 110), Tone(784, 180)),
    "muted": (Tone(587, 90), Tone(392, 130)),
    "unmuted": (Tone(392, 90), Tone(587, 130)),
    "timer": (Tone(1047, 90), Tone(0, 60), Tone(1047, 90), Tone(0, 60), Tone(1319, 160)) * 2,
    "alarm": (Tone(784, 120), Tone(988, 120), Tone(1175, 240)) * 2,
}
RINGS = ("timer", "alarm")
"""People have asked for these: they sound though the daemon is to say nothing of its own accord."""

PHRASES: Mapping[str, Mapping[Language, str]] = {
    "offline": {
        "en": "I have no connection. I will keep trying.",
        "ru": "У меня нет связи. Пробую снова.",
    },
    "trouble": {
        "en": "The speech service has trouble. I will keep trying.",
        "ru": "У речевого сервиса неполадки. Пробую снова.",
    },
    "refused": {
        "en": "The service refuses my key. Please tell whoever looks after me.",
        "ru": "Сервис не принимает мой ключ. Скажите об этом хозяину.",
    },
    "allowance": {
        "en": "My allowance for today is used up.",
        "ru": "На сегодня мой лимит исчерпан.",
    },
    "no_answer": {
        "en": "I did not get an answer. Please ask again.",
        "ru": "Ответа нет. Спросите ещё раз.",
    },
    "no_microphone": {
        "en": "I cannot hear you. My microphone is gone.",
        "ru": "Я вас не слышу. Пропал микрофон.",
    },
    "microphone_back": {
        "en": "My microphone is back. I can hear you again.",
        "ru": "Микрофон снова работает. Я вас слышу.",
    },
}
"""The words of the recordings. Whoever changes one runs ``scripts/make-phrases``."""

NAMES = (*TONES, *PHRASES)
FILES = [f"{prefix}{name}.wav" for prefix in ("", *(f"{each}-" for each in LANGUAGES)) for name in NAMES]
"""What may lie in an operator's folder."""


class Fault(NamedTuple):
    """What is wrong with a file, and what to do about it."""

    path: Path
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}; {self.remedy}"


class Cues:
    """The sounds in one language, but for the ``quiet`` ones; files in ``folder`` go before ours."""

    def __init__(
        self, language: Language, *, quiet: Collection[str] = (), folder: Path | None = None
    ) -> None:
        self._language = language
        self._quiet = frozenset(quiet)
        self._folder = folder
        self._told: set[Path] = set()

    def review(self) -> None:
        """Tell the log what is wrong with the operator's folder, before any of it is wanted. Reads files."""
        for fault in faults(self._folder) if self._folder is not None else ():
            self._warn(fault)

    def pcm(self, name: str, rate: int) -> bytes:
        """A cue as PCM16 at ``rate`` Hz; empty if it is to be quiet or cannot be had. Reads files."""
        if name in self._quiet:
            return b""
        for path in self._replacements(name):
            if path.exists() and (sound := self._loaded(path, rate)):
                return sound
        if name in TONES:
            return tones(TONES[name], rate)
        return self._loaded(OURS / f"{self._language}-{name}.wav", rate)

    def _replacements(self, name: str) -> Iterator[Path]:
        if self._folder is not None:
            yield self._folder / f"{self._language}-{name}.wav"
            yield self._folder / f"{name}.wav"

    def _loaded(self, path: Path, rate: int) -> bytes:
        try:
            return recording(path, rate)
        except UNREADABLE as error:
            self._warn(Fault(path, why(error), REMEDY))
            return b""

    def _warn(self, fault: Fault) -> None:
        if fault.path not in self._told:
            self._told.add(fault.path)
            fields = {"file": str(fault.path), "reason": fault.what, "remedy": fault.remedy}
            log.warning("a cue cannot be played", extra=fields)


def why(error: Exception) -> str:
    """One of ``UNREADABLE``, for people."""
    match error:
        case OSError(strerror=str(text)):
            return text
        case EOFError() | RuntimeError():
            return "it is cut off, or no WAV file"
        case _:
            return str(error)


def faults(folder: Path) -> Iterator[Fault]:
    """All that is wrong with an operator's folder."""
    try:
        files = sorted(folder.iterdir())
    except OSError as error:
        yield Fault(folder, f"cannot be read ({why(error)})", "make the folder, or delete cues.folder")
        return
    for path in files:
        if path.suffix.lower() != ".wav":
            continue  # a README may lie there
        if path.name not in FILES:
            near = get_close_matches(path.name.lower(), FILES, n=1, cutoff=0.8)
            remedy = f"did you mean {near[0]}?" if near else f"cues are {', '.join(NAMES)}"
            yield Fault(path, "is the name of no cue", remedy)
            continue
        try:
            examine(path)
        except UNREADABLE as error:
            yield Fault(path, why(error), REMEDY)


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
