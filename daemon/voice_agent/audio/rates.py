"""Between the rate of a session and that of a device: a resampler, and adaptors for PortAudio's callbacks.

Speaker and microphone are mono, at the session's rate, and know of nothing else. Where a device cannot do
that, an adaptor stands between the two::

    device asks 441 frames, stereo -> OutputAdaptor <- 240 samples, mono <- Speaker
    device brings 882 frames, stereo -> InputAdaptor -> 480 samples, mono -> Microphone

The converter is libsamplerate's. Sample n it gives stands for the moment n / rate of what it was given:
nothing is shifted. It only keeps about a millisecond in hand, for the filter's other half to be there.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from voice_agent.audio.edge import Callback, Edge
from voice_agent.errors import DeviceUnavailable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PRIMING_S = 0.01
"""Silence that fills the filter before the first block; the filter is a tenth as long."""

SLACK = 2
"""Samples that an output keeps ready, at the device's rate: a block may come out of the filter one short."""


class Resampler:
    """A stream of mono samples, at another rate; the state is kept from one call to the next.

    Costs 4 to 9 ms of CPU for a second of sound. Raises DeviceUnavailable if libsamplerate is not installed.
    """

    def __init__(self, rate: int, to_rate: int) -> None:
        self.rate = rate
        self.to_rate = to_rate
        self.taken = 0
        """Samples it was given, at ``rate``."""
        self.given = 0
        """Samples that it has returned, at ``to_rate``."""
        self._convert = _converter(rate, to_rate)

    def process(self, samples: "NDArray[np.int16]") -> "NDArray[np.int16]":
        """As many samples as can be had by now; what would not fit 16 bits is clipped."""
        import numpy as np

        return self.process_float(samples.astype(np.float32))

    def process_float(self, samples: "NDArray[np.float32]") -> "NDArray[np.int16]":
        """The same for samples that are not rounded yet; full scale is 32768."""
        import numpy as np

        out = self._convert(samples)
        self.taken += len(samples)
        self.given += len(out)
        return np.clip(np.rint(out), -32768, 32767).astype(np.int16)

    @property
    def held_s(self) -> float:
        """Sound that was taken and is still inside."""
        return self.taken / self.rate - self.given / self.to_rate


def _converter(rate: int, to_rate: int) -> "Callable[[NDArray[np.float32]], NDArray[np.float32]]":
    import numpy as np  # noqa: F401 - loaded now, and not in the first callback

    from voice_agent.audio.converter import Converter

    if rate == to_rate:
        return lambda samples: samples
    try:
        return Converter(to_rate / rate).process
    except OSError as error:
        raise DeviceUnavailable(
            f"{rate} Hz to {to_rate} Hz needs libsamplerate: apt-get install libsamplerate0"
        ) from error


class OutputAdaptor(Edge):
    """Plays what ``inner`` gives in blocks of ``block`` samples at ``rate``, on all channels of a device."""

    def __init__(self, inner: Callback, block: int, *, rate: int, device_rate: int, channels: int) -> None:
        super().__init__(channels)
        import numpy as np

        self._inner = inner
        self._block = block
        self._resampler = Resampler(rate, device_rate)
        self._ready = np.zeros(0, np.int16)  # at the device's rate, waiting for the next callback
        if rate != device_rate:
            self._resampler.process(np.zeros(int(rate * PRIMING_S), np.int16))
            self._ready = np.zeros(SLACK, np.int16)

    @property
    def delay_s(self) -> float:
        """From being taken from ``inner`` to being given to the device."""
        return self._resampler.held_s + len(self._ready) / self._resampler.to_rate

    def _exchange(self, _in_data: bytes | None, frame_count: int, status: int, /) -> bytes:
        while len(self._ready) < frame_count:
            self._draw(status)
            status = 0  # it happened once
        out, self._ready = self._ready[:frame_count], self._ready[frame_count:]
        return out.repeat(self.channels).tobytes()

    def _draw(self, status: int) -> None:
        import numpy as np

        data, _ = self._inner(None, self._block, {}, status)
        more = self._resampler.process(np.frombuffer(data or b"", np.int16))
        self._ready = np.concatenate((self._ready, more))


class InputAdaptor(Edge):
    """Brings ``inner`` one channel, or the mean of all, at ``rate``; in blocks of any length."""

    def __init__(
        self, inner: Callback, *, rate: int, device_rate: int, channels: int, channel: int = 0
    ) -> None:
        """``channel``: from one; zero is the mean of all."""
        super().__init__(channels)
        self._inner = inner
        self._channel = channel
        self._resampler = Resampler(device_rate, rate)

    @property
    def delay_s(self) -> float:
        """From being brought by the device to being handed to ``inner``; known once sound has come."""
        return self._resampler.held_s

    def _exchange(self, in_data: bytes | None, _frame_count: int, status: int, /) -> None:
        import numpy as np

        frames = np.frombuffer(in_data or b"", np.int16).reshape(-1, self.channels)
        if self._channel:
            samples = frames[:, self._channel - 1].astype(np.float32)
        else:
            samples = frames.mean(axis=1, dtype=np.float32)
        out = self._resampler.process_float(samples)
        self._inner(out.tobytes(), len(out), {}, status)
