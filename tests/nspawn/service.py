"""The service on a node, and what scenes do to it: struck by drop-ins, asked by systemctl."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.nspawn.node import Node

CONFIG = "/etc/voice-agent/config.toml"
KEY = "/etc/credstore/voice-agent.api-key"
ENCRYPTED = "/etc/credstore.encrypted/voice-agent.api-key"
DROP_INS = "/etc/systemd/system/voice-agent.service.d"
SEEN = "/run/seen"
"""Where the journal stood when the scene began."""
AGENT = "/usr/bin/voice-agent"
PYTHON = "/usr/bin/python3"
LOCAL = '[provider]\nkind = "custom"\ndialect = "ga"\nurl = "ws://127.0.0.1:8765/v1/realtime"\n'
"""Needs no key."""
CLOUD = '[provider]\nkind = "openai"\n'


@contextmanager
def configured(node: Node, config: str = LOCAL) -> Iterator[Node]:
    """With this configuration; afterwards stopped, without drop-ins or a key."""
    node.write(CONFIG, config)
    node.run("sh", "-c", f"journalctl --lines=0 --show-cursor --quiet | sed 's/^-- cursor: //' > {SEEN}")
    try:
        yield node
    finally:
        node.ask("systemctl", "stop", "voice-agent", "model")
        node.run("rm", "-rf", DROP_INS, KEY, ENCRYPTED)
        node.run("systemctl", "daemon-reload")
        node.ask("systemctl", "reset-failed", "voice-agent", "model")


def shown(node: Node, what: str) -> str:
    """A property of the unit."""
    return node.run("systemctl", "show", "--property", what, "--value", "voice-agent")


def status(node: Node) -> str:
    """What ``systemctl status`` shows as ``Status:``."""
    return shown(node, "StatusText")


def until_status(node: Node, *words: str, limit_s: float = 20.0) -> None:
    """Wait until the status says all of these."""
    said = status(node)

    def says() -> bool:
        nonlocal said
        said = status(node)
        return all(word in said for word in words)

    try:
        node.until(says, "a status", limit_s)
    except AssertionError as error:
        raise AssertionError(
            f"not in {limit_s:g} s: {words}, but {said!r}\n{journal(node)[-3000:]}"
        ) from error


def journal(node: Node) -> str:
    """Of this scene, and of every process in it."""
    options = f'--unit=voice-agent --output=cat --no-pager --after-cursor="$(cat {SEEN})"'
    return node.run("sh", "-c", f"journalctl {options}")


def change(node: Node, *lines: str) -> None:
    """The unit, by a drop-in."""
    node.write(f"{DROP_INS}/scene.conf", "\n".join(["[Service]", *lines, ""]))
    node.run("systemctl", "daemon-reload")


def start(node: Node) -> str:
    """The number of its main process."""
    node.run("systemctl", "start", "voice-agent")
    return shown(node, "MainPID")


def until_listening(node: Node) -> None:
    """Wait until the control socket answers."""
    node.until(lambda: node.ask(AGENT, "tools").returncode == 0, "an answer at the control socket")


def until_another(node: Node, before: str, limit_s: float) -> str:
    """Wait for another main process than this; its number."""

    def lives() -> bool:
        return shown(node, "ActiveState") == "active" and shown(node, "MainPID") not in {"0", before}

    node.until(lives, "another daemon", limit_s)
    return shown(node, "MainPID")


def serve(node: Node, script: str) -> None:
    """A model server that follows this script."""
    node.write("/run/script.json", script)
    command = (AGENT, "serve", "--script", "/run/script.json", "--port", "8765")
    node.run("systemd-run", "--quiet", "--collect", "--unit=model", *command)
