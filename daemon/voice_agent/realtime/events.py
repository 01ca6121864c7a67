"""The realtime protocol as frozen values, tagged by their wire names.

One definition serves both ends: the daemon encodes client events and decodes server events, the embedded
server does the reverse. Field names are the wire's names. Decoding is lenient by construction: unknown
fields are ignored and missing ones have defaults, because real servers leave out fields that the
reference calls required. Optional fields that must be absent when unset are ``UNSET``.

Source of names and shapes: OpenAI's Realtime reference (GA, 2026) and Yandex AI Studio's event index.
Beta-era names are subclasses of their GA successors, so ``match`` on the GA class accepts both.
"""

from msgspec import UNSET, Raw, Struct, UnsetType

from voice_agent.discretion import discreet

EMPTY_OBJECT = Raw(b"{}")


class Wire(Struct, frozen=True, kw_only=True):
    """A value inside an event."""


# ------------------------------------------------------------------------------------------ parts


class Content(Wire, frozen=True):
    """One part of an item: input_text, input_audio, output_text, output_audio (beta: text, audio)."""

    type: str = ""
    text: str | None | UnsetType = UNSET
    transcript: str | None | UnsetType = UNSET
    audio: str | UnsetType = UNSET


class Item(Wire, frozen=True):
    """A unit of the conversation: a message, a function call or a function's output."""

    id: str | UnsetType = UNSET
    object: str | UnsetType = UNSET
    type: str = "message"
    status: str | None | UnsetType = UNSET
    role: str | None | UnsetType = UNSET
    content: list[Content] | UnsetType = UNSET
    name: str | None | UnsetType = UNSET
    call_id: str | None | UnsetType = UNSET
    arguments: str | None | UnsetType = UNSET
    output: str | None | UnsetType = UNSET
    approval_request_id: str | None | UnsetType = UNSET
    approve: bool | UnsetType = UNSET


class ErrorDetail(Wire, frozen=True):
    """Why something failed. ``event_id`` names the client event at fault, if the server knows it."""

    type: str | None = None
    code: str | None = None
    message: str | None = None
    param: str | None = None
    event_id: str | None = None

    @property
    def told(self) -> str:
        """The message, as far as it may be repeated."""
        return discreet(self.message or "")


class StatusDetails(Wire, frozen=True):
    """Why a response is not ``completed``."""

    type: str | None = None
    reason: str | None = None
    error: ErrorDetail | None | UnsetType = UNSET


class TokenDetails(Wire, frozen=True):
    """Tokens by kind."""

    text_tokens: int = 0
    audio_tokens: int = 0
    cached_tokens: int = 0


class Usage(Wire, frozen=True):
    """What a response cost, in tokens."""

    total_tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    input_token_details: TokenDetails | None | UnsetType = UNSET
    output_token_details: TokenDetails | None | UnsetType = UNSET


class ResponseInfo(Wire, frozen=True):
    """A response's state. ``status``: in_progress, completed, cancelled, incomplete or failed.

    ``usage``: a ``Usage`` as JSON text, since a bill in an odd shape must not hide the end of a response.
    """

    id: str = ""
    object: str | UnsetType = UNSET
    status: str | None = None
    status_details: StatusDetails | None = None
    output: list[Item] = []
    usage: Raw | UnsetType = UNSET
    conversation_id: str | None | UnsetType = UNSET
    output_modalities: list[str] | UnsetType = UNSET


class AudioFormat(Wire, frozen=True):
    """``audio/pcm`` with its sample rate in Hz."""

    type: str = "audio/pcm"
    rate: int | None = None


class TurnDetection(Wire, frozen=True):
    """Server-side endpointing. Times in milliseconds, threshold a probability."""

    type: str = "server_vad"
    threshold: float | UnsetType = UNSET
    prefix_padding_ms: int | UnsetType = UNSET
    silence_duration_ms: int | UnsetType = UNSET
    create_response: bool | UnsetType = UNSET
    interrupt_response: bool | UnsetType = UNSET


class Transcription(Wire, frozen=True):
    """How the server writes down what the user said (not sent to Yandex, which always does)."""

    model: str | UnsetType = UNSET
    language: str | UnsetType = UNSET


class AudioInput(Wire, frozen=True):
    """What we send. ``languages`` is Yandex's."""

    format: AudioFormat | UnsetType = UNSET
    turn_detection: TurnDetection | None | UnsetType = UNSET
    transcription: Transcription | None | UnsetType = UNSET
    languages: list[str] | UnsetType = UNSET


class AudioOutput(Wire, frozen=True):
    """What we want to hear. ``role`` is Yandex's."""

    format: AudioFormat | UnsetType = UNSET
    voice: str | UnsetType = UNSET
    role: str | UnsetType = UNSET
    speed: float | UnsetType = UNSET


class AudioConfig(Wire, frozen=True):
    """Both directions."""

    input: AudioInput | UnsetType = UNSET
    output: AudioOutput | UnsetType = UNSET


class ToolSpec(Wire, frozen=True):
    """A tool offered to the model. ``parameters``: JSON Schema as JSON text."""

    type: str = "function"
    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    parameters: Raw | UnsetType = UNSET


class SessionConfig(Wire, frozen=True):
    """The body of ``session.update``. ``type`` is required by OpenAI and optional at Yandex.

    A tool that is passed on as it was declared is ``Raw`` when it is sent; what is read is a ``ToolSpec``.
    """

    type: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    instructions: str | UnsetType = UNSET
    output_modalities: list[str] | UnsetType = UNSET
    audio: AudioConfig | UnsetType = UNSET
    tools: list[ToolSpec | Raw] | UnsetType = UNSET
    tool_choice: str | UnsetType = UNSET


# ---------------------------------------------------------------------------------- client events


class ClientEvent(Struct, frozen=True, kw_only=True, tag_field="type"):
    """What the daemon may say. ``event_id`` comes back in the ``error`` that an event causes."""

    event_id: str | UnsetType = UNSET


class SessionUpdate(ClientEvent, frozen=True, tag="session.update"):
    """Change the session; a patch at Yandex, a patch at OpenAI."""

    session: SessionConfig


class AppendAudio(ClientEvent, frozen=True, tag="input_audio_buffer.append"):
    """Microphone audio, PCM16 bytes (base64 on the wire)."""

    audio: bytes


class CommitAudio(ClientEvent, frozen=True, tag="input_audio_buffer.commit"):
    """End the utterance by hand (only without server VAD)."""


class ClearAudio(ClientEvent, frozen=True, tag="input_audio_buffer.clear"):
    """Forget audio that was not committed."""


class CreateItem(ClientEvent, frozen=True, tag="conversation.item.create"):
    """Add an item: a message or a function's output."""

    item: Item
    previous_item_id: str | None | UnsetType = UNSET


class TruncateItem(ClientEvent, frozen=True, tag="conversation.item.truncate"):
    """Tell the server how many milliseconds of an item's audio were heard."""

    item_id: str
    content_index: int
    audio_end_ms: int


class DeleteItem(ClientEvent, frozen=True, tag="conversation.item.delete"):
    """Remove an item from the conversation."""

    item_id: str


class RetrieveItem(ClientEvent, frozen=True, tag="conversation.item.retrieve"):
    """Ask for an item as the server has it."""

    item_id: str


class CreateResponse(ClientEvent, frozen=True, tag="response.create"):
    """Ask the model to speak. ``response``: overrides as JSON text."""

    response: Raw | UnsetType = UNSET


class CancelResponse(ClientEvent, frozen=True, tag="response.cancel"):
    """Stop a response that is being made."""

    response_id: str | UnsetType = UNSET


# ---------------------------------------------------------------------------------- server events


class ServerEvent(Struct, frozen=True, kw_only=True, tag_field="type"):
    """What a server may say."""

    event_id: str | None = None


class SessionCreated(ServerEvent, frozen=True, tag="session.created"):
    """The session exists, with the server's defaults (``session``: JSON text)."""

    session: Raw = EMPTY_OBJECT


class SessionUpdated(ServerEvent, frozen=True, tag="session.updated"):
    """The effective session after an update. Yandex may send it twice for one update."""

    session: Raw = EMPTY_OBJECT


class ServerError(ServerEvent, frozen=True, tag="error"):
    """Something went wrong; most errors leave the session usable."""

    error: ErrorDetail = ErrorDetail()


class SpeechStarted(ServerEvent, frozen=True, tag="input_audio_buffer.speech_started"):
    """The server's VAD hears the user; the position counts from the session's first sample."""

    audio_start_ms: int = 0
    item_id: str = ""


class SpeechStopped(ServerEvent, frozen=True, tag="input_audio_buffer.speech_stopped"):
    """The user has finished, in the server's opinion."""

    audio_end_ms: int = 0
    item_id: str = ""


class AudioCommitted(ServerEvent, frozen=True, tag="input_audio_buffer.committed"):
    """The utterance became (or will become) a user item."""

    item_id: str = ""
    previous_item_id: str | None = None


class AudioCleared(ServerEvent, frozen=True, tag="input_audio_buffer.cleared"):
    """Uncommitted audio was forgotten."""


class ItemAdded(ServerEvent, frozen=True, tag="conversation.item.added"):
    """An item joined the conversation, perhaps still in progress."""

    item: Item = Item()
    previous_item_id: str | None = None


class ItemCreated(ItemAdded, frozen=True, tag="conversation.item.created"):
    """The beta name of ``conversation.item.added``; Yandex still sends it."""


class ItemDone(ServerEvent, frozen=True, tag="conversation.item.done"):
    """An item is complete."""

    item: Item = Item()
    previous_item_id: str | None = None


class ItemDeleted(ServerEvent, frozen=True, tag="conversation.item.deleted"):
    """An item was removed."""

    item_id: str = ""


class ItemRetrieved(ServerEvent, frozen=True, tag="conversation.item.retrieved"):
    """An item as the server has it."""

    item: Item = Item()


class ItemTruncated(ServerEvent, frozen=True, tag="conversation.item.truncated"):
    """The server now believes that only so much was heard."""

    item_id: str = ""
    content_index: int = 0
    audio_end_ms: int = 0


class TranscriptionDelta(ServerEvent, frozen=True, tag="conversation.item.input_audio_transcription.delta"):
    """A piece of what the user said."""

    item_id: str = ""
    content_index: int = 0
    delta: str | None = None


class TranscriptionCompleted(
    ServerEvent, frozen=True, tag="conversation.item.input_audio_transcription.completed"
):
    """What the user said. May come before, during or after the answer, or never."""

    item_id: str = ""
    content_index: int = 0
    transcript: str | None = None
    usage: Raw | UnsetType = UNSET


class TranscriptionFailed(ServerEvent, frozen=True, tag="conversation.item.input_audio_transcription.failed"):
    """The user was not understood."""

    item_id: str = ""
    content_index: int = 0
    error: ErrorDetail = ErrorDetail()


class ResponseCreated(ServerEvent, frozen=True, tag="response.created"):
    """The model begins an answer."""

    response: ResponseInfo = ResponseInfo()


class ResponseDone(ServerEvent, frozen=True, tag="response.done"):
    """The model has finished an answer, one way or another: exactly one for each ``response.created``."""

    response: ResponseInfo = ResponseInfo()


class OutputItemAdded(ServerEvent, frozen=True, tag="response.output_item.added"):
    """An item of an answer begins."""

    response_id: str = ""
    output_index: int = 0
    item: Item = Item()


class OutputItemDone(ServerEvent, frozen=True, tag="response.output_item.done"):
    """An item of an answer is complete; a function call is complete here."""

    response_id: str = ""
    output_index: int = 0
    item: Item = Item()


class ContentPartAdded(ServerEvent, frozen=True, tag="response.content_part.added"):
    """A part of an item begins."""

    response_id: str = ""
    item_id: str = ""
    output_index: int = 0
    content_index: int = 0
    part: Content = Content()


class ContentPartDone(ServerEvent, frozen=True, tag="response.content_part.done"):
    """A part of an item is complete."""

    response_id: str = ""
    item_id: str = ""
    output_index: int = 0
    content_index: int = 0
    part: Content = Content()


class OutputDelta(ServerEvent, frozen=True):
    """The ids that every piece of an answer carries."""

    response_id: str = ""
    item_id: str = ""
    output_index: int = 0
    content_index: int = 0


class AudioDelta(OutputDelta, frozen=True, tag="response.output_audio.delta"):
    """Audio of the answer, PCM16 bytes; any length, even half a sample."""

    delta: bytes = b""


class BetaAudioDelta(AudioDelta, frozen=True, tag="response.audio.delta"):
    """Beta name."""


class AudioDone(OutputDelta, frozen=True, tag="response.output_audio.done"):
    """No more audio for this item."""


class BetaAudioDone(AudioDone, frozen=True, tag="response.audio.done"):
    """Beta name."""


class TranscriptDelta(OutputDelta, frozen=True, tag="response.output_audio_transcript.delta"):
    """Words of the spoken answer."""

    delta: str = ""


class BetaTranscriptDelta(TranscriptDelta, frozen=True, tag="response.audio_transcript.delta"):
    """Beta name."""


class TranscriptDone(OutputDelta, frozen=True, tag="response.output_audio_transcript.done"):
    """All words of the spoken answer."""

    transcript: str = ""


class BetaTranscriptDone(TranscriptDone, frozen=True, tag="response.audio_transcript.done"):
    """Beta name."""


class TextDelta(OutputDelta, frozen=True, tag="response.output_text.delta"):
    """Words of a text answer; at Yandex also the words of a spoken one."""

    delta: str = ""


class BetaTextDelta(TextDelta, frozen=True, tag="response.text.delta"):
    """Beta name."""


class TextDone(OutputDelta, frozen=True, tag="response.output_text.done"):
    """All words of a text answer."""

    text: str = ""


class BetaTextDone(TextDone, frozen=True, tag="response.text.done"):
    """Beta name."""


class ArgumentsDelta(OutputDelta, frozen=True, tag="response.function_call_arguments.delta"):
    """A piece of a function call's arguments."""

    call_id: str = ""
    delta: str = ""


class ArgumentsDone(OutputDelta, frozen=True, tag="response.function_call_arguments.done"):
    """A function call's arguments, complete. Yandex leaves ``name`` out."""

    call_id: str = ""
    name: str | None | UnsetType = UNSET
    arguments: str = ""


class ServerWork(ServerEvent, frozen=True):
    """The server sees to a tool that runs on its side (MCP): its own business, unless it fails."""

    item_id: str = ""


class ServerListsTools(ServerWork, frozen=True, tag="mcp_list_tools.in_progress"):
    """It asks an MCP server for its tools."""


class ServerListedTools(ServerWork, frozen=True, tag="mcp_list_tools.completed"):
    """It knows them."""


class ServerListFailed(ServerWork, frozen=True, tag="mcp_list_tools.failed"):
    """It could not ask: the model has none of them."""


class ServerCalls(ServerWork, frozen=True, tag="response.mcp_call.in_progress"):
    """It calls such a tool."""


class ServerCalled(ServerWork, frozen=True, tag="response.mcp_call.completed"):
    """It has its answer."""


class ServerCallFailed(ServerWork, frozen=True, tag="response.mcp_call.failed"):
    """It has none."""


class ServerArgumentsDelta(OutputDelta, frozen=True, tag="response.mcp_call_arguments.delta"):
    """A piece of the arguments of such a call."""

    delta: str = ""


class ServerArgumentsDone(OutputDelta, frozen=True, tag="response.mcp_call_arguments.done"):
    """All of them."""

    arguments: str = ""


class RateLimits(ServerEvent, frozen=True, tag="rate_limits.updated"):
    """Quota left; informative."""

    rate_limits: Raw = Raw(b"[]")


def response_of(event: ServerEvent) -> str | None:
    """The id of the response that an event is a piece of; ``None`` for all other events."""
    match event:
        case OutputDelta() | OutputItemAdded() | OutputItemDone() | ContentPartAdded() | ContentPartDone():
            return event.response_id
    return None


# ------------------------------------------------------------------------------- outside the list


class Unrecognised(Struct, frozen=True):
    """A well-formed event of a type we do not know: counted and ignored."""

    type: str


class Malformed(Struct, frozen=True):
    """A frame that is not an event, or an event whose fields have the wrong types: counted and ignored."""

    type: str
    reason: str


def known(value: str | None | UnsetType) -> str:
    """The text of an optional field; empty when absent or null."""
    return value if isinstance(value, str) else ""
