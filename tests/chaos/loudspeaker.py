"""What the room's loudspeaker has played, read from the virtual card's recording while it grows."""

import numpy as np

from tests.chaos.voices import SURE, Run, runs
from voice_agent.lab.card import VirtualCard


class Loudspeaker:
    """What the room's loudspeaker has played since ``since``, as pieces of answers."""

    def __init__(self, card: VirtualCard) -> None:
        self._card = card
        self._path = card.directory / "speaker.raw"
        self.begin()

    def begin(self) -> None:
        """Forget what was played so far."""
        self.since = self._at = self._card.played_samples()
        self._closed: list[Run] = []
        self._open: Run | None = None

    def pieces(self) -> list[Run]:
        """In the order in which they sounded."""
        if not self._path.exists():
            return []
        played = np.fromfile(self._path, np.dtype("<i2"), offset=2 * self._at)
        end = self._at + len(played)
        found = list(runs(played, self._at))
        self._open = found.pop() if found and found[-1].end >= end - 1 else None
        self._closed += found
        self._at = self._open.begin if self._open else max(self._at, end - SURE + 1)
        return [*self._closed, *([self._open] if self._open else [])]

    def sounded(self, number: int) -> int:
        """Samples of that answer."""
        return sum(len(piece) for piece in self.pieces() if piece.is_of(number))

    def silent(self) -> bool:
        """Whether nothing has sounded for the last 100 ms."""
        last = np.fromfile(self._path, np.dtype("<i2"), offset=2 * max(0, self._card.played_samples() - 2400))
        return not last.any()
