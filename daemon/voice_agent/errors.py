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
    """A connection to the speech model could not be made or kept."""


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
