"""The key of the speech model: where it may come from, and how it is kept out of sight.

It is looked for, in this order, in a systemd credential, in the file that ``provider.key_file`` names and in
the environment; never in the configuration, which is copied, shown and committed.
"""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn

from voice_agent.errors import ConfigError

CREDENTIAL = "voice-agent.api-key"
VARIABLE = "VOICE_AGENT_API_KEY"
THREE_WAYS = (
    f"give it as the systemd credential {CREDENTIAL}, as a file named by provider.key_file, "
    f"or in the environment variable {VARIABLE}"
)
METRICS_PASSWORD = "voice-agent.metrics-password"  # noqa: S105  the name of one
METRICS_KEY = "voice-agent.metrics-key"
VARIABLE_PREFIX = "VOICE_AGENT_CREDENTIAL_"
NAMED_WAYS = (
    "name it with key_from, and give it as the systemd credential of that name, or in the environment "
    f"variable {VARIABLE_PREFIX}NAME, in capitals"
)
MAX_KEY_BYTES = 16_384
"""An IAM or Entra token has 1 to 4 KiB; what is longer is not a key."""


class Secret:
    """A value that only ``reveal`` shows: not ``str``, ``repr``, a traceback or a log line."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one place that sends it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not to be stored")


class Key(NamedTuple):
    """A key or password, where it came from, and what is careless about that (empty if nothing is)."""

    secret: Secret
    source: str
    warning: str = ""


def find_key(key_file: str, environ: Mapping[str, str] = os.environ) -> Key | None:
    """The first key there is. Raises ConfigError for a place that was named but holds no usable key."""
    credential = credential_path(CREDENTIAL, environ)
    if credential.exists():
        return _from_file(credential, f"credential {CREDENTIAL}")
    if key_file:
        return _from_file(Path(key_file), "provider.key_file")
    if VARIABLE in environ:
        return Key(_checked(environ[VARIABLE], VARIABLE), VARIABLE)
    return None


def find_password(password_file: str, environ: Mapping[str, str] = os.environ) -> Key:
    """The password of who may see the metrics. Raises ConfigError if there is none."""
    setting = "metrics.password_file"
    if password_file and not credential_path(METRICS_PASSWORD, environ).exists():
        return _from_file(Path(password_file), setting, "write the bare password into that file")
    try:
        return Key(find_named(METRICS_PASSWORD, environ), f"credential {METRICS_PASSWORD}")
    except ConfigError as error:
        raise ConfigError(setting, f"metrics.user is set: its password is needed; {error}") from error


def credential_path(name: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Where systemd puts the credential of this name, if it was given one."""
    return Path(environ.get("CREDENTIALS_DIRECTORY", "/nonexistent"), name)


def variable_of(name: str) -> str:
    """The environment variable that may hold the credential of this name."""
    return VARIABLE_PREFIX + re.sub(r"[^A-Z0-9]", "_", name.upper())


def find_named(name: str, environ: Mapping[str, str] = os.environ) -> Secret:
    """The credential of this name as it is now: tokens are renewed. Raises ConfigError if there is none."""
    variable = variable_of(name)
    ways = f"give it as a systemd credential, or in {variable}"
    path = credential_path(name, environ)
    if path.exists():
        return _from_file(path, f"credential {name}", ways).secret
    if variable in environ:
        return _checked(environ[variable], variable, ways)
    raise ConfigError(f"credential {name}", f"there is none; {ways}")


def _from_file(path: Path, source: str, ways: str = THREE_WAYS) -> Key:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(MAX_KEY_BYTES + 1).decode("ascii")
    except OSError as error:
        raise ConfigError(source, f"cannot read {path} ({error.strerror}); {ways}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(source, f"{path} does not hold a key; write the bare key into it") from error
    warning = f"everybody on this machine can read {path}; chmod o-r it" if mode & stat.S_IROTH else ""
    return Key(_checked(text, source, ways), source, warning)


def _checked(text: str, source: str, ways: str = THREE_WAYS) -> Secret:
    """The bare key: it will become an HTTP header, so it is printable ASCII without spaces."""
    key = text.strip()
    if not key:
        raise ConfigError(source, f"the key is empty; {ways}")
    if len(key) > MAX_KEY_BYTES or not re.fullmatch(r"[\x21-\x7e]+", key):
        raise ConfigError(source, "this is not a key; write the bare key: one line, no scheme, no name")
    return Secret(key)


# ------------------------------------------------------------------ secrets where they must not be

_SECRET_NAME = re.compile(
    r"(?:^|[_.-])(?:api[_-]?key|key|token|secret|password|passwd|authorization|credentials?)$",
    re.IGNORECASE,
)
# How the keys of the providers look: Yandex API key, IAM and OAuth tokens; OpenAI; Google; JWT (Entra);
# Azure (32 hexadecimal or 84 mixed digits); a header value pasted whole; a program's option.
_SECRET_VALUE = re.compile(
    r"""\bAQVN[\w-]{16,}
      | \bt1\.[\w=-]{16,}
      | \by[0-3]_[\w-]{16,}
      | \bsk-(?=\S*\d)[\w-]{12,}
      | \bAIza[\w-]{20,}
      | \beyJ[\w-]{10,}\.[\w-]{10,}
      | ^[0-9a-fA-F]{32}$
      | ^[A-Za-z0-9]{80,}$
      | \b(?i:Bearer|Basic|Api-Key)\s+(?=\S*\d)[\w.~+/=-]{12,}
      | ^--?(?i:(?:[\w-]*[_-])?(?:api[_-]?key|token|secret|password|passwd))=(?![{/])\S""",
    re.VERBOSE,
)


def names_a_secret(name: str) -> bool:
    """Whether a setting or query parameter of this name would hold a secret."""
    return _SECRET_NAME.search(name) is not None


def looks_secret(value: str) -> bool:
    """Whether a text looks like a key or token, or contains one."""
    return _SECRET_VALUE.search(value) is not None
