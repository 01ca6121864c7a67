"""English speech to text by Moonshine's tiny model, which its wheel carries."""

from re import sub

from moonshine_voice import ModelArch, Transcriber, get_model_path

from voice_agent.embedded.engines import HEARING_RATE
from voice_agent.embedded.resample import to_floats

OPTIONS = {"vad_threshold": "0", "identify_speakers": "false", "return_audio_data": "false"}
"""Its own endpointing is off: it would split the padding before an utterance and invent a word for it."""
DATED = {
    "to-day": "today",
    "to-night": "tonight",
    "to-morrow": "tomorrow",
    "per cent": "percent",
    "good-bye": "goodbye",
    "good-by": "goodbye",
}
"""Spellings of the old books it was trained on."""


class MoonshineStt:
    """A loaded model; one call at a time."""

    def __init__(self) -> None:
        self._model = Transcriber(str(get_model_path("tiny-en")), ModelArch.TINY, options=OPTIONS)

    def transcribe(self, pcm: bytes) -> str:
        """The words in PCM16 at 16 kHz."""
        transcript = self._model.transcribe_without_streaming(to_floats(pcm).tolist(), HEARING_RATE)
        text = " ".join(str(line.text).strip() for line in transcript.lines).strip()
        for dated, modern in DATED.items():
            text = sub(rf"(?i)\b{dated}\b", modern, text)
        return text
