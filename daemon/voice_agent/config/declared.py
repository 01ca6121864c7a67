"""The tools that an operator declares: web services, programs, MCP servers, and what runs at the provider."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

TOOL_NAME = r"^[A-Za-z0-9_-]{1,64}$"
"""What every provider of the realtime protocol takes for a function's name."""

CREDENTIAL_NAME = r"^[A-Za-z0-9._-]*$"

Name = Annotated[str, Meta(pattern=TOOL_NAME, max_length=64)]
Speak = Literal["always", "if-silent", "never"]
FreeTable = dict[str, object]

_SPEAK = (
    "Whether the model speaks about the answer; if-silent: only if it said nothing when it called the tool."
    " A failure is always spoken about"
)
_PARALLEL = "Whether a second call may begin before the first has ended"
_CA_FILE = "Absolute path of a PEM file with the only authorities that are believed; empty: the system's"
_KEY = (
    "Name of a credential, which is the systemd credential of that name or the environment variable"
    " VOICE_AGENT_CREDENTIAL_NAME in capitals"
)
_PARAMETERS = (
    "JSON Schema of the arguments: an object, whose properties the model fills in; describe each one"
)
_SCHEMA: FreeTable = {
    "type": "object",
    "required": ["room"],
    "properties": {"room": {"type": "string", "description": "Name of a room, e.g. kitchen"}},
}


class HttpTool(Struct, frozen=True):
    """A web service that the model may call. {NAME} stands for an argument, percent-encoded in the url.

    Redirects are followed to `allow_hosts` only, and to no private address unless `allow_private`.
    """

    name: Annotated[
        Name, Meta(examples=["room_temperature"], description="Name by which the model calls it")
    ] = ""
    description: Annotated[
        str,
        Meta(
            min_length=1,
            examples=["Temperature in a room, in degrees Celsius."],
            description="What it does and when to call it, for the model",
        ),
    ] = ""
    url: Annotated[
        str,
        Meta(
            min_length=1,
            examples=["https://home.example.org/rooms/{room}/temperature"],
            description="Address; arguments may stand in its path and query, not in its host",
        ),
    ] = ""
    parameters: Annotated[FreeTable, Meta(examples=[_SCHEMA], description=_PARAMETERS)] = {}
    enabled: Annotated[bool, Meta(description="Whether the model may call it")] = True
    method: Annotated[Literal["GET", "POST", "PUT", "PATCH", "DELETE"], Meta(description="HTTP method")] = (
        "GET"
    )
    query: Annotated[
        dict[str, str],
        Meta(description="Parameters added to the address; one whose argument is not given is left out"),
    ] = {}
    headers: Annotated[dict[str, str], Meta(description="Headers that are no secrets")] = {}
    body: Annotated[
        FreeTable,
        Meta(
            description='JSON to send, in which "{NAME}" becomes the argument as it is; none: for POST, PUT'
            " and PATCH, the arguments that stand nowhere else"
        ),
    ] = {}
    key_from: Annotated[str, Meta(pattern=CREDENTIAL_NAME, description=_KEY + "; empty: none")] = ""
    key_header: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9_-]+$", description="HTTP header that carries it")
    ] = "Authorization"
    key_scheme: Annotated[
        str, Meta(pattern=CREDENTIAL_NAME, description="Word before it in that header; empty: it alone")
    ] = "Bearer"
    answer: Annotated[
        str,
        Meta(
            description='Where the answer stands in the JSON that comes back, e.g. "rooms[0].name", as a'
            " JMESPath expression; empty: all of it"
        ),
    ] = ""
    allow_hosts: Annotated[
        tuple[str, ...],
        Meta(description="Hosts to which a redirect may lead, beside the host of the url itself"),
    ] = ()
    allow_private: Annotated[
        bool,
        Meta(
            description="Allow addresses of this machine and its own network; without it, only a url that"
            " says so itself (192.168.1.7, localhost, hub.local) gets there"
        ),
    ] = False
    insecure: Annotated[
        bool, Meta(description="Allow http://, which anybody on the way can read and change, to public hosts")
    ] = False
    ca_file: Annotated[str, Meta(description=_CA_FILE)] = ""
    timeout_s: Annotated[float, Meta(ge=0.5, le=120, description="Longest wait for the answer, in s")] = 10.0
    max_kb: Annotated[int, Meta(ge=1, le=1024, description="Longest reply that is read, in KiB")] = 256
    speak: Annotated[Speak, Meta(description=_SPEAK)] = "always"
    parallel: Annotated[bool, Meta(description=_PARALLEL)] = True
    interruptible: (
        Annotated[
            bool,
            Meta(
                examples=[True],
                description="Whether a call is given up when the user goes on speaking; not set: for GET",
            ),
        ]
        | None
    ) = None


class CommandTool(Struct, frozen=True):
    """A program of this machine that the model may call, without a shell.

    What it prints is the answer: a JSON object, or text. An exit code other than 0 is a failure, and the last
    line of stderr says why.
    """

    name: Annotated[Name, Meta(examples=["lamp"], description="Name by which the model calls it")] = ""
    description: Annotated[
        str,
        Meta(
            min_length=1,
            examples=["Switch on the lamp of a room."],
            description="What it does and when to call it, for the model",
        ),
    ] = ""
    argv: Annotated[
        tuple[str, ...],
        Meta(
            min_length=1,
            examples=[["/usr/local/bin/lamp", "--", "{room}"]],
            description="Absolute path and arguments; {NAME} stands for an argument of the call, which never"
            ' becomes two. One that may begin with - must stand after "--", or as in --room={room}',
        ),
    ] = ()
    parameters: Annotated[FreeTable, Meta(examples=[_SCHEMA], description=_PARAMETERS)] = {}
    enabled: Annotated[bool, Meta(description="Whether the model may call it")] = True
    stdin: Annotated[
        Literal["none", "json"], Meta(description="json: all arguments as a JSON object on standard input")
    ] = "none"
    user: Annotated[
        str, Meta(description="User to run it as, if the daemon may change it; empty: the daemon's own")
    ] = ""
    directory: Annotated[str, Meta(description="Absolute path of its working directory")] = "/"
    environment: Annotated[
        dict[str, str],
        Meta(description="Variables beside PATH, LANG and HOME; it sees none of the daemon's own"),
    ] = {}
    key_from: Annotated[str, Meta(pattern=CREDENTIAL_NAME, description=_KEY + "; empty: none")] = ""
    key_variable: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9_]+$", description="Variable in which the program finds it")
    ] = "CREDENTIAL"
    timeout_s: Annotated[
        float, Meta(ge=0.5, le=600, description="It is ended after this time, with all its children, in s")
    ] = 10.0
    max_kb: Annotated[
        int, Meta(ge=1, le=1024, description="It is ended when it prints more than this, in KiB")
    ] = 64
    speak: Annotated[Speak, Meta(description=_SPEAK)] = "always"
    parallel: Annotated[bool, Meta(description=_PARALLEL)] = False
    interruptible: Annotated[bool, Meta(description="Whether it is ended when the user goes on speaking")] = (
        False
    )


class McpServer(Struct, frozen=True):
    """A server of the Model Context Protocol, whose tools the model may call.

    It needs the package mcp: pip install 'voice-agent[mcp]'.
    """

    name: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9_-]{1,32}$",
            examples=["files"],
            description="Its tools are called NAME_TOOL, so that no two clash; up to 32 characters",
        ),
    ] = ""
    enabled: Annotated[bool, Meta(description="Whether it is used")] = True
    argv: Annotated[
        tuple[str, ...],
        Meta(
            examples=[["/usr/local/bin/files-mcp", "/srv"]],
            description="Program that speaks it on its standard input and output; or give a url",
        ),
    ] = ()
    directory: Annotated[str, Meta(description="Absolute path of the program's working directory")] = "/"
    environment: Annotated[
        dict[str, str],
        Meta(description="Variables of the program, which sees hardly any of the daemon's own"),
    ] = {}
    url: Annotated[str, Meta(description="Address of a streamable HTTP server; or give argv")] = ""
    headers: Annotated[dict[str, str], Meta(description="Headers that are no secrets")] = {}
    insecure: Annotated[
        bool, Meta(description="Allow http://, which anybody on the way can read and change, to public hosts")
    ] = False
    ca_file: Annotated[str, Meta(description=_CA_FILE)] = ""
    key_from: Annotated[str, Meta(pattern=CREDENTIAL_NAME, description=_KEY + "; empty: none")] = ""
    key_variable: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9_]+$", description="Variable in which the program finds it")
    ] = "CREDENTIAL"
    key_header: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9_-]+$", description="HTTP header that carries it to the url")
    ] = "Authorization"
    key_scheme: Annotated[
        str, Meta(pattern=CREDENTIAL_NAME, description="Word before it in that header; empty: it alone")
    ] = "Bearer"
    allow: Annotated[
        tuple[str, ...],
        Meta(
            examples=[["list_*", "read_file"]],
            description="Those of its tools that the model may call; * stands for anything; empty: all",
        ),
    ] = ()
    timeout_s: Annotated[float, Meta(ge=0.5, le=600, description="Longest wait for an answer, in s")] = 30.0
    start_timeout_s: Annotated[
        float, Meta(ge=1, le=600, description="Longest wait until it has said what it offers, in s")
    ] = 30.0
    speak: Annotated[Speak, Meta(description=_SPEAK)] = "always"
    interruptible: (
        Annotated[
            bool,
            Meta(
                examples=[True],
                description="Whether a call is given up when the user goes on speaking; not set: if the tool"
                " says of itself that it only reads",
            ),
        ]
        | None
    ) = None


ProviderTools = Annotated[
    tuple[FreeTable, ...],
    Meta(
        examples=[
            {
                "type": "mcp",
                "server_label": "docs",
                "server_url": "https://mcp.example.org/",
                "require_approval": "never",
                "key_from": "docs-mcp",
            }
        ],
        description="A tool that runs at the provider, who is told of it in these words: MCP servers, for"
        " instance. Only key_from is for the daemon: the credential of that name becomes `authorization`.",
    ),
]
