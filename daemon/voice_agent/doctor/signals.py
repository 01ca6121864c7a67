"""What numbers say about a sound: levels, an echo's delay and loss, how much of it a canceller takes away.

Pure: arrays in, figures out. Levels are in dB relative to full scale (dBFS), where a sine that just fits has
a peak of 0 and a root mean square of -3.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
Floats = NDArray[np.float64]

FULL = 32768.0
CLIPPED = 32700
"""At or beyond this a sample is at its stop; converters clip a little short of full scale."""
SILENT_DBFS = -120.0
"""Stands for no power at all."""
WINDOW_MS = 20
FLOOR_SHARE = 0.1
"""The quiet tenth of a recording is its noise floor: somebody may be talking in the rest."""


def power_db(power: float) -> float:
    """Of a mean square relative to full scale."""
    return 10 * float(np.log10(power)) if power > 10 ** (SILENT_DBFS / 10) else SILENT_DBFS


class Levels(NamedTuple):
    """A recording of a room."""

    rms_dbfs: float
    peak_dbfs: float
    floor_dbfs: float
    """Noise floor: the quiet tenth, without the DC offset."""
    clipped_share: float
    """Samples at their stop, 0 to 1."""
    dc_share: float
    """Mean, as a share of full scale; 0 is right."""
    stuck: int | None
    """The one value of all samples, if there is only one."""


def levels(samples: Samples, rate: int) -> Levels:
    """Of at least one window."""
    unit = samples / FULL
    mean = float(unit.mean())
    window = rate * WINDOW_MS // 1000
    whole = (unit - mean)[: len(unit) // window * window].reshape(-1, window)
    powers = np.sort((whole**2).mean(axis=1))
    quiet = powers[: max(int(len(powers) * FLOOR_SHARE), 1)]
    return Levels(
        rms_dbfs=power_db(float(((unit - mean) ** 2).mean())),
        peak_dbfs=power_db(float((unit**2).max())),
        floor_dbfs=power_db(float(quiet.mean())),
        clipped_share=float((np.abs(samples.astype(np.int32)) >= CLIPPED).mean()),
        dc_share=mean,
        stuck=int(samples[0]) if (samples == samples[0]).all() else None,
    )


# ------------------------------------------------------------------------------------- test sounds

SWEEP_S = 1.0
LOW_HZ = 150.0
HIGH_HZ = 3500.0
"""What even a session at 8 kHz can carry."""
SYLLABLES_HZ = 4
FADE_S = 0.02


def sweep(rate: int, peak_dbfs: float) -> Samples:
    """A sine that climbs from low to high, as fast in every octave (A. Farina, AES convention 108, 2000)."""
    octaves = np.log(HIGH_HZ / LOW_HZ)
    progress = _times(rate, SWEEP_S) / SWEEP_S
    phase = 2 * np.pi * LOW_HZ * SWEEP_S / octaves * (np.exp(progress * octaves) - 1)
    return _sound(np.sin(phase), rate, peak_dbfs)


def murmur(rate: int, seconds: float, peak_dbfs: float) -> Samples:
    """Noise that swells and fades like syllables: what a canceller can learn from.

    It is made of the same sines at every rate, so that it is the same sound.
    """
    lowest, highest = round(LOW_HZ * seconds), round(HIGH_HZ * seconds)
    chance = np.random.default_rng(4)
    spectrum = np.zeros(round(rate * seconds) // 2 + 1, complex)
    phases = np.exp(2j * np.pi * chance.uniform(size=highest - lowest))
    spectrum[lowest:highest] = phases / np.sqrt(np.arange(lowest, highest))  # pink, as speech is
    time = _times(rate, seconds)
    sound = np.fft.irfft(spectrum, len(time)) * (0.55 - 0.45 * np.cos(2 * np.pi * SYLLABLES_HZ * time))
    return _sound(sound / np.abs(sound).max(), rate, peak_dbfs)


def _times(rate: int, seconds: float) -> Floats:
    return np.arange(round(rate * seconds)) / rate


def _sound(shape: Floats, rate: int, peak_dbfs: float) -> Samples:
    fade = np.minimum(np.arange(len(shape)) / (rate * FADE_S), 1.0)
    faded = shape * fade * fade[::-1] * 10 ** (peak_dbfs / 20) * (FULL - 1)
    return faded.round().astype(np.int16)


# -------------------------------------------------------------------------------------------- echo

LONGEST_S = 1.0
"""Of an echo's way: Bluetooth has a quarter of it."""
TAIL_S = 0.15
"""Of a room's answer that counts as one echo."""
BEFORE_S = 0.003
CLEAR_DB = 18.0
"""An echo stands out from the rest by this much: the greatest of 50,000 Gaussian values by 13."""
REGULAR = 1e-3
"""Of the strongest frequency's power: weaker ones say nothing about the room."""


class Echo(NamedTuple):
    """What comes back of what was played."""

    delay: int
    """Samples between the two arrays."""
    loss_db: float
    """How much weaker it is (echo return loss)."""
    clear_db: float
    """How far it stands out."""


def find_echo(played: Samples, recorded: Samples, rate: int) -> Echo | None:
    """The strongest echo of ``played`` in ``recorded``, up to ``LONGEST_S`` late; None if there is none."""
    size = len(played) + len(recorded)
    spectrum = np.fft.rfft(played / FULL, size)
    strength = np.abs(spectrum) ** 2
    answer = np.fft.rfft(recorded / FULL, size) * spectrum.conj() / (strength + REGULAR * strength.max())
    response = np.fft.irfft(answer, size)
    searched = response[: min(int(LONGEST_S * rate), max(len(recorded) - len(played), 1))]
    delay = int(np.abs(searched).argmax())
    window = slice(max(delay - int(BEFORE_S * rate), 0), delay + int(TAIL_S * rate))
    rest = np.delete(searched, np.arange(len(searched))[window])
    if not searched[delay] or len(rest) < rate // 10:
        return None
    noise = float((rest**2).mean())
    clear_db = power_db(float(searched[delay] ** 2)) - power_db(noise)
    if clear_db < CLEAR_DB:
        return None
    gated = np.zeros(size)
    gated[window] = response[window]
    echoed = (np.abs(np.fft.rfft(gated)) ** 2 * strength).sum() / strength.sum()
    hiss = noise * (window.stop - window.start)
    loss_db = -power_db(max(float(echoed) - hiss, float(echoed) / 10))
    return Echo(delay, loss_db, clear_db)


def enhancement_db(recorded: Samples, cleaned: Samples) -> float:
    """Echo return loss enhancement: how much weaker ``cleaned`` is than ``recorded``."""
    return power_db(_power(recorded)) - power_db(_power(cleaned))


def _power(samples: Samples) -> float:
    return float(((samples / FULL) ** 2).mean())
