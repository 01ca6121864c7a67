"""Sound that says whose it is: utterances that no two samples of noise confuse, answers that count.

An utterance is a voice-like tone with a seeded hiss: any millisecond of it occurs nowhere else, so what
came through can be compared with what was said, sample by sample. An answer counts upwards within a band
of values that is its own: what the loudspeaker played can be told apart, whatever was left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voice_agent.embedded.sound import Sound

RATE = 24_000
Samples = NDArray[np.int16]

BAND = 80
BANDS = 400
LOWEST = 200
"""Answers n and n + 400 share a band; 200 + 400 * 80 still fits into 16 bits."""

SURE = 24
"""Samples that count on without a mistake: no other sound does that."""

WINDOW = 24
"""Samples that tell where in an utterance they come from."""

STRIDE = 16
"""What is missing is searched in steps of this many samples, and counted exactly."""


def utterance(number: int, ms: int) -> Samples:
    """What the user says the ``number``th time."""
    hiss = np.random.default_rng(number).integers(-400, 400, RATE * ms // 1000)
    phase = np.arange(len(hiss)) * (2 * np.pi * (110 + number % 60) / RATE)
    tone = sum(3000 / harmonic * np.sin(phase * harmonic) for harmonic in range(1, 9))
    return np.asarray(tone + hiss, np.int16)


def band(number: int) -> int:
    """The lowest value of an answer's counter."""
    return LOWEST + number % BANDS * BAND


def answer(number: int, ms: int) -> Sound:
    """How the ``number``th utterance is answered."""
    return Sound(ms, "counter", band(number), band(number) + BAND - 1)


@dataclass(frozen=True)
class Run:
    """Samples ``[begin, end)`` of the loudspeaker that belong to one answer (by its number modulo BANDS)."""

    which: int
    begin: int
    end: int

    def is_of(self, number: int) -> bool:
        """Whether it may be a piece of that answer."""
        return self.which == number % BANDS

    def __len__(self) -> int:
        return self.end - self.begin


def runs(played: Samples, offset: int = 0) -> Iterator[Run]:
    """The pieces of answers in a recording that begins at position ``offset``."""
    value = played.astype(np.int32) - LOWEST
    which = np.where((value >= 0) & (value < BAND * BANDS), value // BAND, -1)
    step = np.diff(value)
    same = (which[1:] == which[:-1]) & (which[1:] >= 0) & ((step == 1) | (step == 1 - BAND))
    edges = np.flatnonzero(np.diff(np.concatenate(([0], same.astype(np.int8), [0]))))
    for begin, end in edges.reshape(-1, 2):
        if end - begin + 1 >= SURE:
            yield Run(int(which[begin]), offset + int(begin), offset + int(end) + 1)


def uncovered(said: Samples, streams: Sequence[bytes]) -> int:
    """How many samples of an utterance are missing in that stream which has most of it."""
    whole = said.tobytes()
    if any(whole in stream for stream in streams):
        return 0
    return min((_missing(said, stream) for stream in streams), default=len(said))


def _missing(said: Samples, stream: bytes) -> int:
    missing = gap = at = 0
    while at < len(said):
        begin, end = _heard(said, at, stream)
        if end > begin:
            missing += max(begin - gap, 0)
            gap = at = end
        else:
            at += STRIDE
    return missing + len(said) - gap


def _heard(said: Samples, at: int, stream: bytes) -> tuple[int, int]:
    """The samples ``[begin, end)`` around ``at`` that ``stream`` has; at most a stride before ``at``."""
    place = _find(said[at : at + WINDOW].tobytes(), stream)
    if place < 0:
        return at, at
    back = min(STRIDE, at, place // 2)
    length = min((len(stream) - place) // 2, len(said) - at) + back
    heard = np.frombuffer(stream, np.dtype("<i2"), length, place - 2 * back)
    same = heard == said[at - back : at - back + length]
    before, after = np.flatnonzero(~same[:back]), np.flatnonzero(~same[back:])
    begin = at - back + (int(before[-1]) + 1 if len(before) else 0)
    return begin, at + (int(after[0]) if len(after) else length - back)


def _find(window: bytes, stream: bytes) -> int:
    """Where a window of samples begins, in bytes; negative if nowhere."""
    place = stream.find(window)
    while place > 0 and place % 2:
        place = stream.find(window, place + 1)
    return place


class Recogniser:
    """Knows the latest utterances again, from any piece, at 16 kHz as the scripted server hears them."""

    def __init__(self) -> None:
        self._known: dict[int, list[bytes]] = {}

    def learn(self, number: int, said: Samples) -> None:
        """This will be said. Two of three samples survive, and which depends on where it begins."""
        place = np.arange(len(said))
        self._known[number] = [said[(place + phase) % 3 != 2].tobytes() for phase in range(3)]
        for old in [known for known in self._known if known < number - 12]:
            del self._known[old]

    def recognise(self, pcm: bytes) -> list[int]:
        """The numbers of the utterances of which there is a piece in PCM16 at 16 kHz, in order."""
        found: list[int] = []
        heard = np.frombuffer(pcm[: len(pcm) // 2 * 2], np.dtype("<i2"))
        for at in range(0, len(heard) - WINDOW, 160):
            piece = heard[at : at + WINDOW]
            if not piece.any():
                continue
            for number, variants in self._known.items():
                if number not in found and any(piece.tobytes() in variant for variant in variants):
                    found.append(number)
        return found
