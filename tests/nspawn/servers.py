"""Conversations through a sound server of the whole system: nobody has logged in, there is no session.
The unit is as strict as it is; its drop-in is what deploy/README.md says of these servers. Their devices are
made of nothing at the conversation's rate, so what arrives is what was said, but for gaps on a busy machine.
"""

from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.nspawn.conversation import ALSA, DEVICES, Conversation, Room
from tests.nspawn.node import Node
from tests.nspawn.service import LOCAL, change, configured, shown, start, status, until_status

PULSE_PLACE, PIPEWIRE_PLACE = "/run/pulse/native", "/run/pipewire"
FORMAT = "format=s16le rate=24000 channels=1"
PULSE = f"""
load-module module-native-protocol-unix auth-group=pulse-access socket={PULSE_PLACE}
load-module module-null-sink sink_name=speaker norewinds=1 {FORMAT}
load-module module-null-sink sink_name=air norewinds=1 {FORMAT}
load-module module-remap-source source_name=mic master=air.monitor {FORMAT}
set-default-sink speaker
set-default-source mic
"""
LEAST = 0.5
RATES = "default-sample-rate = 24000\nalternate-sample-rate = 24000\nflat-volumes = no\n"
PIPEWIRE = """
context.properties = { default.clock.rate = 24000  default.clock.allowed-rates = [ 24000 ] }
context.objects = [
  { factory = adapter args = {
      factory.name = support.null-audio-sink  node.name = speaker  media.class = Audio/Sink
      audio.position = [ MONO ]  audio.rate = 24000  object.linger = true } }
  { factory = adapter args = {
      factory.name = support.null-audio-sink  node.name = mic  media.class = Audio/Source/Virtual
      audio.position = [ MONO ]  audio.rate = 24000  object.linger = true } }
]
"""
TO_PIPEWIRE = """pcm.!default { type asym
  playback.pcm { type pipewire playback_node "speaker" }
  capture.pcm { type pipewire capture_node "mic" } }
"""


class Server(Protocol):
    """A sound server of a node."""

    def start(self) -> None:
        """Run it, as a unit that comes back."""

    def listen(self, file: str) -> None:
        """Write all that the loudspeaker plays."""

    def say(self, file: str) -> None:
        """Let the microphone hear this."""


def run(node: Node, unit: str, *command: str, **properties: str) -> None:
    options = [f"--property={name}={value}" for name, value in properties.items()]
    node.run("systemd-run", "--quiet", "--collect", f"--unit={unit}", *options, *command)


class PulseAudio:
    environment = f"PULSE_SERVER=unix:{PULSE_PLACE}"

    def __init__(self, node: Node) -> None:
        self._node = node

    def start(self) -> None:
        self._node.write("/etc/pulse/system.pa", PULSE)
        self._node.write("/etc/pulse/daemon.conf", RATES)
        self._node.write(ALSA, "pcm.!default { type pulse }\n")
        self._node.run("systemd-sysusers", "--inline", "m voice-agent pulse-access", "m root pulse-access")
        command = ("pulseaudio", "--system", "--disallow-exit", "--exit-idle-time=-1")
        run(self._node, "sound-server", *command, Restart="always", RestartSec="3")

    def listen(self, file: str) -> None:
        self._node.ask("systemctl", "stop", "ear")
        self._run("ear", "parec", "--latency-msec=10", "--device=speaker.monitor", file)

    def say(self, file: str) -> None:
        self._run("mouth", "pacat", "--latency-msec=1000", "--device=air", file)

    def _run(self, unit: str, *command: str) -> None:
        sound = ("--raw", "--format=s16le", "--channels=1", "--rate=24000")
        run(self._node, unit, *command, *sound, Environment=self.environment, Restart="on-failure")


class PipeWire:
    environment = f"PIPEWIRE_RUNTIME_DIR={PIPEWIRE_PLACE}"

    def __init__(self, node: Node) -> None:
        self._node = node

    def start(self) -> None:
        self._node.write("/etc/pipewire/pipewire.conf.d/room.conf", PIPEWIRE)
        self._node.write(ALSA, TO_PIPEWIRE)
        self._node.run("systemd-sysusers", "--inline", "u pipewire -:pipewire", "m voice-agent pipewire")
        user = {"User": "pipewire", "UMask": "0007", "Restart": "always", "RestartSec": "3"}
        user["Environment"] = f"{self.environment} XDG_STATE_HOME=/tmp"
        place = {"RuntimeDirectory": "pipewire", "RuntimeDirectoryMode": "0750"}
        run(self._node, "sound-server", "pipewire", **user, **place)
        there = f"{PIPEWIRE_PLACE}/pipewire-0"
        self._node.until(lambda: self._node.ask("test", "-S", there).returncode == 0, "PipeWire")
        run(self._node, "sound-policy", "wireplumber", "--profile=main-systemwide", **user)

    def listen(self, file: str) -> None:
        target = ("--target", "speaker", "-P", "{ stream.capture.sink=true }")
        self._node.ask("systemctl", "stop", "ear")
        self._run("ear", "pw-record", *target, StandardOutput=f"file:{file}")

    def say(self, file: str) -> None:
        self._run("mouth", "pw-play", "--target", "0", StandardInput=f"file:{file}")
        link = ("env", self.environment, "pw-link", "pw-play:output_MONO", "mic:input_MONO")
        self._node.until(lambda: self._node.ask(*link).returncode == 0, "a way to the microphone")

    def _run(self, unit: str, *command: str, **properties: str) -> None:
        sound = ("--rate", "24000", "--channels", "1", "--format", "s16", "--raw", "-")
        environment = {"Environment": self.environment, "Restart": "on-failure"}
        run(self._node, unit, *command, *sound, **environment, **properties)


class Devices:
    """Of a server of a node, with files in ``folder``, where they lie on this machine."""

    def __init__(self, server: Server, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._recordings = 0
        self._said = 0

    def listen(self) -> None:
        """Record what is played from now on."""
        self._recordings += 1
        self._server.listen(f"{DEVICES}/played-{self._recordings}.raw")

    def speak(self, pcm: bytes) -> None:
        self._said += 1
        (self._folder / f"said-{self._said}.raw").write_bytes(pcm)
        self._server.say(f"{DEVICES}/said-{self._said}.raw")

    def played(self) -> NDArray[np.int16]:
        recordings = sorted(self._folder.glob("played-*.raw"))
        whole = [each.read_bytes()[: each.stat().st_size // 2 * 2] for each in recordings]
        return np.frombuffer(b"".join(whole), np.int16)


@pytest.mark.parametrize("kind", [PulseAudio, PipeWire])
def test_it_converses_through_a_sound_server_and_outlives_it(
    machine: Node, the_room: Room, kind: type[PulseAudio | PipeWire]
) -> None:
    server = kind(machine)
    with configured(machine, LOCAL + Room.settings), the_room.emptied() as folder:
        server.start()
        change(machine, f"Environment={server.environment}")
        devices = Devices(server, folder)
        talk = Conversation(machine, devices, LEAST)
        talk.serve()
        process = start(machine)
        devices.listen()
        talk.works()
        talk.begins()
        machine.run("systemctl", "kill", "--signal=KILL", "sound-server")
        until_status(machine, "no loudspeaker", "no microphone")
        machine.until(lambda: "no " not in status(machine), "the devices", 40)
        devices.listen()
        talk.works()
        assert shown(machine, "MainPID") == process
        machine.run("systemctl", "stop", "sound-server", "ear")
