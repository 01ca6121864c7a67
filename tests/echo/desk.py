"""A loudspeaker, a microphone and the air between as arrays: a guard's minute in two seconds, and no streams.

Everything goes by frames of 20 ms. The loudspeaker gives a frame to its device, the device sounds 20 ms
later, the room brings it to the microphone, the guard hears it.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tests.echo.acoustics import level, noise, response
from tests.echo.voices import RATE, Sound
from voice_agent.audio.echo.guard import Guard, Mode
from voice_agent.audio.microphone import Moment
from voice_agent.audio.ring import SampleRing
from voice_agent.audio.valve import Heard

FRAME = RATE // 50
LATENCY = FRAME
FAR_DB = -20.0
REACH = RATE // 2
"""Sound does not reverberate for longer."""


class DeskSpeaker:
    """Plays what it is given."""

    def __init__(self) -> None:
        self.rate, self.latency = RATE, LATENCY
        self.sounding_at = -10.0
        self.held = False
        self.ducked: list[float] = []
        self._gain = 1.0
        self._queue: Sound = np.zeros(0)
        self._tap = SampleRing(RATE)

    def tap(self, _capacity_s: float) -> SampleRing:
        return self._tap

    def duck(self, db: float) -> None:
        self.ducked.append(db)
        self._gain = 10 ** (-db / 20)

    def hold(self) -> None:
        self.held = True

    def resume(self) -> None:
        self.held = False

    def play(self, sound: Sound) -> None:
        self._queue = np.concatenate((self._queue, sound))

    def silence(self) -> None:
        self._queue = self._queue[:0]
        self.held = False

    def frame(self, now: float) -> NDArray[np.int16]:
        out = np.zeros(FRAME)
        if not self.held and len(self._queue):
            head, self._queue = self._queue[:FRAME], self._queue[FRAME:]
            out[: len(head)] = head * self._gain
            self.sounding_at = now
        samples = np.clip(np.rint(out), -32768, 32767).astype(np.int16)
        self._tap.write(memoryview(samples.tobytes()).cast("h"))
        return samples


class DeskMicrophone:
    """Its moment is now."""

    def __init__(self) -> None:
        self.rate = RATE
        self.beside: Callable[[], int] = int
        self.last = Moment(0, 0.0, 0)

    def moment(self) -> Moment:
        return self.last


class Desk:
    """Both, 40 ms of sound apart, and a guard."""

    def __init__(
        self,
        mode: Mode = Mode.AUTO,
        *,
        echo_db: float = -26.0,
        rt60_s: float = 0.3,
        noise_db: float = -65.0,
        guard_ms: float = 500.0,
    ) -> None:
        self.speaker, self.microphone = DeskSpeaker(), DeskMicrophone()
        self.guard = Guard(mode, self.speaker, self.microphone, half_duplex_guard_ms=guard_ms)
        self.frames = 0
        self.heard: list[Heard] = []
        self._noise_db = noise_db
        self._gain = level(echo_db) / level(FAR_DB)
        self._delay = LATENCY + RATE * 40 // 1000
        self._coming = np.zeros(self._delay + REACH)
        self._said: Sound = np.zeros(0)
        self.move(rt60_s)

    @property
    def now(self) -> float:
        return self.frames * FRAME / RATE

    def move(self, rt60_s: float, seed: int = 1) -> None:
        """Be another room."""
        self._size = 1 << (FRAME + REACH).bit_length()
        self._taps = np.fft.rfft(response(rt60_s, min(rt60_s / 2, 0.3), seed), self._size)

    def say(self, sound: Sound) -> None:
        """Somebody begins to speak, now."""
        self._said = sound

    def run(self, seconds: float) -> list[Heard]:
        """Go on; what the guard made of it."""
        before = len(self.heard)
        for _ in range(round(seconds * RATE / FRAME)):
            self._step()
        return self.heard[before:]

    def _step(self) -> None:
        played = self.speaker.frame(self.now)
        echo = self._carry(played.astype(np.float64))
        near, self._said = self._said[:FRAME], self._said[FRAME:]
        sound = echo + noise(FRAME, self._noise_db, self.frames)
        sound[: len(near)] += near
        position, self.frames = self.frames * FRAME, self.frames + 1
        self.microphone.last = Moment(self.frames * FRAME, self.now, self.microphone.beside())
        pcm = np.clip(np.rint(sound), -32768, 32767).astype("<i2").tobytes()
        self.heard.append(self.guard.hear(position, pcm))

    def _carry(self, played: Sound) -> Sound:
        arriving = np.fft.irfft(np.fft.rfft(played, self._size) * self._taps, self._size)[:REACH]
        self._coming[self._delay :] += arriving * self._gain
        now = self._coming[:FRAME].copy()
        self._coming = np.concatenate((self._coming[FRAME:], np.zeros(FRAME)))
        return now
