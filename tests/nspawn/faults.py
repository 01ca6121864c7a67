"""Struck in the midst of an answer: each time it ends healed, or its status says what to do about it."""

from datetime import UTC, datetime, timedelta

from tests.fakes.wall_clock import WallClock
from tests.nspawn.conversation import DEVICES, Conversation
from tests.nspawn.service import (
    AGENT,
    CONFIG,
    change,
    journal,
    shown,
    start,
    until_another,
    until_status,
)
from voice_agent.lab.card import VirtualCard

HANGING = """
import os, time
from voice_agent import health
from voice_agent.audio import portaudio
call = portaudio.Gate.__call__
def hang(self, *block):
    if os.path.exists("/run/hang"):
        time.sleep(3600)
    return call(self, *block)
portaudio.Gate.__call__ = hang
health.PORTAUDIO_LIMIT_S = 5.0
"""


def speaking(talk: Conversation) -> str:
    """The daemon's process, which has begun to answer."""
    talk.serve()
    process = start(talk.node)
    until_status(talk.node, "in session")
    talk.begins()
    return process


# ------------------------------------------------------------------------------------------- the process


def test_killed(talk: Conversation) -> None:
    process = speaking(talk)
    talk.node.run("systemctl", "kill", "--signal=KILL", "voice-agent")
    until_another(talk.node, process, 20)
    talk.works()
    assert shown(talk.node, "NRestarts") == "1"
    assert shown(talk.node, "WatchdogUSec") == "30s"  # which the next scene does not wait for


def test_stopped_like_a_program_that_swaps_itself_to_death(talk: Conversation) -> None:
    change(talk.node, "WatchdogSec=3")
    process = speaking(talk)
    talk.node.run("systemctl", "kill", "--kill-whom=main", "--signal=STOP", "voice-agent")
    until_another(talk.node, process, 30)
    talk.works()
    assert "Failed with result 'watchdog'" in journal(talk.node)


def test_journald_dies(talk: Conversation) -> None:
    process = speaking(talk)
    talk.node.run("systemctl", "kill", "--signal=KILL", "systemd-journald")
    talk.works()
    talk.node.run("systemctl", "restart", "systemd-journald")
    said = journal(talk.node).count("agent said")
    talk.works()
    talk.node.until(lambda: journal(talk.node).count("agent said") > said, "a line in the new journal")
    assert shown(talk.node, "MainPID") == process


# ---------------------------------------------------------------------------------------------- the sound


def test_a_callback_hangs(talk: Conversation) -> None:
    talk.node.write("/opt/plug/sitecustomize.py", HANGING)
    change(talk.node, "Environment=PYTHONPATH=/opt/plug")
    process = speaking(talk)
    talk.node.write("/run/hang", "")
    until_status(talk.node, "no loudspeaker")
    talk.node.run("rm", "/run/hang")
    until_another(talk.node, process, 40)
    talk.works()
    assert "portaudio: no sign of life" in journal(talk.node)


def test_the_card_is_pulled_out(talk: Conversation, card: VirtualCard) -> None:
    process = speaking(talk)
    card.fault("spk-gone", "mic-gone")
    until_status(talk.node, "no loudspeaker", "no microphone")
    card.heal()
    talk.works()
    assert shown(talk.node, "MainPID") == process


def test_the_cards_clock_stands_still(talk: Conversation, card: VirtualCard) -> None:
    process = speaking(talk)
    card.fault("spk-stall", "mic-stall")
    until_status(talk.node, "no loudspeaker", "no microphone")
    card.heal()
    talk.works()
    assert shown(talk.node, "MainPID") == process


# ------------------------------------------------------------------------------------------- the machine


def test_the_disk_is_full(talk: Conversation) -> None:
    talk.node.run("mount", "-t", "tmpfs", "-o", "size=32k", "state", "/var/lib/voice-agent")
    try:
        process = speaking(talk)
        talk.node.ask("dd", "if=/dev/zero", "of=/var/lib/voice-agent/filler", "bs=1k")
        for level in ("30", "100"):
            talk.node.run(AGENT, "volume", level)
        talk.works()
        assert shown(talk.node, "MainPID") == process
        assert journal(talk.node).count("No space left on device") == 1
    finally:
        talk.node.run("systemctl", "stop", "voice-agent")
        talk.node.run("umount", "/var/lib/voice-agent")


def test_the_root_is_read_only(talk: Conversation) -> None:
    talk.node.run("journalctl", "--relinquish-var")
    talk.node.run("mount", "-o", "remount,bind,ro", "/")
    try:
        process = speaking(talk)
        talk.node.run(AGENT, "volume", "90")
        talk.node.run(AGENT, "volume", "100")
        talk.works()
        assert shown(talk.node, "MainPID") == process
        assert journal(talk.node).count("Read-only file system") == 1
    finally:
        talk.node.run("mount", "-o", "remount,bind,rw", "/")
        talk.node.run("journalctl", "--flush")


def test_the_clock_jumps(talk: Conversation, card: VirtualCard) -> None:
    clock = WallClock(card.directory)
    ours, theirs = str(card.directory), DEVICES
    change(talk.node, *(f"Environment={n}={v.replace(ours, theirs)}" for n, v in clock.environment().items()))
    process = speaking(talk)
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


# ----------------------------------------------------------------------------------------------- the key


def test_the_key_is_revoked(talk: Conversation) -> None:
    process = speaking(talk)
    talk.strike(after="upgrade", do="refuse", code=401, times=3)
    talk.strike(after="now", do="close", code=1011)
    until_status(talk.node, "no session", "401")
    assert shown(talk.node, "MainPID") == process
    talk.calm()
    talk.node.run("systemctl", "restart", "voice-agent")  # as who has mended the key does
    talk.works()
