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
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tests.nspawn.node import Node
from tests.nspawn.service import PYTHON, start, until_status
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
PIECE_BYTES = 960
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
    def emptied(self) -> Iterator[Path]:
        """No card, but a folder that the node sees, too."""
        for each in self._folder.iterdir():
            each.unlink()
        yield self._folder


@contextmanager
def room() -> Iterator[Room]:
    """A new one, silent."""
    with TemporaryDirectory(prefix="room-") as folder:
        yield Room(Path(folder))


class Air(Protocol):
    """What a room's people speak into and listen to."""

    def speak(self, pcm: bytes, /) -> object:
        """Say this; returns at once."""

    def played(self) -> NDArray[np.int16]:
        """All that the loudspeaker has played."""


def found(sound: bytes, recording: bytes, least: float) -> bool:
    """Whether this share of the sound's pieces is in the recording, to the sample; all of it in one piece."""
    if least == 1:
        return sound in recording
    pieces = [sound[at : at + PIECE_BYTES] for at in range(0, len(sound), PIECE_BYTES)]
    return sum(piece in recording for piece in pieces) >= least * len(pieces)


class Conversation:
    """Of a room's people with the daemon of a node; ``least``: the share of sound that must arrive."""

    def __init__(self, node: Node, air: Air, least: float = 1) -> None:
        self.node = node
        self._air = air
        self._least = least
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

    def speaking(self) -> str:
        """The daemon's process, which has begun to answer."""
        self.serve()
        process = start(self.node)
        until_status(self.node, "in session")
        self.begins()
        return process

    def begins(self) -> int:
        """Ask, and wait until the answer sounds; where it begins in the recording of the loudspeaker."""
        since = len(self._air.played())
        self._ask()
        self._until_played(ANSWER[: len(ANSWER) // 5], since, "the beginning of an answer")
        return since

    def ends(self, since: int) -> None:
        """Wait until the answer that began there has sounded to its end."""
        self._until_played(ANSWER, since, "the rest of an answer")

    def works(self) -> None:
        """Ask; the question is heard by the server, the answer in the room."""
        until_status(self.node, "in session")
        since = len(self._air.played())
        question = self._ask()
        self._until_played(ANSWER, since, "an answer")
        assert found(question, self.heard(), self._least), "the question was heard"

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
        self._air.speak(noise.tobytes())
        return noise.tobytes()

    def _until_played(self, sound: bytes, since: int, what: str) -> None:
        self.node.until(lambda: found(sound, self._air.played()[since:].tobytes(), self._least), what)
