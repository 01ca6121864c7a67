"""Devices that go, stall, starve and come back, under the daemon's own supervision and a real-time clock."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from tests.audio.harness import RATE, counter, in_own_process, plugged_in, sounding, wait_until
from voice_agent.audio import devices
from voice_agent.audio.devices import AudioDevices, Condition, DevicesState, Restart
from voice_agent.audio.microphone import Microphone
from voice_agent.audio.names import Direction
from voice_agent.audio.speaker import Speaker
from voice_agent.backoff import Backoff
from voice_agent.lab.card import Fault, VirtualCard

NOTICED_S = 2.0
BACK_S = 3.0
FLAT: tuple[Fault, ...] = ("mic-zero", "mic-stuck")
NOISE_DB = -66.0
"""A quiet room; a microphone in digital silence would be taken for a muted one."""


class Room:
    """A card, both ends, and the supervisor that keeps them open."""

    def __init__(self, card: VirtualCard) -> None:
        self.card = card
        self.speaker = Speaker(RATE)
        self.microphone = Microphone(RATE)
        self.history: list[DevicesState] = []
        self.cards: frozenset[str] = frozenset({"the only one"})
        self.devices = AudioDevices(
            self.speaker,
            self.microphone,
            backoff=lambda: Backoff(0.1, 0.3),
            on_change=self.history.append,
            cards=lambda: self.cards,
        )

    def conditions(self) -> tuple[Condition, Condition]:
        """Of the loudspeaker and of the microphone."""
        state = self.devices.state()
        return state.output.condition, state.input.condition

    async def both_open(self) -> None:
        """Wait until sound flows both ways."""
        await wait_until(lambda: self.conditions() == (Condition.OPEN,) * 2, "both open", timeout_s=BACK_S)
        before = self.speaker.statistics().callbacks, self.microphone.statistics().callbacks
        await wait_until(
            lambda: (
                self.speaker.statistics().callbacks > before[0] + 3
                and self.microphone.statistics().callbacks > before[1] + 3
            ),
            "callbacks",
            timeout_s=BACK_S,
        )

    async def says_something(self) -> None:
        """Play a tone and see it leave the card."""
        start = self.card.played_samples()
        self.speaker.play(np.full(RATE // 5, 8_000, np.int16).tobytes(), starts=True)
        await wait_until(
            lambda: int(np.count_nonzero(self.card.played()[start:] == 8_000)) > RATE // 10,
            "the tone at the loudspeaker",
            timeout_s=BACK_S,
        )

    async def hears_something(self) -> None:
        """Speak and see it in the frames."""
        self.microphone.discard()
        self.card.speak(np.full(RATE // 5, 7_000, np.int16).tobytes())
        async with asyncio.timeout(BACK_S):
            while 7_000 not in np.frombuffer(await self.microphone.frame(), np.int16):
                pass


@asynccontextmanager
async def supervised(card: VirtualCard) -> AsyncIterator[Room]:
    """A room whose devices are looked after; no exception may have come out of a callback."""
    with plugged_in(card):
        room = Room(card)
        running = asyncio.create_task(room.devices.run())
        try:
            yield room
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
        assert room.speaker.statistics().callback_errors == 0
        assert room.microphone.statistics().callback_errors == 0


@in_own_process
async def test_an_unplugged_card_is_noticed_and_used_again_when_it_is_back(tmp_path: Path) -> None:
    async with supervised(VirtualCard(tmp_path, noise_db=NOISE_DB)) as room:
        await room.both_open()
        room.card.fault("spk-gone", "mic-gone")
        unplugged = time.monotonic()
        await wait_until(lambda: Condition.OPEN not in room.conditions(), "noticing", timeout_s=NOTICED_S)
        assert time.monotonic() - unplugged < NOTICED_S
        room.card.heal()
        await room.both_open()
        await room.says_something()
        await room.hears_something()


@in_own_process
async def test_a_card_whose_clock_stands_still_is_given_up_within_two_seconds(tmp_path: Path) -> None:
    async with supervised(VirtualCard(tmp_path, noise_db=NOISE_DB)) as room:
        await room.both_open()
        room.card.fault("spk-stall")
        await wait_until(
            lambda: any(state.output.condition is Condition.FAILED for state in room.history),
            "noticing",
            timeout_s=NOTICED_S,
        )
        room.card.heal()
        await room.both_open()
        await room.says_something()


@in_own_process
async def test_a_microphone_that_stalls_is_noticed_although_the_loudspeaker_lives(tmp_path: Path) -> None:
    async with supervised(VirtualCard(tmp_path, noise_db=NOISE_DB)) as room:
        await room.both_open()
        room.card.fault("mic-stall")
        await wait_until(
            lambda: any(state.input.condition is Condition.FAILED for state in room.history),
            "noticing",
            timeout_s=NOTICED_S,
        )
        room.card.heal()
        await room.both_open()
        await room.hears_something()


@in_own_process
async def test_without_a_microphone_the_loudspeaker_works_and_the_microphone_joins_later(
    tmp_path: Path,
) -> None:
    card = VirtualCard(tmp_path, noise_db=NOISE_DB)
    card.fault("mic-gone")
    async with supervised(card) as room:
        await wait_until(lambda: room.conditions() == (Condition.OPEN, Condition.ABSENT), "the loudspeaker")
        await room.says_something()
        card.heal()
        await room.both_open()
        await room.hears_something()


@in_own_process
async def test_starting_without_any_device_is_a_state_and_not_an_end(tmp_path: Path) -> None:
    card = VirtualCard(tmp_path, noise_db=NOISE_DB)
    card.fault("spk-gone", "mic-gone")
    async with supervised(card) as room:
        await wait_until(lambda: room.conditions() == (Condition.ABSENT, Condition.ABSENT), "a first try")
        assert "no default" in room.devices.state().output.reason
        card.heal()
        await room.both_open()
        await room.says_something()


@in_own_process
async def test_what_was_queued_when_the_card_went_is_played_when_it_is_back(tmp_path: Path) -> None:
    async with supervised(VirtualCard(tmp_path, elastic=True, noise_db=NOISE_DB)) as room:
        await room.both_open()
        room.speaker.play(counter(RATE).tobytes(), starts=True)
        room.speaker.finish()
        await wait_until(lambda: room.speaker.positions().played > RATE // 4, "a quarter of a second")
        room.card.fault("spk-gone", "mic-gone")
        await wait_until(lambda: Condition.OPEN not in room.conditions(), "noticing", timeout_s=NOTICED_S)
        room.card.heal()
        await room.both_open()
        await wait_until(lambda: room.speaker.positions().played == RATE, "the rest")
        played = room.card.played()
        (at,) = np.nonzero(played)
        assert np.array_equal(played[at[-1] - RATE // 4 : at[-1] + 1], counter(RATE)[-RATE // 4 - 1 :])


@in_own_process
async def test_an_xrun_is_counted_and_survived(tmp_path: Path) -> None:
    async with supervised(VirtualCard(tmp_path, noise_db=NOISE_DB)) as room:
        await room.both_open()
        before = room.speaker.statistics().xruns
        room.card.fault("spk-xrun")
        await wait_until(lambda: any(e.event == "xrun" for e in room.card.events()), "a forced xrun")
        room.card.heal()
        await wait_until(lambda: room.speaker.statistics().xruns > before, "its report", timeout_s=BACK_S)
        await room.says_something()
        assert room.devices.state().opened == 2, "one for each direction"


@in_own_process
async def test_leaving_takes_less_than_a_second_and_fades_into_silence(tmp_path: Path) -> None:
    with plugged_in(VirtualCard(tmp_path, elastic=True, noise_db=NOISE_DB)) as card:
        room = Room(card)
        running = asyncio.create_task(room.devices.run())
        await room.both_open()
        room.speaker.play(np.full(5 * RATE, 9_000, np.int16).tobytes(), starts=True)
        await wait_until(lambda: room.speaker.positions().played > RATE // 4, "a quarter of a second")
        running.cancel()
        left = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert time.monotonic() - left < 1
        played = card.played()
        (fade,) = np.nonzero((played != 9_000) & (played != 0))
        assert RATE * 60 // 1000 <= len(fade) <= RATE * 150 // 1000
        assert np.abs(np.diff(played[fade].astype(int))).max() < 300, "nothing in it that clicks"
        assert not played[fade[-1] + 1 :].any()


@in_own_process
async def test_other_ends_at_another_rate_take_over_while_running(tmp_path: Path) -> None:
    async with supervised(VirtualCard(tmp_path, elastic=True, noise_db=NOISE_DB)) as room:
        await room.both_open()
        room.speaker, room.microphone = Speaker(48_000), Microphone(16_000)
        room.devices.use(speaker=room.speaker, microphone=room.microphone)
        await wait_until(lambda: room.devices.state().opened == 4, "streams at the new rates")
        await room.both_open()
        rates = {event.direction: event.rate for event in room.card.events() if event.event == "setup"}
        assert rates == {"speaker": 48_000, "mic": 16_000}
        await room.says_something()
        await room.hears_something()


@in_own_process
async def test_a_microphone_unplugged_during_an_answer_costs_the_answer_nothing(tmp_path: Path) -> None:
    async with supervised(VirtualCard(tmp_path, elastic=True, noise_db=NOISE_DB)) as room:
        await room.both_open()
        answer = counter(5 * RATE)
        room.speaker.play(answer.tobytes(), starts=True)
        room.speaker.finish()
        room.card.fault("mic-gone")
        await wait_until(lambda: room.conditions()[1] is not Condition.OPEN, "noticing", timeout_s=NOTICED_S)
        await wait_until(lambda: room.conditions() == (Condition.OPEN, Condition.ABSENT), "a first try")
        room.card.heal()
        await room.both_open()
        await room.hears_something()
        await wait_until(lambda: room.speaker.positions().played == len(answer), "the answer's end")
        assert np.array_equal(sounding(room.card.played()), answer)
        assert set(room.devices.state().restarts) == {(Direction.INPUT, Restart.STOPPED)}


@in_own_process
async def test_a_loudspeaker_unplugged_costs_the_microphone_nothing(tmp_path: Path) -> None:
    async with supervised(VirtualCard(tmp_path, elastic=True, noise_db=NOISE_DB)) as room:
        heard = bytearray()

        async def listen() -> None:
            while True:
                heard.extend(await room.microphone.frame())

        listening = asyncio.create_task(listen())
        await room.both_open()
        room.card.fault("spk-gone")
        await wait_until(lambda: room.conditions()[0] is not Condition.OPEN, "noticing", timeout_s=NOTICED_S)
        await wait_until(lambda: room.conditions() == (Condition.ABSENT, Condition.OPEN), "a first try")
        room.card.heal()
        await room.both_open()
        await room.says_something()
        listening.cancel()
        frames, captured = np.frombuffer(heard, np.int16), room.card.captured()
        begin = captured.tobytes().find(frames[:RATE].tobytes()) // 2
        assert len(frames) > RATE
        assert np.array_equal(frames, captured[begin : begin + len(frames)])
        assert {why for way, why in room.devices.state().restarts} == {Restart.STOPPED}


@in_own_process
async def test_a_microphone_plugged_in_during_an_answer_waits_and_then_tears_it_once(tmp_path: Path) -> None:
    card = VirtualCard(tmp_path, elastic=True, noise_db=NOISE_DB)
    card.fault("mic-gone")
    devices.PATIENCE_S = 0.5  # this process is this test's
    async with supervised(card) as room:
        await wait_until(lambda: room.conditions() == (Condition.OPEN, Condition.ABSENT), "the loudspeaker")
        answer = np.full(4 * RATE, 8_000, np.int16)
        room.speaker.play(answer.tobytes(), starts=True)
        await wait_until(lambda: room.speaker.positions().played > 0, "the answer")
        card.heal()
        room.cards = frozenset({"the only one", "a microphone"})
        plugged = time.monotonic()
        await room.both_open()
        waited_s = time.monotonic() - plugged
        position = room.speaker.positions().played
        await wait_until(lambda: room.speaker.positions().played > position + RATE // 4, "the rest")
        (silent,) = np.nonzero(sounding(card.played()) == 0)
        assert waited_s > devices.PATIENCE_S, "for a pause, in vain"
        assert len(silent) == silent[-1] - silent[0] + 1, "one tear"
        assert len(silent) / RATE < waited_s - devices.PATIENCE_S, "and none before its patience ended"
        assert room.speaker.statistics().gaps == 1
        assert room.devices.state().restarts == {(Direction.OUTPUT, Restart.RENEWED): 1}


@in_own_process
async def test_a_microphone_that_brings_one_value_only_is_noticed_and_heard_again_at_once(
    tmp_path: Path,
) -> None:
    async with supervised(VirtualCard(tmp_path, elastic=True, noise_db=NOISE_DB)) as room:
        for fault in FLAT:
            await room.both_open()
            room.card.fault(fault)
            broken = room.card.played_samples()  # by its own clock, which waits for a busy machine
            await wait_until(lambda: room.conditions() == (Condition.OPEN, Condition.FAILED), "noticing")
            assert (room.card.played_samples() - broken) / RATE < NOTICED_S
            assert "muted in hardware" in room.devices.state().input.reason
            room.card.heal()
            await wait_until(lambda: room.conditions()[1] is Condition.OPEN, "hearing", timeout_s=BACK_S)
        assert room.devices.state().opened == 2, "without reopening it"


@in_own_process
async def test_a_muted_microphone_is_given_back_to_the_system(tmp_path: Path) -> None:
    async with supervised(VirtualCard(tmp_path, noise_db=NOISE_DB)) as room:
        await room.both_open()
        room.devices.mute(muted=True)
        await wait_until(lambda: room.conditions() == (Condition.OPEN, Condition.MUTED), "closing")
        assert room.card.events()[-1].event == "close"
        await room.says_something()
        room.devices.mute(muted=False)
        await room.both_open()
        await room.hears_something()


@in_own_process
async def test_a_stereo_card_at_another_rate_is_told_as_it_is(tmp_path: Path) -> None:
    async with supervised(
        VirtualCard(tmp_path, only_rate=44_100, only_channels=2, noise_db=NOISE_DB)
    ) as room:
        await room.both_open()
        state = room.devices.state()
        assert (state.output.rate, state.output.channels, state.output.resampled) == (44_100, 2, True)
        assert (state.input.rate, state.input.channels, state.input.resampled) == (44_100, 2, True)
        room.card.fault("spk-gone", "mic-gone")
        await wait_until(lambda: Condition.OPEN not in room.conditions(), "noticing", timeout_s=NOTICED_S)
        assert room.devices.state().output.rate == 0
        room.card.heal()
        await room.both_open()
        await room.says_something()
