"""What every PortAudio callback of this package promises, kept in one place.

A callback copies, counts and returns. It takes no lock, logs nothing and raises nothing: PyAudio would
abort the stream and inject the exception into the thread that opened it, at whatever line that thread
has reached. It returns exactly the samples asked for: PyAudio takes a short answer for the end of the
stream.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Protocol

from voice_agent.formats import BYTES_PER_SAMPLE

# PortAudio's values, repeated because pyaudio is imported in ``portaudio`` only.
PA_CONTINUE = 0
PA_ABORT = 2
PA_INPUT_OVERFLOW = 2
PA_OUTPUT_UNDERFLOW = 4


class Callback(Protocol):
    """What PyAudio calls for each block, in PortAudio's thread."""

    def __call__(
        self, in_data: bytes | None, frame_count: int, time_info: Mapping[str, float], status: int, /
    ) -> tuple[bytes | None, int]:
        """Take or give one block; say whether the stream goes on."""
        ...


class Edge(ABC):
    """The PortAudio side of one direction. All fields are written by the callback alone."""

    def __init__(self, channels: int = 1, *, clock: Callable[[], float] = monotonic) -> None:
        self.channels = channels
        self._clock = clock
        self.callbacks = 0
        self.callback_errors = 0
        self.last_callback = 0.0
        """Monotonic seconds; zero before the first callback. Its age is the only honest sign of life."""

    def callback(
        self, in_data: bytes | None, frame_count: int, _time_info: Mapping[str, float] | None, status: int
    ) -> tuple[bytes | None, int]:
        """Exchange one block of ``frame_count`` samples with PortAudio."""
        self.last_callback = self._clock()
        self.callbacks += 1
        try:
            return self._exchange(in_data, frame_count, status), PA_CONTINUE
        except Exception:  # noqa: BLE001 - see above: nothing may leave, and silence is always an answer
            self.callback_errors += 1
            return bytes(frame_count * self.channels * BYTES_PER_SAMPLE), PA_CONTINUE

    @abstractmethod
    def _exchange(self, in_data: bytes | None, frame_count: int, status: int, /) -> bytes | None:
        """Take ``in_data`` or return ``frame_count`` samples."""
