"""The virtual sound card itself, with nothing of ours on it but a tape."""

import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.audio.harness import (
    BLOCK,
    RATE,
    Tape,
    capture,
    counter,
    hold_the_gil,
    in_own_process,
    output,
    plugged_in,
    sounding,
    until,
)
from voice_agent.lab.card import VirtualCard

TICK = RATE // 500


def play(tape: Tape, **options: int) -> None:
    with output(tape, **options):
        until(lambda: tape.at_end, "the tape's end")


def happened(card: VirtualCard, event: str) -> int:
    return sum(entry.event == event for entry in card.events())


@in_own_process
def test_portaudio_sees_one_loudspeaker_one_microphone_and_a_default(tmp_path: Path) -> None:
    with plugged_in(VirtualCard(tmp_path)):
        import pyaudio

        sound = pyaudio.PyAudio()
        found = [sound.get_device_info_by_index(index) for index in range(sound.get_device_count())]
        shapes = {
            device["name"]: (device["maxInputChannels"], device["maxOutputChannels"]) for device in found
        }
        assert shapes == {"speaker": (0, 2), "mic": (2, 0), "default": (2, 2)}
        sound.terminate()


@in_own_process
def test_what_is_played_is_recorded_bit_by_bit_at_every_rate(tmp_path: Path) -> None:
    for rate in (8_000, 24_000, 44_100, 48_000):
        with plugged_in(VirtualCard(tmp_path / str(rate), elastic=True, speed=10)) as card:
            tape = Tape(counter(2 * rate))
            play(tape, rate=rate, block=rate // 100)
            assert np.array_equal(sounding(card.played()), counter(2 * rate))
            assert tape.statuses == {0}


@in_own_process
def test_stereo_is_heard_as_the_mean_of_both_channels(tmp_path: Path) -> None:
    with plugged_in(VirtualCard(tmp_path, elastic=True, speed=10)) as card:
        frames = np.stack([counter(RATE), counter(RATE) // 2], axis=1)
        blocks = iter(frames.reshape(-1, 2 * BLOCK))
        silence = np.zeros(2 * BLOCK, np.int16)
        emitted = []

        def callback(*_: object) -> tuple[bytes, int]:
            emitted.append(next(blocks, silence))
            return emitted[-1].tobytes(), 0

        with output(callback, channels=2):
            until(lambda: len(emitted) > RATE // BLOCK + 8, "all blocks")
        assert np.array_equal(sounding(card.played()), sounding(frames.astype(int).sum(axis=1) // 2))


@in_own_process
def test_an_elastic_clock_waits_for_a_late_application(tmp_path: Path) -> None:
    with plugged_in(VirtualCard(tmp_path, elastic=True)) as card:
        tape = Tape(counter(RATE))
        with output(tape):
            for _ in range(3):
                position = tape.position
                until(lambda: tape.position > position, "a block")  # noqa: B023 - called in this very turn
                hold_the_gil(150)
            until(lambda: tape.at_end, "the tape's end")
        assert np.array_equal(sounding(card.played()), counter(RATE))
        assert tape.statuses == {0}
        assert card.events()[-1].held_ms > 3 * 100
        assert not happened(card, "xrun")


@in_own_process
def test_when_a_sample_was_played_is_known_even_of_a_clock_that_waits(tmp_path: Path) -> None:
    """After it was asked for, and before a block is asked for that needs its place in the card's buffer."""
    with plugged_in(VirtualCard(tmp_path, elastic=True)) as card:
        asked_s: list[float] = []
        tape = Tape(counter(RATE))

        def callback(*call: Any) -> tuple[bytes | None, int]:  # noqa: ANN401 - it is passed on
            asked_s.append(time.monotonic())
            return tape(*call)

        with output(callback):
            until(lambda: tape.position > RATE // 4, "a quarter of a second")
            hold_the_gil(400)
            until(lambda: tape.at_end, "the tape's end")
        begin = int(np.flatnonzero(card.played())[0])
        played_s = [card.played_at(begin + at) for at in range(0, RATE, BLOCK)]
        assert max(later - sooner for sooner, later in pairwise(played_s)) > 0.3
        for before, at, after in zip(asked_s, played_s, asked_s[2:], strict=False):
            assert before - 0.005 <= at <= after + 0.002


@in_own_process
def test_a_plain_clock_does_not_wait_and_portaudio_reports_the_underflow(tmp_path: Path) -> None:
    with plugged_in(VirtualCard(tmp_path)) as card:
        tape = Tape(counter(RATE))
        with output(tape):
            until(lambda: tape.position > RATE // 4, "a quarter of a second")
            hold_the_gil(150)
            until(lambda: 4 in tape.statuses, "paOutputUnderflow")
        assert happened(card, "xrun")


@in_own_process
def test_a_plain_clock_is_real_time_and_speed_multiplies_it(tmp_path: Path) -> None:
    for speed in (1, 3):
        with plugged_in(VirtualCard(tmp_path / str(speed), speed=speed)) as card:
            play(Tape(counter(RATE * 2 * speed)))
            first, last = (next(e for e in card.events() if e.event == name) for name in ("start", "stop"))
            ratio = (last.virtual_ns - first.virtual_ns) / (last.monotonic_ns - first.monotonic_ns)
            assert ratio == pytest.approx(speed, rel=1e-6)  # however late the clock's ticks were


@in_own_process
def test_both_recordings_share_one_timeline_however_often_devices_come_and_go(tmp_path: Path) -> None:
    with plugged_in(VirtualCard(tmp_path, elastic=True, echo_db=0, echo_ms=40)) as card:
        for _ in range(2):
            play(Tape(counter(BLOCK * 20)))
            heard = Tape()
            with capture(heard):
                until(lambda: heard.position > BLOCK * 8, "some of the room")  # noqa: B023
            tape, heard = Tape(counter(BLOCK * 20)), Tape()
            with capture(heard), output(tape):
                until(lambda: tape.at_end, "the tape's end")  # noqa: B023
                until(lambda: heard.position > BLOCK * 30, "the echo")  # noqa: B023
        played, captured = card.played(), card.captured()
        assert abs(len(played) - len(captured)) <= TICK
        assert np.count_nonzero(played) == 4 * BLOCK * 20
        delay = RATE * 40 // 1000
        heard_at = np.flatnonzero(captured)
        assert np.array_equal(captured[heard_at], played[heard_at - delay])
        assert np.count_nonzero(captured) >= 2 * BLOCK * 20


@in_own_process
def test_the_microphone_hears_the_loudspeaker_later_and_softer(tmp_path: Path) -> None:
    with plugged_in(VirtualCard(tmp_path, elastic=True, speed=5, echo_db=-6, echo_ms=100)) as card:
        heard, tape = Tape(), Tape(counter(RATE))
        with capture(heard), output(tape):
            until(lambda: heard.position > 1.5 * RATE, "the echo")
        played, captured = card.played(), card.captured()
        delay = RATE // 10
        common = min(len(played), len(captured) - delay)
        echo = np.rint(played[:common] * 10 ** (-6 / 20))
        assert np.array_equal(captured[delay : delay + common], echo)
        assert np.array_equal(sounding(heard.samples()), sounding(captured)[: len(sounding(heard.samples()))])


@in_own_process
def test_a_room_is_as_loud_as_asked_and_alike_in_every_run(tmp_path: Path) -> None:
    runs = []
    for run in ("first", "second"):
        with plugged_in(VirtualCard(tmp_path / run, elastic=True, speed=10, noise_db=-60)) as card:
            heard = Tape()
            with capture(heard):
                until(lambda: heard.position > RATE, "a second")  # noqa: B023
            runs.append(card.captured()[:RATE])
    common = (runs[0] != 0) & (runs[1] != 0)
    assert np.count_nonzero(common) > RATE // 2
    assert np.array_equal(runs[0][common], runs[1][common])
    noise = sounding(runs[0]).astype(float)
    level_db = 20 * np.log10(np.sqrt(np.mean(noise**2)) / 32_768)
    assert level_db == pytest.approx(-60, abs=0.1)
    spectrum = np.abs(np.fft.rfft(noise)) ** 2
    quarters = [np.mean(quarter) for quarter in np.array_split(spectrum[1:], 4)]
    assert max(quarters) < 1.2 * min(quarters), "white"


@in_own_process
def test_a_microphone_can_run_and_bring_one_value_only(tmp_path: Path) -> None:
    with plugged_in(VirtualCard(tmp_path, elastic=True, speed=5, noise_db=-60)) as card:
        heard = Tape()
        with capture(heard):
            for fault in ("mic-zero", "mic-stuck"):
                until(lambda: len(set(heard.samples()[-BLOCK:])) > 1, "noise")
                card.fault(fault)
                until(lambda: len(set(heard.samples()[-BLOCK:])) == 1, fault)
                assert bool(heard.samples()[-1]) is (fault == "mic-stuck")
                card.heal()


@in_own_process
def test_a_fast_crystal_brings_more_samples(tmp_path: Path) -> None:
    with plugged_in(VirtualCard(tmp_path, elastic=True, speed=5, mic_ppm=10_000)) as card:
        heard = Tape()
        with output(Tape()), capture(heard):
            until(lambda: heard.position > 2 * RATE, "two seconds")
        stops = {event.direction: event for event in card.events() if event.event == "stop"}
        speeds = {way: stop.position / (stop.virtual_ns * 1e-9 * RATE) for way, stop in stops.items()}
        assert speeds == {"speaker": pytest.approx(1, abs=1e-3), "mic": pytest.approx(1.01, abs=1e-3)}


@in_own_process
def test_speech_is_heard_whole_and_its_place_in_the_recording_is_told(tmp_path: Path) -> None:
    with plugged_in(VirtualCard(tmp_path, elastic=True, speed=5)) as card:
        said = [counter(RATE // 2), counter(RATE)[::-1]]
        spoken = [card.speak(pcm.tobytes()) for pcm in said]  # before anybody listens
        heard = Tape()
        with capture(heard):
            spans = [future.result(timeout=10) for future in spoken]
            until(lambda: heard.position >= spans[1].end + 4 * BLOCK, "the end of the second utterance")
        for pcm, span in zip(said, spans, strict=True):
            assert np.array_equal(card.captured()[span.begin : span.end], pcm)
            at = span.begin - spans[0].begin
            assert np.array_equal(sounding(heard.samples())[at : at + len(pcm)], pcm)


@in_own_process
def test_an_elastic_clock_waits_for_a_speaker_who_hesitates(tmp_path: Path) -> None:
    with plugged_in(VirtualCard(tmp_path, elastic=True)) as card, capture(Tape()):
        said = counter(RATE // 2)
        with (card.directory / "mic.fifo").open("wb", buffering=0) as mouth:
            mouth.write(said[: RATE // 4].tobytes())
            until(lambda: len(sounding(card.captured())) >= RATE // 4 - 1, "the first half")
            hesitated = time.monotonic()
            until(lambda: time.monotonic() > hesitated + 0.2, "a while")
            mouth.write(said[RATE // 4 :].tobytes())
        until(lambda: happened(card, "quiet") == 1, "the second half")
        assert np.array_equal(sounding(card.captured()), said)


@in_own_process
def test_speech_that_nobody_can_hear_any_more_fails_when_the_card_is_closed(tmp_path: Path) -> None:
    from voice_agent.errors import LabUnavailable

    with plugged_in(VirtualCard(tmp_path)) as card:
        spoken = card.speak(counter(RATE).tobytes())
    with pytest.raises(LabUnavailable):
        spoken.result(timeout=5)


@in_own_process
def test_a_card_can_be_held_to_one_rate(tmp_path: Path) -> None:
    with plugged_in(VirtualCard(tmp_path, only_rate=48_000, elastic=True)) as card:
        with pytest.raises(OSError, match="Invalid sample rate"), output(Tape()):
            pass
        play(Tape(counter(4800)), rate=48_000, block=480)
        assert np.array_equal(sounding(card.played()), counter(4800))


@in_own_process
def test_a_device_that_is_gone_cannot_be_opened_until_it_is_back(tmp_path: Path) -> None:
    with plugged_in(VirtualCard(tmp_path, elastic=True)) as card:
        card.fault("spk-gone", "mic-gone")
        with pytest.raises(OSError, match="no default output device"), output(Tape()):
            pass
        card.heal()
        play(Tape(counter(BLOCK)))
        assert np.array_equal(sounding(card.played()), counter(BLOCK))


@in_own_process
def test_another_process_that_lists_the_devices_disturbs_nothing(tmp_path: Path) -> None:
    with plugged_in(VirtualCard(tmp_path, elastic=True)) as card:
        tape = Tape(counter(RATE // 2))
        play(tape)
        before = card.played()
        subprocess.run([sys.executable, "-c", "import pyaudio; pyaudio.PyAudio().terminate()"], check=True)
        assert np.array_equal(card.played()[: len(before)], before)
