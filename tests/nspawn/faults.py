"""The service and its sound are struck in the midst of an answer: each time it converses again."""

from tests.nspawn.conversation import Conversation
from tests.nspawn.service import (
    change,
    journal,
    shown,
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


# ------------------------------------------------------------------------------------------- the process


def test_killed(talk: Conversation) -> None:
    process = talk.speaking()
    talk.node.run("systemctl", "kill", "--signal=KILL", "voice-agent")
    until_another(talk.node, process, 20)
    talk.works()
    assert shown(talk.node, "NRestarts") == "1"
    assert shown(talk.node, "WatchdogUSec") == "45s"  # which the next scene does not wait for


def test_stopped_like_a_program_that_swaps_itself_to_death(talk: Conversation) -> None:
    change(talk.node, "WatchdogSec=3")
    process = talk.speaking()
    talk.node.run("systemctl", "kill", "--kill-whom=main", "--signal=STOP", "voice-agent")
    until_another(talk.node, process, 30)
    talk.works()
    assert "Failed with result 'watchdog'" in journal(talk.node)


def test_journald_dies(talk: Conversation) -> None:
    process = talk.speaking()
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
    process = talk.speaking()
    talk.node.write("/run/hang", "")
    until_status(talk.node, "no loudspeaker")
    talk.node.run("rm", "/run/hang")
    until_another(talk.node, process, 40)
    talk.works()
    assert "portaudio: no sign of life" in journal(talk.node)


def test_the_card_is_pulled_out(talk: Conversation, card: VirtualCard) -> None:
    process = talk.speaking()
    card.fault("spk-gone", "mic-gone")
    until_status(talk.node, "no loudspeaker", "no microphone")
    card.heal()
    talk.works()
    assert shown(talk.node, "MainPID") == process


def test_the_cards_clock_stands_still(talk: Conversation, card: VirtualCard) -> None:
    process = talk.speaking()
    card.fault("spk-stall", "mic-stall")
    until_status(talk.node, "no loudspeaker", "no microphone")
    card.heal()
    talk.works()
    assert shown(talk.node, "MainPID") == process
