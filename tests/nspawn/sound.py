"""Conversations of the service as it is installed, by every way in which sound comes to a headless device."""

from tests.nspawn.conversation import Conversation
from tests.nspawn.service import shown, until_status


def test_it_converses_through_alsa_once_it_is_enabled(talk: Conversation) -> None:
    talk.serve()
    talk.node.run("systemctl", "enable", "--now", "--quiet", "voice-agent")
    talk.works()
    talk.works()
    assert shown(talk.node, "UnitFileState") == "enabled"


def test_the_card_is_for_the_group_audio(talk: Conversation) -> None:
    """Or else the scene before this one would not show who may open a card."""
    talk.serve()
    talk.node.write("/etc/systemd/system/voice-agent.service.d/scene.conf", "[Service]\n")
    talk.node.run("gpasswd", "--delete", "voice-agent", "audio")
    try:
        talk.node.run("systemctl", "start", "voice-agent")
        until_status(talk.node, "no microphone", "no loudspeaker")
    finally:
        talk.node.run("gpasswd", "--add", "voice-agent", "audio")
