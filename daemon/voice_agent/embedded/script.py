"""A scripted server: what is heard, what is answered and what goes wrong, declared as data.

No model is imported. Each connection runs the script from its beginning unless ``shared`` says otherwise.

    {"turns": [{"heard": "Weather?", "calls": [{"name": "get_weather", "arguments": {"city": "Moscow"}}]},
               {"say": "It snows.", "ms": 1200, "wave": "counter", "delta_bytes": [4801]}],
     "faults": [{"after": "response.output_audio.delta", "nth": 3, "do": "close", "code": 1011}]}
"""

from array import array
from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from voice_agent.embedded.engines import FRAME_SAMPLES, HEARING_RATE, Engines
from voice_agent.embedded.faults import Fault
from voice_agent.embedded.mind import Action, Call, End, Line, Mind, Say, Tool
from voice_agent.embedded.sound import Sound, waveform
from voice_agent.formats import samples_to_ms

LOUD = 300
"""Mean absolute sample value that the energy detector takes for speech (-41 dBFS)."""


class ScriptedCall(Struct, frozen=True, forbid_unknown_fields=True):
    """A tool call to make."""

    name: str
    arguments: dict[str, Any] = {}


class Turn(Struct, frozen=True, forbid_unknown_fields=True):
    """One response. ``heard``: the transcript of the utterance before it, if it answers one.

    ``ms`` and ``wave`` (``counter``, ``tone`` or ``silence``) are the audio of ``say``; without ``ms`` the
    length follows the text. ``delta_bytes``: sizes of audio deltas, cycled; odd and huge ones are allowed.
    ``late_deltas``: how many more audio deltas leave after the response was cancelled. ``written``: the
    answer comes as text although speech was asked for. ``status``: how the response ends once all is said,
    with the code ``error`` in its details.
    """

    heard: str | None = None
    say: str = ""
    ms: int | None = None
    wave: Literal["counter", "tone", "silence"] = "tone"
    delta_bytes: tuple[Annotated[int, Meta(ge=1)], ...] = ()
    late_deltas: int = 0
    calls: tuple[ScriptedCall, ...] = ()
    written: bool = False
    status: Literal["completed", "failed", "incomplete"] = "completed"
    error: str = ""


class Script(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole server's behaviour.

    ``speech_ms``: where the user speaks, as [start, end] in input milliseconds; empty: wherever it is loud.
    ``loop``: begin again after the last turn. ``shared``: connections continue one another's script.
    ``refuse``: HTTP statuses for the first upgrades. ``pongs``: whether protocol pings are answered.
    ``faults``: what goes wrong (faults.py), counted anew on each connection.
    """

    turns: tuple[Turn, ...] = ()
    speech_ms: tuple[tuple[int, int], ...] = ()
    faults: tuple[Fault, ...] = ()
    refuse: tuple[int, ...] = ()
    loop: bool = False
    shared: bool = False
    pongs: bool = True


# ------------------------------------------------------------------------------- scripted engines


class EnergyVad:
    """Speech is whatever is loud."""

    def probability(self, frame: bytes) -> float:
        """1.0 for a loud frame, else 0.0."""
        samples = memoryview(frame).cast("h")
        return 1.0 if sum(map(abs, samples)) > LOUD * len(samples) else 0.0


class ScriptedVad:
    """Speech is where the script says, counted in samples of input."""

    def __init__(self, speech_ms: Sequence[tuple[int, int]]) -> None:
        self._speech_ms = speech_ms
        self._position = 0

    def probability(self, _: bytes) -> float:
        """1.0 when the frame's start lies inside a scripted utterance, else 0.0."""
        at_ms = samples_to_ms(self._position, HEARING_RATE)
        self._position += FRAME_SAMPLES
        return 1.0 if any(start <= at_ms < end for start, end in self._speech_ms) else 0.0


class Decimator:
    """Nearest-sample rate conversion to 16 kHz: crude, exact in length and free of dependencies."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._consumed = 0
        self._produced = 0

    def feed(self, pcm: bytes) -> bytes:
        """The 16 kHz samples that ``pcm`` completes."""
        samples = memoryview(pcm).cast("h")
        end = self._consumed + len(samples)
        wanted = range(self._produced, -(-end * HEARING_RATE // self._rate))
        picked = array("h", (samples[k * self._rate // HEARING_RATE - self._consumed] for k in wanted))
        self._consumed, self._produced = end, wanted.stop
        return picked.tobytes()


class ScriptedStt:
    """Hears what the script says."""

    def __init__(self, heard: Iterator[str]) -> None:
        self._heard = heard

    def transcribe(self, _: bytes) -> str:
        """The next scripted transcript, empty when there is none left."""
        return next(self._heard, "")


class ToneTts:
    """A tone as long as the text would take to say (60 ms a character)."""

    def speak(self, sentence: str, rate: int) -> bytes:
        """PCM16 at ``rate`` Hz."""
        return waveform(Sound(60 * len(sentence)), rate)


class ScriptedMind:
    """Answers each response with the next turn."""

    def __init__(self, turns: Iterator[Turn]) -> None:
        self._turns = turns

    def answer(self, _lines: Sequence[Line], _tools: Sequence[Tool], _instructions: str) -> Sequence[Action]:
        """What the next turn says and calls."""
        turn = next(self._turns, Turn(say="The script is over."))
        calls = [Call(call.name, msgspec.json.encode(call.arguments).decode()) for call in turn.calls]
        sound = Sound(turn.ms, turn.wave) if turn.ms is not None else None
        say = Say(turn.say, sound, turn.delta_bytes, turn.late_deltas, written=turn.written)
        says = [] if not turn.say and (calls or turn.status != "completed") else [say]
        ends = [End(turn.status, turn.error)] if turn.status != "completed" else []
        return [*says, *calls, *ends]


class ScriptedEngines:
    """Makes the engines of each connection that runs a script."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._shared = self._parts()

    def __call__(self) -> Engines:
        """Engines for a new connection."""
        stt, mind = self._shared if self._script.shared else self._parts()
        spoken = self._script.speech_ms
        return Engines(
            vad=ScriptedVad(spoken) if spoken else EnergyVad(),
            stt=stt,
            tts=ToneTts(),
            mind=mind,
            new_resampler=Decimator,
        )

    def _parts(self) -> tuple[ScriptedStt, Mind]:
        def run() -> Iterator[Turn]:
            turns = self._script.turns
            return chain.from_iterable(repeat(turns)) if self._script.loop and turns else iter(turns)

        heard = (turn.heard for turn in run())
        return ScriptedStt(text for text in heard if text is not None), ScriptedMind(run())
