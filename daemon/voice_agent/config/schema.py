"""Every setting with its unit, range and default; a default stands here and nowhere else."""

from typing import Annotated, Literal, get_args

from msgspec import Meta, Struct

from voice_agent.config.declared import CommandTool, HttpTool, McpServer, ProviderTools
from voice_agent.config.sound import Audio, Cues, Gate

Kind = Literal["yandex", "openai", "azure", "local", "custom"]
KEYLESS: tuple[Kind, ...] = ("local", "custom")
"""Servers that may live without a key."""

ToolName = Literal[
    "get_weather",
    "get_time",
    "set_timer",
    "set_alarm",
    "get_timers",
    "cancel_timer",
    "set_volume",
    "mute_microphone",
    "stop",
    "repeat_answer",
    "get_device_status",
    "end_conversation",
]
Rate = Annotated[
    int, Meta(ge=8000, le=48000, examples=[24000], description="In Hz; the provider's own if not set")
]

WORD = r"^[A-Za-z0-9._-]*$"
"""What goes into a header's name or a host's: anything else would break the request apart."""


class Provider(Struct, frozen=True):
    """Who listens and speaks: a server of the realtime protocol."""

    kind: Annotated[Kind, Meta(description="The server's kind; local is `voice-agent serve`")] = "local"
    folder: Annotated[str, Meta(pattern=WORD, description="Yandex Cloud folder id (yandex: required)")] = ""
    model: Annotated[
        str, Meta(description="Model, by its short name; empty: the provider's default; azure has none")
    ] = ""
    resource: Annotated[str, Meta(pattern=WORD, description="Azure OpenAI resource (azure: required)")] = ""
    deployment: Annotated[
        str, Meta(pattern=WORD, description="Azure deployment of a model (azure: required)")
    ] = ""
    url: Annotated[
        str, Meta(description="Whole ws:// or wss:// address, instead of the one built (custom: required)")
    ] = ""
    insecure: Annotated[
        bool, Meta(description="Allow ws://, which anybody on the way can hear, beyond this machine")
    ] = False
    ca_file: Annotated[
        str,
        Meta(
            description="Absolute path of a PEM file with the only authorities that are believed;"
            " empty: the system's"
        ),
    ] = ""
    auth: Annotated[
        Literal["api-key", "bearer"],
        Meta(description="A long-lived API key or a bearer token: IAM at yandex, Entra at azure"),
    ] = "api-key"
    auth_header: Annotated[
        str, Meta(pattern=WORD, min_length=1, description="HTTP header that carries the key (custom)")
    ] = "Authorization"
    auth_scheme: Annotated[
        str,
        Meta(pattern=WORD, description="Word before the key in that header; empty: the key alone (custom)"),
    ] = "Bearer"
    dialect: Annotated[
        Literal["ga", "yandex"],
        Meta(description="Whose manners the server has: OpenAI's GA protocol or Yandex's (custom)"),
    ] = "ga"
    key_file: Annotated[
        str, Meta(description="Absolute path of a file that holds the key and nothing else")
    ] = ""
    max_message_mib: Annotated[
        int, Meta(ge=1, le=256, description="Longest message accepted from the server, in MiB")
    ] = 16


class TurnDetection(Struct, frozen=True):
    """How the server decides that the user speaks and has finished."""

    threshold: Annotated[
        float, Meta(ge=0, le=1, description="Probability of speech above which somebody speaks")
    ] = 0.5
    prefix_padding_ms: Annotated[
        int, Meta(ge=0, le=5000, description="Audio kept from before the speech, in ms")
    ] = 300
    silence_duration_ms: Annotated[
        int, Meta(ge=50, le=10_000, description="Silence that ends a turn, in ms")
    ] = 400
    interrupt_response: Annotated[
        bool,
        Meta(description="Whether the server stops its answer when the user speaks; if not, the daemon asks"),
    ] = True
    create_response: Annotated[
        bool, Meta(description="Whether the server answers when a turn ends; if not, the daemon asks")
    ] = True


class Session(Struct, frozen=True):
    """What is asked of the model."""

    instructions: Annotated[str, Meta(description="Who the model is to be, in its own language")] = (
        "You are a voice assistant. Answer in one or two short sentences, in the language of the user."
    )
    voice: Annotated[str, Meta(description="Voice by the provider's name; empty: its default")] = ""
    role: Annotated[str, Meta(description="Manner of that voice, e.g. good (yandex); empty: neutral")] = ""
    speed: (
        Annotated[
            float, Meta(ge=0.1, le=3, examples=[1.0], description="Speed of the speech, 1 being natural")
        ]
        | None
    ) = None
    transcription_model: Annotated[
        str,
        Meta(
            description="Model that writes down the user's words, which a new session is told"
            " (azure: a deployment; yandex always does it); empty: the provider's default, if it has one"
        ),
    ] = ""
    languages: Annotated[
        tuple[str, ...],
        Meta(description='Languages to listen for, e.g. ["ru-RU"]; empty: the provider decides'),
    ] = ()
    input_rate: Rate | None = None
    output_rate: Rate | None = None
    park_after_s: Annotated[
        float,
        Meta(
            ge=0,
            le=86_400,
            description="Silence after which the session is closed until somebody speaks, in s; 0: never",
        ),
    ] = 0.0
    max_session_s: (
        Annotated[
            float,
            Meta(
                ge=0,
                le=86_400,
                examples=[3300.0],
                description="A session is renewed at this age, in seconds; 0: only when the server ends it;"
                " not set: shortly before the provider's limit",
            ),
        ]
        | None
    ) = None
    turn_detection: TurnDetection = TurnDetection()


class Memory(Struct, frozen=True):
    """What a new session is told of the conversation before it. Whichever limit is met first counts."""

    turns: Annotated[
        int, Meta(ge=0, le=1000, description="Latest turns that are told; 0: every session starts afresh")
    ] = 20
    chars: Annotated[int, Meta(ge=0, le=1_000_000, description="Characters that are told, in all")] = 6000


class Control(Struct, frozen=True):
    """How to reach the running daemon: `voice-agent mute`, `talk`, `volume`, `stop`."""

    socket: Annotated[
        str,
        Meta(
            description="Absolute path of a Unix socket, which the daemon's group may use; auto: `control` in"
            " systemd's RuntimeDirectory= or XDG_RUNTIME_DIR/voice-agent; empty: none"
        ),
    ] = "auto"
    http: Annotated[
        bool,
        Meta(description="Also take POST /control/... at metrics.address, from any program of this machine"),
    ] = False


class Button(Struct, frozen=True):
    """A button that the kernel knows as an input device: USB, or GPIO by the overlay gpio-key."""

    device: Annotated[
        str,
        Meta(description='Its path, best one of "/dev/input/by-id/" or "by-path/"; empty: none'),
    ] = ""
    code: Annotated[
        int, Meta(ge=0, le=767, description="Code of its key, as `evtest` shows it; 0: any key")
    ] = 0


class Weather(Struct, frozen=True):
    """Where get_weather asks: an Open-Meteo service.

    The public one needs no key and is free for non-commercial use; a fleet needs one of its own.
    """

    home: Annotated[
        str, Meta(description="City that is meant when nobody names one; empty: the model asks")
    ] = ""
    units: Annotated[
        Literal["auto", "metric", "imperial"],
        Meta(description="auto: imperial if session.languages has en-US, else metric"),
    ] = "auto"
    geocoding_url: Annotated[str, Meta(description="Finds a place by its name")] = (
        "https://geocoding-api.open-meteo.com/v1/search"
    )
    forecast_url: Annotated[str, Meta(description="Tells the weather at a place")] = (
        "https://api.open-meteo.com/v1/forecast"
    )
    timeout_s: Annotated[float, Meta(ge=0.5, le=60, description="Longest wait for an answer, in seconds")] = (
        8.0
    )


class WebSearch(Struct, frozen=True):
    """Search that runs on the provider's side (yandex)."""

    enabled: Annotated[bool, Meta(description="Whether the model may search the web")] = False


class FileSearch(Struct, frozen=True):
    """Search in your documents that runs on the provider's side (yandex)."""

    vector_store_id: Annotated[str, Meta(description="Id of the vector store; empty: no such search")] = ""


class Tools(Struct, frozen=True):
    """What the model may call on this device."""

    enabled: Annotated[
        tuple[ToolName, ...], Meta(description="Names of those built-in tools that the model may call")
    ] = get_args(ToolName)
    plugins: Annotated[
        tuple[str, ...],
        Meta(
            description='Python packages beside this one whose tools the model may call; "*": all that are'
            " installed; empty: none"
        ),
    ] = ("*",)
    weather: Weather = Weather()
    web_search: WebSearch = WebSearch()
    file_search: FileSearch = FileSearch()
    http: tuple[HttpTool, ...] = ()
    command: tuple[CommandTool, ...] = ()
    mcp: tuple[McpServer, ...] = ()
    provider: ProviderTools = ()


class Reconnect(Struct, frozen=True):
    """Patience after a lost connection: random delays up to a ceiling that doubles with each failure."""

    first_s: Annotated[float, Meta(ge=0.05, le=60, description="The first ceiling, in seconds")] = 0.25
    cap_s: Annotated[float, Meta(ge=1, le=3600, description="The last ceiling, in seconds")] = 60.0
    spread_s: (
        Annotated[
            float,
            Meta(
                ge=0,
                le=3600,
                examples=[10.0],
                description="The first connection of a process comes at random within this time, in seconds,"
                " so that a fleet does not come at once; not set: the provider's own",
            ),
        ]
        | None
    ) = None


class Budget(Struct, frozen=True):
    """What one day may use. When it is used up the daemon says so, and is silent until the next day."""

    audio_minutes: Annotated[
        float,
        Meta(ge=0, le=10_000, description="Sound sent and received, together, in minutes; 0: no limit"),
    ] = 0.0
    tokens: Annotated[
        int, Meta(ge=0, le=10**9, description="Tokens that the provider counted; 0: no limit")
    ] = 0


class Metrics(Struct, frozen=True):
    """Figures for Prometheus, health and the status page, at http://address:port.

    An address that other machines can reach takes TLS, and a user with a password or certificates of the
    clients. The password is not written here: it is the systemd credential voice-agent.metrics-password.
    """

    enabled: Annotated[bool, Meta(description="Whether they are served")] = True
    address: Annotated[
        str,
        Meta(
            description="IP address to listen on: 127.0.0.1 or ::1 for this machine alone; 0.0.0.0 or :: for"
            " all networks that it is in"
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int, Meta(ge=0, le=65535, description="Port to listen on; 0: any free one, which the log names")
    ] = 9477
    tls_cert_file: Annotated[
        str,
        Meta(description="Absolute path of a certificate in PEM, and of those that signed it; empty: no TLS"),
    ] = ""
    tls_key_file: Annotated[
        str,
        Meta(description="Absolute path of its key; empty: the systemd credential voice-agent.metrics-key"),
    ] = ""
    tls_client_ca_file: Annotated[
        str,
        Meta(
            description="Absolute path of the certificates whose owners sign those that clients must show;"
            " empty: they need none"
        ),
    ] = ""
    user: Annotated[
        str, Meta(pattern=WORD, description="User who may ask, with a password; empty: no password is needed")
    ] = ""
    password_file: Annotated[
        str, Meta(description="Absolute path of a file that holds the password, if it is no credential")
    ] = ""
    insecure: Annotated[
        bool,
        Meta(description="Allow an address that others can reach without TLS or without asking who they are"),
    ] = False
    textfile: Annotated[
        str,
        Meta(
            description="Absolute path of a file, *.prom, that holds the metrics for the node exporter of"
            " Prometheus, where nobody can ask for them; empty: none"
        ),
    ] = ""


class Log(Struct, frozen=True):
    """What is written to stderr."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="The least important line shown")
    ] = "info"
    format: Annotated[
        Literal["text", "json"], Meta(description="For people and the journal, or for collectors")
    ] = "text"
    transcripts: Annotated[
        bool, Meta(description="Write down what was said: personal data, at level info")
    ] = False


class Config(Struct, frozen=True):
    """The whole configuration."""

    provider: Provider = Provider()
    session: Session = Session()
    memory: Memory = Memory()
    audio: Audio = Audio()
    gate: Gate = Gate()
    control: Control = Control()
    button: Button = Button()
    tools: Tools = Tools()
    reconnect: Reconnect = Reconnect()
    budget: Budget = Budget()
    cues: Cues = Cues()
    metrics: Metrics = Metrics()
    log: Log = Log()
