"""Who talks in the echo scenes: synthetic voices, at one level of their loud parts, the same on every run."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from voice_agent.embedded.engines import Tts
from voice_agent.embedded.hibari import HibariTts
from voice_agent.embedded.programs import ProgramTts

RATE = 24_000
Sound = NDArray[np.float64]
"""Samples in steps of the converter, not yet rounded."""

ANSWERS = (
    "The weather in Berlin tomorrow will be mostly sunny, with a high of nineteen degrees and a light wind.",
    "I found three recipes for a lemon cake. The first one takes about forty minutes and needs four eggs.",
    "The train leaves at a quarter past seven from platform nine, and it arrives at half past eleven.",
    "A light year is the distance that light travels in one year, about nine and a half trillion kilometres.",
    "Your timer for the pasta is set. I will tell you when ten minutes are over. Is there anything else?",
    "Shall I go on? The second chapter begins with a long journey across the sea, in the middle of a storm.",
)
INTERRUPTIONS = (
    "Stop.",
    "Wait a moment, please.",
    "No, I meant the day after tomorrow.",
    "Thank you, that is enough.",
    "Hold on, what was the first one?",
    "Can you say that again?",
    "Be quiet now.",
    "Okay, and what about Paris?",
)
DIP_S = 0.35
LOUD_MS = 30
LOUD_SHARE = 0.1
"""What is less than a tenth of a voice's loudest 30 ms is a pause or a breath, and counts for no level."""


@cache
def speaker_of(name: str) -> Tts:
    """A voice: ``hibari``, ``flite:slt``, ``espeak:en-us+m3``."""
    program, _, voice = name.partition(":")
    match program:
        case "hibari":
            return HibariTts()
        case "flite":
            return ProgramTts("flite", "-voice", voice, "-o", "/dev/stdout", "-t")
    return ProgramTts("espeak-ng", "--stdout", "-s", "150", "-v", voice)


@cache
def spoken(name: str, sentence: str) -> Sound:
    """One sentence, cut to the voice, its loud parts at an RMS of 1."""
    sound = np.frombuffer(speaker_of(name).speak(sentence, RATE), "<i2").astype(np.float64)
    heard = np.flatnonzero(np.abs(sound) > 0.01 * np.abs(sound).max())
    cut = sound[heard[0] : heard[-1] + 1]
    voice: Sound = cut / loudness(cut)
    return voice


def loudness(sound: Sound) -> float:
    """RMS of the parts that are speech: what is called the level of a voice (compare ITU-T P.56)."""
    size = RATE * LOUD_MS // 1000
    pieces = sound[: len(sound) // size * size].reshape(-1, size)
    levels = np.sqrt(np.mean(pieces**2, axis=1))
    return float(np.sqrt(np.mean(levels[levels > LOUD_SHARE * levels.max()] ** 2)))


def talk(names: Sequence[str], seconds: float, seed: int) -> Sound:
    """Answers of these voices with short pauses between, ``seconds`` long."""
    draw = np.random.default_rng(seed)
    count = round(seconds * RATE)
    parts: list[Sound] = []
    while sum(map(len, parts)) < count:
        name = names[int(draw.integers(len(names)))]
        parts += [spoken(name, ANSWERS[int(draw.integers(len(ANSWERS)))]), np.zeros(round(DIP_S * RATE))]
    return np.concatenate(parts)[:count]
