"""Everything that this package raises on purpose.

    VoiceAgentError
    |- ConfigError(path, reason)        a restart cannot cure it: exit 78
    |  `- Unreadable                    the file itself is not there or not ours to read: exit 66
    |- AudioError
    |  |- DeviceUnavailable             reopen with back-off; the daemon lives on and says so
    |  |- StreamFailed
    |  `- LabUnavailable                the virtual sound card cannot be built or used here
    |- SessionError
    |  |- Unauthorized                  slow retry, said loudly; never a tight loop
    |  |- ConnectFailed, ConnectionLost weather: back off, reconnect, for ever
    |  `- RemoteProtocolError           the server broke the protocol: count it, reconnect
    `- ToolError                        never leaves ``tools``: becomes the tool's output

Anything else that escapes is a bug: it propagates and ends the process.
"""

from enum import StrEnum


class Cause(StrEnum):
    """Why there is no session: the words of metrics and of the reconnect policy. Few, stable, no secrets."""

    # The provider was never reached.
    DNS = "dns"
    UNREACHABLE = "unreachable"
    REFUSED = "connection_refused"
    TIMEOUT = "connect_timeout"
    TLS = "tls"
    PORTAL = "captive_portal"
    # It answered the upgrade, but not with a session.
    BAD_REQUEST = "http_400"
    UNAUTHORIZED = "http_401"
    FORBIDDEN = "http_403"
    NOT_FOUND = "http_404"
    RATE_LIMITED = "http_429"
    SERVER_ERROR = "http_5xx"
    REJECTED = "http_other"
    # It closed the connection, with this code.
    CLOSED = "close_1000"
    GOING_AWAY = "close_1001"
    POLICY = "close_1008"
    TOO_BIG = "close_1009"
    INTERNAL = "close_1011"
    RESTARTING = "close_1012"
    TRY_LATER = "close_1013"
    BAD_KEY = "close_3000"
    BAD_INTENT = "close_4000"
    CLOSED_OTHERWISE = "close_other"
    # The connection broke: no closing frame (1006), by a reset, an end or a failed write.
    DROPPED = "dropped"
    # The server said why in an ``error`` event.
    EXPIRED = "session_expired"
    QUOTA = "quota"
    KEY = "key"
    SETTINGS = "settings"
    OVERLOADED = "overloaded"
    # We found out by ourselves.
    SILENT = "silent"
    STALLED = "stalled"
    STUCK = "stuck"
    HANDSHAKE = "handshake"
    PROTOCOL = "protocol"
    # We wanted it.
    RENEWED = "renewed"
    PARKED = "parked"
    ALLOWANCE = "allowance"
    UNKNOWN = "unknown"


class VoiceAgentError(Exception):
    """Base of all errors raised on purpose."""


class ConfigError(VoiceAgentError):
    """The configuration is wrong; only an edit can cure it."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class Unreadable(ConfigError):
    """A file that was named cannot be read at all."""


class AudioError(VoiceAgentError):
    """Something about sound devices failed."""


class DeviceUnavailable(AudioError):
    """No such device, or it cannot be opened now."""


class StreamFailed(AudioError):
    """An open stream died or fell silent."""


class LabUnavailable(AudioError):
    """The sound lab cannot be built or used here; the text says what is missing."""


class SessionError(VoiceAgentError):
    """A connection to the speech model could not be made or kept.

    ``cause``: the reason in one stable word. ``retry_after_s``: the pause that the server asked for.
    """

    def __init__(
        self, text: str = "", *, cause: Cause = Cause.UNKNOWN, retry_after_s: float | None = None
    ) -> None:
        super().__init__(text)
        self.cause = cause
        self.retry_after_s = retry_after_s


class Unauthorized(SessionError):
    """The server refuses our credentials, model or quota; retrying fast is useless."""


class ConnectFailed(SessionError):
    """The connection could not be made."""


class ConnectionLost(SessionError):
    """An established connection ended."""


class RemoteProtocolError(SessionError):
    """The server broke the protocol in a way that makes the connection useless."""


class ToolError(VoiceAgentError):
    """A tool could not do its work; the text is meant for the model's ears."""


class ToolTimeout(ToolError):
    """It has waited as long as it may; counted as ``timeout``."""
