"""The only importer of pyaudio: devices by stable names, streams, and errors in words.

Everything here may block, some of it for ever (PortAudio 19.6 can hang when a USB device goes), so it is
called from helper threads only. One ``PortAudio`` sees the devices that existed when it was made; to see
others it has to be terminated and made anew.

A stream's callback is reached through a gate. Shutting the gate needs no PortAudio call, so even a stream
that cannot be closed can be kept from touching the ring that its successor now plays.
"""

import ctypes
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from enum import Enum
from functools import cache
from typing import NamedTuple, Protocol

from voice_agent.audio.edge import PA_ABORT, Callback
from voice_agent.errors import DeviceUnavailable, StreamFailed
from voice_agent.formats import BYTES_PER_SAMPLE

log = logging.getLogger(__name__)

DEFAULT = "default"

ALSA = "libasound.so.2"


class Direction(Enum):
    """Which way audio flows, seen from the daemon."""

    OUTPUT = "output"
    INPUT = "input"


class Device(NamedTuple):
    """A sound device as PortAudio enumerates it."""

    name: str
    host_api: str
    outputs: int
    """Channels it can play; zero for a pure microphone."""
    inputs: int
    rate: int
    """Its preferred rate, Hz."""
    number: int
    """Its index in this enumeration; means nothing in the next one."""

    def has(self, direction: Direction) -> bool:
        """Whether audio can flow this way."""
        return (self.outputs if direction is Direction.OUTPUT else self.inputs) > 0


def choose(devices: Sequence[Device], wanted: str, direction: Direction) -> Device:
    """The device of that exact name, or the only one whose name contains ``wanted`` in any case."""
    usable = [device for device in devices if device.has(direction)]
    exact = [device for device in usable if device.name == wanted]
    match exact[:1] or [device for device in usable if wanted.casefold() in device.name.casefold()]:
        case [device]:
            return device
        case []:
            problem = f'no {direction.value} device is called "{wanted}"; there are: {_names(usable)}'
        case several:
            problem = f'"{wanted}" may be any of these {direction.value} devices: {_names(several)}'
    raise DeviceUnavailable(problem)


def _names(devices: Sequence[Device]) -> str:
    return ", ".join(f'"{device.name}"' for device in devices) or "none"


class PyAudioStream(Protocol):
    """What is used of ``pyaudio.PyAudio.Stream``."""

    def start_stream(self) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102
    def get_output_latency(self) -> float: ...  # noqa: D102
    def get_input_latency(self) -> float: ...  # noqa: D102


class PyAudio(Protocol):
    """What is used of ``pyaudio.PyAudio``, which has no types of its own."""

    def open(self, **options: object) -> PyAudioStream: ...  # noqa: D102
    def terminate(self) -> None: ...  # noqa: D102
    def get_device_count(self) -> int: ...  # noqa: D102
    def get_device_info_by_index(self, index: int) -> Mapping[str, str | int | float]: ...  # noqa: D102
    def get_default_input_device_info(self) -> Mapping[str, str | int | float]: ...  # noqa: D102
    def get_default_output_device_info(self) -> Mapping[str, str | int | float]: ...  # noqa: D102
    def get_host_api_info_by_index(self, index: int) -> Mapping[str, str | int | float]: ...  # noqa: D102


class Stream:
    """An open stream of one direction, not yet started."""

    def __init__(self, raw: PyAudioStream, gate: "Gate", device: str, latency_s: float) -> None:
        self.device = device
        self.latency_s = latency_s
        """How far the loudspeaker is behind the callback, or the callback behind the microphone."""
        self._raw = raw
        self._gate = gate

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
    """Passes a stream's callbacks on until it is shut, then ends the stream at its next callback."""

    def __init__(self, callback: Callback) -> None:
        self._callback = callback

    def __call__(
        self, in_data: bytes | None, frame_count: int, time_info: Mapping[str, float], status: int, /
    ) -> tuple[bytes | None, int]:
        """Called by PortAudio."""
        return self._callback(in_data, frame_count, time_info, status)

    def shut(self) -> None:
        """Refuse all callbacks from now on."""
        self._callback = _refuse


def _refuse(
    _in_data: bytes | None, frame_count: int, _time_info: Mapping[str, float], _status: int, /
) -> tuple[bytes | None, int]:
    return bytes(frame_count * BYTES_PER_SAMPLE), PA_ABORT


class PortAudio:
    """One initialisation of PortAudio, with the devices that exist now."""

    def __init__(self) -> None:
        self._pyaudio = _initialise()

    def devices(self) -> list[Device]:
        """All devices, in PortAudio's order."""
        return [
            self._device(self._pyaudio.get_device_info_by_index(index))
            for index in range(self._pyaudio.get_device_count())
        ]

    def open(
        self, direction: Direction, wanted: str, *, rate: int, frames_per_block: int, callback: Callback
    ) -> Stream:
        """Open a mono PCM16 stream; ``wanted`` is "default", an exact name or a unique part of one.

        ``frames_per_block`` decides the latency too: PortAudio keeps at least two blocks in the device.
        """
        device = self.find(direction, wanted)
        way = direction.value
        gate = Gate(callback)
        options = {way: True, f"{way}_device_index": device.number, "frames_per_buffer": frames_per_block}
        try:
            raw = self._pyaudio.open(
                rate=rate, channels=1, format=_pcm16(), start=False, stream_callback=gate, **options
            )
        except (OSError, ValueError) as error:
            raise DeviceUnavailable(
                f"{way} {device.name} does not open at {rate} Hz mono: {_words(error)}"
            ) from error
        latency_s = raw.get_output_latency() if direction is Direction.OUTPUT else raw.get_input_latency()
        return Stream(raw, gate, device.name, latency_s)

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

    def _device(self, info: Mapping[str, str | int | float]) -> Device:
        api = self._pyaudio.get_host_api_info_by_index(int(info["hostApi"]))
        return Device(
            name=str(info["name"]),
            host_api=str(api["name"]),
            outputs=int(info["maxOutputChannels"]),
            inputs=int(info["maxInputChannels"]),
            rate=int(info["defaultSampleRate"]),
            number=int(info["index"]),
        )


def _initialise() -> PyAudio:
    os.environ["JACK_NO_START_SERVER"] = "1"  # libportaudio is linked to libjack, which likes to start one
    if not log.isEnabledFor(logging.DEBUG):
        _mute_native_libraries()
    _require_alsa_default()
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


def _require_alsa_default() -> None:
    """PortAudio 19.6 aborts the whole process if ALSA's configuration has no ``pcm.!default``."""
    try:
        alsa = ctypes.CDLL(ALSA)
    except OSError:
        return
    alsa.snd_config_search.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    alsa.snd_config_update()
    root, found = ctypes.c_void_p.in_dll(alsa, "snd_config"), ctypes.c_void_p()
    if not root.value or alsa.snd_config_search(root, b"pcm.default", ctypes.byref(found)) < 0:
        raise DeviceUnavailable("the ALSA configuration defines no pcm.!default (see ALSA_CONFIG_PATH)")


def _words(error: Exception) -> str:
    """PyAudio puts PortAudio's number and text in either order."""
    return " ".join(str(part) for part in error.args) or type(error).__name__
