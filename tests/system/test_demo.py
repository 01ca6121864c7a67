"""The whole demo, as a newcomer sees it: real models, real streams, real processes, a virtual sound card."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import wave
from itertools import takewhile
from pathlib import Path
from time import monotonic
from urllib.request import urlopen

import numpy as np
import pytest

import voice_agent
from voice_agent.config.schema import Metrics
from voice_agent.demo.voices import synthesised
from voice_agent.lab.card import VirtualCard

pytestmark = [pytest.mark.system, pytest.mark.models, pytest.mark.audio, pytest.mark.slow]

COMMAND = [sys.executable, "-m", "voice_agent", "demo", "--virtual"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(voice_agent.__file__).parents[1])}


def hold(speech: str, out: Path) -> subprocess.CompletedProcess[str]:
    """One whole conversation."""
    return subprocess.run(
        [*COMMAND, "--speech", speech, "--out", str(out)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("speech", "recognition"),
    [("en", "moonshine"), ("ru", "told")],
)
def test_the_demo_holds_its_conversation_and_leaves_everything_behind(
    speech: str, recognition: str, tmp_path: Path
) -> None:
    began = monotonic()
    done = hold(speech, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    summary = json.loads((tmp_path / "summary.json").read_text())
    machine = summary["machine"]
    assert 0 <= machine["withheld_s"] + machine["others_s"] < (monotonic() - began) * (os.cpu_count() or 1)
    assert summary["ok"] is True
    assert summary["recognition"] == recognition
    assert all(expectation["met"] for expectation in summary["expectations"])
    turns = summary["turns"]
    assert [len(turn["tools"]) for turn in turns] == [1, 2, 0, 1, 1, 0, 2, 1, 1, 1, 1]
    assert [number for number, turn in enumerate(turns) if turn["interrupted"]] == [2]
    assert 2900 - summary["playout"]["waited_ms"] < turns[2]["heard_ms"] < turns[2]["sent_ms"]
    assert turns[2]["silence_ms"] >= 0
    assert turns[2]["silence_ms"] < 40 or summary["machine"]["disturbed"]
    assert [number for number, turn in enumerate(turns) if not turn["first_audio_ms"]] == [8]  # "stop"
    assert summary["playout"]["gaps"] == summary["playout"]["lost_samples"] == 0
    assert summary["uplink"]["lost_samples"] == 0
    assert (tmp_path / "timeline.png").read_bytes().startswith(b"\x89PNG")
    with wave.open(str(tmp_path / "conversation.wav")) as sound:
        assert sound.getframerate() == 24_000
        assert 25 < sound.getnframes() / 24_000 < 120


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_demo_and_its_server(number: signal.Signals, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "--speech", "ru", "--out", str(tmp_path)],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    server = next(line.split("process ")[1].split(",")[0] for line in process.stdout if "ready after" in line)
    process.send_signal(number)
    began = monotonic()
    process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert monotonic() - began < 3.5
    assert not Path("/proc", server).exists()


def assert_others_can_watch(said: list[str]) -> None:
    """It is where ``make observe`` looks, unless somebody else has that port."""
    told = [line.split()[1] for line in said if line.split()[:1] == ["status"]]
    if told:
        with urlopen(f"{told[0]}metrics", timeout=5) as page:
            assert b"\nvoice_agent_ready 1.0\n" in page.read()
    else:
        socket.create_connection(("127.0.0.1", Metrics().port), timeout=5).close()


@pytest.mark.timeout(90)
def test_a_person_can_talk_to_it(tmp_path: Path) -> None:
    [question] = asyncio.run(synthesised("light", ["What is the weather in Moscow?"], 24_000))
    with VirtualCard(tmp_path / "room", elastic=True, noise_db=-70) as card:
        process = subprocess.Popen(
            [*COMMAND[:-1], "--live", "--speech", "light", "--out", str(tmp_path / "out")],
            env=ENVIRONMENT | card.environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        said = iter(process.stdout.readline, "")
        assert any("it is you who talks" in line for line in said)
        before = list(takewhile(lambda line: "time  who" not in line, said))
        card.speak(question).result(timeout=30)
        assert any("In Moscow it is minus 3 degrees" in line for line in said)
        assert_others_can_watch(before)
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
    assert process.returncode == 0, rest
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["ok"], summary["mode"]) == (True, "live")
    [turn] = summary["turns"]
    assert turn["user"] == "what is the weather in moscow"
    assert [tool["name"] for tool in turn["tools"]] == ["get_weather"]
    assert turn["silence_ms"] is turn["response_ms"] is summary["playout"]["waited_ms"] is None
    with wave.open(str(tmp_path / "out" / "room.wav")) as sound:
        room = np.frombuffer(sound.readframes(sound.getnframes()), np.int16).reshape(-1, 2)
    assert room[:, 0].any()
    assert room[:, 1].any()
