"""Russian in the embedded server: words that are told, tools that know the names, weather that is said."""

import asyncio
import stat
import wave
from pathlib import Path

import pytest

from voice_agent.embedded import Script, ServerOptions, load_sheet, running
from voice_agent.embedded.mind import Call, Called, Line, Returned, Said, Say, Tool
from voice_agent.embedded.policy import Rules
from voice_agent.embedded.policy.render import rendered
from voice_agent.embedded.policy.russian import RUSSIAN
from voice_agent.embedded.programs import RhvoiceTts, russian_voice
from voice_agent.embedded.sheet import SheetStt
from voice_agent.embedded.speech import load
from voice_agent.errors import ConfigError, Unreadable
from voice_agent.tools.base import Toolbox
from voice_agent.tools.clock import clock_tool
from voice_agent.tools.weather import WeatherService, weather_tool
from voice_agent.tools.weather.conditions import condition

# ------------------------------------------------------------------------------------------ sheet


def test_each_utterance_gets_the_next_line() -> None:
    stt = SheetStt(["один", "два"])
    assert [stt.transcribe(b"\1\0\2\0"), stt.transcribe(b"\1\0\3\0")] == ["один", "два"]


def test_a_guess_and_the_utterance_that_it_was_about_get_one_line() -> None:
    stt = SheetStt(["один", "два"])
    assert [stt.transcribe(pcm) for pcm in (b"\1\0", b"\1\0\2\0", b"\1\0\2\0")] == ["один"] * 3
    assert stt.transcribe(b"\2\0") == "два"


def test_a_sheet_at_its_end_says_nothing() -> None:
    stt = SheetStt([])
    assert stt.transcribe(b"\1\0") == ""


def test_blank_lines_of_a_sheet_mean_nothing(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.txt"
    sheet.write_text("  один\n\n два \n")
    assert load_sheet(sheet) == ("один", "два")


def test_a_sheet_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"\xff")
    for name in ("none", "latin"):
        with pytest.raises(Unreadable, match=name):
            load_sheet(tmp_path / name)


def test_russian_without_a_sheet_says_why_not() -> None:
    with pytest.raises(ConfigError, match="sheet"):
        load("ru")


# ----------------------------------------------------------------------------------------- policy

TOOLS = (Tool("get_weather", ("city",), ("city",)), Tool("get_time", ("place",)))


@pytest.mark.parametrize(
    ("words", "call"),
    [
        ("Какая погода в Москве?", Call("get_weather", '{"city":"Москва"}')),
        ("Который час в Нью-Йорке?", Call("get_time", '{"place":"New York"}')),
    ],
)
def test_a_tool_is_asked_with_a_name_that_it_knows(words: str, call: Call) -> None:
    assert Rules().answer([Said("user", words)], TOOLS, "") == [call]


def test_what_a_tool_says_in_english_is_said_in_russian() -> None:
    lines: list[Line] = [
        Said("user", "Сколько времени в Токио?"),
        Called("call_1", "get_time", '{"place":"Tokyo"}'),
        Returned("call_1", '{"place":"Tokyo","time":"01:46"}'),
    ]
    assert Rules().answer(lines, TOOLS, "") == [Say("Токио: 01:46.")]


@pytest.mark.parametrize(
    ("degrees", "words"),
    [
        (1, "1 градус"), (-3, "минус 3 градуса"), (5, "5 градусов"), (11, "11 градусов"),
        (14, "14 градусов"), (21, "21 градус"), (22, "22 градуса"), (0, "0 градусов"),
    ],
)  # fmt: skip
def test_degrees_agree_with_their_number(degrees: int, words: str) -> None:
    assert rendered(f'{{"temperature_c": {degrees}}}', RUSSIAN.phrases) == f"{words}."


def test_every_condition_of_the_weather_tool_has_a_russian_word() -> None:
    english = {condition(code, "en") for code in range(100)} - {None}
    assert english <= RUSSIAN.phrases.words.keys()


# ------------------------------------------------------------------------------------------ tools


def test_every_city_is_known_to_the_clock_under_its_english_name() -> None:
    unknown = {"Мумбаи", "Санкт-Петербург"}  # no time zone is named after them
    toolbox = Toolbox([clock_tool()])

    async def ask() -> set[str]:
        return {
            city
            for city, english in RUSSIAN.english.items()
            if not (await toolbox.run("get_time", f'{{"place":"{english}"}}')).ok
        }

    assert asyncio.run(ask()) <= unknown


def test_the_weather_service_answers_in_the_language_of_the_name() -> None:
    async def ask(city: str) -> str:
        async with running(ServerOptions(script=Script())) as server:
            service = WeatherService(f"{server.http_url}/v1/search", f"{server.http_url}/v1/forecast")
            return (await Toolbox([weather_tool(service)]).run("get_weather", f'{{"city":"{city}"}}')).output

    assert '"city":"Москва"' in asyncio.run(ask("Москва"))
    assert '"city":"Moscow"' in asyncio.run(ask("Moscow"))


# ----------------------------------------------------------------------------------------- voices


def fake_rhvoice(directory: Path, *, works: bool) -> Path:
    """A program with RHVoice-test's manners: -p VOICE -o FILE, the text on its standard input."""
    program = directory / "RHVoice-test"
    sound = directory / "sound.wav"
    with wave.open(str(sound), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(24_000)
        file.writeframes(b"\1\0" * 240)
    program.write_text(f'#!/bin/sh\ncat >"{directory}/text"\n{"cp" if works else "false"} "{sound}" "$4"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def test_rhvoice_is_preferred_when_it_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_rhvoice(tmp_path, works=True)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    voice = russian_voice("agent")
    assert isinstance(voice, RhvoiceTts)
    assert len(voice.speak("Привет.", 24_000)) == 480
    assert (tmp_path / "text").read_text() == "Привет."


def test_espeak_speaks_when_rhvoice_has_no_voice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_rhvoice(tmp_path, works=False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    voice = russian_voice("agent")
    assert not isinstance(voice, RhvoiceTts)
    assert len(voice.speak("Привет.", 24_000)) > 24_000


def test_no_voice_at_all_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="apt install"):
        russian_voice("user")
