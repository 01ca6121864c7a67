"""From what is heard to user items: speech events, commits, recognition and the answers they start.

Recognition may begin during the silence that might end the utterance (a guess): when it does end, the
transcript is often there already, and an answer starts a whole recognition earlier.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from voice_agent.embedded.conversation import Conversation, Entry
from voice_agent.embedded.engines import HEARING_RATE, Engines
from voice_agent.embedded.hearing import LONGEST_MS, Began, Ended, Heard, Hearing, Paused
from voice_agent.embedded.outbox import Outbox, new_id
from voice_agent.embedded.responder import Responder
from voice_agent.embedded.settings import Settings
from voice_agent.embedded.validation import invalid
from voice_agent.formats import BYTES_PER_SAMPLE, ms_to_samples, samples_to_s
from voice_agent.realtime import events
from voice_agent.realtime.events import Content, ErrorDetail, Item

PIECE_BYTES = 4800
"""100 ms at 24 kHz: two milliseconds of work at a stretch."""
SHORTEST_COMMIT_MS = 100
"""OpenAI refuses to commit less."""
LONGEST_BYTES = ms_to_samples(LONGEST_MS, HEARING_RATE) * BYTES_PER_SAMPLE


class Listener:
    """One connection's ears and what follows from them. ``spawn``: starts a task of the connection."""

    def __init__(
        self,
        conversation: Conversation,
        engines: Engines,
        outbox: Outbox,
        responder: Responder,
        settings: Settings,
        spawn: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]],
    ) -> None:
        self._conversation = conversation
        self._engines = engines
        self._outbox = outbox
        self._responder = responder
        self._settings = settings
        self._spawn = spawn
        self._hearing = Hearing(engines.vad, engines.new_resampler, settings.input_rate, settings.detection)
        self._item_id = ""
        self._unended = b""  # speech whose end was swallowed
        self._guess: asyncio.Task[str] | None = None
        self._recognising: set[asyncio.Task[None]] = set()

    @property
    def heard_ms(self) -> int:
        """Audio received since the session began."""
        return self._hearing.heard_ms

    def configure(self, settings: Settings) -> None:
        """Follow a ``session.update``."""
        self._settings = settings
        self._hearing.configure(settings.input_rate, settings.detection)

    async def append(self, pcm: bytes) -> None:
        """Listen to PCM16 at the client's rate; long audio lets others run in between."""
        for at in range(0, len(pcm), PIECE_BYTES):
            if at:
                await asyncio.sleep(0)
            for heard in self._hearing.feed(pcm[at : at + PIECE_BYTES]):
                self._notice(heard)

    def commit(self) -> ErrorDetail | None:
        """The client ends the utterance; the answer is for the client to ask."""
        if self._hearing.uncommitted_ms < SHORTEST_COMMIT_MS and not self._unended:
            return invalid(
                "input_audio_buffer_commit_empty",
                "Error committing input audio buffer: buffer too small. Expected at least "
                f"{SHORTEST_COMMIT_MS}ms of audio, but buffer only has {self._hearing.uncommitted_ms}.00ms.",
            )
        self._forget_guess()
        unended, self._unended = self._unended, b""
        self._take(self._item_id or new_id("item"), unended + self._hearing.commit(), respond=False)
        return None

    def clear(self) -> None:
        """The client takes back what it did not commit."""
        self._forget_guess()
        self._hearing.clear()
        self._item_id, self._unended = "", b""
        self._outbox.emit(events.AudioCleared())

    async def settled(self) -> None:
        """Wait until every utterance so far is written down."""
        while self._recognising:
            await asyncio.wait(self._recognising)

    # ---------------------------------------------------------------------------------- utterances

    def _notice(self, heard: Heard) -> None:
        match heard:
            case Began(start_ms=start_ms) if not self._unended:
                self._item_id = new_id("item")
                began = events.SpeechStarted(audio_start_ms=start_ms, item_id=self._item_id)
                if self._outbox.emit(began) and self._settings.interrupts:
                    self._responder.interrupt()
            case Paused(pcm=pcm):
                if self._engines.worker is not None:
                    self._guess = self._spawn(self._engines.run(self._engines.stt.transcribe, pcm))
            case Ended(end_ms=end_ms, pcm=pcm):
                self._end(end_ms, pcm)
            case _:
                self._forget_guess()

    def _end(self, end_ms: int, pcm: bytes) -> None:
        if self._outbox.emit(events.SpeechStopped(audio_end_ms=end_ms, item_id=self._item_id)):
            unended, self._unended = self._unended, b""
            self._take(self._item_id, unended + pcm, respond=self._settings.creates_responses)
        else:
            self._unended = (self._unended + pcm)[-LONGEST_BYTES:]

    def _take(self, item_id: str, pcm: bytes, *, respond: bool) -> None:
        """Make a user item of an utterance."""
        self._item_id = ""
        content = Content(type="input_audio", transcript=None)
        item = Item(id=item_id, type="message", status="completed", role="user", content=[content])
        before = self._conversation.add(Entry(item))
        self._outbox.emit(events.AudioCommitted(item_id=item_id, previous_item_id=before))
        task = self._spawn(self._recognise(item, before, pcm, self._guess, respond))
        self._guess = None
        self._recognising.add(task)
        task.add_done_callback(self._recognising.discard)
        if not self._outbox.dialect.transcript_first:
            self._announce(item, before, respond)

    async def _recognise(
        self, item: Item, before: str | None, pcm: bytes, guess: asyncio.Task[str] | None, respond: bool
    ) -> None:
        text = await (guess or self._engines.run(self._engines.stt.transcribe, pcm))
        self._conversation.transcribed(str(item.id), text)
        if self._settings.transcribes:
            self._report(str(item.id), text, len(pcm) // BYTES_PER_SAMPLE)
        if self._outbox.dialect.transcript_first:
            goes_on = self._item_id and self._settings.interrupts
            self._announce(item, before, respond and not goes_on)

    def _report(self, item_id: str, text: str, samples: int) -> None:
        for word in text.split():
            self._outbox.emit(events.TranscriptionDelta(item_id=item_id, delta=word + " "))
        usage = msgspec.Raw(
            msgspec.json.encode({"type": "duration", "seconds": samples_to_s(samples, HEARING_RATE)})
        )
        self._outbox.emit(events.TranscriptionCompleted(item_id=item_id, transcript=text, usage=usage))

    def _announce(self, item: Item, before: str | None, respond: bool) -> None:
        self._outbox.emit(events.ItemAdded(item=item, previous_item_id=before))
        self._outbox.emit(events.ItemDone(item=item, previous_item_id=before))
        if respond:
            error = self._responder.create(self._settings)
            if error is not None:
                self._outbox.emit(events.ServerError(error=error))

    def _forget_guess(self) -> None:
        if self._guess is not None:
            self._guess.cancel()
        self._guess = None
