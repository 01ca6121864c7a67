"""An answer in the making, as values: what is open, what was said, how it looks on the wire."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle, repeat

from voice_agent.embedded.conversation import Entry, Word
from voice_agent.embedded.dialects import Ids
from voice_agent.embedded.settings import Settings
from voice_agent.formats import BYTES_PER_SAMPLE, ms_to_samples
from voice_agent.realtime.events import Item, ResponseInfo, StatusDetails, TokenDetails

DELTA_MS = 100


@dataclass(slots=True)
class Message:
    """The message that is being spoken or written."""

    entry: Entry
    item_id: str
    spoken: bool
    late: int = 0
    said: str = ""


@dataclass(slots=True)
class Response:
    """An answer in the making."""

    id: str
    spoken: bool
    settings: Settings
    output: list[Item] = field(default_factory=list)
    message: Message | None = None
    tokens: TokenDetails = field(default_factory=TokenDetails)

    def info(self, status: str, details: StatusDetails | None = None) -> ResponseInfo:
        """The response as an event shows it."""
        return ResponseInfo(
            id=self.id,
            object="realtime.response",
            status=status,
            status_details=details,
            output=self.output,
            output_modalities=["audio" if self.spoken else "text"],
        )

    def ids(self, item_id: str) -> Ids:
        """What every piece of the open item carries."""
        return Ids(response_id=self.id, item_id=item_id, output_index=len(self.output), content_index=0)


def delta_sizes(scripted: tuple[int, ...], rate: int) -> Iterator[int]:
    """Sizes of audio deltas in bytes."""
    return cycle(scripted) if scripted else repeat(ms_to_samples(DELTA_MS, rate) * BYTES_PER_SAMPLE)


def timed(text: str, first: int, samples: int) -> list[Word]:
    """Words, each with the sample after it: time goes by characters."""
    pieces = [piece + " " for piece in text.split(" ") if piece]
    total = sum(map(len, pieces)) or 1
    words, done = [], 0
    for piece in pieces:
        done += len(piece)
        words.append(Word(piece, first + samples * done // total))
    return words
