"""The demo's judges: turns from facts, milliseconds from a recording, verdicts from both."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import process_time

import pytest

from tests.fakes import demo_evidence
from tests.fakes.demo_evidence import LINES, evidence, with_agent, with_facts
from voice_agent.demo.expectations import disturbed, judged
from voice_agent.demo.machine import Denied, denied
from voice_agent.demo.measure import answers, measured, stray_samples, turns_of, waited_ms
from voice_agent.demo.script import SCRIPTS, Line, Wanted
from voice_agent.demo.stage import Evidence, Ring, Utterance, Wait
from voice_agent.demo.summary import summarised, write_summary
from voice_agent.dialogue import (
    AgentSaid,
    Fact,
    FirstSound,
    ServerFault,
    ToolAnswered,
    ToolCalled,
    TurnStarted,
    UserSaid,
    UserStopped,
)
from voice_agent.embedded.mind import Call, Said, Tool
from voice_agent.embedded.policy import Rules

# ------------------------------------------------------------------------------------------ turns


def test_a_turn_holds_the_words_and_the_answer_to_them() -> None:
    _, second = demo_evidence.chronicle().turns
    assert second.user == "What is the weather in Paris?"
    assert second.assistant == "In Paris it is warm."
    assert [(use.name, use.ok, use.seconds) for use in second.tools] == [("get_weather", True, 0.01)]
    assert second.sounded_s == pytest.approx(505.6)


def test_the_interrupted_turn_is_the_one_whose_answer_was_cut() -> None:
    first, second = demo_evidence.chronicle().turns
    assert (first.interrupted, first.heard_ms, first.sent_ms) == (True, 1602, 9000)
    assert not second.interrupted


def test_two_calls_of_one_tool_are_answered_in_the_order_in_which_they_were_made() -> None:
    found = demo_evidence.chronicle()
    for fact in (
        ToolCalled(2, "get_weather", "{}", here=True),
        ToolAnswered(2, "get_weather", outcome="failed", seconds=1),
    ):
        found.take(fact, 506.0)
    assert [use.ok for use in found.turns[1].tools] == [True, False]


def test_words_that_are_understood_late_belong_to_their_own_turn() -> None:
    found = demo_evidence.chronicle()
    found.take(UserSaid(1, "Please."), 508.0)
    assert found.turns[0].user == "Tell me a story. Please."


def test_a_line_that_was_heard_as_two_turns_has_both() -> None:
    found = evidence()
    assert [[turn.number for turn in turns] for turns in turns_of(found)] == [[1], [2]]
    together = replace(found, said=found.said[:1])
    assert [[turn.number for turn in turns] for turns in turns_of(together)] == [[1, 2]]


# ----------------------------------------------------------------------------------- milliseconds


def waiting(*waits: Wait) -> Evidence:
    """The same conversation on a busy machine."""
    found = evidence()
    return replace(found, recording=replace(found.recording, waits=waits))


def test_silence_is_counted_from_speech_started_to_the_last_sounding_sample() -> None:
    assert measured(evidence())[1].silence_ms == 20.0


def test_silence_is_counted_from_the_users_onset_too() -> None:
    assert measured(evidence())[1].onset_to_silence_ms == 120.0


def test_silence_before_speech_started_counts_as_none() -> None:
    assert measured(with_agent(evidence(), 4000, 4200, 0))[1].silence_ms == 0.0


def test_a_response_is_counted_from_the_last_word_to_the_first_sound() -> None:
    numbers = measured(evidence())
    assert (numbers[1].response_ms, numbers[2].response_ms) == (700.0, 700.0)


def test_the_sound_of_an_answer_is_counted_from_the_moment_it_began() -> None:
    numbers = measured(evidence())[1]
    assert (numbers.lead_ms, numbers.sound_ms) == (200.0, 1620.0)


def test_real_devices_leave_nothing_to_measure() -> None:
    found = evidence()
    live = replace(found, recording=replace(found.recording, exact=False))
    assert {numbers.silence_ms for numbers in measured(live).values()} == {None}


def test_sound_outside_all_answers_is_stray() -> None:
    assert stray_samples(evidence()) == 0
    assert stray_samples(with_agent(evidence(), 4500, 4507, 1)) == 7


def test_waiting_counts_only_where_an_answer_sounds() -> None:
    found = waiting(Wait(500.2, 150, 100.0), Wait(503.0, 3000, 30.06), Wait(507.1, 7150, 10.0))
    first, _ = spans = answers(found)
    assert waited_ms(found, spans) == 40.1
    assert waited_ms(waiting(Wait(503.0, first.begin, 30.0)), spans[:1]) == 30.0
    assert waited_ms(waiting(Wait(503.0, first.end, 30.0)), spans[:1]) == 0.0


def test_a_moment_has_its_sample_before_during_and_after_a_wait() -> None:
    recording = waiting(Wait(501.0, 900, 100.0), Wait(502.0, 1700, 200.0)).recording
    moments = 500.5, 500.95, 501.0, 501.5, 501.9, 502.0, 502.5
    assert [recording.position(at_s) for at_s in moments] == [500, 900, 900, 1400, 1700, 1700, 2200]
    assert replace(recording, waits=()).position(502.5) == 2500
    assert replace(recording, waits=()).position(502.4996) == 2500
    assert recording.position(499.0) == 0


# --------------------------------------------------------------------------------------- verdicts


def unmet(found: Evidence) -> list[str]:
    return [expectation.name for expectation in judged(found, LINES) if not expectation.met]


def test_a_good_conversation_meets_every_expectation() -> None:
    assert unmet(evidence()) == []
    assert len(judged(evidence(), LINES)) == 18


def with_speaker(**counters: int) -> Evidence:
    found = evidence()
    speaker = found.statistics.speaker._replace(**counters)
    return replace(found, statistics=replace(found.statistics, speaker=speaker))


def with_microphone(**counters: int) -> Evidence:
    found = evidence()
    microphone = found.statistics.microphone._replace(**counters)
    return replace(found, statistics=replace(found.statistics, microphone=microphone))


def with_complaint(kind: str) -> Evidence:
    found = evidence()
    found.chronicle.take(ServerFault(kind, "invalid_value", "no"), 507.0)
    return found


def never_interrupted() -> Evidence:
    found = evidence()
    found.chronicle.turns[0].interrupted = False
    return found


FAULTS: dict[str, tuple[Callable[[], Evidence], str]] = {
    "misheard": (lambda: with_facts(evidence(), UserSaid(2, "What is the weather?")), "weather: understood"),
    "wrong city": (
        lambda: with_facts(evidence(), ToolCalled(2, "get_weather", '{"city":"Rome"}', here=True)),
        "weather: get_weather called in one answer",
    ),
    "failed tool": (
        lambda: with_facts(evidence(), ToolAnswered(2, "get_weather", outcome="failed", seconds=0)),
        "weather: get_weather called in one answer",
    ),
    "wrong answer": (
        lambda: with_facts(evidence(), AgentSaid(2, "item_2", "No idea.", heard_ms=1500, sent_ms=1500)),
        "weather: answered",
    ),
    "half heard": (
        lambda: with_facts(
            evidence(), AgentSaid(2, "item_2", "In Paris it is warm.", heard_ms=1500, sent_ms=1501)
        ),
        "weather: the whole answer heard",
    ),
    "not interrupted": (never_interrupted, "story: interrupted by the user"),
    "silent too late": (
        lambda: with_agent(evidence(), 4100, 4136, 1),
        "story: silent within 35 ms of speech_started",
    ),
    "wrongly reported": (
        lambda: with_facts(
            evidence(), AgentSaid(1, "item_1", "Once upon a time.", heard_ms=1500, sent_ms=9000)
        ),
        "story: the recording holds what the server was told was heard",
    ),
    "old sound": (
        lambda: with_agent(evidence(), 7500, 7501, 1),
        "between the answers the loudspeaker is silent",
    ),
    "no sound": (lambda: with_agent(evidence(), 5800, 7000, 0), "every answer's sound is in the recording"),
    "half the sound": (
        lambda: with_agent(evidence(), 6200, 7000, 0),
        "every answer's sound is in the recording",
    ),
    "starved": (
        lambda: waiting(Wait(506.0, 6000, 200.0)),
        "the machine keeps up: the sound card waits for it for less than 5% of the speech",
    ),
    "another sound": (
        lambda: replace(evidence(), faithful=False),
        "the loudspeaker sounds as it was told to, sample by sample",
    ),
    "gap": (lambda: with_speaker(gaps=1), "no gaps in the playout"),
    "lost far end": (
        lambda: with_speaker(lost_samples=1),
        "no samples lost on the way to the loudspeaker",
    ),
    "lost near end": (
        lambda: with_microphone(lost_samples=1),
        "no samples lost on the way from the microphone",
    ),
    "reconnected": (
        lambda: replace(evidence(), unbroken=False),
        "one session from beginning to end",
    ),
    "complaint": (lambda: with_complaint("complaint"), "the server had nothing to complain about"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_and_named(fault: str) -> None:
    make, expected = FAULTS[fault]
    assert unmet(make()) == [expected]


def test_a_lost_race_is_no_complaint() -> None:
    assert unmet(with_complaint("benign")) == []


def test_a_line_that_was_never_said_is_one_unmet_expectation() -> None:
    found = evidence()
    assert "weather: heard as one turn" in unmet(replace(found, said=found.said[:1]))


def test_a_line_that_was_not_heard_is_unmet() -> None:
    found = evidence()
    silent = replace(found, said=(*found.said, Utterance(demo_evidence.ZERO_S + 7.5, 7500, 7900)))
    lines = (*LINES, LINES[0])
    names = [expectation.name for expectation in judged(silent, lines) if not expectation.met]
    assert names == ["story: heard as one turn"]


def test_sound_that_others_delayed_is_not_held_against_the_daemon() -> None:
    late = waiting(Wait(506.0, 6000, 200.0))
    assert unmet(late) != []
    for withheld_s, others_s, excused in (
        (0.0, 0.0, False),
        (0.199, 0.0, False),
        (0.2, 0.0, True),
        (0.0, 0.199, False),
        (0.0, 0.2, True),
        (0.125, 0.125, True),
    ):
        found = replace(late, denied=Denied(withheld_s, others_s))
        assert disturbed(found) is excused
        assert (unmet(found) == []) is excused
    assert len(judged(replace(late, denied=Denied(1.0, 0.0)), LINES)) == 18 - 3


def test_others_excuse_nothing_when_no_sound_was_late() -> None:
    assert len(judged(replace(evidence(), denied=Denied(9.0, 9.0)), LINES)) == 18


def test_the_kernel_says_what_others_took(tmp_path: Path) -> None:
    tick_s = 1 / os.sysconf("SC_CLK_TCK")
    (tmp_path / "stat").write_text("cpu  1000 200 30 4 5 6 7 250 99 99\ncpu0 1 2 3 4 5 6 7 8 0 0\n")
    for pid, name in ((1, "python"), (2, "a) S 1 (b")):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(f"{pid} ({name}) S 1 1 1 0 -1 0 0 0 0 0 100 11 5 5 20 0\n")
    assert denied((1, 2), tmp_path) == pytest.approx((250 * tick_s, (1243 - 222) * tick_s))
    (tmp_path / "stat").write_text("odd")
    assert denied((1, 2), tmp_path) == denied((), tmp_path / "none") == (0.0, 0.0)


def test_our_own_work_is_not_that_of_others() -> None:
    everybody, others = denied(()), denied((os.getpid(),))
    began = process_time()
    while process_time() - began < 0.5:
        pass
    others_used_s = denied((os.getpid(),)).others_s - others.others_s
    assert denied(()).others_s - everybody.others_s >= others_used_s + 0.45


def test_what_a_rounding_kernel_takes_back_is_nothing() -> None:
    assert Denied(1.0, 2.0).since(Denied(1.5, 2.5)) == (0.0, 0.0)


def test_a_person_is_not_judged_by_a_script() -> None:
    assert [expectation.name for expectation in judged(evidence(), ()) if "story" in expectation.name] == []


# ---------------------------------------------------------------------------------------- summary


def test_the_summary_has_the_promised_shape(tmp_path: Path) -> None:
    found = replace(evidence(), denied=Denied(0.25, 1.5))
    summary = summarised(found, judged(found, LINES), mode="virtual", speech="en", recognition="moonshine")
    write_summary(tmp_path / "summary.json", summary)
    read = json.loads((tmp_path / "summary.json").read_text())
    assert read["ok"] is True
    assert read["turns"][0] | {"assistant": ""} == {
        "user": "Tell me a story.",
        "assistant": "",
        "tools": [],
        "first_audio_ms": 100,
        "interrupted": True,
        "silence_ms": 20.0,
        "heard_ms": 1602,
        "sent_ms": 9000,
        "onset_to_silence_ms": 120.0,
        "response_ms": 700.0,
    }
    assert read["turns"][1]["tools"] == [
        {"name": "get_weather", "arguments": '{"city":"Paris"}', "ok": True, "ms": 10}
    ]
    assert read["playout"].keys() >= {"gaps", "gap_seconds", "lost_samples"}
    assert read["uplink"]["lost_samples"] == 0
    assert read["machine"] == {"withheld_s": 0.25, "others_s": 1.5, "disturbed": False}
    assert read["expectations"][0] == {"name": "story: understood", "met": True, "reason": ""}


def test_the_summary_is_not_ok_when_something_did_not_happen() -> None:
    found = with_facts(evidence(), FirstSound(1, seconds=0.1, model_s=0.0), UserSaid(1, "Tell me."))
    summary = summarised(found, judged(found, LINES), mode="virtual", speech="en", recognition="told")
    assert not summary.ok


# ------------------------------------------------------------------------------------------- rings

STOP = Line("stop", "Stop.", words=("stop",), answer=(), calls=(Wanted("stop", ""),), stops_ring=True)
BYE = Line("bye", "Bye.", words=("bye",), answer=("goodbye",), calls=(Wanted("end_conversation", ""),))


def rung() -> Evidence:
    """A timer rings after the second answer, and the user stops it without a word of the agent."""
    facts: tuple[tuple[int, Fact], ...] = (
        (7500, TurnStarted(3, interrupts=False)),
        (7600, UserStopped(3)),
        (7610, UserSaid(3, "Stop.")),
        (7620, ToolCalled(3, "stop", "{}", here=True)),
        (7630, ToolAnswered(3, "stop", outcome="ok", seconds=0.01)),
    )
    found = with_agent(evidence(), 7290, 7400, 3000)
    return replace(
        found,
        chronicle=demo_evidence.chronicle((*demo_evidence.FACTS, *facts)),
        said=(*found.said, Utterance(demo_evidence.ZERO_S + 7.48, 7480, 7600)),
        rang=(Ring(demo_evidence.ZERO_S + 7.3, demo_evidence.ZERO_S + 7.63),),
    )


def unmet_after(found: Evidence, last: Line) -> list[str]:
    return [expectation.name for expectation in judged(found, (*LINES, last)) if not expectation.met]


def test_a_ring_is_no_stray_sound_and_no_part_of_an_answer() -> None:
    assert unmet_after(rung(), STOP) == []
    assert measured(rung())[2].sound_ms == measured(evidence())[2].sound_ms


RINGS = "stop: the timer rings, and falls silent when told"


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda found: replace(found, rang=()), [RINGS, "between the answers the loudspeaker is silent"]),
        (lambda found: replace(found, rang=(found.rang[0]._replace(ended_s=None),)), [RINGS]),
        (lambda found: with_agent(found, 7290, 7400, 0), [RINGS]),
        (
            lambda found: with_agent(found, 7900, 7950, 3000),
            ["between the answers the loudspeaker is silent"],
        ),
    ],
)
def test_a_ring_that_is_not_as_it_should_be_is_unmet(
    spoil: Callable[[Evidence], Evidence], expected: list[str]
) -> None:
    assert unmet_after(spoil(rung()), STOP) == expected


def test_words_after_a_line_that_asks_for_silence_are_unmet() -> None:
    spoken = (7700, AgentSaid(3, "item_3", "Okay.", heard_ms=0, sent_ms=0))
    found = rung()
    found.chronicle.take(spoken[1], demo_evidence.ZERO_S + 7.7)
    assert unmet_after(found, STOP) == ["stop: stop called in one answer"]


def test_a_session_that_stays_open_after_the_goodbye_is_unmet() -> None:
    name = "bye: the session is closed after the last word"
    assert name in unmet_after(rung(), BYE)
    assert name not in unmet_after(replace(rung(), ended=True), BYE)


# ----------------------------------------------------------------------------------------- script

TOOLS = (
    Tool("get_weather", ("city",), ("city",)),
    Tool("get_time", ("place",)),
    Tool("set_volume", ("level", "change")),
    Tool("set_timer", ("hours", "minutes", "seconds", "name")),
    Tool("get_timers"),
    Tool("stop"),
    Tool("get_device_status"),
    Tool("end_conversation"),
)


@pytest.mark.parametrize("speech", SCRIPTS)
def test_the_policy_understands_every_line_of_the_script_and_makes_the_calls_it_expects(speech: str) -> None:
    lines: list[Said] = []
    mind = Rules()
    for line in SCRIPTS[speech]:
        lines.append(Said("user", line.text))
        calls = [(a.name, a.arguments) for a in mind.answer(lines, TOOLS, "") if isinstance(a, Call)]
        assert [name for name, _ in calls] == [wanted.tool for wanted in line.calls], line.topic
        for (_, arguments), wanted in zip(calls, line.calls, strict=True):
            assert wanted.about in arguments
        assert all(word in line.text.casefold() for word in line.words)
