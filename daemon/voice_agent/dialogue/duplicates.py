"""Recognises an event that comes twice: by its id, as long as the server proves that its ids mean something.

A second ``speech_started`` would silence the answer to the first. Some servers number nothing, or give all
their events one id: the first id that stands on two different events ends the trust.
"""

from voice_agent.dialogue.answers import keep_recent
from voice_agent.realtime.events import AudioDelta, ServerEvent

REMEMBERED = 256
"""A duplicate that comes later than so many events is a replay, and no server was seen to do that."""


class Duplicates:
    """The latest events of one connection, by id."""

    def __init__(self) -> None:
        self._seen: dict[str, object] = {}
        self._trusted = True

    def known(self, event: ServerEvent) -> bool:
        """Whether exactly this event came before."""
        if not (self._trusted and event.event_id):
            return False
        content = _content(event)
        if event.event_id in self._seen:
            self._trusted = self._seen[event.event_id] == content
            return self._trusted
        keep_recent(self._seen, event.event_id, content, limit=REMEMBERED)
        return False


def _content(event: ServerEvent) -> object:
    """Enough to tell events apart; sound is not kept."""
    if isinstance(event, AudioDelta):
        return AudioDelta, event.item_id, len(event.delta)
    return event
