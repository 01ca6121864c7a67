"""Judges a configuration in full, as `voice-agent check` and a reload do."""

from collections.abc import Iterator
from pathlib import Path

from voice_agent.config import KEYLESS, Config, InvalidConfig, exposed, load
from voice_agent.credentials import THREE_WAYS, Key, find_key
from voice_agent.errors import ConfigError
from voice_agent.trust import outdated, trusting


def judged(file: Path) -> Config:
    """A configuration that was looked at in full: the schemas of tools take too long for every start."""
    from voice_agent.tools.doubts import schema_problems

    config = load(file)
    trusting(config.provider.ca_file)
    if problems := list(schema_problems(config.tools.http, config.tools.command)):
        raise InvalidConfig(str(file), problems)
    return config


def needed_key(config: Config) -> Key | None:
    """The key to the server, if there is one. Raises ConfigError if the server needs one."""
    key = find_key(config.provider.key_file)
    if key is None and config.provider.kind not in KEYLESS:
        raise ConfigError("provider", f'kind "{config.provider.kind}" needs a key; {THREE_WAYS}')
    return key


def careless(config: Config) -> Iterator[str]:
    """What is allowed, and should be known: who could listen in, and who will not be believed.

    Raises ConfigError for a file of certificates that is none.
    """
    yield from exposed(config)
    yield from outdated(config.provider.ca_file)
