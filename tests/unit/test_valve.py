"""The valve: who decides that captured sound flows to the server, and from where."""

from collections.abc import Iterable

import pytest

from voice_agent.audio.valve import Flow, Mode, Open, Shut, Sight, Valve, Verdict, Withheld

FRAME = 20  # samples, at 1 kHz
QUIET, BUTTON, ECHO, MUTED = (
    Shut(why) for why in (Withheld.QUIET, Withheld.BUTTON, Withheld.ECHO, Withheld.MUTED)
)


class Stream:
    """A valve and the frames that come, one after another."""

    def __init__(self, mode: Mode, *, pre_roll_ms: float = 100, trailing_ms: float = 60) -> None:
        self.valve = Valve(mode, pre_roll_ms=pre_roll_ms, trailing_ms=trailing_ms, talk_ms=200)
        self.now = 0

    def frames(
        self,
        count: int = 1,
        verdict: Verdict = Verdict.OPEN,
        *,
        speaks: bool = False,
        confirmed: int | None = None,
    ) -> list[Flow]:
        return [self._frame(verdict, speaks=speaks, confirmed=confirmed) for _ in range(count)]

    def onset(self, position: int, verdict: Verdict = Verdict.OPEN) -> Flow:
        """The frame that opens the voice gate."""
        return self._frame(verdict, speaks=True, onset=position)

    def _frame(
        self, verdict: Verdict, *, speaks: bool, confirmed: int | None = None, onset: int | None = None
    ) -> Flow:
        sight = Sight(self.now, self.now + FRAME, verdict, confirmed, speaks, onset)
        self.now += FRAME
        return self.valve.judge(sight)


def all_are(flows: Iterable[Flow], wanted: Flow) -> bool:
    return all(flow == wanted for flow in flows)


def test_without_a_gate_everything_flows() -> None:
    assert all_are(Stream(Mode.ALWAYS).frames(50), Open())


def test_a_voice_flows_from_before_its_onset_until_a_while_after_its_end() -> None:
    stream = Stream(Mode.VOICE)
    assert all_are(stream.frames(50), QUIET)
    assert stream.onset(900) == Open(since=800)
    assert all_are(stream.frames(10, speaks=True), Open())
    assert stream.frames(3) == [Open(), Open(), QUIET], "60 ms from the last frame with a voice in it"
    assert stream.frames(1) == [QUIET]


def test_a_voice_that_goes_on_within_the_trailing_sound_is_not_sent_twice() -> None:
    stream = Stream(Mode.VOICE)
    stream.frames(10)
    stream.onset(180)
    stream.frames(2)
    assert stream.onset(240) == Open()


def test_a_pre_roll_does_not_reach_back_behind_the_beginning() -> None:
    assert Stream(Mode.VOICE).onset(0) == Open(since=0)


def test_only_a_pressed_button_lets_flow_and_nothing_from_before() -> None:
    stream = Stream(Mode.BUTTON)
    assert all_are(stream.frames(5, speaks=True), BUTTON)
    assert all_are(stream.frames(5, Verdict.CONFIRMED, confirmed=0), BUTTON)
    stream.valve.press()
    assert all_are(stream.frames(5), Open())
    stream.valve.release()
    assert stream.frames(1) == [BUTTON]


def test_a_button_that_is_stuck_is_released_after_a_while() -> None:
    stream = Stream(Mode.BUTTON)
    stream.valve.press()
    assert all_are(stream.frames(10), Open())
    assert not stream.valve.talking
    assert stream.frames(1) == [BUTTON]


def test_a_button_opens_the_other_modes_too() -> None:
    stream = Stream(Mode.VOICE)
    stream.valve.press()
    assert stream.frames(1) == [Open()]
    stream.valve.release()
    assert stream.frames(1) == [QUIET]


@pytest.mark.parametrize("mode", [Mode.ALWAYS, Mode.VOICE])
def test_what_may_be_echo_is_withheld_until_the_guard_confirms_a_voice(mode: Mode) -> None:
    stream = Stream(mode)
    assert all_are(stream.frames(20, Verdict.WITHHELD, speaks=True), ECHO)
    assert stream.frames(1, Verdict.CONFIRMED, confirmed=300) == [Open(since=200)]
    assert stream.frames(1, Verdict.CONFIRMED, confirmed=300) == [Open()]


def test_after_the_echo_listening_begins_with_the_present() -> None:
    stream = Stream(Mode.ALWAYS)
    stream.frames(20, Verdict.WITHHELD)
    assert stream.frames(2) == [Open(), Open()]


def test_the_voice_gate_never_reaches_back_into_the_echo() -> None:
    stream = Stream(Mode.VOICE)
    stream.frames(20, Verdict.WITHHELD)
    stream.frames(2)
    assert stream.onset(410) == Open(since=400)


def test_who_presses_the_button_is_not_asked_whether_he_is_an_echo() -> None:
    stream = Stream(Mode.BUTTON)
    stream.frames(5, Verdict.WITHHELD)
    stream.valve.press()
    assert stream.frames(1, Verdict.WITHHELD) == [Open()]


@pytest.mark.parametrize("mode", list(Mode))
def test_mute_is_above_everything_and_ends_a_press(mode: Mode) -> None:
    stream = Stream(mode)
    stream.valve.press()
    stream.valve.mute(muted=True)
    stream.valve.press()
    assert all_are(stream.frames(3, Verdict.CONFIRMED, speaks=True, confirmed=0), MUTED)
    stream.valve.mute(muted=False)
    assert not stream.valve.talking
    opened = stream.onset(60)
    assert opened == {Mode.ALWAYS: Open(since=60), Mode.VOICE: Open(since=60), Mode.BUTTON: BUTTON}[mode]
