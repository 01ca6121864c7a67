"""Which item stands where in the playout: the book that turns sample positions into *heard milliseconds*.

    positions   ----------|=====item A=====|==item B==|--------->
                             ^ played                 ^ queued
                          <-> heard of A

An utterance is one item's audio. Its samples usually lie in one span; two items that a server interleaves
lie in several. What was heard of an item is the part of its spans before ``played``: no wall clock is
involved, so an underrun or a slow device cannot make the number wrong.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from voice_agent.dialogue.memory import Key
from voice_agent.formats import BYTES_PER_SAMPLE


@dataclass(slots=True)
class Utterance:
    """The audio of one item's content part. ``complete``: the server has sent all of it.

    One with a ``key`` is *foreign*: it came over an earlier connection, so that this server knows nothing of
    it; ``key`` and ``text`` are its line in the memory, and ``broken`` says that more of it was to come.
    """

    item_id: str
    content_index: int
    response_id: str
    turn: int
    spans: list[tuple[int, int]] = field(default_factory=list)
    complete: bool = False
    key: Key | None = None
    text: str = field(default="", repr=False)
    broken: bool = False
    _odd: bytes = b""

    @property
    def foreign(self) -> bool:
        """An earlier connection brought it."""
        return self.key is not None

    @property
    def begin(self) -> int:
        """Position of its first sample."""
        return self.spans[0][0]

    @property
    def end(self) -> int:
        """Position after its last sample."""
        return self.spans[-1][1]

    @property
    def received(self) -> int:
        """Samples that arrived."""
        return sum(end - begin for begin, end in self.spans)

    def heard(self, played: int) -> int:
        """Samples that had sounded when the playout stood at ``played``."""
        return sum(min(max(played - begin, 0), end - begin) for begin, end in self.spans)

    def whole_samples(self, delta: bytes) -> bytes:
        """``delta`` as whole samples: half a sample at the end waits for the next delta."""
        pcm = self._odd + delta if self._odd else delta
        odd = len(pcm) % BYTES_PER_SAMPLE
        self._odd = pcm[-odd:] if odd else b""
        return pcm[:-odd] if odd else pcm

    def extend(self, begin: int, samples: int) -> None:
        """Append ``samples`` that will stand at ``begin``."""
        if self.spans and self.end == begin:
            self.spans[-1] = (self.spans[-1][0], begin + samples)
        else:
            self.spans.append((begin, begin + samples))


class Playout:
    """The utterances that are queued or sounding, oldest first."""

    def __init__(self) -> None:
        self._utterances: list[Utterance] = []

    def __iter__(self) -> Iterator[Utterance]:
        return iter(self._utterances)

    def __bool__(self) -> bool:
        return bool(self._utterances)

    def find(self, item_id: str, content_index: int) -> Utterance | None:
        """The utterance of an item's content part, if it is still in the book."""
        for utterance in reversed(self._utterances):
            same = utterance.item_id == item_id and utterance.content_index == content_index
            if same and not utterance.foreign:
                return utterance
        return None

    def add(self, utterance: Utterance) -> None:
        """Enter a new utterance in the book."""
        self._utterances.append(utterance)

    def complete(self, response_id: str) -> None:
        """The server has finished this response: none of its utterances will grow."""
        for utterance in self._utterances:
            if utterance.response_id == response_id and not utterance.foreign:
                utterance.complete = True

    def ends_with(self, response_id: str, position: int) -> bool:
        """Whether some of this response stands right before ``position``."""
        return any(u.response_id == response_id and not u.foreign and u.end == position for u in self)

    def take_finished(self, played: int) -> list[Utterance]:
        """Strike out and return the utterances that are complete and were heard to their ends."""
        finished = [u for u in self._utterances if u.complete and u.end <= played]
        if finished:
            self._utterances = [u for u in self._utterances if not (u.complete and u.end <= played)]
        return finished

    def take_all(self) -> list[Utterance]:
        """Strike out and return everything: the playout is being silenced."""
        taken, self._utterances = self._utterances, []
        return taken

    @property
    def next_end(self) -> int | None:
        """Where the first complete utterance ends. One that still grows ends when the server says so."""
        return min((u.end for u in self._utterances if u.complete), default=None)
