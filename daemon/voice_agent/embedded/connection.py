"""One client: its events in, the server's beliefs about it, the server's events out.

Each client event is handled in one step without waiting (audio aside, which lets others run between
pieces), so everything it causes is said before the next one is read.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from time import time
from typing import Any

import msgspec
from aiohttp import WSMsgType, web
from msgspec.structs import replace

from voice_agent.embedded import settings, validation
from voice_agent.embedded.conversation import Conversation, Entry
from voice_agent.embedded.dialects import Dialect
from voice_agent.embedded.engines import Engines
from voice_agent.embedded.faults import PING
from voice_agent.embedded.line import Line
from voice_agent.embedded.listener import Listener
from voice_agent.embedded.outbox import Outbox, new_id
from voice_agent.embedded.responder import Responder
from voice_agent.embedded.validation import invalid
from voice_agent.realtime import codec, events
from voice_agent.realtime.events import (
    ClientEvent,
    ErrorDetail,
    Item,
    Malformed,
    Unrecognised,
    known,
)

SESSION_S = 3600
"""``expires_at`` promises an hour, like OpenAI; nothing here enforces it."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a connection is to be served. ``pace``: audio seconds per second, ``None`` for no limit."""

    model: str
    dialect: Dialect
    strict: bool = True
    pace: float | None = None
    pongs: bool = True


class Connection:
    """The server's side of one socket.

    For observers: ``number`` (from 1, in the order of acceptance), ``received`` (the last ``remembered``
    client events), ``outbox.sent`` (wire names), ``conversation``, ``settings``, ``listener``, ``responder``.
    """

    def __init__(
        self,
        number: int,
        manner: Manner,
        engines: Engines,
        outbox: Outbox,
        told: Callable[[], None],
        *,
        remembered: int,
    ) -> None:
        self.number = number
        self.manner = manner
        self.outbox = outbox
        self.received: deque[ClientEvent | Unrecognised | Malformed] = deque(maxlen=remembered)
        self.conversation = Conversation()
        self.settings = settings.initial(
            manner.dialect, manner.model, new_id("sess"), int(time()) + SESSION_S
        )
        self.responder = Responder(
            self.conversation, engines, outbox, settled=self._settled, spawn=self._spawn, pace=manner.pace
        )
        self.listener = Listener(
            self.conversation, engines, outbox, self.responder, self.settings, self._spawn
        )
        self._told = told
        self._tasks: set[asyncio.Task[Any]] = set()
        self._group = asyncio.TaskGroup()

    async def run(self, socket: web.WebSocketResponse, line: Line) -> None:
        """Serve until the socket is closed; ``line`` is what is written to."""
        async with self._group:
            self._spawn(self.outbox.run(line))
            self.outbox.emit(events.SessionCreated(session=self._session()))
            async for message in socket:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    await self.receive(message.data)
                elif message.type is WSMsgType.PING and self.outbox.note(PING) is None and self.manner.pongs:
                    self._spawn(line.pong(message.data))
            for task in self._tasks:
                task.cancel()

    async def receive(self, frame: str | bytes) -> None:
        """Handle one frame from the client."""
        event = codec.decode_client(frame)
        self.received.append(event)
        if isinstance(event, events.AppendAudio):
            if self.outbox.note("input_audio_buffer.append") is None:
                await self.listener.append(event.audio)
        else:
            self._handle(frame, event)
        self._told()

    def _handle(self, frame: str | bytes, event: ClientEvent | Unrecognised | Malformed) -> None:
        try:
            raw = msgspec.json.decode(frame)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            self._refuse(invalid("invalid_event", "The event is not valid JSON."), "")
            return
        error = validation.structural(raw, event)
        if error is None and (fault := self.outbox.note(raw["type"])) is not None:
            if fault.do == "swallow":
                return
            error = ErrorDetail(type=fault.type, code=fault.error, message=fault.text)
        if error is None:
            error = self._strictly(raw)
        if error is None and isinstance(event, ClientEvent):
            error = self._obey(event, raw)
        if error is not None:
            self._refuse(error, raw.get("event_id") if isinstance(raw, dict) else None)

    def _strictly(self, raw: dict[str, Any]) -> ErrorDetail | None:
        if not self.manner.strict:
            return None
        return validation.objection(raw, self.manner.dialect, self.settings, spoke=self.responder.spoke)

    def _refuse(self, error: ErrorDetail, event_id: str | None) -> None:
        code = error.code if self.manner.dialect.error_codes else None
        self.outbox.emit(events.ServerError(error=replace(error, code=code, event_id=event_id or None)))

    # -------------------------------------------------------------------------------- client events

    def _obey(self, event: ClientEvent, raw: dict[str, Any]) -> ErrorDetail | None:
        match event:
            case events.SessionUpdate():
                self._update(raw["session"])
            case events.CommitAudio():
                return self.listener.commit()
            case events.ClearAudio():
                return self._clear()
            case events.CreateItem():
                return self._create_item(event)
            case events.TruncateItem():
                return self._truncate(event)
            case events.DeleteItem(item_id=item_id):
                return self._delete(item_id)
            case events.RetrieveItem(item_id=item_id):
                return self._retrieve(item_id)
            case events.CreateResponse():
                return self.responder.create(self.settings, _spoken(raw.get("response")))
            case events.CancelResponse(response_id=response_id):
                return self.responder.cancel(known(response_id) or None)
        return None

    def _update(self, patch: dict[str, Any]) -> None:
        self.settings = settings.patched(self.settings, patch, self.manner.dialect)
        self.listener.configure(self.settings)
        self.outbox.emit(events.SessionUpdated(session=self._session()))

    def _clear(self) -> ErrorDetail | None:
        if not self.manner.dialect.clear:
            return invalid(None, "input_audio_buffer.clear is not supported yet", "type")
        self.listener.clear()
        return None

    def _create_item(self, event: events.CreateItem) -> ErrorDetail | None:
        error = self._item_objection(event.item)
        after = known(event.previous_item_id) or None
        if error is None and after not in (None, "root") and self.conversation.get(str(after)) is None:
            error = invalid("invalid_value", f"Previous item not found: {after}", "previous_item_id")
        if error is not None:
            return error
        item = replace(event.item, id=known(event.item.id) or new_id("item"), status="completed")
        before = self.conversation.add(Entry(item), after)
        self.outbox.emit(events.ItemAdded(item=item, previous_item_id=before))
        self.outbox.emit(events.ItemDone(item=item, previous_item_id=before))
        return None

    def _item_objection(self, item: Item) -> ErrorDetail | None:
        if item.role == "assistant" and not self.manner.dialect.assistant_history:
            return invalid(None, "MessageContentItemOutputText is not supported yet", "item.content")
        if known(item.id) and self.conversation.get(known(item.id)) is not None:
            return invalid("item_create_duplicate_id", f"Item with id already exists: {item.id}", "item.id")
        orphan = item.type == "function_call_output" and not self.conversation.knows_call(known(item.call_id))
        if orphan and self.manner.strict:
            message = f"Tool call ID '{known(item.call_id)}' not found in conversation."
            return invalid("invalid_tool_call_id", message, "item.call_id")
        return None

    def _truncate(self, event: events.TruncateItem) -> ErrorDetail | None:
        error = self.conversation.truncate(event.item_id, event.audio_end_ms)
        if error is None:
            self.outbox.emit(
                events.ItemTruncated(
                    item_id=event.item_id, content_index=event.content_index, audio_end_ms=event.audio_end_ms
                )
            )
        return error

    def _delete(self, item_id: str) -> ErrorDetail | None:
        if not self.conversation.delete(item_id):
            return _no_item("item_delete_invalid_item_id", item_id)
        self.outbox.emit(events.ItemDeleted(item_id=item_id))
        return None

    def _retrieve(self, item_id: str) -> ErrorDetail | None:
        entry = self.conversation.get(item_id)
        if entry is None:
            return _no_item("item_retrieve_invalid_item_id", item_id)
        self.outbox.emit(events.ItemRetrieved(item=entry.item))
        return None

    # ---------------------------------------------------------------------------------- book-keeping

    def _session(self) -> msgspec.Raw:
        return msgspec.Raw(msgspec.json.encode(self.settings.effective))

    async def _settled(self) -> None:
        await self.listener.settled()

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _no_item(code: str, item_id: str) -> ErrorDetail:
    return invalid(code, f"Item with item_id not found: {item_id}", "item_id")


def _spoken(overrides: dict[str, Any] | None) -> bool | None:
    """Whether ``response.create`` itself says how to answer."""
    modalities = (overrides or {}).get("output_modalities")
    return "audio" in modalities if isinstance(modalities, list) else None
