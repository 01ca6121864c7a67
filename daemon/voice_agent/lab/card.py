"""The virtual sound card as Python sees it: files in one directory.

They are read and written while another piece of the same, or of another, process plays and records::

    card = VirtualCard(directory, elastic=True)
    os.environ.update(card.environment())       # before PortAudio initialises
    ...                                         # open streams, play, record
    card.speak(pcm).result(timeout=5)           # somebody in the room says something
    card.played(), card.captured()              # both from the same virtual zero

One process at a time plays into a card. ``virtual_card.c`` has the picture of the timeline.
"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from voice_agent.formats import BYTES_PER_SAMPLE
from voice_agent.lab.build import build_plugin
from voice_agent.lab.events import CardEvent, read_events
from voice_agent.lab.mouth import Mouth, Spoken

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Fault = Literal["spk-gone", "mic-gone", "spk-stall", "mic-stall", "spk-xrun", "mic-zero", "mic-stuck"]
"""Unplugged, clock stopped, starved at every block, or bringing nothing but one value; until ``heal``."""

PLACED = ("start", "held", "stop")
"""Events that happen to the very sample that they tell, once a rate is set."""
FRESH = ("speaker.raw", "mic.raw", "events.log", "fault", "mic.fifo", "echo.ir")


class VirtualCard:
    """A new, silent room in ``directory`` and the ALSA configuration that puts a card into it.

    ``elastic``: the clock waits for a late application (exact under load) instead of an xrun.
    ``speed``: virtual seconds per second. ``echo_db``, ``echo_ms``: how the microphone hears the
    loudspeaker. ``clip_db``: level at which that bends its peaks, in dB of full scale. ``noise_db``: white
    noise in the room, RMS, likewise. ``mic_ppm``: how much faster the microphone's crystal runs.
    ``only_rate``: the one rate that the card can do, Hz. ``only_channels``: the one number of channels,
    instead of one or two.
    Raises LabUnavailable if the plugin cannot be built.
    """

    def __init__(
        self,
        directory: Path,
        *,
        elastic: bool = False,
        speed: float = 1.0,
        echo_db: float | None = None,
        echo_ms: float = 40.0,
        clip_db: float | None = None,
        noise_db: float | None = None,
        mic_ppm: float = 0.0,
        only_rate: int | None = None,
        only_channels: int | None = None,
        build_directory: Path | None = None,
    ) -> None:
        self.directory = directory.resolve()
        self._speed = speed
        self._prepare_files()
        common: dict[str, float] = {"elastic": int(elastic), "speed": speed, "echo_ms": echo_ms}
        if echo_db is not None:
            common["echo_db"] = echo_db
        if clip_db is not None:
            common["clip_db"] = clip_db
        if noise_db is not None:
            common["noise_db"] = noise_db
        if only_rate is not None:
            common["rate"] = only_rate
        if only_channels is not None:
            common["channels"] = only_channels
        plugin = build_plugin(build_directory)
        self.config_path.write_text(_alsa_config(plugin, self.directory, common, mic_ppm))
        self._events_log = self.directory / "events.log"
        self._mouth = Mouth(self.directory / "mic.fifo", self._events_log)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def config_path(self) -> Path:
        """The ALSA configuration."""
        return self.directory / "alsa.conf"

    def environment(self) -> dict[str, str]:
        """What the playing process needs in its environment before PortAudio initialises."""
        return {"ALSA_CONFIG_PATH": str(self.config_path), "JACK_NO_START_SERVER": "1"}

    def respond(self, taps: "NDArray[np.float32]") -> None:
        """Be a room with this response from now on; taps at the loudspeaker's rate."""
        scratch = self.directory / "echo.new"
        scratch.write_bytes(taps.astype("<f4").tobytes())
        scratch.replace(self.directory / "echo.ir")

    def speak(self, pcm: bytes) -> Future[Spoken]:
        """Say PCM16 (at the microphone's rate) in the room; utterances queue.

        Returns at once. The future tells where in ``captured()`` the utterance stands, once all was heard.
        """
        return self._mouth.say(pcm)

    def played(self) -> "NDArray[np.int16]":
        """All that left the loudspeaker since virtual zero; silence while it was closed."""
        return self._recording("speaker.raw")

    def captured(self) -> "NDArray[np.int16]":
        """All that the microphone brought since virtual zero; silence while it was closed."""
        return self._recording("mic.raw")

    def played_samples(self) -> int:
        """``len(played())``, without reading it."""
        path = self.directory / "speaker.raw"
        return path.stat().st_size // BYTES_PER_SAMPLE if path.exists() else 0

    def played_at(self, position: int) -> float:
        """When a sample of ``played()`` left the loudspeaker, monotonic seconds; to 5 ms if it is elastic.

        An elastic card's recording is shorter than the time it took, by what the clock waited for.
        """
        known = [each for each in self.events() if each.direction == "speaker" and each.event in PLACED]
        before = next(each for each in reversed(known) if each.position <= position)
        return before.monotonic_ns / 1e9 + (position - before.position) / before.rate / self._speed

    def events(self) -> Sequence[CardEvent]:
        """What happened to the card so far, oldest first."""
        return read_events(self._events_log)

    def fault(self, *faults: Fault) -> None:
        """Let exactly these faults be; noticed by the card within 10 ms."""
        scratch = self.directory / "fault.new"
        scratch.write_text(" ".join(faults))
        scratch.replace(self.directory / "fault")

    def heal(self) -> None:
        """End all faults."""
        self.fault()

    def close(self) -> None:
        """Fall silent. The recordings stay."""
        self._mouth.close()

    def _prepare_files(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        for name in FRESH:
            (self.directory / name).unlink(missing_ok=True)
        os.mkfifo(self.directory / "mic.fifo")

    def _recording(self, name: str) -> "NDArray[np.int16]":
        import numpy as np

        path = self.directory / name
        pcm = path.read_bytes() if path.exists() else b""
        return np.frombuffer(pcm[: len(pcm) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE], np.dtype("<i2"))


def _alsa_config(plugin: Path, directory: Path, common: Mapping[str, float], mic_ppm: float) -> str:
    """Two one-way devices and a default of both: without ``pcm.!default`` PortAudio 19 aborts the process."""
    fields = " ".join(f"{name} {value}" for name, value in common.items())
    card = f"type voice_agent_card directory {_quoted(directory)} {fields}"
    return f"""pcm_type.voice_agent_card {{ lib {_quoted(plugin)} }}
pcm.speaker {{ {card} only playback }}
pcm.mic {{ {card} only capture ppm {mic_ppm} }}
pcm.!default {{ type asym playback.pcm "speaker" capture.pcm "mic" }}
"""


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
