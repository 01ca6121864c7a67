"""Cues: short, soft, there, and never a reason to fail."""

import logging
import math
import os
import subprocess
import sys
import wave
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from voice_agent.audio import cues
from voice_agent.audio.cues import LANGUAGES, NAMES, OURS, PHRASES, TONES, Cues, Language, language_of
from voice_agent.config.sound import CueName

RATES = (8000, 16_000, 24_000, 44_100, 48_000)
DOCUMENTATION = Path(__file__).parents[2] / "docs" / "cues.md"


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
    files = list(OURS.glob("*.wav"))
    assert {file.stem for file in files} == {
        f"{language}-{name}" for language in LANGUAGES for name in PHRASES
    }
    assert sum(file.stat().st_size for file in files) < 1_500_000


def test_every_cue_can_be_named_in_the_configuration_and_nothing_else() -> None:
    assert set(get_args(CueName)) == set(NAMES)


def test_the_documentation_says_of_every_cue_when_it_sounds_and_what_it_says() -> None:
    rows = [line.split("|") for line in DOCUMENTATION.read_text().splitlines() if line.startswith("| `")]
    told = {row[1].strip(" `"): (row[3].strip(), row[4].strip()) for row in rows if len(row) == 6}
    assert set(told) == set(NAMES)
    for name, words in PHRASES.items():
        assert told[name] == (words["en"], words["ru"])


def test_a_cue_that_is_not_there_is_told_once_and_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    mute = Cues("en")
    assert mute.pcm("song", 24_000) == b""
    assert mute.pcm("song", 24_000) == b""
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.__dict__["file"].endswith("en-song.wav")


def test_a_quiet_cue_is_silent_and_the_others_are_not() -> None:
    some = Cues("en", quiet=("ready", "offline"))
    assert [bool(some.pcm(name, 24_000)) for name in ("ready", "offline", "back", "refused")] == [
        False,
        False,
        True,
        True,
    ]


# ------------------------------------------------------------------------------- an operator's own


def record(path: Path, samples: list[int], *, rate: int = 24_000, channels: int = 1, width: int = 2) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(b"".join(sample.to_bytes(width, "little", signed=True) for sample in samples))


def test_an_operators_file_goes_before_ours_and_that_of_the_language_before_both(tmp_path: Path) -> None:
    record(tmp_path / "ready.wav", [1, 2, 3])
    record(tmp_path / "offline.wav", [4])
    record(tmp_path / "ru-offline.wav", [5])
    said = {
        language: [Cues(language, folder=tmp_path).pcm(name, 24_000) for name in ("ready", "offline")]
        for language in LANGUAGES
    }
    ready = b"\1\0\2\0\3\0"
    assert said == {"en": [ready, b"\4\0"], "ru": [ready, b"\5\0"]}
    assert Cues("en", folder=tmp_path).pcm("refused", 24_000) == Cues("en").pcm("refused", 24_000)


def test_both_channels_of_a_stereo_file_are_heard(tmp_path: Path) -> None:
    record(tmp_path / "ready.wav", [100, 300, -32768, -32768, 32767, 32767], channels=2)
    sound = np.frombuffer(Cues("en", folder=tmp_path).pcm("ready", 24_000), "<i2")
    assert sound.tolist() == [200, -32768, 32767]


@pytest.mark.parametrize("stored", RATES)
@pytest.mark.parametrize("rate", RATES)
def test_a_file_of_any_rate_keeps_its_pitch_and_length(stored: int, rate: int, tmp_path: Path) -> None:
    tone = [round(8000 * math.sin(2 * math.pi * 440 * index / stored)) for index in range(stored // 2)]
    record(tmp_path / "ready.wav", tone, rate=stored)
    samples = np.frombuffer(Cues("en", folder=tmp_path).pcm("ready", rate), "<i2") / 32768
    assert len(samples) == pytest.approx(rate / 2, abs=2)
    assert pitch(samples, rate) == pytest.approx(440, abs=3)


def test_a_file_that_was_changed_is_heard_without_a_restart(tmp_path: Path) -> None:
    path, own = tmp_path / "ready.wav", Cues("en", folder=tmp_path)
    record(path, [1])
    assert own.pcm("ready", 24_000) == b"\1\0"
    record(path, [2])
    os.utime(path, ns=(1, 1))
    assert own.pcm("ready", 24_000) == b"\2\0"
    path.unlink()
    assert own.pcm("ready", 24_000) == Cues("en").pcm("ready", 24_000)


def spoil(path: Path, how: str) -> None:
    match how:
        case "it is cut off, or no WAV file":
            path.write_bytes(b"RIFF")
        case "file does not start with RIFF id":
            path.write_bytes(b"\0" * 100)
        case "its samples have 24 bits, not 16":
            record(path, [1] * 10, width=3)
        case "it has 6 channels, not one or two":
            record(path, [1] * 12, channels=6)
        case "its rate is 96000 Hz, not 8000 to 48000":
            record(path, [1] * 10, rate=96_000)
        case "it lasts 10.5 s, not 10 at most":
            record(path, [1] * 84_000, rate=8000)
        case "it holds no sound":
            record(path, [])
        case "it ends before its first sample":
            record(path, [1] * 10)
            path.write_bytes(path.read_bytes()[:44])
        case "Is a directory":
            path.mkdir()


FAULTS = (
    "it is cut off, or no WAV file",
    "file does not start with RIFF id",
    "its samples have 24 bits, not 16",
    "it has 6 channels, not one or two",
    "its rate is 96000 Hz, not 8000 to 48000",
    "it lasts 10.5 s, not 10 at most",
    "it holds no sound",
    "it ends before its first sample",
    "Is a directory",
)


@pytest.mark.parametrize("name", ["ready", "offline"])
@pytest.mark.parametrize("reason", FAULTS)
def test_a_bad_file_is_told_once_with_its_remedy_and_ours_is_heard(
    reason: str, name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, own = tmp_path / f"{name}.wav", Cues("en", folder=tmp_path)
    spoil(path, reason)
    for _ in range(2):
        assert own.pcm(name, 24_000) == Cues("en").pcm(name, 24_000) != b""
    (told,) = caplog.records
    assert told.levelno == logging.WARNING
    assert (told.__dict__["file"], told.__dict__["reason"]) == (str(path), reason)
    assert "ffmpeg" in told.__dict__["remedy"]


@pytest.mark.parametrize("reason", [each for each in FAULTS if "first sample" not in each])
def test_a_review_finds_what_will_not_be_heard(
    reason: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spoil(tmp_path / "ready.wav", reason)
    own = Cues("en", folder=tmp_path)
    own.review()
    own.pcm("ready", 24_000)
    assert [told.__dict__["reason"] for told in caplog.records] == [reason]


def test_a_review_knows_the_names_of_cues_and_leaves_other_files_alone(tmp_path: Path) -> None:
    (tmp_path / "README.txt").write_text("chimes")
    for name in ("ready", "ru-offline", "redy", "de-offline", "READY", "song"):
        record(tmp_path / f"{name}.wav", [1])
    found = {fault.path.name: str(fault) for fault in cues.faults(tmp_path)}
    assert set(found) == {"redy.wav", "de-offline.wav", "READY.wav", "song.wav"}
    assert all("is the name of no cue" in text for text in found.values())
    assert found["redy.wav"].endswith("did you mean ready.wav?")
    assert "no_microphone" in found["song.wav"]


def test_a_folder_that_is_not_there_is_a_fault_and_silences_nothing(tmp_path: Path) -> None:
    (fault,) = cues.faults(tmp_path / "nowhere")
    assert fault.what == "cannot be read (No such file or directory)"
    assert Cues("en", folder=tmp_path / "nowhere").pcm("offline", 24_000) != b""


# ---------------------------------------------------------------------------------------- language


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
