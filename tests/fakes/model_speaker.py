"""A loudspeaker as the core sees it: a queue of samples that a clock eats."""

from collections.abc import Sequence

from voice_agent.dialogue import Command, Moment, Play, Silence
from voice_agent.formats import Sounded


class ModelSpeaker:
    """Plays what ``Play`` commands bring, at ``rate`` Hz; remembers which samples sounded.

    ``sent``: how much captured sound the server got (samples at input rate); the test moves it.
    """

    def __init__(self, rate: int = 24000) -> None:
        self.rate = rate
        self.now = 100.0
        self.queued = 0
        self.played = 0
        self.sent = 0
        self.sounded = bytearray()
        self._queue = bytearray()
        self._fraction = 0.0

    def moment(self, onset: int | None = None) -> Moment:
        """The present; ``onset``: a position of which somebody wants to know when it sounded."""
        sounded = None if onset is None else self.came_out(onset)
        return Moment(self.now, self.queued, self.played, self.sent, onset=sounded)

    def came_out(self, position: int) -> Sounded | None:
        """There is no device: what is given is heard."""
        if position >= self.played:
            return None
        at = self.now - (self.played - position) / self.rate
        return Sounded(at, at, at)

    def obey(self, commands: Sequence[Command]) -> None:
        """Carry out what concerns a loudspeaker."""
        for command in commands:
            match command:
                case Play(pcm, _):
                    assert len(pcm) % 2 == 0, "half a sample cannot be played"
                    self._queue += pcm
                    self.queued += len(pcm) // 2
                case Silence():
                    self._queue.clear()
                    self.played = self.queued

    def elapse(self, seconds: float) -> None:
        """Let time pass; sound leaves the loudspeaker."""
        self.now += seconds
        due = seconds * self.rate + self._fraction
        samples = min(round(due), self.queued - self.played)
        self._fraction = due - round(due)
        self.sounded += self._queue[: samples * 2]
        del self._queue[: samples * 2]
        self.played += samples

    @property
    def silent(self) -> bool:
        """Nothing is queued."""
        return self.played == self.queued
