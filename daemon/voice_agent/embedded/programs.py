"""Text to speech by programs of the distribution: small, robotic or not, one short process per sentence.

RHVoice is the only good Russian voice that can be installed without a network of one's own making; Debian
keeps it in non-free, so espeak-ng stands in for it.
"""

import io
import subprocess
import wave
from collections.abc import Sequence
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from typing import Literal

from voice_agent.embedded.engines import Tts
from voice_agent.embedded.resample import to_floats, to_pcm
from voice_agent.errors import ConfigError

TIMEOUT_S = 10.0

Person = Literal["agent", "user"]
RHVOICE: dict[Person, str] = {"agent": "anna", "user": "aleksandr"}
ESPEAK_RU: dict[Person, str] = {"agent": "ru", "user": "ru+f3"}
"""Two voices of each program, so that two people are two people."""


class ProgramTts:
    """A program that writes a WAV to its standard output for the sentence that is its last argument."""

    def __init__(self, *command: str) -> None:
        self._command = command

    def speak(self, sentence: str, rate: int) -> bytes:
        """PCM16 of one sentence at ``rate`` Hz."""
        return _pcm(_run([*self._command, sentence]), rate)


class RhvoiceTts:
    """RHVoice's own small program, which reads the sentence and writes a file."""

    def __init__(self, program: str, voice: str) -> None:
        self._command = (program, "-p", voice, "-o")

    def speak(self, sentence: str, rate: int) -> bytes:
        """PCM16 of one sentence at ``rate`` Hz."""
        with TemporaryDirectory() as scratch:
            file = Path(scratch) / "speech.wav"
            _run([*self._command, str(file)], said=sentence)
            return _pcm(file.read_bytes(), rate)


def english_voice() -> Tts:
    """espeak-ng, or flite where only that is installed."""
    if (espeak := which("espeak-ng")) is not None:
        return ProgramTts(*_espeak(espeak, "en-us"))
    if (flite := which("flite")) is not None:
        return _flite(flite)
    raise ConfigError("speech", "needs espeak-ng: apt install espeak-ng")


def clear_voice() -> Tts:
    """flite, whose English a small recogniser understands, which cannot be said of espeak-ng's."""
    if (flite := which("flite")) is not None:
        return _flite(flite)
    raise ConfigError("speech", "needs flite: apt install flite")


def russian_voice(person: Person) -> Tts:
    """RHVoice if it is installed and works, else espeak-ng."""
    if (program := which("RHVoice-test")) is not None:
        rhvoice = RhvoiceTts(program, RHVOICE[person])
        try:
            rhvoice.speak("Да.", 24_000)
        except (OSError, subprocess.SubprocessError, wave.Error):
            pass  # a voice may be missing; there is another program to try
        else:
            return rhvoice
    if (espeak := which("espeak-ng")) is not None:
        return ProgramTts(*_espeak(espeak, ESPEAK_RU[person]))
    raise ConfigError("speech", "needs espeak-ng or RHVoice: apt install espeak-ng")


def _espeak(program: str, voice: str) -> Sequence[str]:
    return program, "--stdout", "-s", "150", "-v", voice


def _flite(program: str) -> Tts:
    return ProgramTts(program, "-voice", "slt", "-o", "/dev/stdout", "-t")


def _run(command: Sequence[str], said: str = "") -> bytes:
    return subprocess.run(  # noqa: S603 - a fixed program; the sentence is one argument, or its input
        command, input=said.encode(), capture_output=True, check=True, timeout=TIMEOUT_S
    ).stdout


def _pcm(wav: bytes, rate: int) -> bytes:
    with wave.open(io.BytesIO(wav)) as sound:
        return to_pcm(to_floats(sound.readframes(sound.getnframes())), sound.getframerate(), rate)
