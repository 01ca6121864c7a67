"""The valve: decides for each captured frame whether it flows to the server, and why not.

    mode            what flows
    always          everything
    voice           from the onset of a voice, less a pre-roll, until it has been silent for a while
    push-to-talk    what comes while the button is pressed

Two have more to say than the mode. Mute withholds everything. The echo guard withholds what comes while the
loudspeaker sounds, until it is sure that somebody speaks over it (``CONFIRMED``); but the button is a
person's word that he speaks, and the guard is not asked. Nothing from before a press is ever sent, nothing
that was muted, and what the guard withheld only if it is the guard who opens.

Time is counted in frames, as they come. No clock, no sound, no side effects: frames in, decisions out.
"""

from enum import Enum, StrEnum
from typing import NamedTuple

from voice_agent.formats import FRAME_MS


class Mode(StrEnum):
    """Who decides that somebody speaks to the device."""

    ALWAYS = "always"
    """The server."""
    VOICE = "voice"
    """The voice gate."""
    BUTTON = "push-to-talk"
    """The user's finger."""


class Withheld(StrEnum):
    """Why captured sound is not sent: labels of a metric."""

    QUIET = "quiet"
    """Nobody speaks, as the voice gate has it."""
    BUTTON = "button"
    """The button is not pressed."""
    ECHO = "echo"
    """The loudspeaker sounds, and nobody is confirmed to speak."""
    MUTED = "muted"
    PARKED = "parked"
    """There is no session, because nobody has spoken for long."""


class Verdict(Enum):
    """What the echo guard makes of a frame."""

    OPEN = "open"
    """No echo is possible."""
    WITHHELD = "withheld"
    """The loudspeaker sounds, and nobody is confirmed to speak."""
    CONFIRMED = "confirmed"
    """Somebody speaks over the loudspeaker."""


class Heard(NamedTuple):
    """A frame as the echo guard leaves it. ``onset``: where a confirmed voice began, if that is news."""

    pcm: bytes
    verdict: Verdict = Verdict.OPEN
    onset: int | None = None


class Sight(NamedTuple):
    """What is known of one frame. Positions in samples; ``end`` lies behind the last one."""

    position: int
    end: int
    verdict: Verdict = Verdict.OPEN
    confirmed_from: int | None = None
    """Where a voice over the loudspeaker began."""
    speaks: bool = False
    """Whether the voice gate is open."""
    speaks_from: int | None = None
    """Where the voice began, when this frame opened the gate."""


class Open(NamedTuple):
    """The frame flows. ``since``: so does what was withheld right before it, from this position on."""

    since: int | None = None


class Shut(NamedTuple):
    """The frame does not flow."""

    why: Withheld


Flow = Open | Shut


class Valve:
    """One device's valve. Frames are told in order; what is done in between holds from the next one on.

    ``trailing_ms``: how long sound flows on behind a voice, so that the server hears its end. A press ends by
    itself after ``talk_ms``: a button may be stuck, and a signal has no release.
    """

    def __init__(self, mode: Mode, *, pre_roll_ms: float, trailing_ms: float, talk_ms: float) -> None:
        self._mode = mode
        self._pre_roll = pre_roll_ms / FRAME_MS
        self.trail(trailing_ms)
        self._longest = round(talk_ms / FRAME_MS)
        self._muted = False
        self._pressed = 0  # frames that a press will still last
        self._goes_on = 0  # frames that a voice's end will still last
        self._floor = 0  # no pre-roll reaches back behind this position
        self._is_open = False

    def trail(self, trailing_ms: float) -> None:
        """From now on, sound flows on for so long behind a voice."""
        self._trailing = round(trailing_ms / FRAME_MS)

    @property
    def mode(self) -> Mode:
        """Who decides that somebody speaks to the device."""
        return self._mode

    @property
    def talking(self) -> bool:
        """Whether the button is pressed."""
        return self._pressed > 0

    def press(self) -> None:
        """The user begins to speak, and says so."""
        self._pressed = self._longest

    def release(self) -> None:
        """He has finished."""
        self._pressed = 0

    def mute(self, muted: bool) -> None:
        """Withhold everything, or no longer. Ends a press."""
        self._muted = muted
        self._pressed = self._goes_on = 0

    def judge(self, sight: Sight) -> Flow:
        """What becomes of the next frame."""
        talking = self.talking
        self._pressed = max(self._pressed - 1, 0)
        flow = self._decide(sight, talking=talking)
        if isinstance(flow, Shut) and flow.why in (Withheld.ECHO, Withheld.MUTED):
            self._floor = sight.end
        self._is_open = isinstance(flow, Open)
        return flow

    def _decide(self, sight: Sight, *, talking: bool) -> Flow:
        if self._muted:
            return Shut(Withheld.MUTED)
        if talking:
            return Open()
        if self._mode is Mode.BUTTON:
            return Shut(Withheld.BUTTON)
        confirmed = sight.verdict is Verdict.CONFIRMED
        speaks = self._mode is Mode.ALWAYS or self._follow(voice=sight.speaks or confirmed)
        if sight.verdict is Verdict.WITHHELD:
            return Shut(Withheld.ECHO)
        return Open(self._since(sight, confirmed=confirmed)) if speaks else Shut(Withheld.QUIET)

    def _follow(self, *, voice: bool) -> bool:
        """Whether somebody speaks or did a moment ago."""
        self._goes_on = self._trailing if voice else max(self._goes_on - 1, 0)
        return voice or self._goes_on > 0

    def _since(self, sight: Sight, *, confirmed: bool) -> int | None:
        """From where on an opening valve lets flow what it had withheld."""
        if self._is_open:
            return None
        roll = round(self._pre_roll * (sight.end - sight.position))
        if confirmed and sight.confirmed_from is not None:
            return max(sight.confirmed_from - roll, 0)
        if sight.speaks_from is not None:
            return max(sight.speaks_from - roll, self._floor)
        return None
