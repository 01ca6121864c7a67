"""What people can do to the device, whichever way they reach it: button, signal, command line, tool.

Mute and volume outlive the process: a device that was muted must not wake up listening. Muting closes the
microphone's stream; an utterance that it cuts is ended by silence and answered as far as it went.

The button means what the mode of the gate makes of it. Pressing it always silences the answer at once: who
presses wants to speak. In push-to-talk what is said until the release is sent. In the other modes a press by
signal only silences, and wakes a parked session. While a timer or an alarm rings, a press ends that and means
nothing else, even on a muted device: who is rung at reaches for the button.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Annotated, Protocol

from msgspec import Meta, Struct

from voice_agent.audio.mixer import Mixer, MixerFailed
from voice_agent.audio.valve import Mode, Valve
from voice_agent.audio.volume import LOUDEST, bounded
from voice_agent.errors import VoiceAgentError
from voice_agent.storage import Excuses, Store

log = logging.getLogger(__name__)

FILE = "controls.json"
EXIT_S = 1.0  # a disk that hangs must not hold up the exit

EXCUSES = Excuses(
    reading="cannot read how volume and mute were left; taking the configuration's",
    writing="cannot keep volume and mute; after a restart they are as configured",
)


class Kept(Struct, frozen=True):
    """What outlives the process; what the file holds."""

    muted: bool = False
    volume: Annotated[int, Meta(ge=0, le=LOUDEST)] | None = None
    """``None``: nobody has changed it, and the configuration's holds."""


class Status(Struct, frozen=True):
    """How the controls stand."""

    muted: bool
    volume: int
    mode: str
    talking: bool
    """Whether the button is pressed."""
    connection: str
    """The session in words, as in the service's status line."""


class Refused(VoiceAgentError):
    """It cannot be done now; the text says what to do first."""


class Device(Protocol):
    """What is used of the sound."""

    @property
    def valve(self) -> Valve:
        """Who decides what is sent."""

    def mute(self, *, muted: bool) -> None:
        """Close the microphone, or open it again."""

    def set_volume(self, level: int, *, by_mixer: bool) -> None:
        """Play as loud as this; up to 100 by a mixer or not."""

    def wake(self) -> None:
        """Somebody is about to speak."""


class Controls:
    """The device's controls; ``run`` is a task for the mixer. Everything else is done at once.

    ``hush`` silences what sounds and forgets what is owed; ``cue`` lets a sound of the daemon's own be heard;
    ``unring`` ends the ring of a timer or an alarm: whether there was one.
    """

    def __init__(
        self,
        device: Device,
        *,
        volume: int,
        mixer: Mixer | None,
        store: Store[Kept] | None,
        hush: Callable[[], None],
        unring: Callable[[], bool],
        cue: Callable[[str], None],
        on_change: Callable[[], None],
    ) -> None:
        self._device = device
        self._mixer = mixer
        self._store = store
        self._hush = hush
        self._unring = unring
        self._cue = cue
        self._on_change = on_change
        self._kept = (store and store.read()) or Kept()
        self._default = volume
        self._asked = asyncio.Event()
        self._apply_volume()
        if self._kept.muted:
            log.info("the microphone is muted, as it was left")
            device.mute(muted=True)

    @property
    def muted(self) -> bool:
        """Whether the microphone is closed on purpose."""
        return self._kept.muted

    @property
    def volume(self) -> int:
        """0 to 130; 100 leaves answers as they come."""
        return self._default if self._kept.volume is None else self._kept.volume

    def status(self, connection: str) -> Status:
        """How everything stands."""
        valve = self._device.valve
        return Status(self.muted, self.volume, valve.mode.value, valve.talking, connection)

    # ------------------------------------------------------------------------------- what can be done

    def mute(self, *, muted: bool) -> None:
        """Close the microphone until it is told otherwise, restarts included; or open it."""
        if muted == self.muted:
            return
        log.info("microphone muted" if muted else "microphone unmuted")
        self._device.mute(muted=muted)
        self._keep(Kept(muted, self._kept.volume))
        self._cue("muted" if muted else "unmuted")
        self._on_change()

    def press(self) -> None:
        """Begin to speak: what sounds is silenced, and what is said is sent, whatever else forbids it."""
        if self._unring():
            self._hush()
            return
        if self.muted:
            self._cue("muted")
            raise Refused("the microphone is muted; unmute it first: voice-agent unmute")
        self._hush()
        self._device.valve.press()
        self._device.wake()
        self._cue("listening")

    def release(self) -> None:
        """Have finished: the server is told by silence."""
        self._device.valve.release()

    def signal(self) -> None:
        """A button without a release: a push begins, the next one ends. Without push-to-talk it silences."""
        if self._device.valve.mode is not Mode.BUTTON:
            rang = self._unring()
            self._hush()
            if not rang:
                self._device.wake()
        elif self._device.valve.talking:
            self.release()
        else:
            self.press()

    def stop(self) -> None:
        """Be quiet: no ring, no word more of this answer, nor of one that is still to come."""
        self._unring()
        self._hush()

    def set_volume(self, level: int) -> int:
        """Change the volume, as far as it goes; the new one. It is kept across restarts."""
        self._keep(Kept(self.muted, bounded(level)))
        self._apply_volume()
        return self.volume

    def close(self) -> None:
        """At the end of the process: wait a little for what is still being saved."""
        if self._store:
            self._store.settle(EXIT_S)

    # ------------------------------------------------------------------------------------- behind it

    async def run(self) -> None:
        """Turn the mixer, for ever; of several wishes the last one counts."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            if self._mixer:
                await self._turn(self._mixer, self.volume)

    async def _turn(self, mixer: Mixer, level: int) -> None:
        try:
            await mixer.set(level)
        except MixerFailed as error:
            log.warning(
                "the mixer cannot be set; changing the volume without it", extra={"reason": str(error)}
            )
            self._mixer = None
            self._apply_volume()

    def _apply_volume(self) -> None:
        self._device.set_volume(self.volume, by_mixer=self._mixer is not None)
        self._asked.set()

    def _keep(self, kept: Kept) -> None:
        self._kept = kept
        if self._store:
            self._store.write(kept)
