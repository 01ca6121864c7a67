"""The listener: cancels echo frame by frame, and says whether what is left is somebody."""

from typing import NamedTuple

from voice_agent.audio.echo.barge import BargeIn, Stage
from voice_agent.audio.echo.canceller import Canceller
from voice_agent.audio.echo.meter import EchoMeter, Health
from voice_agent.audio.echo.reference import Reference
from voice_agent.audio.gate import Noise
from voice_agent.audio.microphone import Moment
from voice_agent.formats import BYTES_PER_SAMPLE

NOISE_MARGIN_DB = 6.0
"""Over the mark that the noise sets: what is left of an echo comes on top of it."""
DOUBT_FRAMES = 100
"""Two seconds of doubt are no onset of speech. Whatever it is, it is to be expected."""


class Listened(NamedTuple):
    """A frame without its echo."""

    pcm: bytes
    stage: Stage
    onset: int
    """Where what is suspected or confirmed began."""


class Listener:
    """One microphone's frames in order: ``hear`` while there may be an echo, ``rest`` while there is none."""

    def __init__(self, canceller: Canceller, reference: Reference) -> None:
        self.meter = EchoMeter()
        self._canceller = canceller
        self._reference = reference
        self._noise = Noise()
        self._barge = BargeIn()
        self._doubts = 0

    @property
    def trusted(self) -> bool:
        """Whether what is left can be listened to."""
        return self.meter.health in (Health.GOOD, Health.NO_ECHO)

    @property
    def doubtful(self) -> bool:
        """Whether somebody may be speaking."""
        return self._barge.doubtful

    def hear(self, position: int, pcm: bytes, moment: Moment) -> Listened:
        """Cancel the echo in the frame at ``position``."""
        count = len(pcm) // BYTES_PER_SAMPLE
        far = self._reference.take(count, position + count, moment)
        clean, levels, speech = self._canceller.process(pcm, far)
        expected_db = self.meter.expect(levels, self._noise.level_db)
        if self.meter.health is Health.NO_ECHO:
            clean, levels = pcm, levels._replace(clean_db=levels.near_db)
        above_noise_db = self._noise.compare(levels.clean_db) - NOISE_MARGIN_DB
        above_db = min(above_noise_db, levels.clean_db - expected_db)
        if not self.trusted:
            above_db = -1.0
        stage = self._barge.feed(position, levels.clean_db, above_db, speech)
        self._doubts = self._doubts + 1 if stage is Stage.SUSPECTED else 0
        if not self._barge.doubtful or self._doubts > DOUBT_FRAMES:
            self.meter.learn(levels, self._noise.level_db)
        return Listened(clean, stage, self._barge.onset)

    def rest(self, pcm: bytes, moment: Moment) -> None:
        """Let a frame pass as it is, and learn how the room sounds."""
        self._reference.skip(moment)
        self._noise.compare(self._canceller.level_db(pcm))

    def was_nobody(self) -> None:
        """What was confirmed turned out to be no speech."""
        self._barge.drop()
        self.meter.scold()
