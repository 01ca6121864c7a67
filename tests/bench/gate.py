"""The voice gate against synthetic voices in made-up rooms: the table of ADR 13.

``python -m tests.bench.gate [HOURS]``: hours of each noise, one by default; about two minutes.
"""

import asyncio
import sys
from collections.abc import Callable, Iterator
from functools import partial
from time import process_time

import numpy as np
from numpy.typing import NDArray

from voice_agent.audio.gate import VoiceGate
from voice_agent.demo.voices import synthesised

RATE = 24_000
FRAME = RATE // 50
PIECE_S = 360
LEAD_S = 3.0
SEED = 7
ENGLISH = """What time is it?
Please tell me the weather in Berlin tomorrow.
Hello.
Stop.
No.
Yes, thank you very much.
Set a timer for ten minutes, and then play some music.
Who wrote the first book about this?
Can you hear me?
Turn the light off in the kitchen.""".splitlines()
RUSSIAN = """Который сейчас час?
Скажи, какая завтра будет погода в Москве?
Привет.
Стоп.
Нет.
Да, большое спасибо.
Поставь таймер на десять минут и включи музыку.
Кто написал первую книгу?
Ты меня слышишь?
Выключи, пожалуйста, свет на кухне.""".splitlines()
VOICES = {"en": ENGLISH, "light": ENGLISH, "ru": RUSSIAN}
"""The demo's voices: Hibari, flite, espeak-ng (or RHVoice)."""

Sound = NDArray[np.float64]
Make = Callable[[], VoiceGate]
Shape = Callable[[Sound], Sound]


# --------------------------------------------------------------------------------------------- rooms


def shaped(draw: np.random.Generator, count: int, shape: Shape) -> Sound:
    """Noise with a spectrum, at a level of one."""
    hz = np.fft.rfftfreq(count, 1 / RATE).astype(np.float64)
    spectrum = np.exp(2j * np.pi * draw.random(count // 2 + 1)) * shape(hz)
    sound = np.fft.irfft(spectrum, count)
    level: Sound = sound / np.sqrt(np.mean(sound**2))
    return level


def white(draw: np.random.Generator, count: int) -> Sound:
    return shaped(draw, count, np.ones_like)


def pink(draw: np.random.Generator, count: int) -> Sound:
    return shaped(draw, count, lambda hz: 1 / np.sqrt(np.maximum(hz, 20)))


def fan(draw: np.random.Generator, count: int) -> Sound:
    """Rumble, blades, and a slow wobble of 3 dB."""
    t = np.arange(count) / RATE
    blades = np.sum([np.sin(2 * np.pi * 97 * n * t + n) / n for n in range(1, 5)], axis=0)
    rumble = shaped(draw, count, lambda hz: (hz > 30) / np.maximum(hz, 100))
    sound: Sound = (rumble + 0.5 * blades) * 10 ** (1.5 * np.sin(2 * np.pi * 0.4 * t) / 20)
    return sound


def mains(draw: np.random.Generator, count: int) -> Sound:
    t = np.arange(count) / RATE
    hum: Sound = np.sum([np.sin(2 * np.pi * 50 * n * t + n * n) / n for n in range(1, 12)], axis=0)
    return hum + 0.02 * white(draw, count)


def drift(draw: np.random.Generator, count: int) -> Sound:
    """Up and down by 10 dB within half a minute."""
    swing: Sound = 10 ** (10 * np.sin(2 * np.pi * np.arange(count) / RATE / 30) / 20)
    return pink(draw, count) * swing


def dishes(draw: np.random.Generator, count: int) -> Sound:
    """Two clatters a second of 5 to 40 ms, up to 46 dB above the room."""
    sound, at = 0.05 * pink(draw, count), 0
    while (at := at + int(draw.exponential(0.5) * RATE)) < count - RATE // 10:
        length = int(draw.uniform(0.005, 0.04) * RATE)
        decay = np.exp(-np.arange(length) / (length / 4))
        sound[at : at + length] += draw.standard_normal(length) * decay * 10 ** draw.uniform(-0.5, 1)
    return sound


def tap(draw: np.random.Generator, count: int) -> Sound:
    """Water on and off, 20 dB above the room, every 5 to 25 s."""
    gain, at, on = np.full(count, 0.1), 0, False
    while at < count:
        length = int(draw.uniform(5, 25) * RATE)
        gain[at : at + length] = 1.0 if on else 0.1
        at, on = at + length, not on
    sound: Sound = white(draw, count) * gain
    return sound


STEADY = (white, pink, fan)
ROOMS = (white, pink, fan, mains, drift, tap, dishes)


# ------------------------------------------------------------------------------------------ measures


def openings(gate: VoiceGate, sound: Sound) -> Iterator[tuple[int, int]]:
    """For each opening: the sample at which it opened, and the onset."""
    data = np.clip(np.round(sound), -32768, 32767).astype("<i2").tobytes()
    for position in range(0, len(data) // 2 - FRAME + 1, FRAME):
        onset = gate.feed(position, data[2 * position : 2 * (position + FRAME)])
        if onset is not None:
            yield position + FRAME, onset


def false_opens(make: Make, hours: float) -> Iterator[str]:
    for room in ROOMS:
        draw, gate, found, frames, spent_s = np.random.default_rng(SEED), make(), 0, 0, 0.0
        for _ in range(max(1, round(hours * 3600 / PIECE_S))):
            sound = 300 * room(draw, PIECE_S * RATE) + 50
            began = process_time()
            found += sum(1 for _ in openings(gate, sound))
            spent_s += process_time() - began
            frames += len(sound) // FRAME
        cost_us = spent_s / frames * 1e6
        yield f"{room.__name__:10} {found * 50 * 3600 / frames:6.1f} an hour   {cost_us:.0f} us a frame"


def spoken() -> list[Sound]:
    """Sentences cut to the voice, at one level of their loud parts."""
    found = []
    for speech, sentences in VOICES.items():
        for pcm in asyncio.run(synthesised(speech, sentences, RATE)):
            sound = np.frombuffer(pcm, "<i2").astype(np.float64)
            loud = np.flatnonzero(np.abs(sound) > 0.03 * np.abs(sound).max())
            cut = sound[loud[0] : loud[-1]]
            found.append(cut * 1500 / np.sqrt(np.mean(cut**2)))
    return found


def detection(make: Make, sentences: list[Sound]) -> Iterator[str]:
    for room in STEADY:
        for snr_db in (20, 10, 5):
            draw, late_ms, onset_ms = np.random.default_rng(SEED), [], []
            for sentence in sentences:
                sound = room(draw, len(sentence) + round((LEAD_S + 1) * RATE)) * 1500 / 10 ** (snr_db / 20)
                begin = round(LEAD_S * RATE)
                sound[begin : begin + len(sentence)] += sentence
                end = begin + len(sentence) + RATE * 3 // 10
                hits = [(at, onset) for at, onset in openings(make(), sound) if begin <= at <= end]
                late_ms += [(at - begin) * 1000 / RATE for at, _ in hits[:1]]
                onset_ms += [(onset - begin) * 1000 / RATE for _, onset in hits[:1]]
            yield (
                f"{room.__name__:6} {snr_db:3} dB   {len(late_ms):2} of {len(sentences)}   "
                f"open after {np.median(late_ms):.0f} / {np.percentile(late_ms, 95):.0f} ms   "
                f"onset at most {max(onset_ms):.0f} ms late"
            )


def main() -> int:
    hours = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    sentences = spoken()
    for name, confirm in (("level alone", False), ("with Silero", True)):
        make = partial(VoiceGate, RATE, confirm=confirm)
        print(f"\n{name}: {len(sentences)} sentences of {len(VOICES)} voices; open after p50 / p95")
        for line in (*detection(make, sentences), *false_opens(make, hours)):
            print("  " + line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
