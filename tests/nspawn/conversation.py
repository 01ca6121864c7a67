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
SCRIPT, HEARD = "/root/script.json", "/run/heard.raw"
ANSWER_MS = 1000
ANSWER = waveform(Sound(ANSWER_MS, "counter"), RATE)
TURN = {"heard": "hello", "say": "Good day.", "ms": ANSWER_MS, "wave": "counter"}


class Room:
    """Files of this machine that a node sees as a sound card."""

    settings = '[audio]\necho = "off"\n[audio.input]\nflat_after_s = 0\n[cues]\nquiet = ["ready"]\n'
    """It has no echo, its silence is no fault of the microphone, and what sounds in it are answers."""

    def __init__(self, folder: Path) -> None:
        self.card = VirtualCard(folder, elastic=True)
        self._plugin = build_plugin()
        self.binds = {self.card.directory: DEVICES, self._plugin: PLUGIN}
        folder.chmod(0o2770)
        for each in (folder, folder / "mic.fifo"):
            os.chown(each, 0, AUDIO)
        (folder / "mic.fifo").chmod(0o660)

    @contextmanager
    def plugged_into(self, node: Node) -> Iterator[None]:
        """The node's ALSA knows the card; afterwards it is well and silent."""
        ours = self.card.config_path.read_text()
        node.write(ALSA, ours.replace(str(self.card.directory), DEVICES).replace(str(self._plugin), PLUGIN))
        try:
            yield
        finally:
            self.card.heal()
            node.run("rm", ALSA)


@contextmanager
def room() -> Iterator[Room]:
    """A new one, silent."""
    with TemporaryDirectory(prefix="room-") as folder:
        made = Room(Path(folder) / "card")
        with made.card:
            yield made


class Conversation:
    """Of a room's people with the daemon of a node."""

    def __init__(self, node: Node, card: VirtualCard) -> None:
        self.node = node
        self._card = card
        self._asked = 0

    def serve(self, *turns: dict[str, object], **script: object) -> None:
        """Let a model server follow this script; it answers by ``TURN`` if there are no turns."""
        whole = {"turns": turns or (TURN,), "loop": True, "shared": True} | script
        self.node.write(SCRIPT, json.dumps(whole))
        self.node.write("/root/model.py", (Path(__file__).parent / "model.py").read_text())
        command = ("systemd-run", "--quiet", "--collect", "--unit=model", PYTHON, "/root/model.py")
        self.node.run(*command, SCRIPT, HEARD)

    def strike(self, **fault: object) -> None:
        """Let something go wrong at the server."""
        asked = (
            "import urllib.request as r,sys;r.urlopen('http://127.0.0.1:8766/faults',sys.stdin.buffer.read())"
        )
        self.node.run(PYTHON, "-c", asked, given=json.dumps(fault))

    def begins(self) -> int:
        """Ask, and wait until the answer sounds; where it begins in the recording of the loudspeaker."""
        since = self._card.played_samples()
        self._ask()
        start = ANSWER[: RATE // 5]
        self._until_played(start, since, "the beginning of an answer")
        return since

    def works(self) -> None:
        """Ask; each sample of the question is heard by the server, each of the answer by the room."""
        until_status(self.node, "in session")
        since = self._card.played_samples()
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

    def _ask(self) -> bytes:
        """Noise that was never said before."""
        self._asked += 1
        noise = np.random.default_rng(self._asked).integers(-8000, 8000, RATE * 2 // 5, np.int16)
        self._card.speak(noise.tobytes())
        return noise.tobytes()

    def _until_played(self, sound: bytes, since: int, what: str) -> None:
        self.node.until(lambda: sound in self._card.played()[since:].tobytes(), what)
