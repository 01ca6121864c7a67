"""How an embedded server is asked to behave."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from voice_agent.embedded.script import Script
from voice_agent.errors import ConfigError, Unreadable

SPEECH = ("en", "light", "ru")


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Everything the command line or a test can choose.

    ``speech``: which models to load, ``en`` (Moonshine and Hibari) or ``light`` (PocketSphinx grammar and
    espeak-ng) or ``ru`` (RHVoice or espeak-ng, and a ``sheet`` of what will be said instead of ears); ignored
    with a ``script``, which loads none. ``dialect``: ``openai`` or ``yandex``, for
    clients that do not choose with ``?dialect=``. ``pace``: audio seconds sent per second, ``None`` for as
    fast as the socket takes them. ``api_key``: when set, other credentials get 401.
    """

    host: str = "127.0.0.1"
    port: int = 0
    dialect: str = "openai"
    speech: str = "en"
    sheet: tuple[str, ...] = ()
    script: Script | None = None
    strict: bool = True
    pace: float | None = None
    api_key: str | None = None


def load_script(path: Path) -> Script:
    """The script in a JSON file; ``ConfigError`` says what is wrong with it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Script)
    except OSError as error:
        raise Unreadable(str(path), f"cannot be read ({error.strerror})") from error
    except msgspec.DecodeError as error:
        raise ConfigError(str(path), str(error)) from error
