"""What the audio tests share: a process of one's own, streams, a counter as audio and the search for it.

A test of real streams runs in a process of its own, because ALSA and PortAudio read their configuration once
and because what is tested may hang or abort. Marked with ``in_own_process``, a test function is run again by
``python -m tests.audio.harness <module> <function> <tmp_path>``; its failure is that process's traceback.
"""

import asyncio
import ctypes
import functools
import importlib
import inspect
import os
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from voice_agent.audio.edge import PA_CONTINUE, Callback
from voice_agent.audio.microphone import Microphone
from voice_agent.audio.portaudio import Direction, PortAudio, Stream
from voice_agent.audio.speaker import Speaker
from voice_agent.lab.card import VirtualCard

RATE = 24_000
BLOCK = RATE // 100
"""Samples of one output block: 10 ms."""
PA_INT16 = 8
PROCESS_TIMEOUT_S = 50.0
REPOSITORY = Path(__file__).parents[2]

Samples = NDArray[np.int16]
AudioTest = Callable[[Path], Coroutine[Any, Any, None] | None]


def in_own_process(test: AudioTest) -> Callable[[Path], None]:
    """Run the decorated test in a fresh interpreter; fail with what that interpreter said."""

    @pytest.mark.audio
    @functools.wraps(test)
    def run(tmp_path: Path) -> None:
        command = [sys.executable, "-X", "faulthandler", "-m", __name__]
        arguments = [test.__module__, test.__name__, str(tmp_path)]
        paths = os.pathsep.join([str(REPOSITORY / "daemon"), str(REPOSITORY)])
        done = subprocess.run(
            command + arguments,
            env=os.environ | {"PYTHONPATH": paths},
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=PROCESS_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr[-6000:]

    run.__dict__["in_process"] = test
    return run


def main(module: str, name: str, directory: str) -> None:
    test = getattr(importlib.import_module(module), name).in_process
    result = test(Path(directory))
    if inspect.iscoroutine(result):
        asyncio.run(result)


@contextmanager
def plugged_in(card: VirtualCard) -> Iterator[VirtualCard]:
    """Make ``card`` the only one that this process's PortAudio will find."""
    with card:
        os.environ.update(card.environment())
        yield card


@contextmanager
def output(callback: Callback, *, rate: int = RATE, block: int = BLOCK, channels: int = 1) -> Iterator[Any]:
    """A running PyAudio output stream on the default device."""
    with _pyaudio() as sound:
        stream = sound.open(
            rate, channels, PA_INT16, output=True, frames_per_buffer=block, stream_callback=callback
        )
        yield stream
        stream.close()


@contextmanager
def capture(callback: Callback, *, rate: int = RATE, block: int = 2 * BLOCK) -> Iterator[Any]:
    """A running PyAudio input stream on the default device."""
    with _pyaudio() as sound:
        stream = sound.open(rate, 1, PA_INT16, input=True, frames_per_buffer=block, stream_callback=callback)
        yield stream
        stream.close()


@contextmanager
def loudspeaker(speaker: Speaker) -> Iterator[None]:
    """Let ``speaker`` play on the default device."""
    with _our_stream(Direction.OUTPUT, speaker.rate, speaker.rate // 100, speaker.callback) as stream:
        speaker.set_latency(round(stream.latency_s * speaker.rate))
        stream.start()
        yield


@contextmanager
def listening(microphone: Microphone) -> Iterator[None]:
    """Let ``microphone`` hear through the default device."""
    with _our_stream(Direction.INPUT, microphone.rate, microphone.rate // 50, microphone.callback) as stream:
        stream.start()
        yield


@contextmanager
def _our_stream(direction: Direction, rate: int, block: int, callback: Callback) -> Iterator[Stream]:
    sound = PortAudio()
    try:
        stream = sound.open(direction, "default", rate=rate, frames_per_block=block, callback=callback)
        yield stream
        stream.close()
    finally:
        sound.terminate()


@contextmanager
def _pyaudio() -> Iterator[Any]:
    import pyaudio

    sound = pyaudio.PyAudio()
    try:
        yield sound
    finally:
        sound.terminate()


class Tape:
    """A callback that plays ``samples`` once and then silence, or that keeps what it is brought."""

    def __init__(self, samples: Samples | None = None) -> None:
        self._samples = np.zeros(0, np.int16) if samples is None else samples
        self.position = 0
        self.brought: list[bytes] = []
        self.statuses: set[int] = set()

    def __call__(
        self, in_data: bytes | None, frame_count: int, _time: Mapping[str, float], status: int, /
    ) -> tuple[bytes | None, int]:
        self.statuses.add(status)
        self.position += frame_count
        if in_data:
            self.brought.append(in_data)
            return None, PA_CONTINUE
        block = np.zeros(frame_count, np.int16)
        rest = self._samples[self.position - frame_count : self.position]
        block[: len(rest)] = rest
        return block.tobytes(), PA_CONTINUE

    @property
    def at_end(self) -> bool:
        """Whether the last sample was handed over and has had time to be heard."""
        return self.position > len(self._samples) + 8 * BLOCK

    def samples(self) -> Samples:
        """All that was brought."""
        return np.frombuffer(b"".join(self.brought), np.int16)


def counter(samples: int) -> Samples:
    """Audio that rises by one each sample and is never zero: a loss, a doubling or a tear shows."""
    return (np.arange(samples) % 32_767 + 1).astype(np.int16)


def hold_the_gil(milliseconds: int) -> None:
    """Sleep in C without letting any other Python thread run."""
    ctypes.PyDLL(None).usleep(milliseconds * 1000)


def sounding(recording: Samples) -> Samples:
    """From the first to the last sample that is not silence."""
    (at,) = np.nonzero(recording)
    return recording[at[0] : at[-1] + 1] if len(at) else recording[:0]


def until(condition: Callable[[], bool], what: str, *, timeout_s: float = 20.0) -> None:
    """Wait for ``condition``; fail, naming ``what``, when it does not come."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s} s in vain: {what}"
        time.sleep(0.002)


async def wait_until(condition: Callable[[], bool], what: str, *, timeout_s: float = 20.0) -> None:
    """The same for the event loop."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s} s in vain: {what}"
        await asyncio.sleep(0.002)


if __name__ == "__main__":
    main(*sys.argv[1:])
