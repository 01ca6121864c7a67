"""Cues: short, soft, there, and never a reason to fail."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import voice_agent.audio
from voice_agent.audio import cues
from voice_agent.audio.cues import PHRASES, TONES, Cues, Language, language_of

RATES = (8000, 16_000, 24_000, 44_100, 48_000)
LANGUAGES: tuple[Language, ...] = ("en", "ru")
DATA = Path(voice_agent.audio.__file__).parent / "phrases"


@pytest.fixture(autouse=True)
def nothing_is_remembered() -> Iterator[None]:
    cues.phrase.cache_clear()
    yield
    cues.phrase.cache_clear()


def sound(name: str, rate: int, language: Language = "en") -> NDArray[np.float64]:
    samples: NDArray[np.float64] = np.frombuffer(Cues(language).pcm(name, rate), "<i2") / 32768
    return samples


def pitch(samples: NDArray[np.float64], rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), rate))
    return float(np.argmax(spectrum))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", [*TONES, *PHRASES])
def test_every_cue_begins_and_ends_in_silence_and_never_clips(name: str, rate: int) -> None:
    for language in LANGUAGES:
        samples = sound(name, rate, language)
        assert 0.02 <= len(samples) / rate <= 4
        assert max(abs(samples[0]), abs(samples[-1])) < 0.002
        assert np.max(np.abs(samples)) < 0.92


@pytest.mark.parametrize("name", PHRASES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_phrases_are_as_loud_as_a_provider(name: str, language: Language) -> None:
    level = 20 * np.log10(np.sqrt(np.mean(sound(name, 24_000, language) ** 2)))
    assert -24 < level < -19


def test_lost_falls_and_back_rises() -> None:
    rate = 24_000
    for name, expected in (("lost", (660, 440)), ("back", (440, 660))):
        samples = sound(name, rate)
        first, second = samples[: rate * 140 // 1000], samples[rate * 140 // 1000 :]
        assert (pitch(first, rate), pitch(second, rate)) == pytest.approx(expected, abs=8)


def test_thinking_is_the_softest() -> None:
    assert np.max(np.abs(sound("thinking", 24_000))) < 0.5 * np.max(np.abs(sound("lost", 24_000)))


def test_the_two_languages_say_the_same_things_differently() -> None:
    for name in PHRASES:
        assert Cues("en").pcm(name, 24_000) != Cues("ru").pcm(name, 24_000)


def test_the_recordings_are_small_and_none_is_superfluous() -> None:
    files = list(DATA.glob("*.wav"))
    assert {file.stem for file in files} == {
        f"{language}-{name}" for language in LANGUAGES for name in PHRASES
    }
    assert sum(file.stat().st_size for file in files) < 700_000


def test_a_cue_that_is_not_there_is_told_once_and_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    mute = Cues("en")
    assert mute.pcm("song", 24_000) == b""
    assert mute.pcm("song", 24_000) == b""
    assert [(record.levelno, record.__dict__["cue"]) for record in caplog.records] == [
        (logging.WARNING, "song")
    ]


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"\x00" * 100, b"RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00"]
)
def test_a_recording_that_is_damaged_is_silent(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "phrases").mkdir()
    (tmp_path / "phrases" / "en-offline.wav").write_bytes(content)
    monkeypatch.setattr(cues, "files", lambda _package: tmp_path)
    assert Cues("en").pcm("offline", 24_000) == b""
    assert Cues("en").pcm("lost", 24_000) != b"", "tones need no file"


@pytest.mark.parametrize(
    ("languages", "instructions", "expected"),
    [
        (("ru-RU",), "Answer briefly.", "ru"),
        (("en-US", "ru-RU"), "Отвечай кратко.", "en"),
        (("de-DE", "RU"), "", "ru"),
        (("de-DE",), "Antworte kurz.", "en"),
        ((), "Ты голосовой помощник Alice.", "ru"),
        ((), "You speak of борщ only.", "en"),
        ((), "", "en"),
    ],
)
def test_the_language_follows_the_session(
    languages: tuple[str, ...], instructions: str, expected: str
) -> None:
    assert language_of(languages, instructions) == expected


def test_cues_need_no_numpy() -> None:
    code = (
        "import sys; from voice_agent.audio.cues import Cues; "
        "assert Cues('ru').pcm('offline', 44100); sys.exit('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
