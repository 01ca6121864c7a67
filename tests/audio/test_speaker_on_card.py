"""The loudspeaker's whole path: play -> ring -> callback -> PortAudio -> ALSA -> what left the card."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.audio.harness import (
    BLOCK,
    RATE,
    Samples,
    counter,
    hold_the_gil,
    in_own_process,
    loudspeaker,
    plugged_in,
    sounding,
    until,
    wait_until,
)
from voice_agent.audio.speaker import Speaker
from voice_agent.lab.card import VirtualCard

FADE = RATE * 5 // 1000
PERIODS = 2
"""Of one block each: what PortAudio keeps in ALSA's buffer."""


def until_heard(speaker: Speaker) -> None:
    until(lambda: speaker.positions().played == speaker.positions().queued, "the end of the playout")


@in_own_process
def test_nothing_is_lost_doubled_or_torn_on_the_way_to_the_loudspeaker(tmp_path: Path) -> None:
    with plugged_in(VirtualCard(tmp_path, elastic=True, speed=10)) as card:
        speaker = Speaker(RATE)
        speaker.play(counter(10 * RATE).tobytes(), starts=True)
        speaker.finish()
        with loudspeaker(speaker):
            until_heard(speaker)
        assert np.array_equal(sounding(card.played()), counter(10 * RATE))
        statistics = speaker.statistics()
        assert (statistics.gaps, statistics.xruns, statistics.callback_errors) == (0, 0, 0)
        assert statistics.played == 10 * RATE


@in_own_process
def test_deltas_of_any_size_at_any_moment_are_played_in_order(tmp_path: Path) -> None:
    with plugged_in(VirtualCard(tmp_path, elastic=True, speed=10)) as card:
        draw = random.Random(3)
        speaker = Speaker(RATE, fade_ms=0)  # fades would hide what is lost or doubled where it is torn
        whole = counter(20 * RATE)
        with loudspeaker(speaker):
            at = 0
            while at < len(whole):
                size = draw.choice([1, 7, BLOCK, 2_399, 4_801, 12_000])
                speaker.play(whole[at : at + size].tobytes())
                at += size
                if draw.random() < 0.2:
                    until_heard(speaker)
            until_heard(speaker)
        played = sounding(card.played())
        assert np.array_equal(played[played != 0], whole)
        # Silence between deltas is a gap, and each of its samples that was heard was counted.
        assert speaker.statistics().gap_samples == np.count_nonzero(played == 0)


@in_own_process
async def test_two_minutes_delivered_at_once_play_whole(tmp_path: Path) -> None:
    # Half of it spills, and enters the ring once a (real) second, in parts: 30 s have been played by then.
    with plugged_in(VirtualCard(tmp_path, elastic=True, speed=30)) as card:
        speaker = Speaker(RATE, capacity_s=60.003)  # no whole number of blocks: the ring's end splits one
        whole = counter(120 * RATE)
        with loudspeaker(speaker):
            for at in range(0, len(whole), RATE):
                speaker.play(whole[at : at + RATE].tobytes(), starts=at == 0)
            speaker.finish()
            assert speaker.positions().queued == len(whole)
            assert speaker.statistics().spilled > 0
            await wait_until(lambda: speaker.positions().played == len(whole), "two minutes", timeout_s=45)
        assert np.array_equal(sounding(card.played()), whole)
        assert speaker.statistics().lost_samples == 0


@in_own_process
def test_an_interpreter_that_stands_still_for_150_ms_tears_nothing(tmp_path: Path) -> None:
    with plugged_in(VirtualCard(tmp_path, elastic=True)) as card:
        speaker = Speaker(RATE)
        speaker.play(counter(RATE).tobytes(), starts=True)
        speaker.finish()
        with loudspeaker(speaker):
            for eighth in range(1, 6):
                reached = eighth * RATE // 8
                until(lambda: speaker.positions().played > reached, "the next eighth")  # noqa: B023
                hold_the_gil(150)
            until_heard(speaker)
        assert np.array_equal(sounding(card.played()), counter(RATE))
        assert speaker.statistics().gaps == 0
        assert card.events()[-1].held_ms > 5 * 100


class Emission:
    """Counts what a callback has handed to PortAudio, silence included."""

    def __init__(self, speaker: Speaker) -> None:
        self.samples = 0
        self._callback = speaker.callback
        speaker.callback = self

    def __call__(
        self, in_data: bytes | None, frame_count: int, time: Mapping[str, float], status: int, /
    ) -> tuple[bytes | None, int]:
        block, flag = self._callback(in_data, frame_count, time, status)
        self.samples += frame_count
        return block, flag


class Stretch(NamedTuple):
    """Sound between two silences of a recording."""

    begin: int
    end: int

    @classmethod
    def all_in(cls, recording: Samples) -> "list[Stretch]":
        """In order."""
        edges = np.flatnonzero(np.diff(recording != 0, prepend=False, append=False))
        return [cls(int(begin), int(end)) for begin, end in edges.reshape(-1, 2)]


@in_own_process
def test_silence_is_heard_one_block_later_after_a_short_fade(tmp_path: Path) -> None:
    with plugged_in(VirtualCard(tmp_path, elastic=True, speed=2)) as card:
        speaker = Speaker(RATE)
        emission = Emission(speaker)
        silenced_at = []
        draw = random.Random(5)
        with loudspeaker(speaker):
            for _ in range(12):
                reached = speaker.positions().queued + draw.randrange(2 * BLOCK, 20 * BLOCK)
                speaker.play(counter(RATE).tobytes(), starts=True)
                until(lambda: speaker.positions().played > reached, "some audio")  # noqa: B023
                speaker.silence()
                silenced_at.append(emission.samples)
                until(lambda: emission.samples > silenced_at[-1] + 6 * BLOCK, "silence")
        played = card.played()
        stretches = Stretch.all_in(played)
        assert len(stretches) == len(silenced_at)
        # The first sample that PortAudio was given: where the stream's own priming ends.
        origin = next(e for e in card.events() if e.event == "start").position + PERIODS * BLOCK
        for stretch, emitted in zip(stretches, silenced_at, strict=True):
            assert stretch.end - origin <= emitted + BLOCK + FADE
            sound = played[stretch.begin : stretch.end]
            whole = counter(len(sound))
            assert np.array_equal(sound[:-FADE], whole[:-FADE])
            assert (sound[1 - FADE :] < whole[1 - FADE :]).all()
            assert sound[-1] < whole[-1] / 50


@in_own_process
def test_newer_audio_follows_the_fade_of_the_flushed_one_at_once(tmp_path: Path) -> None:
    with plugged_in(VirtualCard(tmp_path, elastic=True)) as card:
        speaker = Speaker(RATE)
        answer = np.full(RATE // 4, -9_000, np.int16)
        with loudspeaker(speaker):
            speaker.play(np.full(10 * RATE, 9_000, np.int16).tobytes(), starts=True)
            until(lambda: speaker.positions().played > RATE // 4, "a quarter of a second")
            speaker.silence()
            speaker.play(answer.tobytes(), starts=True)
            speaker.finish()
            until_heard(speaker)
        played = sounding(card.played())
        assert np.array_equal(played[-len(answer) :], answer)
        (fading,) = np.nonzero(played != 9_000)
        assert len(played) - len(answer) - fading[0] == FADE
        assert (np.diff(played[fading[0] : -len(answer)].astype(int)) < 0).all()


@in_own_process
def test_the_played_position_is_what_has_left_the_loudspeaker(tmp_path: Path) -> None:
    with plugged_in(VirtualCard(tmp_path, elastic=True)) as card:
        speaker = Speaker(RATE)
        speaker.play(counter(2 * RATE).tobytes(), starts=True)
        seen: list[tuple[int, int, int]] = []
        with loudspeaker(speaker):
            while len(seen) < 200:
                before = card.played_samples()
                played = speaker.positions().played
                if 0 < played < 2 * RATE:
                    seen.append((before, played, card.played_samples()))
                    until(lambda: card.played_samples() > seen[-1][2], "the next tick")
        (first, *_) = np.flatnonzero(card.played())
        behind = [before - first - played for before, played, _ in seen]
        # Never ahead of the ear, for a truncation must not claim what was not heard; and behind it by no more
        # than the block whose callback is the position's clock (two when the clock had to wait for us).
        assert all(played <= after - first for _, played, after in seen)
        assert np.median(behind) <= BLOCK
        assert max(behind) <= PERIODS * BLOCK


@in_own_process
async def test_the_played_position_rests_when_all_is_said(tmp_path: Path) -> None:
    with plugged_in(VirtualCard(tmp_path, elastic=True, speed=10)):
        speaker = Speaker(RATE)
        with loudspeaker(speaker):
            speaker.play(counter(RATE // 3).tobytes(), starts=True)
            await wait_until(lambda: speaker.positions().played == RATE // 3, "the end")
            callbacks = speaker.statistics().callbacks
            await wait_until(lambda: speaker.statistics().callbacks > callbacks + 10, "silent blocks")
            assert speaker.positions() == (RATE // 3, RATE // 3)
