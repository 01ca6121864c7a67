"""The canceller: WebRTC's AEC3, and the levels of what goes in and comes out.

20 ms at 24 kHz take 0.4 ms of a small desktop processor, of which the levels are 0.05. Two traps:

* AEC3 costs eight times as much while the reference is exactly zero (its filters decay into denormals), so
  the reference is never silent: a step of the converter up or down, 90 dB below full scale, is added to it.
* Its output is 9 ms late. Nobody hears that; but who switches between input and output hears a tear.
"""

from typing import TYPE_CHECKING, NamedTuple

from voice_agent.errors import DeviceUnavailable
from voice_agent.extras import remedy
from voice_agent.formats import FRAME_MS, ms_to_samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LOW_HZ, HIGH_HZ = 200, 4000
"""The band of speech. Below it is the rumble of rooms and tables."""
SEED = 1


class Levels(NamedTuple):
    """Levels of one frame in the band of speech, in dB above one step of the converter."""

    near_db: float
    """What the microphone brought."""
    far_db: float
    """What was played beside it."""
    clean_db: float
    """What is left."""


class Cancelled(NamedTuple):
    """A frame without its echo."""

    pcm: bytes
    levels: Levels
    speech: float
    """How much it resembles speech, from 0 to 1, as WebRTC's noise suppressor has it."""


class Canceller:
    """Takes the echo out of frames at ``rate``. Raises DeviceUnavailable if the package is not installed."""

    def __init__(self, rate: int) -> None:
        try:
            import numpy as np
            from pywebrtc_audio import AudioProcessor
        except ImportError as error:
            raise DeviceUnavailable(f"echo cancellation needs a package: {remedy('aec')}") from error
        self._aec = AudioProcessor(rate, echo_cancellation=True)
        count = ms_to_samples(FRAME_MS, rate)
        self._hiss: NDArray[np.int16] = np.random.default_rng(SEED).integers(-1, 2, count, np.int16)
        hz = np.fft.rfftfreq(count, 1 / rate)
        band = np.flatnonzero((hz >= LOW_HZ) & (hz <= HIGH_HZ))
        self._low, self._high = int(band[0]), int(band[-1]) + 1
        self._scale = 2 / count**2

    def process(self, pcm: bytes, far: "NDArray[np.int16]") -> Cancelled:
        """The frame ``pcm`` without the echo of what was played: ``far``, of the same length, or earlier."""
        import numpy as np

        near = np.frombuffer(pcm, np.int16)
        clean = self._aec.process(near if near.any() else self._hiss, far | self._hiss & 1)
        levels = self._levels(np.stack((near, far, clean)))
        return Cancelled(clean.tobytes(), levels, self._aec.speech_probability)

    def level_db(self, pcm: bytes) -> float:
        """The level of a frame that is not to be processed, as in ``Levels``."""
        import numpy as np

        return self._levels(np.stack((np.frombuffer(pcm, np.int16),) * 3)).near_db

    def _levels(self, frames: "NDArray[np.int16]") -> Levels:
        import numpy as np

        spectra = np.fft.rfft(frames, axis=1)[:, self._low : self._high]
        energies = np.sum(spectra.real**2 + spectra.imag**2, axis=1) * self._scale
        return Levels(*(10 * np.log10(energies + 1)).tolist())
