"""Device names, and the gate between a stream and its end."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from voice_agent.audio.portaudio import Device, Direction, Gate, choose
from voice_agent.errors import DeviceUnavailable


def device(name: str, *, outputs: int = 2, inputs: int = 0) -> Device:
    return Device(name, "ALSA", outputs, inputs, 48_000, 0)


HEADSET = device("USB Headset: - (hw:1,0)", inputs=1)
MONITOR = device("HDMI: LG (hw:0,3)")
WEBCAM = device("USB Webcam: - (hw:2,0)", outputs=0, inputs=1)
DEVICES = [MONITOR, HEADSET, WEBCAM]


def test_part_of_a_name_finds_the_device_in_any_case() -> None:
    assert choose(DEVICES, "hdmi", Direction.OUTPUT) is MONITOR


def test_only_devices_of_the_right_direction_count() -> None:
    assert choose(DEVICES, "usb", Direction.OUTPUT) is HEADSET
    with pytest.raises(DeviceUnavailable, match="Webcam"):
        choose([WEBCAM, MONITOR], "hdmi", Direction.INPUT)


def test_an_exact_name_wins_over_names_that_contain_it() -> None:
    short, long = device("speaker"), device("speaker 2")
    assert choose([long, short], "speaker", Direction.OUTPUT) is short


def test_an_ambiguous_name_is_refused_with_the_candidates() -> None:
    with pytest.raises(DeviceUnavailable, match=r"Headset.*Webcam"):
        choose(DEVICES, "usb", Direction.INPUT)


def test_an_unknown_name_is_refused_with_what_there_is() -> None:
    with pytest.raises(DeviceUnavailable, match='called "piano"; there are: "HDMI'):
        choose(DEVICES, "piano", Direction.OUTPUT)
    with pytest.raises(DeviceUnavailable, match="there are: none"):
        choose([], "piano", Direction.OUTPUT)


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
