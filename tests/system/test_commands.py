"""Commands that need a process of their own: sound devices and sockets belong to the whole process."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from voice_agent import cli
from voice_agent.lab.card import VirtualCard

pytestmark = [pytest.mark.system]


def voice_agent(
    *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "voice_agent", *arguments],
        env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1]), **(environment or {})},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.audio
def test_devices_are_listed_with_their_channels_and_the_default_is_marked(tmp_path: Path) -> None:
    with VirtualCard(tmp_path / "card") as card:
        done = voice_agent("devices", environment=card.environment())
    assert (done.returncode, done.stderr) == (os.EX_OK, "")
    microphones, _, loudspeakers = done.stdout.partition("Loudspeakers, for audio.output.device:")
    for listed in (microphones, loudspeakers):
        (default,) = [line for line in listed.splitlines() if line.startswith("  * ")]
        assert default.split()[1] == "default"
        assert " ch " in default
        assert " Hz " in default


def test_without_any_device_the_list_says_what_to_do_and_ends_with_69(tmp_path: Path) -> None:
    config = tmp_path / "asound.conf"
    config.write_text("pcm.!default { type hw card 31 }\nctl.!default { type hw card 31 }\n")
    done = voice_agent("devices", environment={"ALSA_CONFIG_PATH": str(config)})
    assert (done.returncode, done.stderr) == (os.EX_UNAVAILABLE, "")
    assert done.stdout.count("Is it plugged in?") == 2


def test_an_alsa_configuration_without_a_default_is_said_so_and_ends_with_69(tmp_path: Path) -> None:
    config = tmp_path / "asound.conf"
    config.write_text("")
    done = voice_agent("devices", environment={"ALSA_CONFIG_PATH": str(config)})
    assert done.returncode == os.EX_UNAVAILABLE
    assert done.stderr.startswith("voice-agent: ")
    assert "pcm.!default" in done.stderr


def test_serving_where_somebody_listens_already_ends_with_69_and_one_line(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text("{}")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = voice_agent("serve", "--port", port, "--script", str(script))
    assert done.returncode == os.EX_UNAVAILABLE
    assert len(done.stderr.splitlines()) == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
