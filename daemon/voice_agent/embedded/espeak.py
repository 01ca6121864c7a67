"""Text to speech by a formant synthesiser of the distribution: small, robotic, always there."""

import io
import subprocess
import wave
from shutil import which

from voice_agent.embedded.resample import to_floats, to_pcm
from voice_agent.errors import ConfigError

TIMEOUT_S = 10.0


class EspeakTts:
    """``espeak-ng`` or, for English only, ``flite``: one short process per sentence."""

    def __init__(self, voice: str = "en-us") -> None:
        espeak, flite = which("espeak-ng"), which("flite")
        if espeak is not None:
            self._command = [espeak, "--stdout", "-s", "150", "-v", voice]
        elif flite is not None and voice.startswith("en"):
            self._command = [flite, "-voice", "slt", "-o", "/dev/stdout", "-t"]
        else:
            raise ConfigError("speech", "needs espeak-ng: apt install espeak-ng")

    def speak(self, sentence: str, rate: int) -> bytes:
        """PCM16 of one sentence at ``rate`` Hz."""
        done = subprocess.run(  # noqa: S603 - a fixed program; the sentence is one argument
            [*self._command, sentence], capture_output=True, check=True, timeout=TIMEOUT_S
        )
        with wave.open(io.BytesIO(done.stdout)) as sound:
            return to_pcm(to_floats(sound.readframes(sound.getnframes())), sound.getframerate(), rate)
