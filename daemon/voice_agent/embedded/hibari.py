"""English text to speech by Hibari, whose wheel carries voice and pronunciation."""

import numpy as np
from hibari import Hibari

from voice_agent.embedded.resample import to_pcm


class HibariTts:
    """A loaded voice; one call at a time."""

    def __init__(self) -> None:
        self._voice = Hibari()
        self._voice("Hello.", seed=1)  # the first sentence pays for loading the pronunciation

    def speak(self, sentence: str, rate: int) -> bytes:
        """PCM16 of one sentence at ``rate`` Hz; the same sentence always sounds the same."""
        samples = np.asarray(self._voice(sentence, seed=1), np.float32)
        return to_pcm(samples, self._voice.sample_rate, rate)
