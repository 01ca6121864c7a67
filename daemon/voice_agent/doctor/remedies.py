"""What cures a lost or refused connection: the last column of the table in docs/sessions.md, cause by cause.

A test compares the two, so that the page and the doctor give the same advice.
"""

from voice_agent.errors import Cause, SessionError

NETWORK = "look at Wi-Fi, router, name server"
IN_THE_WAY = (
    "a portal wants a login; a certificate that is not yet valid means a wrong clock;"
    " else an intercepting proxy"
)
WEATHER = "nothing, unless it repeats"
ROUTINE = "nothing: routine"
BUSY = "raise the quota, or reconnect.spread_s"
KEY = "mend the key (it is read anew at each try), role or model"
REQUEST = "voice-agent check, the model's name"
PAY = "pay"
NONSENSE = "tell the provider, with the log"

REMEDIES: dict[Cause, str] = {
    Cause.DNS: NETWORK,
    Cause.UNREACHABLE: NETWORK,
    Cause.TIMEOUT: NETWORK,
    Cause.REFUSED: IN_THE_WAY,
    Cause.TLS: IN_THE_WAY,
    Cause.PORTAL: IN_THE_WAY,
    Cause.DROPPED: WEATHER,
    Cause.SILENT: WEATHER,
    Cause.STALLED: WEATHER,
    Cause.INTERNAL: WEATHER,
    Cause.SERVER_ERROR: WEATHER,
    Cause.CLOSED: ROUTINE,
    Cause.GOING_AWAY: ROUTINE,
    Cause.RESTARTING: ROUTINE,
    Cause.EXPIRED: ROUTINE,
    Cause.RATE_LIMITED: BUSY,
    Cause.TRY_LATER: BUSY,
    Cause.OVERLOADED: BUSY,
    Cause.UNAUTHORIZED: KEY,
    Cause.FORBIDDEN: KEY,
    Cause.KEY: KEY,
    Cause.BAD_KEY: KEY,
    Cause.POLICY: KEY,
    Cause.BAD_REQUEST: REQUEST,
    Cause.NOT_FOUND: REQUEST,
    Cause.BAD_INTENT: REQUEST,
    Cause.SETTINGS: REQUEST,
    Cause.QUOTA: PAY,
    Cause.STUCK: NONSENSE,
    Cause.HANDSHAKE: NONSENSE,
    Cause.PROTOCOL: NONSENSE,
}
START_LOCAL = "start it: voice-agent serve"


def remedy_for(error: SessionError, kind: str) -> str:
    """What to do about ``error`` of a provider of that kind."""
    if kind == "local" and error.cause is Cause.REFUSED:
        return START_LOCAL
    return REMEDIES.get(error.cause, NONSENSE)
