"""The machine around the service fails it in the midst of an answer: disk, clock, network, key.

Each time it converses on, or its status says what to do about it.
"""

from datetime import UTC, datetime, timedelta

import pytest

from tests.fakes.wall_clock import WallClock
from tests.nspawn.conversation import DEVICES, Conversation
from tests.nspawn.service import AGENT, CONFIG, change, journal, shown, until_status
from voice_agent.lab.card import VirtualCard

STATE = "/var/lib/voice-agent"


@pytest.fixture
def used(talk: Conversation) -> Conversation:
    """The service has run before."""
    talk.node.run("install", "-d", "-m", "700", "-o", "voice-agent", "-g", "voice-agent", STATE)
    return talk


def test_the_disk_is_full(used: Conversation) -> None:
    used.node.run("mount", "-t", "tmpfs", "-o", "size=32k", "state", STATE)
    try:
        process = used.speaking()
        used.node.ask("dd", "if=/dev/zero", f"of={STATE}/filler", "bs=1k")
        for level in ("30", "100"):
            used.node.run(AGENT, "volume", level)
        used.works()
        assert shown(used.node, "MainPID") == process
        assert journal(used.node).count("No space left on device") == 1
    finally:
        used.node.run("systemctl", "stop", "voice-agent")
        used.node.run("umount", STATE)


def test_the_root_is_read_only(used: Conversation) -> None:
    used.node.run("journalctl", "--relinquish-var")
    used.node.run("mount", "-o", "remount,bind,ro", "/")
    try:
        process = used.speaking()
        used.node.run(AGENT, "volume", "90")
        used.node.run(AGENT, "volume", "100")
        used.works()
        assert shown(used.node, "MainPID") == process
        assert journal(used.node).count("Read-only file system") == 1
    finally:
        used.node.run("mount", "-o", "remount,bind,rw", "/")
        used.node.run("journalctl", "--flush")


def test_the_clock_jumps(talk: Conversation, card: VirtualCard) -> None:
    clock = WallClock(card.directory)
    ours, theirs = str(card.directory), DEVICES
    change(talk.node, *(f"Environment={n}={v.replace(ours, theirs)}" for n, v in clock.environment().items()))
    process = talk.speaking()
    now, hours = datetime.now(UTC), timedelta(hours=1)
    for time in (now + 2 * hours, now - 2 * hours, datetime(1970, 1, 2, tzinfo=UTC), now):
        clock.set(time)
        talk.works()
        if time is not now:
            talk.begins()
    assert shown(talk.node, "MainPID") == process
    assert "no session" not in journal(talk.node)


def test_it_is_rebooted_without_a_network_and_gets_one_later(talk: Conversation) -> None:
    node = talk.node
    config = node.run("cat", CONFIG).replace("127.0.0.1", "10.20.30.40")
    node.write(CONFIG, config.replace("[provider]", "[provider]\ninsecure = true"))
    node.run("systemctl", "enable", "--now", "--quiet", "voice-agent")
    node.run(AGENT, "mute")
    node.reboot()
    until_status(node, "no session", "microphone muted")
    talk.serve()
    node.network("link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
    node.network("address", "add", "10.20.30.40/24", "dev", "eth0")
    node.network("link", "set", "eth0", "up")
    until_status(node, "in session", "microphone muted", limit_s=40)
    node.run(AGENT, "unmute")
    talk.works()


def test_the_key_is_revoked(talk: Conversation) -> None:
    process = talk.speaking()
    talk.strike(after="upgrade", do="refuse", code=401, times=3)
    talk.strike(after="now", do="close", code=1011)
    until_status(talk.node, "no session", "401")
    assert shown(talk.node, "MainPID") == process
    talk.calm()
    talk.node.run("systemctl", "restart", "voice-agent")  # as who has mended the key does
    talk.works()
