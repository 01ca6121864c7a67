"""What differs between providers on the wire, as data and one translation of events.

The server thinks in OpenAI's GA events. ``Dialect.render`` turns one into what the provider would send:
the same, something else, nothing or two. Yandex's column follows the events that its index lists and the
order of a recorded live session (2026): words of a spoken answer come as text deltas, items are announced
once under their beta name, an answer's own items are not announced at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypedDict

from msgspec import UNSET
from msgspec.structs import replace

from voice_agent.realtime import events
from voice_agent.realtime.events import ServerEvent

JsonObject = dict[str, Any]


class Ids(TypedDict):
    """What every piece of an answer carries."""

    response_id: str
    item_id: str
    output_index: int
    content_index: int


@dataclass(frozen=True, slots=True)
class Dialect:
    """One provider's habits. Rates in Hz; ``default_rate`` applies when the client names none.

    ``builtins``: tools that the provider runs itself. ``transcript_first``: the user's words are reported
    before the answer is announced.
    """

    name: str
    rates: range
    default_rate: int
    typed_session: bool = False
    both_modalities: bool = False
    unknown_keys: bool = False
    assistant_history: bool = True
    clear: bool = True
    always_transcribes: bool = False
    transcript_first: bool = False
    builtins: frozenset[str] = frozenset()
    error_codes: bool = True

    def render(self, event: ServerEvent) -> Sequence[ServerEvent]:
        """``event`` as this provider says it."""
        return [event] if self.name == "openai" else _as_yandex(event)


OPENAI = Dialect("openai", range(24_000, 24_001), 24_000, typed_session=True)
YANDEX = Dialect(
    "yandex",
    range(8_000, 48_001),
    44_100,
    both_modalities=True,
    unknown_keys=True,
    assistant_history=False,
    clear=False,
    always_transcribes=True,
    transcript_first=True,
    builtins=frozenset({"web_search", "file_search"}),
    error_codes=False,
)
DIALECTS = MappingProxyType({"openai": OPENAI, "yandex": YANDEX})

_SILENT = (events.AudioCommitted, events.ItemDone, events.ContentPartDone, events.RateLimits)


def _as_yandex(event: ServerEvent) -> Sequence[ServerEvent]:
    match event:
        case events.ItemAdded(item=item, previous_item_id=before):
            own = item.role == "assistant" or item.type == "function_call"
            return [] if own else [events.ItemCreated(item=item, previous_item_id=before)]
        case events.TranscriptDelta():
            return [events.TextDelta(**_ids(event), delta=event.delta)]
        case events.TranscriptDone():
            return [events.TextDone(**_ids(event), text=event.transcript)]
        case events.ArgumentsDone():
            return [replace(event, name=UNSET)]
        case events.SessionUpdated():
            return [event, event]
        case events.TranscriptionDelta():
            return []
        case _:
            return [] if isinstance(event, _SILENT) else [event]


def _ids(event: events.OutputDelta) -> Ids:
    return Ids(
        response_id=event.response_id,
        item_id=event.item_id,
        output_index=event.output_index,
        content_index=event.content_index,
    )
