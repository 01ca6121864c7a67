"""What differs between providers of the realtime protocol, as data.

A ``Provider`` says how to reach a server and which manners it has; nothing else in the daemon asks for a
provider's name. Sources: OpenAI's and Azure's Realtime references (2026), Yandex AI Studio's documentation
and samples (2026), and behaviour observed on live servers where the documentation is silent.
"""

from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from urllib.parse import quote

from msgspec import UNSET, Raw

from voice_agent.errors import Cause
from voice_agent.realtime.events import (
    EMPTY_OBJECT,
    AudioConfig,
    AudioFormat,
    AudioInput,
    AudioOutput,
    ErrorDetail,
    SessionConfig,
    SessionUpdate,
    ToolSpec,
    Transcription,
    TurnDetection,
)


class History(StrEnum):
    """How a new session learns what was said before it."""

    ITEMS = "items"
    """One item for each thing that was said, under its speaker's role."""
    RECAP = "recap"
    """One message of the user that tells it all: the server refuses items in the assistant's name."""
    NONE = "none"
    """Not at all."""


@dataclass(frozen=True, slots=True)
class Provider:
    """How to reach and how to treat one kind of server.

    ``url`` is a template over the fields of ``Place``. Rates are in Hz. ``silent_output_rate`` is what a
    server sends when its session object states no rate. ``server_tools``: functions named ``web_search``
    and ``file_search`` run on the server and must never be answered. ``session_max_s``: when the server
    ends a session, if that is known. ``overlap``: two sessions may stand side by side for a moment.
    ``spread_s``: the first connections of a fleet that starts at once are spread over so many seconds.
    """

    name: str
    url: str
    auth_header: str = "Authorization"
    auth_scheme: str = "Bearer"
    default_model: str = ""
    input_rate: int = 24000
    output_rate: int = 24000
    silent_output_rate: int = 24000
    session_type: bool = True
    transcription_model: str | None = None
    server_tools: bool = False
    languages: bool = False
    history: History = History.ITEMS
    session_max_s: float | None = None
    overlap: bool = True
    spread_s: float = 0.0

    def with_bearer(self) -> "Provider":
        """The same provider, reached with a short-lived bearer token (IAM, Entra) instead of a key."""
        return replace(self, auth_header="Authorization", auth_scheme="Bearer")


@dataclass(frozen=True, slots=True)
class Place:
    """The values that fill a provider's URL template."""

    model: str = ""
    folder: str = ""
    resource: str = ""
    deployment: str = ""
    port: int = 8765


YANDEX = Provider(
    name="yandex",
    url="wss://ai.api.cloud.yandex.net/v1/realtime?model=gpt://{folder}/{model}",
    auth_scheme="Api-Key",
    default_model="speech-realtime-260528",
    output_rate=44100,
    silent_output_rate=44100,  # observed: without a stated rate the server speaks at 44.1 kHz
    session_type=False,
    server_tools=True,
    languages=True,
    history=History.RECAP,  # observed: assistant items are refused and break the dialogue
    session_max_s=None,  # once 5 minutes, then "until the connection closes": learned from what is seen
    spread_s=2.0,  # 10 session creations a second for the whole account
)
OPENAI = Provider(
    name="openai",
    url="wss://api.openai.com/v1/realtime?model={model}",
    default_model="gpt-realtime-2.1",
    transcription_model="gpt-4o-mini-transcribe",
    session_max_s=3600.0,
    spread_s=0.5,
)
AZURE = Provider(
    name="azure",
    url="wss://{resource}.openai.azure.com/openai/v1/realtime?model={deployment}",
    auth_header="api-key",
    auth_scheme="",
    session_max_s=1800.0,
    spread_s=0.5,
)
LOCAL = Provider(
    name="local",
    url="ws://127.0.0.1:{port}/v1/realtime?model={model}",
    default_model="embedded",
    transcription_model="embedded",
)
PROVIDERS = {provider.name: provider for provider in (YANDEX, OPENAI, AZURE, LOCAL)}


def custom(url: str, auth_header: str, auth_scheme: str, *, yandex: bool) -> Provider:
    """Any other server: its address, its way to take a key, and whose manners it has."""
    manners = YANDEX if yandex else OPENAI
    return replace(
        manners,
        name="custom",
        url=url,
        auth_header=auth_header,
        auth_scheme=auth_scheme,
        transcription_model=None,
        session_max_s=None,
        spread_s=0.0,
    )


def endpoint(provider: Provider, place: Place) -> str:
    """The WebSocket URL of ``provider`` at ``place``; every filled-in value is percent-encoded."""
    values = {
        "model": place.model or provider.default_model,
        "folder": place.folder,
        "resource": place.resource,
        "deployment": place.deployment,
        "port": str(place.port),
    }
    return provider.url.format(**{name: quote(value, safe="") for name, value in values.items()})


# ------------------------------------------------------------------------------------ session.update


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """What the operator wants of a session, in no provider's words.

    Rates in Hz, ``speed`` as a factor. ``file_search``: id of a vector store, or empty. ``passed``: tools
    that run at the provider, as JSON in its own words; they may hold secrets.
    """

    instructions: str = ""
    voice: str = ""
    role: str = ""
    speed: float | None = None
    languages: tuple[str, ...] = ()
    input_rate: int = 24000
    output_rate: int = 24000
    turn_detection: TurnDetection | None = field(default_factory=TurnDetection)
    tools: tuple[ToolSpec, ...] = ()
    web_search: bool = False
    file_search: str = ""
    passed: tuple[Raw, ...] = field(default=(), repr=False)

    @property
    def server_interrupts(self) -> bool:
        """Whether the server cancels its own answer when the user speaks."""
        detection = self.turn_detection
        return detection is not None and detection.interrupt_response is not False


def session_update(provider: Provider, settings: SessionSettings) -> SessionUpdate:
    """The ``session.update`` that asks ``provider`` for ``settings``; the formats are always explicit."""
    heard = AudioInput(
        format=AudioFormat(rate=settings.input_rate),
        turn_detection=settings.turn_detection,
        transcription=(
            Transcription(model=provider.transcription_model) if provider.transcription_model else UNSET
        ),
        languages=list(settings.languages) if provider.languages and settings.languages else UNSET,
    )
    spoken = AudioOutput(
        format=AudioFormat(rate=settings.output_rate),
        voice=settings.voice or UNSET,
        role=settings.role or UNSET,
        speed=UNSET if settings.speed is None else settings.speed,
    )
    return SessionUpdate(
        session=SessionConfig(
            type="realtime" if provider.session_type else UNSET,
            instructions=settings.instructions or UNSET,
            output_modalities=["audio"],
            audio=AudioConfig(input=heard, output=spoken),
            tools=_tools(provider, settings),
        )
    )


TOOLS_ID = "tools"
"""Names the event that changes the tools in an error that refuses it."""


def tools_update(provider: Provider, settings: SessionSettings) -> SessionUpdate:
    """A ``session.update`` that changes the tools and nothing else: everywhere it is a patch."""
    session = SessionConfig(
        type="realtime" if provider.session_type else UNSET,
        tools=_tools(provider, settings),
    )
    return SessionUpdate(event_id=TOOLS_ID, session=session)


PROBE_ID = "probe"
"""Names the probe in an error that refuses it: a refusal proves life as well as a confirmation does."""


def probe(provider: Provider, settings: SessionSettings) -> SessionUpdate:
    """A ``session.update`` that changes nothing: whether a server answers it tells whether it lives."""
    session = SessionConfig(
        type="realtime" if provider.session_type else UNSET, instructions=settings.instructions or UNSET
    )
    return SessionUpdate(event_id=PROBE_ID, session=session)


SERVER_TOOLS = frozenset({"web_search", "file_search"})


def _tools(provider: Provider, settings: SessionSettings) -> list[ToolSpec | Raw]:
    return [*settings.tools, *_server_tools(provider, settings), *settings.passed]


def _server_tools(provider: Provider, settings: SessionSettings) -> list[ToolSpec]:
    """Yandex's built-in tools: functions with reserved names; ``file_search`` is described by its store."""
    if not provider.server_tools:
        return []
    tools = []
    if settings.web_search:
        tools.append(ToolSpec(name="web_search", description="Search the web", parameters=EMPTY_OBJECT))
    if settings.file_search:
        tools.append(ToolSpec(name="file_search", description=settings.file_search, parameters=Raw(b"{}")))
    return tools


# ------------------------------------------------------------------------------------ judging errors


class Verdict(Enum):
    """What an ``error`` event means for the session."""

    BENIGN = "benign"
    """A lost race or a harmless refusal: count it."""
    COMPLAINT = "complaint"
    """We sent something wrong, or the server had a bad moment: log it and carry on."""
    EXPIRED = "expired"
    """The session is over in the ordinary way: reconnect at once."""
    OVERLOADED = "overloaded"
    """There is no room for this session: come back later."""
    REFUSED = "refused"
    """Key, quota or account: reconnecting fast is useless."""


BUSY = "conversation_already_has_active_response"
"""The code of a ``response.create`` that came while the server was making another response."""

_BY_CODE = {
    "response_cancel_not_active": (Verdict.BENIGN, Cause.UNKNOWN),
    BUSY: (Verdict.BENIGN, Cause.UNKNOWN),
    "input_audio_buffer_commit_empty": (Verdict.BENIGN, Cause.UNKNOWN),
    "unsupported_content_type": (Verdict.BENIGN, Cause.UNKNOWN),
    "item_retrieve_invalid_item_id": (Verdict.BENIGN, Cause.UNKNOWN),
    "item_delete_invalid_item_id": (Verdict.BENIGN, Cause.UNKNOWN),
    "item_truncate_invalid_item_id": (Verdict.BENIGN, Cause.UNKNOWN),
    "session_expired": (Verdict.EXPIRED, Cause.EXPIRED),
    "session_limit_reached": (Verdict.OVERLOADED, Cause.OVERLOADED),
    "insufficient_quota": (Verdict.REFUSED, Cause.QUOTA),
    "billing_hard_limit_reached": (Verdict.REFUSED, Cause.QUOTA),
    "invalid_api_key": (Verdict.REFUSED, Cause.KEY),
    "account_deactivated": (Verdict.REFUSED, Cause.KEY),
}
_BENIGN_WORDS = ("already shorter than", "no such response", "unknown response")
_PRESSURE_WORDS = ("rate_limit", "overloaded", "resource_exhausted", "server_error")


def judge(error: ErrorDetail) -> Verdict:
    """The weight of a server's ``error``; unknown ones are complaints."""
    if known := _known(error):
        return known[0]
    if error.event_id == PROBE_ID:
        return Verdict.BENIGN
    message = (error.message or "").lower()
    return Verdict.BENIGN if any(words in message for words in _BENIGN_WORDS) else Verdict.COMPLAINT


def cause_of(error: ErrorDetail) -> Cause:
    """The cause of a session's end by ``error``, in one word."""
    if known := _known(error):
        return known[1]
    return Cause.OVERLOADED if under_pressure(error) else Cause.UNKNOWN


def _known(error: ErrorDetail) -> tuple[Verdict, Cause] | None:
    return _BY_CODE.get(error.code or "") or _BY_CODE.get(error.type or "")


def under_pressure(error: ErrorDetail) -> bool:
    """The server has too much to do, in general or for this account: waiting helps."""
    words = f"{error.code} {error.type}".lower()
    return any(word in words for word in _PRESSURE_WORDS)
