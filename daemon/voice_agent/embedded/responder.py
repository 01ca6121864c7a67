"""The response state machine: at most one active response, exactly one ``response.done`` for each.

    response.created -> (output item)* -> response.done
      message: item added, part added, (words and audio)*, parts done, item done
      call:    item added, arguments, item done

Every step that emits more than one event is a plain function: an interruption finds either all of it said
or nothing. What an interruption closes, it closes in the same order as a completed answer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from re import split

from msgspec import Raw
from msgspec.structs import replace

from voice_agent.embedded.answer import Message, Response, delta_sizes, timed
from voice_agent.embedded.conversation import Conversation, Entry, Word
from voice_agent.embedded.engines import Engines
from voice_agent.embedded.mind import Action, Call, End, Returned, Said, Say
from voice_agent.embedded.outbox import Outbox, new_id
from voice_agent.embedded.settings import Settings
from voice_agent.embedded.sound import waveform
from voice_agent.embedded.validation import invalid
from voice_agent.formats import BYTES_PER_SAMPLE, samples_to_s
from voice_agent.realtime import events
from voice_agent.realtime.codec import raw
from voice_agent.realtime.events import (
    Content,
    ErrorDetail,
    Item,
    StatusDetails,
    TokenDetails,
    Usage,
)

LEAD_S = 0.3
"""A paced answer runs this far ahead of real time, as jitter must not starve the listener."""
RATE_LIMITS = Raw(b'[{"name":"requests","limit":1000,"remaining":999,"reset_seconds":60.0}]')


class Responder:
    """Makes one connection's answers.

    ``settled``: waits until the words being answered are known. ``spawn``: starts a task that dies with
    the connection.
    """

    def __init__(
        self,
        conversation: Conversation,
        engines: Engines,
        outbox: Outbox,
        *,
        settled: Callable[[], Awaitable[None]],
        spawn: Callable[[Coroutine[None, None, None]], asyncio.Task[None]],
        pace: float | None = None,
    ) -> None:
        self._conversation = conversation
        self._engines = engines
        self._outbox = outbox
        self._settled = settled
        self._spawn = spawn
        self._pace = pace
        self._active: Response | None = None
        self._task: asyncio.Task[None] | None = None
        self.spoke = False

    @property
    def active_id(self) -> str | None:
        """The id of the response in progress."""
        return self._active.id if self._active else None

    def create(self, settings: Settings, spoken: bool | None = None) -> ErrorDetail | None:
        """Begin an answer, or say why not."""
        if self._active is not None:
            return invalid(
                "conversation_already_has_active_response",
                f"Conversation already has an active response in progress: {self._active.id}. "
                "Wait until the response is finished before creating a new one.",
            )
        response = Response(new_id("resp"), settings.spoken if spoken is None else spoken, settings)
        if self._emit(events.ResponseCreated(response=response.info("in_progress"))):
            self._active = response
            self._task = self._spawn(self._answer(response))
        return None

    def cancel(self, response_id: str | None) -> ErrorDetail | None:
        """The client wants no more of it."""
        if self._active is None or response_id not in (None, self._active.id):
            if not self._outbox.dialect.error_codes:
                return invalid(None, f"no such response: {response_id or ''}")
            return invalid("response_cancel_not_active", "Cancellation failed: no active response found")
        self._stop("client_cancelled")
        return None

    def interrupt(self) -> None:
        """The user began to speak."""
        if self._active is not None:
            self._stop("turn_detected")

    # ------------------------------------------------------------------------------- one answer

    async def _answer(self, response: Response) -> None:
        await self._settled()
        lines = self._conversation.lines()
        mind, settings = self._engines.mind, response.settings
        actions = await self._engines.run(mind.answer, lines, settings.tools, settings.instructions)
        end = End("completed")
        for action in actions:
            if isinstance(action, End):
                end = action
            await self._perform(response, action)
        self._finish(response, end.status, _details(end))

    async def _perform(self, response: Response, action: Action) -> None:
        match action:
            case Say() if response.spoken and not action.written:
                await self._speak(response, action)
            case Say():
                await self._write(response, action)
            case Call():
                self._call(response, action)
                await self._outbox.flushed()

    async def _speak(self, response: Response, say: Say) -> None:
        rate = response.settings.output_rate
        message = self._open(response, spoken=True, late=say.late_deltas)
        message.entry.rate = rate
        sizes = delta_sizes(say.delta_bytes, rate)
        began = asyncio.get_running_loop().time()
        for text, pcm in self._sentences(say, rate):
            audio = await pcm
            words = timed(text, message.entry.sent, len(audio) // BYTES_PER_SAMPLE)
            await self._stream(response, message, words, audio, sizes, began)
        self._close(response, "completed")

    def _sentences(self, say: Say, rate: int) -> Iterator[tuple[str, Awaitable[bytes]]]:
        if say.sound is not None:
            yield say.text, self._engines.run(waveform, say.sound, rate)
            return
        for sentence in split(r"(?<=[.!?…]) +", say.text):
            yield sentence, self._engines.run(self._engines.tts.speak, sentence, rate)

    async def _stream(
        self,
        response: Response,
        message: Message,
        words: list[Word],
        audio: bytes,
        sizes: Iterator[int],
        began: float,
    ) -> None:
        """Send one sentence: each delta's words shortly before its audio."""
        entry, at = message.entry, 0
        first = entry.sent
        while at < len(audio) or words:
            size = next(sizes)
            piece = audio[at : at + size]
            at += size
            end = first + min(at, len(audio)) // BYTES_PER_SAMPLE
            due = sum(1 for word in words if word.end <= end) if at < len(audio) else len(words)
            for word in words[: max(due, 1)]:
                self._say_word(response, message, word)
            words = words[max(due, 1) :]
            if piece:
                self._send_audio(response, message, piece, end)
            await self._outbox.flushed()
            await self._keep_pace(samples_to_s(entry.sent, entry.rate), began)

    async def _keep_pace(self, sent_s: float, began: float) -> None:
        if self._pace is not None:
            ahead = began + (sent_s - LEAD_S) / self._pace - asyncio.get_running_loop().time()
            await asyncio.sleep(max(0.0, ahead))

    async def _write(self, response: Response, say: Say) -> None:
        message = self._open(response, spoken=False)
        for word in timed(say.text, 0, 0):
            self._say_word(response, message, word)
        await self._outbox.flushed()
        self._close(response, "completed")

    # ----------------------------------------------------------------------------- atomic steps

    def _open(self, response: Response, *, spoken: bool, late: int = 0) -> Message:
        item_id = new_id("item")
        item = Item(id=item_id, type="message", status="in_progress", role="assistant", content=[])
        message = Message(Entry(item), item_id, spoken, late)
        response.message = message
        self._announce(response, message.entry)
        part = Content(type="audio", transcript="") if spoken else Content(type="text", text="")
        self._emit(events.ContentPartAdded(**response.ids(item_id), part=part))
        return message

    def _announce(self, response: Response, entry: Entry) -> None:
        index = len(response.output)
        self._emit(events.OutputItemAdded(response_id=response.id, output_index=index, item=entry.item))
        before = self._conversation.add(entry)
        self._emit(events.ItemAdded(item=entry.item, previous_item_id=before))

    def _say_word(self, response: Response, message: Message, word: Word) -> None:
        message.said += word.text
        message.entry.words.append(word)
        delta = events.TranscriptDelta if message.spoken else events.TextDelta
        self._emit(delta(**response.ids(message.item_id), delta=word.text))
        response.tokens = replace(response.tokens, text_tokens=response.tokens.text_tokens + 1)

    def _send_audio(self, response: Response, message: Message, pcm: bytes, end: int) -> None:
        self.spoke = True
        message.entry.sent = end
        self._emit(events.AudioDelta(**response.ids(message.item_id), delta=pcm))
        seconds = samples_to_s(end, message.entry.rate)
        response.tokens = replace(response.tokens, audio_tokens=round(seconds * 20))

    def _close(self, response: Response, status: str) -> None:
        """End the open message, if any."""
        message, response.message = response.message, None
        if message is None:
            return
        where = response.ids(message.item_id)
        text = message.said.strip()
        if message.spoken:
            self._emit(events.AudioDone(**where))
            self._emit(events.TranscriptDone(**where, transcript=text))
            part = Content(type="audio", transcript=text)
            content = Content(type="output_audio", transcript=text)
        else:
            self._emit(events.TextDone(**where, text=text))
            part = Content(type="text", text=text)
            content = Content(type="output_text", text=text)
        self._emit(events.ContentPartDone(**where, part=part))
        self._complete(response, message.entry, status, content)

    def _call(self, response: Response, call: Call) -> None:
        item_id, call_id = new_id("item"), new_id("call")
        item = Item(id=item_id, type="function_call", status="in_progress", name=call.name, arguments="")
        item = replace(item, call_id=call_id)
        entry = Entry(item)
        self._announce(response, entry)
        where = response.ids(item_id)
        for piece in split(r"(?<=[,:{])", call.arguments):
            if piece:
                self._emit(events.ArgumentsDelta(**where, call_id=call_id, delta=piece))
        self._emit(events.ArgumentsDone(**where, call_id=call_id, name=call.name, arguments=call.arguments))
        entry.item = replace(item, arguments=call.arguments)
        self._complete(response, entry, "completed", None)

    def _complete(self, response: Response, entry: Entry, status: str, content: Content | None) -> None:
        item = replace(entry.item, status=status)
        if content is not None:
            item = replace(item, content=[content])
        entry.item = item
        index = len(response.output)
        response.output.append(item)
        self._emit(events.ItemDone(item=item))
        self._emit(events.OutputItemDone(response_id=response.id, output_index=index, item=item))

    def _finish(self, response: Response, status: str, details: StatusDetails | None = None) -> None:
        self._active = self._task = None
        info = response.info(status, details)
        self._emit(events.ResponseDone(response=replace(info, usage=raw(self._usage(response)))))
        self._emit(events.RateLimits(rate_limits=RATE_LIMITS))

    def _stop(self, reason: str) -> None:
        response, task = self._active, self._task
        if response is None or task is None:
            return
        task.cancel()
        message = response.message
        if message is not None:
            for _ in range(message.late):
                silence = bytes(next(delta_sizes((), message.entry.rate)))
                self._emit(events.AudioDelta(**response.ids(message.item_id), delta=silence))
        self._close(response, "incomplete")
        self._finish(response, "cancelled", StatusDetails(type="cancelled", reason=reason))

    # ------------------------------------------------------------------------------- book-keeping

    def _emit(self, event: events.ServerEvent) -> bool:
        return self._outbox.emit(event)

    def _usage(self, response: Response) -> Usage:
        heard = sum(
            len(line.text if isinstance(line, Said) else line.output) // 4
            for line in self._conversation.lines()
            if isinstance(line, Said | Returned)
        )
        made = response.tokens.text_tokens + response.tokens.audio_tokens
        return Usage(
            total_tokens=heard + made,
            input_tokens=heard,
            output_tokens=made,
            input_token_details=TokenDetails(text_tokens=heard),
            output_token_details=response.tokens,
        )


def _details(end: End) -> StatusDetails | None:
    """Why a response did not complete, as OpenAI says it."""
    match end.status:
        case "completed":
            return None
        case "failed":
            error = ErrorDetail(type="server_error", code=end.error or None, message=end.error)
            return StatusDetails(type="failed", error=error)
        case _:
            return StatusDetails(type=end.status, reason=end.error or "max_output_tokens")
