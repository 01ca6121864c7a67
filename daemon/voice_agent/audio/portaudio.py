"""The only importer of pyaudio: streams in the shape that a device allows, and errors in words.

Everything here may block, some of it for ever (PortAudio 19.6 can hang when a USB device goes), so it is
called from helper threads only. One ``PortAudio`` sees the devices that existed when it was made; to see
others it has to be terminated and made anew.

A stream's callback is reached through a gate. Shutting the gate needs no PortAudio call, so even a stream
that cannot be closed can be kept from touching the ring that its successor now plays.
"""

import ctypes
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from typing import NamedTuple, Protocol

from voice_agent.audio import alsa
from voice_agent.audio.edge import PA_ABORT, Callback, Edge
from voice_agent.audio.names import DEFAULT, Device, Direction, choose, hardware_place
from voice_agent.audio.rates import InputAdaptor, OutputAdaptor
from voice_agent.errors import DeviceUnavailable, StreamFailed
from voice_agent.formats import BYTES_PER_SAMPLE

__all__ = ["DEFAULT", "Device", "Direction", "Gate", "PortAudio", "Stream", "choose"]

log = logging.getLogger(__name__)

RATES = (48_000, 44_100, 16_000, 32_000, 96_000)
"""Tried after the session's rate and the device's favourite, in this order."""

MOST_CHANNELS = 8
"""A device that says 128 is a sound server, which takes what it is given."""

NO_SUCH_RATE, NO_SUCH_CHANNELS = -9997, -9998
"""PortAudio's paInvalidSampleRate and paInvalidChannelCount: another shape may do."""


class PyAudioStream(Protocol):
    """What is used of ``pyaudio.PyAudio.Stream``."""

    def start_stream(self) -> None: ...
    def close(self) -> None: ...
    def get_output_latency(self) -> float: ...
    def get_input_latency(self) -> float: ...


class PyAudio(Protocol):
    """What is used of ``pyaudio.PyAudio``, which has no types of its own."""

    def open(self, **options: object) -> PyAudioStream: ...
    def terminate(self) -> None: ...
    def get_device_count(self) -> int: ...
    def get_device_info_by_index(self, index: int) -> Mapping[str, str | int | float]: ...
    def get_default_input_device_info(self) -> Mapping[str, str | int | float]: ...
    def get_default_output_device_info(self) -> Mapping[str, str | int | float]: ...
    def get_host_api_info_by_index(self, index: int) -> Mapping[str, str | int | float]: ...


class Shape(NamedTuple):
    """How a stream is at the device's side."""

    rate: int
    """Hz."""
    channels: int


def shapes(rate: int, device: Device, fewest: int, most: int, channel: int = 0) -> Iterator[Shape]:
    """What to try, best first: ``rate`` on as few channels as the device has, then what devices usually do.

    ``channel``: the one that is to be heard, from one; fewer cannot bring it.
    """
    least = max(fewest, channel)
    counts = [count for count in dict.fromkeys((least, 1, 2, most)) if least <= count <= most]
    for each in dict.fromkeys((rate, device.rate, *RATES)):
        yield from (Shape(each, count) for count in counts)


class Stream:
    """An open stream of one direction, not yet started."""

    def __init__(
        self,
        raw: PyAudioStream,
        gate: "Gate",
        device: str,
        latency_s: float,
        *,
        shape: Shape,
        adaptor: Edge | None = None,
    ) -> None:
        self.device = device
        self.latency_s = latency_s
        """How far the loudspeaker is behind the callback, or the callback behind the microphone."""
        self.shape = shape
        self._raw = raw
        self._gate = gate
        self._adaptor = adaptor

    @property
    def callbacks(self) -> int:
        """Times that PortAudio called."""
        return self._gate.callbacks

    @property
    def flat_s(self) -> float:
        """For how long a microphone has brought nothing but one and the same value."""
        return self._gate.flat / self.shape.rate

    @property
    def adaptor_errors(self) -> int:
        """Callbacks that failed between the device and its end."""
        return self._adaptor.callback_errors if self._adaptor else 0

    def start(self) -> None:
        """Let the callbacks begin."""
        try:
            self._raw.start_stream()
        except OSError as error:
            raise StreamFailed(f"{self.device} does not start: {_words(error)}") from error

    def shut(self) -> None:
        """Let no callback through any more. Does not block: safe on the event loop."""
        self._gate.shut()

    def close(self) -> None:
        """Stop at once and give the device back."""
        self._gate.shut()
        with suppress(OSError):  # the device is gone: there is nothing left to give back
            self._raw.close()


class Gate:
    """Passes a stream's callbacks on until it is shut, then ends the stream at its next callback.

    On the way it counts them, and the frames since a microphone brought two that differ.
    """

    def __init__(self, callback: Callback, channels: int = 1) -> None:
        self.callbacks = 0
        self.flat = 0
        self._callback = callback
        self._frame_bytes = channels * BYTES_PER_SAMPLE

    def __call__(
        self, in_data: bytes | None, frame_count: int, time_info: Mapping[str, float], status: int, /
    ) -> tuple[bytes | None, int]:
        """Called by PortAudio."""
        self.callbacks += 1
        if in_data:
            is_flat = in_data == in_data[: self._frame_bytes] * frame_count
            self.flat = self.flat + frame_count if is_flat else 0
        return self._callback(in_data, frame_count, time_info, status)

    def shut(self) -> None:
        """Refuse all callbacks from now on."""
        self._callback = self._refuse

    def _refuse(
        self, _in_data: bytes | None, frame_count: int, _time_info: Mapping[str, float], _status: int, /
    ) -> tuple[bytes | None, int]:
        return bytes(frame_count * self._frame_bytes), PA_ABORT


class PortAudio:
    """One initialisation of PortAudio, with the devices that exist now."""

    def __init__(self, cards: alsa.Cards | None = None) -> None:
        self._pyaudio = _initialise()
        self._cards = {card.number: card for card in (cards or alsa.Cards()).read()}

    def devices(self) -> list[Device]:
        """All devices, in PortAudio's order."""
        return [
            self._device(self._pyaudio.get_device_info_by_index(index))
            for index in range(self._pyaudio.get_device_count())
        ]

    def open(
        self,
        direction: Direction,
        wanted: str,
        *,
        rate: int,
        frames_per_block: int,
        callback: Callback,
        channel: int = 0,
    ) -> Stream:
        """Open a stream for an end that is mono PCM16 at ``rate``; how ``wanted`` is written: ``names``.

        Where the device cannot do that, the stream has another shape, and an adaptor. ``frames_per_block``
        (at ``rate``) decides the latency: PortAudio keeps at least two blocks in the device. ``channel``: the
        only one of a microphone's to hear, from one; zero is the mean of all.
        """
        device = self.find(direction, wanted)
        options = _Options(direction, rate, frames_per_block, callback, channel)
        refusals: list[Exception] = []
        for shape in self._shapes(device, options):
            try:
                return self._open(device, shape, options)
            except (OSError, ValueError) as error:
                refusals.append(error)
                if not {NO_SUCH_RATE, NO_SUCH_CHANNELS}.intersection(error.args):
                    break
        problem = f"{direction.value} {device.name} does not open at {rate} Hz mono"
        raise DeviceUnavailable(f"{problem}: {_words(refusals[0])}") from refusals[0]

    def terminate(self) -> None:
        """Close all streams and forget the devices."""
        with suppress(OSError):
            self._pyaudio.terminate()

    def find(self, direction: Direction, wanted: str) -> Device:
        """The device that ``open`` would take."""
        if wanted != DEFAULT:
            return choose(self.devices(), wanted, direction)
        output = direction is Direction.OUTPUT
        ask = self._pyaudio
        try:
            info = ask.get_default_output_device_info() if output else ask.get_default_input_device_info()
        except OSError as error:
            raise DeviceUnavailable(f"there is no default {direction.value} device") from error
        return self._device(info)

    def _shapes(self, device: Device, wanted: "_Options") -> Iterator[Shape]:
        most = min(device.channels(wanted.direction), MOST_CHANNELS)
        if wanted.channel > most:
            raise DeviceUnavailable(
                f"{device.name} has {most} channels: there is no channel {wanted.channel}"
            )
        fewest = 1
        if device.host_api == "ALSA":
            fewest = alsa.fewest_channels(device.pcm, capture=wanted.direction is Direction.INPUT)
        return shapes(wanted.rate, device, min(fewest, most), most, wanted.channel)

    def _open(self, device: Device, shape: Shape, wanted: "_Options") -> Stream:
        way = wanted.direction.value
        # Before the device: its first import takes seconds on a slow machine, and nobody should be kept out.
        adaptor = wanted.adaptor(shape) if shape != Shape(wanted.rate, 1) else None
        gate = Gate(adaptor.callback if adaptor else wanted.callback, shape.channels)
        raw = self._pyaudio.open(
            rate=shape.rate,
            channels=shape.channels,
            format=_pcm16(),
            frames_per_buffer=round(wanted.frames_per_block * shape.rate / wanted.rate),
            start=False,
            stream_callback=gate,
            **{way: True, f"{way}_device_index": device.number},
        )
        output = wanted.direction is Direction.OUTPUT
        latency_s = raw.get_output_latency() if output else raw.get_input_latency()
        if adaptor:
            latency_s += adaptor.delay_s
        return Stream(raw, gate, device.name, latency_s, shape=shape, adaptor=adaptor)

    def _device(self, info: Mapping[str, str | int | float]) -> Device:
        api = self._pyaudio.get_host_api_info_by_index(int(info["hostApi"]))
        name = str(info["name"])
        place = hardware_place(name)
        card = self._cards.get(place[0]) if place else None
        return Device(
            name=name,
            host_api=str(api["name"]),
            outputs=int(info["maxOutputChannels"]),
            inputs=int(info["maxInputChannels"]),
            rate=int(info["defaultSampleRate"]),
            number=int(info["index"]),
            card=card.id if card else "",
            usb=card.usb if card else "",
        )


class _Options(NamedTuple):
    """What ``open`` was asked for."""

    direction: Direction
    rate: int
    frames_per_block: int
    callback: Callback
    channel: int

    def adaptor(self, shape: Shape) -> OutputAdaptor | InputAdaptor:
        """What stands between a device of that shape and the end."""
        if self.direction is Direction.OUTPUT:
            return OutputAdaptor(
                self.callback,
                self.frames_per_block,
                rate=self.rate,
                device_rate=shape.rate,
                channels=shape.channels,
            )
        return InputAdaptor(
            self.callback,
            rate=self.rate,
            device_rate=shape.rate,
            channels=shape.channels,
            channel=self.channel,
        )


def _initialise() -> PyAudio:
    os.environ["JACK_NO_START_SERVER"] = "1"  # libportaudio is linked to libjack, which likes to start one
    if not log.isEnabledFor(logging.DEBUG):
        _mute_native_libraries()
    if not alsa.has_default():  # PortAudio 19.6 would abort the whole process
        raise DeviceUnavailable("the ALSA configuration defines no pcm.!default (see ALSA_CONFIG_PATH)")
    import pyaudio  # late: --help needs no sound library

    try:
        instance: PyAudio = pyaudio.PyAudio()
    except OSError as error:
        raise DeviceUnavailable(f"PortAudio does not start: {_words(error)}") from error
    return instance


def _pcm16() -> int:
    import pyaudio

    return int(pyaudio.paInt16)


@cache
def _mute_native_libraries() -> None:
    """Send what C libraries print on stderr nowhere; Python's own stderr writes to the descriptor and stays.

    ALSA and JACK chatter at every enumeration, and PortAudio 19.6 prints tens of thousands of lines in the
    second after a device was unplugged: enough for journald to start dropping this daemon's own messages.
    PortAudio offers no handler for them, so glibc's ``stderr`` itself is pointed elsewhere.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):  # elsewhere ``stderr`` may be a constant
        return
    libc.fopen.restype = ctypes.c_void_p
    ctypes.c_void_p.in_dll(libc, "stderr").value = libc.fopen(b"/dev/null", b"w")


def _words(error: Exception) -> str:
    """PyAudio puts PortAudio's number and text in either order."""
    return " ".join(str(part) for part in error.args) or type(error).__name__
