"""The files through which a virtual card is used, without the card: a thread stands in for its clock."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from voice_agent.errors import LabUnavailable
from voice_agent.lab import pulse
from voice_agent.lab.card import VirtualCard
from voice_agent.lab.events import CardEvent, read_events
from voice_agent.lab.mouth import Mouth, Spoken


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory, and a compiler that takes no time: the plugin is not used here."""
    gcc = tmp_path / "gcc"
    gcc.write_text('#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\n: > "$2"\n')
    gcc.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "room"


def log_line(event: str, position: int) -> str:
    return f"1000 2000 mic {event} {position} 24000 0.5\n"


def test_a_line_that_is_still_being_written_is_not_yet_an_event(tmp_path: Path) -> None:
    log = tmp_path / "events.log"
    assert read_events(log) == []
    log.write_text("1000 2000 speaker open 7 24000 0.5\n1001 2001 speaker sta")
    assert read_events(log) == [CardEvent(1000, 2000, "speaker", "open", 7, 24_000, 0.5)]


def test_the_configuration_has_a_default_or_portaudio_would_abort(room: Path) -> None:
    card = VirtualCard(room)
    config = card.config_path.read_text()
    assert "pcm.!default" in config
    assert card.environment() == {"ALSA_CONFIG_PATH": str(card.config_path), "JACK_NO_START_SERVER": "1"}


def test_options_reach_the_configuration_and_the_drift_only_the_microphone(room: Path) -> None:
    card = VirtualCard(
        room,
        elastic=True,
        speed=4,
        echo_db=-6,
        echo_ms=50,
        mic_ppm=200,
        only_rate=48_000,
        only_channels=2,
        noise_db=-60,
    )
    lines = card.config_path.read_text().splitlines()
    speaker, mic = lines[1], lines[2]
    for field in (
        "elastic 1",
        "speed 4",
        "echo_db -6",
        "echo_ms 50",
        "rate 48000",
        "channels 2",
        "noise_db -60",
    ):
        assert field in speaker
        assert field in mic
    assert "ppm" not in speaker
    assert "ppm 200" in mic


def test_a_quote_in_the_directorys_name_does_not_end_the_string(room: Path) -> None:
    card = VirtualCard(room / 'a "quoted" \\ name')
    assert r'a \"quoted\" \\ name"' in card.config_path.read_text()


def test_a_new_card_begins_with_an_empty_room(room: Path) -> None:
    VirtualCard(room)
    (room / "speaker.raw").write_bytes(b"\1\0")
    (room / "events.log").write_text(log_line("open", 1))
    (room / "fault").write_text("spk-gone")
    card = VirtualCard(room)
    assert (len(card.played()), len(card.captured()), card.played_samples()) == (0, 0, 0)
    assert card.events() == []
    assert not (room / "fault").exists()


def test_half_a_sample_at_the_end_of_a_recording_is_left_for_later(room: Path) -> None:
    card = VirtualCard(room)
    (room / "speaker.raw").write_bytes(np.array([1, -2], "<i2").tobytes() + b"\7")
    assert card.played().tolist() == [1, -2]
    assert card.played_samples() == 2


def test_faults_replace_each_other_and_healing_ends_all(room: Path) -> None:
    card = VirtualCard(room)
    card.fault("spk-gone", "mic-stall")
    assert (room / "fault").read_text().split() == ["spk-gone", "mic-stall"]
    card.fault("spk-xrun")
    assert (room / "fault").read_text().split() == ["spk-xrun"]
    card.heal()
    assert (room / "fault").read_text() == ""


def listen(fifo: Path, log: Path, utterances: int, heard: list[bytes]) -> None:
    """What the card's clock does: take an utterance to its end, then write down where it stood."""
    position = 100
    for _ in range(utterances):
        with fifo.open("rb") as pipe:
            heard.append(pipe.read())
        end = position + len(heard[-1]) // 2
        with log.open("a") as lines:
            lines.write(log_line("speech", position) + log_line("quiet", end))
        position = end + 50


def test_utterances_are_said_one_after_another_and_each_learns_its_place(tmp_path: Path) -> None:
    fifo, log = tmp_path / "mic.fifo", tmp_path / "events.log"
    os.mkfifo(fifo)
    heard: list[bytes] = []
    listener = threading.Thread(target=listen, args=(fifo, log, 2, heard))
    listener.start()
    mouth = Mouth(fifo, log)
    first, second = mouth.say(b"ab" * 200_000), mouth.say(b"cd" * 10)
    assert first.result(timeout=5) == Spoken(100, 200_100)
    assert second.result(timeout=5) == Spoken(200_150, 200_160)
    listener.join(timeout=5)
    assert heard == [b"ab" * 200_000, b"cd" * 10]


def test_whoever_speaks_to_nobody_does_not_wait_and_is_told_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "mic.fifo")
    monkeypatch.setattr("voice_agent.lab.mouth.PATIENCE_S", 0.05)
    spoken = Mouth(tmp_path / "mic.fifo", tmp_path / "events.log").say(b"ab")
    with pytest.raises(LabUnavailable, match="nobody has opened"):
        spoken.result(timeout=5)


def test_an_utterance_taken_back_in_time_is_never_said(tmp_path: Path) -> None:
    fifo, log = tmp_path / "mic.fifo", tmp_path / "events.log"
    os.mkfifo(fifo)
    mouth = Mouth(fifo, log)
    first, second, third = mouth.say(b"ab"), mouth.say(b"cd"), mouth.say(b"ef")
    assert second.cancel()
    heard: list[bytes] = []
    threading.Thread(target=listen, args=(fifo, log, 2, heard), daemon=True).start()
    assert first.result(timeout=5) < third.result(timeout=5)
    assert heard == [b"ab", b"ef"]


def test_without_pulseaudio_the_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(LabUnavailable, match=r"pulseaudio.*libasound2-plugins"),
        pulse.PrivatePulse(tmp_path, rate=24_000),
    ):
        pass
