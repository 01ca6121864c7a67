"""A conversation on a node: somebody in its room asks, and listens to the answers.

The sound card is the virtual one: its files stand where a card has its own, in ``/dev/snd``, and belong to
those to whom a card belongs, the group ``audio``. So the unit is as strict as it is, and what opens this card
is what opens a real one, but for ``DeviceAllow=``, which knows only devices of the kernel's.
"""

import json
import os
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tests.nspawn.node import Node
from tests.nspawn.service import PYTHON, until_status
from voice_agent.embedded.sound import Sound, waveform
from voice_agent.lab.build import build_plugin
from voice_agent.lab.card import VirtualCard

RATE = 24_000
AUDIO = 29
"""Debian's group of that name has this number on every machine."""
DEVICES, PLUGIN, ALSA = "/dev/snd", "/opt/virtual_card.so", "/etc/asound.conf"
CONTROL = "http://127.0.0.1:8766/faults"
MODEL, SCRIPT, HEARD = "/run/model.py", "/run/script.json", "/run/heard.raw"
ANSWER_MS = 1000
ANSWER = waveform(Sound(ANSWER_MS, "counter"), RATE)
TURN = {"heard": "hello", "say": "Good day.", "ms": ANSWER_MS, "wave": "counter"}


class Room:
    """A folder of this machine that a node sees as a sound card; a new card for each scene."""

    settings = '[audio]\necho = "off"\n[audio.input]\nflat_after_s = 0\n[cues]\nquiet = ["ready"]\n'
    """It has no echo, its silence is no fault of the microphone, and what sounds in it are answers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._plugin = build_plugin()
        self.binds = {folder: DEVICES, self._plugin: PLUGIN}
        os.chown(folder, 0, AUDIO)
        folder.chmod(0o2770)

    @contextmanager
    def plugged_into(self, node: Node) -> Iterator[VirtualCard]:
        """A card that the node's ALSA knows."""
        with VirtualCard(self._folder, elastic=True) as card:
            microphone = self._folder / "mic.fifo"
            os.chown(microphone, 0, AUDIO)
            microphone.chmod(0o660)
            ours = card.config_path.read_text().replace(str(card.directory), DEVICES)
            node.write(ALSA, ours.replace(str(self._plugin), PLUGIN))
            yield card
            node.run("rm", ALSA)


@contextmanager
def room() -> Iterator[Room]:
    """A new one, silent."""
    with TemporaryDirectory(prefix="room-") as folder:
        yield Room(Path(folder))


class Conversation:
    """Of a room's people with the daemon of a node."""

    def __init__(self, node: Node, card: VirtualCard) -> None:
        self.node = node
        self.card = card
        self._asked = 0

    def serve(self, *turns: dict[str, object], **script: object) -> None:
        """Let a model server follow this script; it answers by ``TURN`` if there are no turns."""
        whole = {"turns": turns or (TURN,), "loop": True, "shared": True} | script
        self.node.write(SCRIPT, json.dumps(whole))
        self.node.write(MODEL, (Path(__file__).parent / "model.py").read_text())
        command = ("systemd-run", "--quiet", "--collect", "--unit=model", PYTHON, MODEL)
        self.node.run(*command, SCRIPT, HEARD)

    def strike(self, **fault: object) -> None:
        """Let something go wrong at the server."""
        self._control("POST", json.dumps(fault))

    def calm(self) -> None:
        """What has not yet gone wrong there does not."""
        self._control("DELETE", "")

    def begins(self) -> int:
        """Ask, and wait until the answer sounds; where it begins in the recording of the loudspeaker."""
        since = self.card.played_samples()
        self._ask()
        start = ANSWER[: RATE // 5]
        self._until_played(start, since, "the beginning of an answer")
        return since

    def works(self) -> None:
        """Ask; each sample of the question is heard by the server, each of the answer by the room."""
        until_status(self.node, "in session")
        since = self.card.played_samples()
        question = self._ask()
        self._until_played(ANSWER, since, "an answer, to the sample")
        assert question in self.heard(), "the question, to the sample"

    def ends(self, since: int) -> None:
        """Wait until the whole answer that began there has sounded."""
        self._until_played(ANSWER, since, "an answer, to the sample")

    def heard(self) -> bytes:
        """What the model server has heard, of all connections."""
        self.node.run("rm", "-f", HEARD)
        self.node.run("systemctl", "kill", "--signal=USR1", "model")
        self.node.until(lambda: self.node.ask("test", "-e", HEARD).returncode == 0, "what was heard")
        return b64decode(self.node.run("base64", HEARD))

    def _control(self, method: str, given: str) -> None:
        asked = f"Request({CONTROL!r}, data={given.encode()!r}, method={method!r})"
        self.node.run(PYTHON, "-c", f"from urllib.request import *; urlopen({asked})")

    def _ask(self) -> bytes:
        """Noise that was never said before."""
        self._asked += 1
        noise = np.random.default_rng(self._asked).integers(-8000, 8000, RATE * 2 // 5, np.int16)
        self.card.speak(noise.tobytes())
        return noise.tobytes()

    def _until_played(self, sound: bytes, since: int, what: str) -> None:
        self.node.until(lambda: sound in self.card.played()[since:].tobytes(), what)
