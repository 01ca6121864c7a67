"""What child, transports and keeper agree on."""

from voice_agent.errors import VoiceAgentError

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""One line of JSON, or the body of one reply. A picture may have this much; an answer has a thousandth."""


class Lost(VoiceAgentError):
    """The connection to a server could not be made, or has ended; the text tells an operator why."""
