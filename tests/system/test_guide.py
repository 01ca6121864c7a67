"""What the guide to tools says is done: its files are written, its commands run, their output compared.

A fenced block that names a file is that file (``toml config.toml``); a block ``console`` holds commands after
``$`` and what they print, in which ``...`` stands for anything. Each section is tried in its own directory,
with a free port in the place of 8123, and ended with all that it has begun.
"""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "tools.md"
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LONGEST_S = 50

pytestmark = [pytest.mark.system, pytest.mark.slow]


class Block(NamedTuple):
    """A fenced block. ``file``: what it is called, if it is a file."""

    language: str
    file: str
    text: str


class Section(NamedTuple):
    """A second-level section that holds something to try."""

    title: str
    blocks: tuple[Block, ...]


def sections(text: str) -> Iterator[Section]:
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title, _, body = part.partition("\n")
        blocks = tuple(Block(*found) for found in BLOCK.findall(body))
        if any(block.language == "console" for block in blocks):
            yield Section(title, blocks)


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Each command with what it is to print."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def environment(directory: Path) -> dict[str, str]:
    """A fresh pip needs no network here: what it builds with is installed."""
    home = {"HOME": str(directory), "XDG_RUNTIME_DIR": str(directory), "PYTHONPATH": str(directory / "site")}
    pip = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_TARGET": str(directory / "site")}
    pip |= {"PIP_QUIET": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    pip |= {"PIP_NO_DEPENDENCIES": "1"}
    return os.environ | home | pip | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


class Terminal:
    """Runs commands, one after another; what they leave running is ended with it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._groups: list[int] = []

    def run(self, command: str) -> str:
        """What it prints, errors included. What it leaves running keeps no output open."""
        process = subprocess.Popen(
            ["/bin/bash", "-c", command],
            cwd=self._directory,
            env=environment(self._directory),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._groups.append(process.pid)
        return process.communicate(timeout=LONGEST_S)[0]

    def close(self) -> None:
        for group in self._groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)


def pattern(output: str) -> str:
    return re.escape(output.rstrip("\n")).replace(re.escape("..."), ".*")


def tried(section: Section, directory: Path) -> None:
    with closing(Terminal(directory)) as terminal, socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
        free.close()
        for block in section.blocks:
            text = block.text.replace("8123", port)
            if block.file:
                path = directory / block.file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            elif block.language == "console":
                obeyed(text, terminal)


def obeyed(text: str, terminal: Terminal) -> None:
    for command, wanted in commands(text):
        printed = terminal.run(command).rstrip("\n")
        assert re.fullmatch(pattern(wanted), printed, re.DOTALL), f"$ {command}\n{printed}"


@pytest.mark.parametrize("section", list(sections(GUIDE.read_text())), ids=lambda section: section.title)
def test_what_the_guide_says_works(section: Section, tmp_path: Path) -> None:
    tried(section, tmp_path)


def test_the_guide_shows_every_way_to_add_a_tool() -> None:
    titles = " ".join(section.title for section in sections(GUIDE.read_text()))
    assert all(word in titles for word in ("configuration", "MCP", "Python"))


def test_a_guide_that_is_wrong_is_found_out(tmp_path: Path) -> None:
    text = "## One\n```text hello.txt\nhello\n```\n```console\n$ cat hello.txt\ngood... morning\n```\n"
    with pytest.raises(AssertionError, match="cat hello"):
        tried(next(sections(text)), tmp_path)
