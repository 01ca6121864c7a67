"""The guard: keeps the daemon from hearing itself, and lets whoever speaks over it through.

For each frame of the microphone it says what becomes of it (``Verdict``), and it quietens the playout::

    OPEN       no echo is possible                               sent
    WITHHELD   the loudspeaker sounds, or did a moment ago       kept, not sent
               (ducked while somebody is suspected to speak)
    CONFIRMED  somebody speaks over it: the playout is held      sent, from where the speech began

A held playout waits for the server, which hears the speech, says so, and has the playout flushed. If it does
not, there was nothing worth an answer: the playout goes on where it was.

How, is a matter of the mode. ``aec``: the echo is cancelled, and what is left is listened to.
``half-duplex``: nobody is heard while the loudspeaker sounds, and a little longer. ``auto``: the one while
the canceller is good, else the other. ``off``: everything is sent; for headphones, and for microphones that
cancel echo themselves.

Time is that of the capture, not of the loop: a loop that stood still takes no old echo for a voice.
"""

import logging
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple, Protocol

from voice_agent.audio.echo.barge import Stage
from voice_agent.audio.echo.canceller import Canceller
from voice_agent.audio.echo.listener import Listened, Listener
from voice_agent.audio.echo.meter import Health
from voice_agent.audio.echo.reference import Reference
from voice_agent.audio.microphone import Moment
from voice_agent.audio.ring import SampleRing
from voice_agent.audio.valve import Heard, Verdict
from voice_agent.errors import DeviceUnavailable
from voice_agent.formats import FRAME_MS

log = logging.getLogger(__name__)

DUCK_DB = 15.0
UNDUCK_FRAMES = 15
"""300 ms from the end of a suspicion: a word may go on."""
PATIENCE_FRAMES = 75
"""1.5 s for the server to say that it hears somebody."""
TAIL_S = 0.3
"""A room goes on sounding so long."""
REST_S = 1.0
"""After so long without a sound, and with nobody in doubt, there is nothing to cancel."""
TAP_S = 4.0
"""What the loudspeaker plays while the loop stands still: longer than the microphone keeps its part."""
FALSE_ALARMS = 2
"""So many in a row, and the canceller is not trusted for a while."""


class Mode(StrEnum):
    """What is done about echo."""

    AUTO = "auto"
    AEC = "aec"
    HALF_DUPLEX = "half-duplex"
    OFF = "off"


class Loudspeaker(Protocol):
    """What the guard needs of ``Speaker``."""

    rate: int

    @property
    def latency(self) -> int:
        """Samples from being given to the device to being heard."""
        ...

    @property
    def sounding_at(self) -> float:
        """When the device was last given content, in monotonic seconds."""
        ...

    @property
    def held(self) -> bool:
        """Whether a ``hold`` goes on; a flush ends it, too."""
        ...

    def tap(self, capacity_s: float) -> SampleRing:
        """All that is given to the device from now on."""
        ...

    def duck(self, db: float) -> None:
        """Play softer by so much; 0: as loud as before."""
        ...

    def hold(self) -> None:
        """Be silent; what is queued waits."""
        ...

    def resume(self) -> None:
        """Go on where ``hold`` stopped."""
        ...


class Source(Protocol):
    """What the guard needs of ``Microphone``."""

    rate: int
    beside: Callable[[], int]

    def moment(self) -> Moment:
        """When the end of the frame last taken was captured."""
        ...


class GuardStatistics(NamedTuple):
    """A snapshot. Times in seconds of captured sound."""

    mode: Mode
    """What is done now: never ``auto``."""
    health: Health | None
    """How the canceller is doing, if there is one."""
    erle_db: float | None
    """Over the last second of echo."""
    suspicions: int
    """Times that the playout was ducked."""
    confirmed: int
    """Times that it was held."""
    false_alarms: int
    """Times that the server heard nobody then."""
    withheld_s: float
    half_duplex_s: float
    """Of it: because no canceller could be relied on."""
    delay_s: float | None = None
    """From being played to being heard by the microphone, once that is known."""


class Guard:
    """One microphone beside one loudspeaker. ``hear`` is for the task that takes the microphone's frames.

    Raises DeviceUnavailable if the mode is ``aec`` and the canceller's package is not installed.
    """

    def __init__(
        self, mode: Mode, speaker: Loudspeaker, microphone: Source, *, half_duplex_guard_ms: float = 500.0
    ) -> None:
        self._mode = mode
        self._speaker = speaker
        self._microphone = microphone
        self._tail_s = half_duplex_guard_ms / 1000
        self._listener = self._make_listener()
        self._suspects = 0  # frames for which the playout stays ducked
        self._patience = 0  # frames for which it stays held
        self._confirmed_stage = False
        self._alarms_in_a_row = 0
        self._suspicions = self._confirmed = self._false_alarms = 0
        self._withheld = self._half_duplex = 0  # frames

    def hear(self, position: int, pcm: bytes) -> Heard:
        """Judge the frame at ``position``, which was taken from the microphone just now."""
        if self._mode is Mode.OFF:
            return Heard(pcm)
        moment = self._microphone.moment()
        silent_s = moment.at - self._speaker.sounding_at - self._speaker.latency / self._speaker.rate
        silent_s -= FRAME_MS / 1000  # the frame's beginning counts
        if self._listener is None:
            return self._half_duplexed(pcm, silent_s)
        if silent_s > REST_S and not self._listener.doubtful and not self._patience:
            self._settle()
            self._listener.rest(pcm, moment)
            return Heard(pcm)
        return self._listen(self._listener, position, pcm, moment, silent_s)

    def statistics(self) -> GuardStatistics:
        """The counters as they are now."""
        meter = self._listener.meter if self._listener else None
        return GuardStatistics(
            mode=self._now,
            health=meter.health if meter else None,
            erle_db=meter.erle_db if meter else None,
            suspicions=self._suspicions,
            confirmed=self._confirmed,
            false_alarms=self._false_alarms,
            withheld_s=self._withheld * FRAME_MS / 1000,
            half_duplex_s=self._half_duplex * FRAME_MS / 1000,
            delay_s=meter.delay_s if meter else None,
        )

    @property
    def _now(self) -> Mode:
        """What is done now."""
        if self._mode is not Mode.AUTO:
            return self._mode
        return Mode.AEC if self._listener and self._listener.trusted else Mode.HALF_DUPLEX

    def _make_listener(self) -> Listener | None:
        if self._mode not in (Mode.AUTO, Mode.AEC):
            return None
        try:
            canceller = Canceller(self._microphone.rate)
        except DeviceUnavailable as error:
            if self._mode is Mode.AEC:
                raise
            log.warning(
                "half-duplex: nobody is heard while the loudspeaker sounds", extra={"cause": str(error)}
            )
            return None
        tap = self._speaker.tap(TAP_S)
        self._microphone.beside = lambda: tap.written
        return Listener(canceller, Reference(tap, self._speaker.rate, self._microphone.rate))

    # --------------------------------------------------------------------------------- half-duplex

    def _half_duplexed(self, pcm: bytes, silent_s: float) -> Heard:
        if silent_s > self._tail_s:
            return Heard(pcm)
        self._withheld += 1
        self._half_duplex += 1
        return Heard(pcm, Verdict.WITHHELD)

    # --------------------------------------------------------------------------------- full duplex

    def _listen(self, ears: Listener, position: int, pcm: bytes, moment: Moment, silent_s: float) -> Heard:
        heard = ears.hear(position, pcm, moment)
        if self._now is Mode.HALF_DUPLEX:
            self._settle()
            return self._half_duplexed(heard.pcm, silent_s)
        self._quieten(ears, heard)
        if self._patience or heard.stage is Stage.CONFIRMED:
            return Heard(heard.pcm, Verdict.CONFIRMED, heard.onset)
        if silent_s < TAIL_S or ears.meter.audible or ears.doubtful:
            self._withheld += 1
            return Heard(heard.pcm, Verdict.WITHHELD)
        return Heard(heard.pcm)

    def _quieten(self, ears: Listener, heard: Listened) -> None:
        """Duck, hold, or neither."""
        if self._patience:
            self._wait_for_the_server(ears)
            return
        match heard.stage:
            case Stage.QUIET:
                self._suspects -= bool(self._suspects)
                if self._suspects == 1:
                    self._speaker.duck(0.0)
            case Stage.SUSPECTED:
                if not self._suspects:
                    self._suspicions += 1
                    self._speaker.duck(DUCK_DB)
                self._suspects = UNDUCK_FRAMES
            case Stage.CONFIRMED if not self._confirmed_stage:
                self._confirmed += 1
                self._patience = PATIENCE_FRAMES
                self._speaker.hold()
        self._confirmed_stage = heard.stage is Stage.CONFIRMED

    def _wait_for_the_server(self, ears: Listener) -> None:
        if not self._speaker.held:  # it has heard the speech, and the playout was flushed
            self._settle()
            self._alarms_in_a_row = 0
        elif self._patience > 1:
            self._patience -= 1
        else:
            self._settle()
            self._false_alarms += 1
            self._alarms_in_a_row += 1
            ears.was_nobody()
            if self._alarms_in_a_row >= FALSE_ALARMS:
                ears.meter.distrust()
                self._alarms_in_a_row = 0

    def _settle(self) -> None:
        """Neither duck nor hold any longer."""
        if self._suspects:
            self._speaker.duck(0.0)
        if self._patience and self._speaker.held:
            self._speaker.resume()
        self._suspects = self._patience = 0
