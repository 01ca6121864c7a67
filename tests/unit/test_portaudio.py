"""The shapes that a stream may have, the gate between it and its end, and PortAudio's bad manners."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from voice_agent.audio.names import Device
from voice_agent.audio.portaudio import Gate, Shape, shapes


def card(rate: int) -> Device:
    return Device("card", "ALSA", 2, 2, rate, 0)


def test_the_sessions_rate_in_mono_is_tried_first_and_the_devices_favourite_next() -> None:
    tried = list(shapes(24_000, card(44_100), 1, 2))
    assert tried[:4] == [Shape(24_000, 1), Shape(24_000, 2), Shape(44_100, 1), Shape(44_100, 2)]
    assert [shape.rate for shape in tried[4::2]] == [48_000, 16_000, 32_000, 96_000]
    assert len(set(tried)) == len(tried)


def test_a_device_that_has_no_mono_is_not_asked_for_it() -> None:
    assert {shape.channels for shape in shapes(24_000, card(48_000), 2, 2)} == {2}
    assert {shape.channels for shape in shapes(24_000, card(48_000), 4, 6)} == {4, 6}


def test_a_channel_is_not_looked_for_among_fewer() -> None:
    assert next(iter(shapes(24_000, card(48_000), 1, 6, channel=3))) == Shape(24_000, 3)
    assert min(shape.channels for shape in shapes(24_000, card(48_000), 1, 6, channel=3)) == 3


def test_a_shut_gate_ends_the_stream_and_reaches_nobody() -> None:
    calls: list[int] = []

    def callback(
        _data: bytes | None, count: int, _time: Mapping[str, float], _status: int, /
    ) -> tuple[bytes, int]:
        calls.append(count)
        return b"\x01\x00" * count, 0

    gate = Gate(callback)
    assert gate(None, 2, {}, 0) == (b"\x01\x00\x01\x00", 0)
    gate.shut()
    assert gate(None, 3, {}, 0) == (bytes(6), 2)
    assert calls == [2]
    assert gate.callbacks == 2


def test_a_shut_gate_gives_a_whole_block_on_all_channels() -> None:
    gate = Gate(lambda *_: (None, 0), channels=2)
    gate.shut()
    assert gate(None, 3, {}, 0) == (bytes(12), 2)


def test_a_microphone_that_brings_one_value_only_is_flat_until_a_sample_differs() -> None:
    gate = Gate(lambda *_: (None, 0), channels=2)
    for block in (bytes(16), b"\x01\x02\x03\x04" * 4, b"\x07\x00" * 8):
        gate(block, 4, {}, 0)
    assert gate.flat == 12
    gate(b"\x01\x02\x03\x04" * 3 + b"\x01\x02\x03\x05", 4, {}, 0)
    assert gate.flat == 0
    gate(None, 4, {}, 0)
    assert gate.flat == 0, "a loudspeaker brings nothing and is not flat"


def test_an_alsa_configuration_without_a_default_is_an_error_and_not_the_end(tmp_path: Path) -> None:
    pytest.importorskip("pyaudio")
    config = tmp_path / "alsa.conf"
    config.write_text("pcm.speaker { type null }\n")
    code = """
from voice_agent.audio.portaudio import PortAudio
from voice_agent.errors import DeviceUnavailable
try:
    PortAudio()
except DeviceUnavailable as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"ALSA_CONFIG_PATH": str(config), "PYTHONPATH": str(Path(__file__).parents[2] / "daemon")},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "pcm.!default" in done.stdout


def test_python_still_reaches_stderr_when_native_libraries_are_mute() -> None:
    code = """
import ctypes, sys
from voice_agent.audio.portaudio import _mute_native_libraries
libc = ctypes.CDLL(None)
def shout():
    stderr = ctypes.c_void_p.in_dll(libc, "stderr")
    libc.fputs(b"native\\n", stderr)
    libc.fflush(stderr)
shout()
_mute_native_libraries()
shout()
print("python", file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(Path(__file__).parents[2] / "daemon")},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stderr == "native\npython\n"
