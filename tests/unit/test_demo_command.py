"""The demo's manners: usage, what is missing, children, the clock of the virtual card."""

import asyncio
import io
import os
import re
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from voice_agent.cli import main
from voice_agent.demo import command, performance
from voice_agent.demo.live import Tap
from voice_agent.demo.probe import missing_device
from voice_agent.demo.screen import Screen
from voice_agent.demo.server import ServerAddress, own_command, serving
from voice_agent.demo.stage import Wait
from voice_agent.demo.virtual import trimmed, waits_of, zero_of
from voice_agent.demo.voices import synthesised
from voice_agent.errors import VoiceAgentError
from voice_agent.lab.card import VirtualCard
from voice_agent.lab.events import CardEvent
from voice_agent.realtime.providers import LOCAL, SessionSettings, session_update


@pytest.mark.parametrize(
    "words", [["--speech", "fr"], ["--live", "--virtual"], ["--minutes", "0"], ["--minutes", "x"], ["now"]]
)
def test_wrong_usage_exits_64(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["demo", *words])
    assert exit_.value.code == os.EX_USAGE
    assert "voice-agent demo: " in capsys.readouterr().err


def test_help_tells_files_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["demo", "--help"])
    assert exit_.value.code == 0
    said = capsys.readouterr().out
    assert all(
        name in said for name in ("timeline.png", "summary.json", "conversation.wav", "--speech", "69")
    )


def test_a_missing_matplotlib_is_said_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "find_spec", {"matplotlib": None}.get)
    assert main(["demo", "--virtual"]) == os.EX_UNAVAILABLE
    assert "pip install 'voice-agent[demo]'" in capsys.readouterr().err


def test_a_directory_that_cannot_be_made_exits_73(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["demo", "--virtual", "--out", str(tmp_path / "file")]) == os.EX_CANTCREAT
    assert "cannot be written" in capsys.readouterr().err


def test_a_missing_compiler_is_said_before_any_model_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert main(["demo", "--virtual", "--out", str(tmp_path)]) == os.EX_UNAVAILABLE
    said = capsys.readouterr()
    assert "apt-get install gcc" in said.err
    assert "server" not in said.out


# ---------------------------------------------------------------------------------------- devices


@pytest.mark.audio
def test_a_card_that_runs_is_no_missing_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with VirtualCard(tmp_path) as card:
        for name, value in card.environment().items():
            monkeypatch.setenv(name, value)
        assert not asyncio.run(missing_device())
        card.fault("mic-stall")
        assert asyncio.run(missing_device()) == "the microphone does not run"
        card.fault("spk-gone")
        assert "output" in asyncio.run(missing_device())


def test_without_sound_there_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALSA_CONFIG_PATH", "/dev/null")
    assert "pcm.!default" in asyncio.run(missing_device())


def test_nobody_at_a_terminal_means_the_virtual_card(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert asyncio.run(performance.decided(None, Screen(sys.stdout))) is False
    assert "no sound card here (nobody at a terminal): a virtual one" in capsys.readouterr().out


# --------------------------------------------------------------------------------------- children


def test_a_child_is_this_python_on_a_leash() -> None:
    words = own_command("voice_agent", "serve")
    assert words[words.index(sys.executable) :] == [sys.executable, "-m", "voice_agent", "serve"]


def test_the_weather_lives_beside_the_protocol() -> None:
    assert ServerAddress("ws://127.0.0.1:80/v1/realtime", 1).http_url == "http://127.0.0.1:80"


def test_the_local_server_is_asked_for_transcripts() -> None:
    session = session_update(LOCAL, SessionSettings()).session
    assert b'"transcription":{"model":"embedded"}' in msgspec.json.encode(session)


@pytest.mark.system
def test_a_server_that_does_not_start_says_why() -> None:
    async def start() -> None:
        async with serving(["--speech", "ru"], lambda _text: None):
            raise AssertionError

    with pytest.raises(VoiceAgentError, match=r"the server does not start: speech: .*sheet"):
        asyncio.run(start())


@pytest.mark.system
def test_the_server_ends_with_the_demo_whatever_happens(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text("{}")
    seen: list[int] = []

    async def start() -> None:
        async with serving(["--script", str(script)], lambda _text: None) as server:
            seen.append(server.pid)
            os.kill(server.pid, 0)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        asyncio.run(start())
    with pytest.raises(ProcessLookupError):
        os.kill(seen[0], 0)


@pytest.mark.system
def test_every_sentence_gets_its_voice() -> None:
    short, long = asyncio.run(synthesised("ru", ["Да.", "Какая погода в Москве?"], 24_000))
    assert 0 < len(short) < len(long)
    assert len(short) % 2 == len(long) % 2 == 0


@pytest.mark.system
def test_a_voice_that_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(VoiceAgentError, match=re.escape("no voice for the user: speech: needs flite")):
        asyncio.run(synthesised("light", ["Hello."], 24_000))


# ------------------------------------------------------------------------------------------ clocks


def event(ms: float, position: int, name: str, *, virtual_ms: float = 0.0, who: str = "speaker") -> CardEvent:
    return CardEvent(int(ms * 1e6), int(virtual_ms * 1e6), who, name, position, 24_000, 0.0)


def test_the_cards_zero_is_read_off_the_event_that_was_least_late() -> None:
    late, exact = event(1102, 0, "start", virtual_ms=100), event(1200.5, 0, "stop", virtual_ms=200)
    opened = event(0, 0, "open")._replace(rate=0)
    assert zero_of([opened, late, exact]) == pytest.approx(1.0005)


def test_the_waits_of_a_card_are_read_off_its_events() -> None:
    events = [
        event(1000, 0, "start"),
        event(1500, 400, "held")._replace(held_ms=100.0),
        event(1600, 410, "held", who="mic"),
        event(2000, 700, "held")._replace(held_ms=300.0),
        event(2500, 1200, "stop")._replace(held_ms=303.0),
    ]
    assert waits_of(events) == (Wait(1.5, 400, 100.0), Wait(2.0, 700, 200.0))


def test_silence_around_a_sound_is_left_out() -> None:
    assert trimmed(np.array([0, 0, 1, 0, 2, 0], np.int16)).tolist() == [1, 0, 2]
    assert trimmed(np.zeros(3, np.int16)).tolist() == []


def test_a_tap_passes_on_what_it_keeps() -> None:
    def play(_in: bytes | None, count: int, _time: object, status: int) -> tuple[bytes | None, int]:
        return b"\2\0" * count, status

    tap = Tap(play, 1000)
    assert tap(None, 3, {}, 0) == (b"\2\0" * 3, 0)
    assert tap(b"\1\0", 1, {}, 0) == (b"\2\0", 0)  # a microphone's block is what it brings
    assert tap.samples(tap.began_s - 0.002, 1000).tolist() == [0, 0, 2, 2, 2, 1]
