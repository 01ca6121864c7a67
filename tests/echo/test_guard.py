"""The guard on a desk: the real canceller, voices and a room, but no streams and no waiting."""

from itertools import groupby

import numpy as np
import pytest

from tests.echo.acoustics import level
from tests.echo.desk import FAR_DB, FRAME, Desk
from tests.echo.voices import RATE, Sound, spoken, talk
from voice_agent.audio.echo import canceller
from voice_agent.audio.echo.guard import Mode
from voice_agent.audio.echo.meter import Health
from voice_agent.audio.valve import Heard, Verdict
from voice_agent.errors import DeviceUnavailable

LEARNT_S = 6.0


def answer(seconds: float) -> Sound:
    return talk(("flite:slt", "espeak:en-us"), seconds, seed=5) * level(FAR_DB)


def voice(db: float, words: str = "Hold on, what was the first one?") -> Sound:
    return spoken("flite:awb", words) * level(db)


def verdicts(heard: list[Heard]) -> list[Verdict]:
    """Without repetitions."""
    return [verdict for verdict, _ in groupby(one.verdict for one in heard)]


def learnt(*, rt60_s: float = 0.3) -> Desk:
    """A desk whose canceller is good, in the middle of an answer."""
    desk = Desk(rt60_s=rt60_s)
    desk.speaker.play(answer(30))
    desk.run(LEARNT_S)
    assert desk.guard.statistics().health is Health.GOOD
    return desk


def test_what_is_heard_while_nothing_sounds_passes_bit_by_bit() -> None:
    desk = Desk(noise_db=-200)
    desk.say(voice(-26))
    heard = desk.run(1)
    assert verdicts(heard) == [Verdict.OPEN]
    assert b"".join(one.pcm for one in heard) == np.rint(voice(-26)[:RATE]).astype("<i2").tobytes()


def test_an_answer_is_never_taken_for_a_user() -> None:
    desk = Desk(rt60_s=0.6)
    desk.speaker.play(answer(25))
    assert Verdict.CONFIRMED not in verdicts(desk.run(25))
    assert desk.guard.statistics().confirmed == 0


def test_the_frame_in_which_the_loudspeaker_begins_is_withheld_already() -> None:
    desk = Desk()
    desk.run(1)
    desk.speaker.play(answer(1))
    assert desk.run(0.02)[0].verdict is Verdict.WITHHELD


def test_whoever_speaks_over_the_answer_silences_it_and_is_sent_from_the_beginning() -> None:
    desk = learnt()
    begins = desk.frames * FRAME
    desk.say(voice(-26))
    heard = desk.run(0.5)
    assert verdicts(heard) == [Verdict.WITHHELD, Verdict.CONFIRMED]
    onset = heard[-1].onset
    assert onset is not None
    assert abs(onset - begins) < RATE // 5
    assert desk.speaker.held


def test_the_canceller_leaves_little_of_the_echo_and_most_of_the_voice() -> None:
    desk = learnt()
    assert (desk.guard.statistics().erle_db or 0) > 25
    desk.run(0.3)
    desk.say(voice(-20))
    clean = np.frombuffer(b"".join(one.pcm for one in desk.run(1.2)), "<i2").astype(float)
    assert np.sqrt(np.mean(clean**2)) > level(-26) / 2


def test_a_suspicion_ducks_and_confirmation_holds() -> None:
    desk = learnt()
    desk.say(voice(-26))
    desk.run(0.5)
    assert desk.speaker.ducked[:1] == [15.0]


def test_a_click_in_the_room_interrupts_nobody() -> None:
    desk = learnt()
    for _ in range(5):
        click = np.random.default_rng(1).standard_normal(RATE // 30) * level(-15)
        desk.say(click * np.exp(-np.arange(len(click)) / 200))
        assert Verdict.CONFIRMED not in verdicts(desk.run(0.7))


def test_a_flushed_playout_stays_silent_and_what_follows_flows() -> None:
    desk = learnt()
    desk.say(voice(-26))
    desk.run(0.6)
    desk.speaker.silence()
    heard = desk.run(4)
    assert verdicts(heard) == [Verdict.CONFIRMED, Verdict.OPEN]
    assert desk.guard.statistics().false_alarms == 0
    assert desk.speaker.ducked[-1] == 0.0


def test_a_hold_that_the_server_does_not_confirm_ends_after_a_second_and_a_half() -> None:
    desk = learnt()
    desk.say(voice(-26, "Stop."))
    held = [(desk.run(0.02), desk.speaker.held)[1] for _ in range(150)]
    assert held.count(True) == pytest.approx(75, abs=2)
    assert desk.guard.statistics().false_alarms == 1


def test_alarm_after_false_alarm_makes_it_half_duplex_for_a_while() -> None:
    desk = learnt()
    for _ in range(2):
        desk.say(voice(-20, "Stop."))
        desk.run(2.5)
    assert desk.guard.statistics().false_alarms == 2
    assert desk.guard.statistics().mode is Mode.HALF_DUPLEX
    desk.speaker.play(answer(12))
    desk.run(12)
    assert desk.guard.statistics().mode is Mode.AEC


def test_an_untaught_canceller_is_not_relied_on() -> None:
    desk = Desk()
    desk.speaker.play(answer(5))
    desk.run(0.5)
    desk.say(voice(-20))
    assert verdicts(desk.run(1.5)) == [Verdict.WITHHELD]
    assert desk.guard.statistics().mode is Mode.HALF_DUPLEX


def test_an_untaught_canceller_leaves_the_guard_as_long_as_half_duplex_has_it() -> None:
    desk = Desk(guard_ms=900)
    desk.speaker.play(answer(1.0))
    withheld_s = sum(one.verdict is Verdict.WITHHELD for one in desk.run(3)) / 50
    assert withheld_s == pytest.approx(1.0 + 0.9 + 0.04, abs=0.061)


def test_who_begins_to_speak_as_the_answer_fades_loses_no_beginning() -> None:
    desk = learnt()
    desk.speaker.silence()
    desk.run(0.44)
    begins = desk.frames * FRAME
    desk.say(voice(-24))
    heard = desk.run(1)
    first = next(one for one in heard if one.verdict is not Verdict.WITHHELD)
    assert first.verdict is Verdict.CONFIRMED
    assert first.onset is not None
    assert first.onset < begins + RATE // 5


def test_half_duplex_hears_nobody_until_half_a_second_after_the_last_sound() -> None:
    desk = Desk(Mode.HALF_DUPLEX)
    desk.speaker.play(answer(2.0))
    desk.say(voice(-20))
    heard = desk.run(3.5)
    assert verdicts(heard) == [Verdict.WITHHELD, Verdict.OPEN]
    withheld_s = sum(one.verdict is Verdict.WITHHELD for one in heard) / 50
    assert withheld_s == pytest.approx(2.0 + 0.5 + 0.04, abs=0.061)


def test_off_sends_everything_as_it_is() -> None:
    desk = Desk(Mode.OFF)
    desk.speaker.play(answer(1))
    assert verdicts(desk.run(1)) == [Verdict.OPEN]


def test_headphones_leave_nothing_to_withhold_for_long() -> None:
    desk = Desk(echo_db=-90, noise_db=-55)
    desk.speaker.play(answer(10))
    desk.run(5)
    assert desk.guard.statistics().health is Health.NO_ECHO
    desk.say(voice(-26))
    assert Verdict.CONFIRMED in verdicts(desk.run(1))


def test_auto_does_without_the_package_and_aec_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pywebrtc_audio", None)
    assert Desk(Mode.AUTO).guard.statistics().mode is Mode.HALF_DUPLEX
    with pytest.raises(DeviceUnavailable, match=r"pip install 'voice-agent\[aec\]'"):
        Desk(Mode.AEC)


def test_a_reference_that_falls_silent_does_not_cost_more_than_a_sounding_one() -> None:
    """AEC3's filters fade away then, into denormal numbers: five to eight times the time."""
    from time import process_time

    draw = np.random.default_rng(1)
    hiss = (draw.standard_normal((300, FRAME)) * 20).astype(np.int16)
    far = (draw.standard_normal((300, FRAME)) * 2000).astype(np.int16)

    def cost_s(*, falls_silent: bool) -> float:
        aec = canceller.Canceller(RATE)
        for index in range(100):
            aec.process((hiss[index] + far[index] // 4).tobytes(), far[index])
        if falls_silent:
            far[100:] = 0
        began = process_time()
        for index in range(100, 300):
            aec.process(hiss[index].tobytes(), far[index])
        return process_time() - began

    sounding_s = cost_s(falls_silent=False)
    assert cost_s(falls_silent=True) < 2.5 * sounding_s
