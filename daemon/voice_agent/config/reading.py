"""From a file to a ``Config``, or to everything that is wrong with the file; and back to a template."""

import tomllib
from pathlib import Path

from voice_agent.config.rules import clashes, leaks
from voice_agent.config.schema import Config
from voice_agent.config.tables import Problem, Table, read
from voice_agent.config.template import render
from voice_agent.credentials import THREE_WAYS
from voice_agent.errors import ConfigError, Unreadable

MAX_BYTES = 1024 * 1024
"""A log or a picture that lies here by mistake must not fill the memory of a daemon that reloads."""


class InvalidConfig(ConfigError):
    """A file with problems: all of them, one a line."""

    def __init__(self, path: str, problems: list[Problem]) -> None:
        super().__init__(path, "\n".join(["is not usable", *map(str, problems)]))
        self.problems = tuple(problems)


def load(path: Path) -> Config:
    """The configuration in a TOML file. Raises InvalidConfig with all problems, or Unreadable."""
    config, problems = parse(_text(path))
    if problems:
        raise InvalidConfig(str(path), problems)
    return config


def parse(text: str) -> tuple[Config, list[Problem]]:
    """What can be used of ``text``, and everything that is wrong with it."""
    try:
        return _judged(_tables(text))
    except tomllib.TOMLDecodeError as error:
        return Config(), [Problem("file", f"is not TOML: {error}", "mend that place; strings need quotes")]
    except RecursionError:
        return Config(), [Problem("file", "holds tables in tables without end", "make it flatter")]


def _tables(text: str) -> Table:
    try:
        return tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError is one; Python's own is about thousands of digits
        raise tomllib.TOMLDecodeError(str(error)) from error


def _judged(raw: Table) -> tuple[Config, list[Problem]]:
    secrets = list(leaks(raw))
    config, faults = read(raw, Config, skip=frozenset(leak.path for leak in secrets))
    reported = {problem.path for problem in (*secrets, *faults)}
    odd = [clash for clash in clashes(config, reported) if clash.path not in reported]
    return config, [*secrets, *faults, *odd]


def template() -> str:
    """A complete configuration file: every setting at its default, explained."""
    return render(
        Config(),
        preamble="Configuration of voice-agent. Every setting stands here with its default; delete what you"
        " do not change. Check your edits with `voice-agent check FILE`.\n\n"
        f"The key is not written here: {THREE_WAYS}.",
    )


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            found = file.read(MAX_BYTES + 1)
        if len(found) > MAX_BYTES:
            what = f"is larger than {MAX_BYTES // 1024} KiB"
            raise InvalidConfig(str(path), [Problem("file", what, "see what lies there")])
        return found.decode("utf-8-sig")
    except OSError as error:
        remedy = f"make one with: voice-agent config > {path}"
        raise Unreadable(str(path), f"cannot be read ({error.strerror}); {remedy}") from error
    except UnicodeDecodeError as error:
        problem = Problem("file", f"is not UTF-8 at byte {error.start}", "save it as UTF-8")
        raise InvalidConfig(str(path), [problem]) from error
