"""Who holds a sound card: the kernel says it for every open stream.

/proc/asound/card1/pcm0c/sub0/status
    state: RUNNING
    owner_pid   : 812
"""

import re
from pathlib import Path
from typing import NamedTuple

from voice_agent.audio.portaudio import Direction

_LETTERS = {Direction.OUTPUT: "p", Direction.INPUT: "c"}
_CARD = re.compile(r"\(hw:(\d+),\d+\)")
"""How PortAudio ends the names of ALSA's hardware devices."""


class Holder(NamedTuple):
    """A process with an open stream."""

    pid: int
    command: str

    @property
    def is_ours(self) -> bool:
        """Whether it is the daemon itself."""
        return re.search(r"\bvoice[-_]agent\b.* run\b", self.command) is not None

    def __str__(self) -> str:
        return f"{'the daemon itself' if self.is_ours else self.command} (pid {self.pid})"


def holders(direction: Direction, proc: Path, device: str = "") -> list[Holder]:
    """Who plays or records on ``device``'s card; on any card, if its name does not tell which."""
    named = _CARD.search(device)
    card = named[1] if named else "*"
    found = {}
    for status in sorted(proc.glob(f"asound/card{card}/pcm*{_LETTERS[direction]}/sub*/status")):
        if owner := re.search(r"^owner_pid\s*:\s*(\d+)", _text(status), re.MULTILINE):
            pid = _process_of(proc / owner[1])
            found[pid] = Holder(pid, _command(proc / owner[1]))
    return list(found.values())


def _process_of(thread: Path) -> int:
    """The kernel names the thread that opened the stream."""
    group = re.search(r"^Tgid:\s*(\d+)", _text(thread / "status"), re.MULTILINE)
    return int(group[1] if group else thread.name)


def _command(process: Path) -> str:
    """Its words, shortened to what tells who it is."""
    words = _text(process / "cmdline").split("\0")
    return " ".join(Path(word).name if word.startswith("/") else word for word in words[:4]).strip() or "?"


def _text(path: Path) -> str:
    """What stands there now; nothing if the process or the card has gone meanwhile."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
