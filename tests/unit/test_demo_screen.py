"""What the demo shows: the timeline, the table, the picture, the sound files."""

import io
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.fakes.demo_evidence import FACTS, LINES, RATE, ZERO_S, chronicle, evidence
from voice_agent.demo.expectations import Expectation, judged
from voice_agent.demo.machine import Denied
from voice_agent.demo.picture import called, draw, envelope, fitted, subject
from voice_agent.demo.recordings import write_recordings
from voice_agent.demo.screen import Screen, headline
from voice_agent.demo.stage import Evidence, Wait
from voice_agent.demo.summary import Summary, summarised
from voice_agent.dialogue import ServerFault


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def summary(*extra: Expectation, found: Evidence | None = None) -> Summary:
    found = found or evidence()
    return summarised(
        found, [*judged(found, LINES), *extra], mode="virtual", speech="en", recognition="moonshine"
    )


def timeline(out: io.StringIO) -> list[str]:
    screen = Screen(out)
    screen.begin(ZERO_S)
    for at_ms, fact in FACTS:
        screen.show(fact, ZERO_S + at_ms / 1000)
    return out.getvalue().splitlines()


def test_the_timeline_says_who_said_what_when() -> None:
    lines = timeline(io.StringIO())
    assert "    2.4 s  user   Tell me a story." in lines
    assert "    5.5 s  tool   get_weather answered in 10 ms" in lines
    assert "    4.1 s  agent  Once upon a time.  (heard 1.6 of 9.0 s)" in lines
    assert "    4.1 s  user   the user interrupts: silence; 1602 ms had been heard" in lines


def test_the_columns_of_the_timeline_stand_below_each_other() -> None:
    rows = [line for line in timeline(io.StringIO()) if " s  " in line]
    assert {(line.index(" s  "), line[11:17].strip()) for line in rows} == {
        (7, "user"),
        (7, "agent"),
        (7, "tool"),
    }


def test_there_is_no_colour_without_a_terminal() -> None:
    assert "\x1b" not in "".join(timeline(io.StringIO()))


def test_there_is_colour_on_a_terminal_unless_somebody_asks_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in "".join(timeline(Terminal()))
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in "".join(timeline(Terminal()))


def test_a_complaint_of_the_server_is_shown_and_a_lost_race_is_not() -> None:
    out = io.StringIO()
    for kind in ("complaint", "benign"):
        Screen(out).show(ServerFault(kind, "code", kind), ZERO_S)
    assert "complaint" in out.getvalue()
    assert "benign" not in out.getvalue()


def test_the_summary_names_the_figures_and_what_was_not_met() -> None:
    out = io.StringIO()
    Screen(out).summarise(summary(Expectation("pigs fly", met=False, reason="none did")))
    said = out.getvalue()
    assert "silent 20 ms after speech_started (120 ms after the first sound)" in said
    assert "1602 ms of 9000 ms were heard" in said
    assert "18 of 19 met" in said
    assert "not met: pigs fly (none did)" in said


def test_what_others_took_is_told_only_if_something_had_to_wait_for_it() -> None:
    robbed = replace(evidence(), denied=Denied(0.5, 2.25))
    waited = replace(robbed, recording=replace(robbed.recording, waits=(Wait(506.0, 6000, 200.0),)))
    for found, told in ((robbed, False), (waited, True)):
        out = io.StringIO()
        Screen(out).summarise(summary(found=found))
        line = "others used 2.2 s of its processors, a hypervisor 0.5 s: the card had to wait"
        assert (line in out.getvalue()) is told


def test_the_headline_is_one_line_of_figures() -> None:
    assert headline(summary()) == (
        "voice-agent demo (en, virtual)  |  first audio median 100 ms, worst 100 ms"
        "  |  barge-in silent in 20 ms  |  0 gaps  |  0 samples lost"
    )


# ---------------------------------------------------------------------------------------- picture


def test_the_picture_is_a_picture_of_the_promised_size(tmp_path: Path) -> None:
    from matplotlib.image import imread

    draw(tmp_path / "timeline.png", evidence(), "a conversation")
    height, width = imread(tmp_path / "timeline.png").shape[:2]
    assert (width, height) == (1600, 620)


def test_a_conversation_in_which_nothing_was_said_can_be_drawn(tmp_path: Path) -> None:
    found = evidence()
    nothing = np.zeros(0, np.int16)
    silent = replace(
        found, chronicle=chronicle(()), recording=replace(found.recording, user=nothing, agent=nothing)
    )
    draw(tmp_path / "timeline.png", silent, "silence")
    assert (tmp_path / "timeline.png").stat().st_size > 1000


def test_a_turn_without_an_end_can_be_drawn(tmp_path: Path) -> None:
    for count in range(1, len(FACTS)):
        part = replace(evidence(), chronicle=chronicle(FACTS[:count]))
        if count in (1, 2, 4, 8):
            draw(tmp_path / f"{count}.png", part, "cut short")
    assert len(list(tmp_path.iterdir())) == 4


def test_the_envelope_keeps_the_extremes_of_every_stretch() -> None:
    low, high = envelope(np.array([0, 100, -50, 0, 0, 0], np.int16), 6, 3)
    assert high.tolist() == [1.0, 0.0, 0.0]
    assert low.tolist() == pytest.approx([0.0, -0.5, 0.0], abs=0.01)


def test_the_envelope_takes_missing_samples_for_silence() -> None:
    low, high = envelope(np.array([7], np.int16), 10, 5)
    assert (high.tolist(), low.tolist()) == ([1.0, 0, 0, 0, 0], [0.0] * 5)


def test_words_are_fitted_into_the_room_there_is() -> None:
    assert fitted("one two three", 10.0) == ["one two three"]
    assert len(fitted("word " * 100, 1.0)) == 4


def test_a_tool_is_always_named_and_the_rest_if_there_is_room() -> None:
    assert called("get_weather Paris", "5 ms", 10.0) == "get_weather Paris, 5 ms"
    assert called("get_weather Paris", "5 ms", 1.5) == "get_weather Paris"
    assert called("get_weather Paris", "5 ms", 0.1) == "get_weather"


def test_a_tool_is_asked_about_the_values_of_its_arguments() -> None:
    assert subject('{"city":"Rome","days":2}') == "Rome, 2"
    assert subject("no JSON") == ""


# ----------------------------------------------------------------------------------------- sounds


def test_the_recordings_hold_what_was_played_and_what_was_said(tmp_path: Path) -> None:
    recording = evidence().recording
    write_recordings(tmp_path, replace(recording, user=recording.user[:100] + np.int16(1)))
    with wave.open(str(tmp_path / "conversation.wav")) as sound:
        assert (sound.getnchannels(), sound.getframerate(), sound.getnframes()) == (1, RATE, 8000)
        assert sound.readframes(8000) == recording.agent.tobytes()
    with wave.open(str(tmp_path / "room.wav")) as sound:
        room = np.frombuffer(sound.readframes(8000), np.int16).reshape(-1, 2)
    assert room[:100, 0].tolist() == [1] * 100
    assert not room[100:, 0].any()
    assert np.array_equal(room[:, 1], recording.agent)
