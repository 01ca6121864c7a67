"""What echo cancellation costs: the daemon with and without it, in the same minutes, doing the same.

``python -m tests.bench.echo [ROUNDS]``: CPU seconds per second of full-duplex audio, without the virtual
card's. In each round both daemons only listen, then play speech-like noise in a room with an echo.
"""

import asyncio
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np

from tests.bench import paths
from tests.bench.rounds import CPU_WINDOW_S, SETTLE_S, card_cpu_s, process_cpu_s
from voice_agent import embedded

ROUNDS = 3
ECHO_DB = -6.0
RATE = 24_000
DELTA_S = 0.1
SYLLABLE_HZ = 4.0
LEARNT_S = 4.0
MODES = ("off", "aec")


def speech_like(seconds: float) -> bytes:
    """Noise that gets louder and softer as syllables do."""
    count = round(seconds * RATE)
    loudness = 1500 * (1 + np.sin(2 * np.pi * SYLLABLE_HZ * np.arange(count) / RATE))
    sound: bytes = (np.random.default_rng(1).standard_normal(count) * loudness).astype("<i2").tobytes()
    return sound


async def _answer(daemon: paths.Daemon, seconds: float) -> None:
    """All at once, as most servers send."""
    daemon.begin()
    sound, step = speech_like(seconds), round(DELTA_S * RATE) * 2
    for at in range(0, len(sound), step):
        daemon.say(sound[at : at + step])


async def _cpu(pid: int) -> float:
    before = process_cpu_s(pid) - card_cpu_s(pid)
    await asyncio.sleep(CPU_WINDOW_S)
    return (process_cpu_s(pid) - card_cpu_s(pid) - before) / CPU_WINDOW_S


async def _round(directory: Path) -> dict[tuple[str, str], float]:
    found = {}
    for mode in MODES:
        options = embedded.ServerOptions(script=embedded.Script())
        async with (
            embedded.running(options) as server,
            paths.daemon(directory / mode, server, echo=mode, echo_db=ECHO_DB) as daemon,
        ):
            pid = daemon.process.pid
            await asyncio.sleep(SETTLE_S)
            found[mode, "listening"] = await _cpu(pid)
            await _answer(daemon, LEARNT_S + CPU_WINDOW_S + SETTLE_S)
            await asyncio.sleep(LEARNT_S)
            found[mode, "playing"] = await _cpu(pid)
    return found


async def _measure(rounds: int) -> None:
    results = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="voice-agent-bench-") as directory:
            results.append(await _round(Path(directory)))
    for what in ("listening", "playing"):
        off, aec = ([result[mode, what] for result in results] for mode in MODES)
        ratio = median(with_it / without for with_it, without in zip(aec, off, strict=True))
        print(f"{what:10} off {median(off):.4f}   aec {median(aec):.4f} s/s   {ratio:.2f} times")


if __name__ == "__main__":
    asyncio.run(_measure(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS))
