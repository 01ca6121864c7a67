"""``python -m tests.bench.resampling``: the converters that ADR 16 chose between, on blocks of 20 ms.

Behind: the most sound that a converter had taken and kept after a block: what it adds to a path. CPU includes
what the daemon does around it (16 bits to floats and back). Memory is what the package adds to NumPy.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from time import process_time

import numpy as np

from tests.fakes.sines import Samples, sine, thd_n_db
from voice_agent.audio.rates import Resampler

Convert = Callable[[Samples], Samples]

PAIRS = [(44_100, 24_000), (48_000, 24_000), (24_000, 48_000), (24_000, 44_100), (24_000, 16_000)]
SECONDS = 10
FREQUENCY = 997.0
PACKAGES = ("voice_agent.audio.converter", "soxr")
MEMORY = """
import importlib, numpy, re, sys
resident = lambda: int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1])
before = resident()
package = importlib.import_module(sys.argv[1])
if sys.argv[1] == "soxr":
    package.ResampleStream(48000, 24000, 1, dtype="int16").resample_chunk(numpy.zeros(960, "int16"))
else:
    package.Converter(0.5).process(numpy.zeros(960, "float32"))
print(resident() - before)
"""


def libsamplerate(rate: int, to_rate: int) -> Convert:
    """What the daemon uses."""
    return Resampler(rate, to_rate).process


def soxr(quality: str, *, steady: bool = False) -> Callable[[int, int], Convert]:
    """What it might have used; ``steady``: by its engine for rates that vary, which gathers no blocks."""

    def make(rate: int, to_rate: int) -> Convert:
        import soxr

        stream = soxr.ResampleStream(rate, to_rate, 1, dtype="int16", quality=quality, vr=steady)
        return lambda samples: np.asarray(stream.resample_chunk(samples), np.int16)

    return make


CANDIDATES = {
    "libsamplerate sinc_fastest": libsamplerate,
    "soxr QQ": soxr("QQ"),
    "soxr LQ": soxr("LQ"),
    "soxr HQ": soxr("HQ"),
    "soxr HQ, variable": soxr("HQ", steady=True),
}


def row(make: Callable[[int, int], Convert], rate: int, to_rate: int) -> str:
    """CPU, delay and quality of one converter between two rates."""
    convert, tone = make(rate, to_rate), sine(FREQUENCY, rate, SECONDS)
    began = process_time()
    blocks = [convert(block) for block in np.split(tone, SECONDS * 50)]
    cpu_ms = (process_time() - began) * 1000 / SECONDS
    given_ms = np.cumsum([len(block) for block in blocks]) * 1000 / to_rate
    behind_ms = (20 * np.arange(1, len(blocks) + 1) - given_ms).max()
    out = np.concatenate(blocks)
    quality_db = thd_n_db(out[to_rate : to_rate * (SECONDS - 1)], FREQUENCY, to_rate)
    alias_db = alias(make(rate, to_rate), rate, to_rate) if to_rate < rate else float("nan")
    return f"{cpu_ms:8.2f} {behind_ms:9.2f} {quality_db:8.1f} {alias_db:8.1f}"


def alias(convert: Convert, rate: int, to_rate: int) -> float:
    """What becomes of a tone that the lower rate cannot carry, in dB against it."""
    tone = sine(0.6 * to_rate, rate, 1.0)
    out = np.concatenate([convert(block) for block in np.split(tone, 50)])[to_rate // 10 :]
    power = np.mean(out.astype(float) ** 2) / np.mean(tone.astype(float) ** 2)
    return float(10 * np.log10(power + 1e-12))


def memory_kb(package: str) -> int:
    """Resident memory that it adds to a process with NumPy."""
    command = [sys.executable, "-c", MEMORY, package]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environ)
    return int(done.stdout)


def main() -> None:
    """Print the table."""
    print(f"{'':26} {'from':>6} {'to':>6} {'CPU ms/s':>8} {'behind ms':>9} {'THD+N dB':>8} {'alias dB':>8}")
    for name, make in CANDIDATES.items():
        for rate, to_rate in PAIRS:
            print(f"{name:26} {rate:6} {to_rate:6} {row(make, rate, to_rate)}")
    for package in PACKAGES:
        print(f"{package}: {memory_kb(package) / 1024:.1f} MB beside NumPy")


if __name__ == "__main__":
    main()
