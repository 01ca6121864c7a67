"""What happens in which room: the scenes of the bench, and what came of them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np

from tests.echo.acoustics import level
from tests.echo.voices import INTERRUPTIONS, Sound, spoken

FARS = ("hibari", "flite:slt", "espeak:en-us", "flite:rms")
NEARS = ("flite:awb", "espeak:en-gb+f3", "flite:kal16", "espeak:en-us+m3", "hibari", "flite:slt")
FAR_DB = -20.0
"""What the loudspeaker is given, in dBFS."""
CLIP_DB = -14.0
"""Where a bad loudspeaker bends: 6 dB above the level of the speech, and below most of its peaks."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A room and what happens in it. Levels in dBFS at the microphone; an echo is as loud as its speech."""

    name: str
    seconds: float = 66.0
    echo_db: float = -26.0
    echo_to_speech_db: float | None = None
    """How much louder the echo is than whoever interrupts; ``None``: nobody does."""
    delay_ms: float = 40.0
    rt60_s: float = 0.3
    noise_db: float = -65.0
    clips: bool = False
    drift_ppm: float = 0.0
    change_s: float | None = None
    """When somebody moves the loudspeaker."""
    deaf_s: float = 0.0
    """Until then the server does not hear who interrupts: the playout goes on, and both talk."""
    first_s: float = 7.0
    seed: int = 1
    speed: float = 1.0

    def interruption(self, draw: np.random.Generator) -> Sound:
        """Somebody says something."""
        assert self.echo_to_speech_db is not None
        name, words = (of[int(draw.integers(len(of)))] for of in (NEARS, INTERRUPTIONS))
        return spoken(name, words) * level(self.echo_db - self.echo_to_speech_db)


@dataclass
class Outcome:
    """What came of a scene."""

    name: str
    tried: int = 0
    honoured: int = 0
    silence_ms: list[float] = field(default_factory=list)
    """From the beginning of an interruption to silence, of those honoured."""
    self_interruptions: int = 0
    playout_s: float = 0.0
    erle_db: list[float] = field(default_factory=list)
    """Once a second of playout, the first three left out."""
    half_duplex_s: float = 0.0
    suspicions: int = 0
    unaided_triggers: int = 0
    """Times that the microphone's sound as it came would have opened the voice gate."""
    held_ms: float = 0.0
    """How long the card's clock had to wait for this machine."""

    def told(self) -> dict[str, Any]:
        """As in ``echo.json``."""
        return {
            "name": self.name,
            "self_interruptions": self.self_interruptions,
            "playout_minutes": round(self.playout_s / 60, 2),
            "erle_db": erle(self.erle_db),
            "barge_in": {
                "tried": self.tried,
                "honoured": self.honoured,
                "silence_ms_p50": rounded(np.median(self.silence_ms)) if self.silence_ms else None,
            },
            "half_duplex_s": round(self.half_duplex_s, 1),
            "suspicions": self.suspicions,
            "unaided_triggers_per_minute": round(self.unaided_triggers * 60 / max(self.playout_s, 1), 1),
        }


def erle(db: Sequence[float]) -> dict[str, float | None]:
    """Median and minimum."""
    return {"p50": rounded(np.median(db)), "min": rounded(min(db))} if db else {"p50": None, "min": None}


def rounded(figure: float | np.floating[Any]) -> float:
    """To a tenth."""
    return round(float(figure), 1)


def _ratios(scene: Scene, *ratios: float) -> list[Scene]:
    return [
        replace(scene, name=f"{scene.name}, {ratio:+.0f} dB", echo_to_speech_db=ratio) for ratio in ratios
    ]


TALKS = [
    *_ratios(Scene("near, dry room"), -6, 0, 6),
    *_ratios(Scene("100 ms away", delay_ms=100), -6, 0, 6),
    *_ratios(Scene("200 ms away", delay_ms=200), -6, 0, 6),
    *_ratios(Scene("live room", rt60_s=0.6), -6, 0, 6),
    *_ratios(Scene("crystals 200 ppm apart", drift_ppm=200), 0),
    *_ratios(Scene("noisy room", noise_db=-50), 0),
    *_ratios(Scene("bad loudspeaker", clips=True), 0, 6),
    *_ratios(Scene("loud echo", echo_db=-14), 0),
    *_ratios(Scene("weak echo", echo_db=-38, noise_db=-70), 0),
    *_ratios(Scene("moved at 30 s", change_s=30.0), 0),
    *_ratios(Scene("double talk until 30 s", deaf_s=30.0), 0),
]
"""In real time, as they measure latency."""

LONELY = [
    Scene("alone, dry room", seconds=300),
    Scene("alone, live room", seconds=300, rt60_s=0.6, change_s=150.0),
    Scene("alone, bad loudspeaker", seconds=300, clips=True, rt60_s=0.6),
    Scene("alone, 200 ms and 200 ppm", seconds=300, delay_ms=200, drift_ppm=200),
    Scene("alone, loud echo", seconds=300, echo_db=-12, rt60_s=0.6),
    Scene("alone, weak echo", seconds=300, echo_db=-40, noise_db=-70),
]
"""Playout that nobody interrupts: half an hour in all."""

SCENES = [replace(scene, seed=17 + 31 * index) for index, scene in enumerate([*TALKS, *LONELY])]


def scene_from(values: dict[str, Any]) -> Scene:
    """The inverse of ``asdict``."""
    return Scene(**{known.name: values[known.name] for known in fields(Scene)})


__all__ = ["asdict"]
