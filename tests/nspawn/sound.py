"""Conversations of the service as it is installed, by every way in which sound comes to a headless device."""

from tests.nspawn.conversation import Conversation
from tests.nspawn.service import CLOUD, CONFIG, shown, start, status, until_status


def test_it_converses_through_alsa_once_it_is_enabled(talk: Conversation) -> None:
    talk.serve()
    talk.node.run("systemctl", "enable", "--now", "--quiet", "voice-agent")
    talk.works()
    talk.works()
    assert shown(talk.node, "UnitFileState") == "enabled"


def test_it_is_reloaded_in_the_midst_of_an_answer(talk: Conversation) -> None:
    node, was = talk.node, talk.node.run("cat", CONFIG)
    talk.serve()
    process = start(node)
    until_status(node, "in session")
    since = talk.begins()
    node.write(CONFIG, was + '\n[session]\ninstructions = "Be brief."\n')
    node.run("systemctl", "reload", "voice-agent")
    talk.ends(since)
    talk.works()
    for bad in (was + "nonsense = 1\n", CLOUD):  # the latter wants for a key
        node.write(CONFIG, bad)
        assert node.ask("systemctl", "reload", "voice-agent").returncode != 0
        until_status(node, "in session", "configuration not taken")
    talk.works()
    node.write(CONFIG, was)
    node.run("systemctl", "reload", "voice-agent")
    node.until(lambda: "not taken" not in status(node), "a status without complaint")
    assert shown(node, "MainPID") == process


def test_the_card_is_for_the_group_audio(talk: Conversation) -> None:
    """Or else the scene before this one would not show who may open a card."""
    talk.serve()
    talk.node.run("gpasswd", "--delete", "voice-agent", "audio")
    try:
        start(talk.node)
        until_status(talk.node, "no microphone", "no loudspeaker")
    finally:
        talk.node.run("gpasswd", "--add", "voice-agent", "audio")
