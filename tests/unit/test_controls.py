"""The controls: what each of them does to the device, whoever asks, and what outlives the process."""

import asyncio
import json
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import pytest

from voice_agent.audio.mixer import Mixer
from voice_agent.audio.valve import Mode, Valve
from voice_agent.controls.panel import EXCUSES, FILE, Controls, Kept, Refused
from voice_agent.controls.requests import reply_to
from voice_agent.storage import Store


class Device:
    """Notes what is done to it."""

    def __init__(self, mode: Mode) -> None:
        self.done: list[str] = []
        self.valve = Valve(mode, pre_roll_ms=500, trailing_ms=1000, talk_ms=30_000)

    def mute(self, *, muted: bool) -> None:
        self.done.append("mute" if muted else "unmute")

    def set_volume(self, level: int, *, by_mixer: bool) -> None:
        self.done.append(f"volume {level}{' by mixer' if by_mixer else ''}")

    def wake(self) -> None:
        self.done.append("wake")

    def note(self, what: str) -> None:
        self.done.append(what)


class Desk:
    """Controls and the device behind them."""

    def __init__(self, directory: Path, mode: Mode = Mode.ALWAYS, mixer: Mixer | None = None) -> None:
        self.device = Device(mode)
        self.rings = False
        self.store = Store(directory / FILE, Kept, EXCUSES, durable=True)
        self.controls = Controls(
            self.device,
            volume=90,
            mixer=mixer,
            store=self.store,
            hush=lambda: self.device.note("hush"),
            unring=self._unring,
            cue=lambda name: self.device.note(f"cue {name}"),
            on_change=lambda: self.device.note("told"),
        )

    def _unring(self) -> bool:
        rang, self.rings = self.rings, False
        return rang

    def ask(self, path: str, **query: str) -> tuple[int, dict[str, object]]:
        status, body = reply_to(self.controls, path, query, "in session")
        return status, json.loads(body)

    def take(self) -> list[str]:
        """What was done since the last time."""
        done, self.device.done = self.device.done, []
        return done


def test_muting_closes_the_microphone_and_says_so_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert desk.take() == ["volume 90"]
    desk.controls.mute(muted=True)
    desk.controls.mute(muted=True)
    assert desk.take() == ["mute", "cue muted", "told"]
    assert desk.controls.muted
    desk.controls.mute(muted=False)
    assert desk.take() == ["unmute", "cue unmuted", "told"]


def test_mute_and_volume_outlive_the_process(tmp_path: Path) -> None:
    before = Desk(tmp_path)
    before.controls.mute(muted=True)
    before.controls.set_volume(40)
    before.controls.close()
    after = Desk(tmp_path)
    assert after.take() == ["volume 40", "mute"]
    assert (after.controls.muted, after.controls.volume) == (True, 40)


def test_of_quick_changes_the_last_one_is_kept(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for _ in range(50):
        desk.controls.mute(muted=True)
        desk.controls.mute(muted=False)
    desk.controls.close()
    assert desk.store.read() == Kept(muted=False)


@pytest.mark.parametrize("content", ["", "{", '{"muted":"yes"}', '{"volume":900}', "\x00" * 70_000])
def test_nonsense_in_the_file_is_a_warning_and_the_configuration_holds(
    tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).write_text(content)
    controls = Desk(tmp_path).controls
    assert (controls.muted, controls.volume) == (False, 90)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_device_on_which_nothing_was_changed_keeps_nothing(tmp_path: Path) -> None:
    Desk(tmp_path).controls.close()
    assert list(tmp_path.iterdir()) == []


def test_pressing_silences_wakes_and_opens_the_valve_until_released(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Mode.BUTTON)
    desk.take()
    desk.controls.press()
    assert desk.take() == ["hush", "wake", "cue listening"]
    assert desk.device.valve.talking
    desk.controls.release()
    assert not desk.device.valve.talking


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("muted", [False, True])
@pytest.mark.parametrize("push", [Controls.press, Controls.signal])
def test_a_press_that_ends_a_ring_means_nothing_else(
    tmp_path: Path, mode: Mode, muted: bool, push: Callable[[Controls], None]
) -> None:
    desk = Desk(tmp_path, mode)
    desk.controls.mute(muted=muted)
    desk.take()
    desk.rings = True
    push(desk.controls)
    assert desk.take() == ["hush"]
    assert not desk.rings
    assert not desk.device.valve.talking


def test_a_release_is_no_press_though_something_rings(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Mode.BUTTON)
    desk.controls.signal()
    desk.rings = True
    desk.controls.signal()
    assert desk.rings
    assert not desk.device.valve.talking


def test_stop_ends_a_ring_and_the_answer(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.take()
    desk.rings = True
    assert desk.ask("stop")[0] == 200
    assert (desk.rings, desk.take()) == (False, ["hush"])


def test_a_muted_device_refuses_the_button_and_says_why(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Mode.BUTTON)
    desk.controls.mute(muted=True)
    desk.take()
    with pytest.raises(Refused, match="voice-agent unmute"):
        desk.controls.press()
    assert desk.take() == ["cue muted"]
    assert not desk.device.valve.talking


def test_a_signal_presses_and_releases_where_a_button_decides(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Mode.BUTTON)
    desk.controls.signal()
    assert desk.device.valve.talking
    desk.controls.signal()
    assert not desk.device.valve.talking


@pytest.mark.parametrize("mode", [Mode.ALWAYS, Mode.VOICE])
def test_a_signal_silences_and_wakes_where_voices_decide(tmp_path: Path, mode: Mode) -> None:
    desk = Desk(tmp_path, mode)
    desk.take()
    desk.controls.signal()
    assert desk.take() == ["hush", "wake"]
    assert not desk.device.valve.talking


@pytest.mark.parametrize(("wanted", "got"), [(-5, 0), (0, 0), (77, 77), (130, 130), (999, 130)])
def test_the_volume_goes_as_far_as_it_goes(tmp_path: Path, wanted: int, got: int) -> None:
    desk = Desk(tmp_path)
    desk.take()
    assert desk.controls.set_volume(wanted) == got
    assert desk.take() == [f"volume {got}"]


# -------------------------------------------------------------------------------------- requests


def test_a_request_does_its_deed_and_tells_how_things_are(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Mode.BUTTON)
    status = {
        "muted": False,
        "volume": 90,
        "mode": "push-to-talk",
        "talking": False,
        "connection": "in session",
    }
    assert desk.ask("") == (HTTPStatus.OK, status)
    assert desk.ask("talk/press") == (HTTPStatus.OK, status | {"talking": True})
    assert desk.ask("talk/release") == (HTTPStatus.OK, status)
    assert desk.ask("volume", to="40") == (HTTPStatus.OK, status | {"volume": 40})
    assert desk.ask("volume", by="-15") == (HTTPStatus.OK, status | {"volume": 25})
    assert desk.ask("volume", by="+5") == (HTTPStatus.OK, status | {"volume": 30})
    assert desk.ask("mute") == (HTTPStatus.OK, status | {"volume": 30, "muted": True})
    assert desk.ask("unmute") == (HTTPStatus.OK, status | {"volume": 30})
    desk.take()
    assert desk.ask("stop")[0] == HTTPStatus.OK
    assert desk.take() == ["hush"]


def test_a_request_that_cannot_be_met_changes_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.controls.mute(muted=True)
    desk.take()
    assert desk.ask("talk/press")[0] == HTTPStatus.CONFLICT
    assert desk.ask("dance")[0] == HTTPStatus.NOT_FOUND
    for query in ({}, {"to": "loud"}, {"to": "1", "by": "2"}, {"by": "9" * 5000}, {"up": "3"}):
        status, told = desk.ask("volume", **query)
        assert status == HTTPStatus.BAD_REQUEST
        assert "0...130" in str(told["error"])
    assert desk.take() == ["cue muted"]


# ----------------------------------------------------------------------------------------- the mixer


def amixer(directory: Path, body: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An `amixer` that notes its arguments."""
    program = directory / "amixer"
    program.write_text(f'#!/bin/sh\necho "$@" >> {directory}/calls\n{body}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
    return directory / "calls"


def turn(desk: Desk, done: Callable[[], bool]) -> None:
    """Let the mixer turn until ``done``."""

    async def run() -> None:
        turning = asyncio.create_task(desk.controls.run())
        async with asyncio.timeout(10):
            while not done():
                await asyncio.sleep(0.01)
        turning.cancel()
        await asyncio.wait([turning])

    asyncio.run(run())


def test_a_mixer_is_turned_instead_of_the_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = amixer(tmp_path, "", monkeypatch)
    desk = Desk(tmp_path, mixer=Mixer("hw:Device", "PCM"))
    turn(desk, calls.exists)
    desk.controls.set_volume(0)
    turn(desk, lambda: "unmute" not in calls.read_text().splitlines()[-1])
    assert calls.read_text().splitlines() == [
        "-q -M -D hw:Device sset PCM 90% unmute",
        "-q -M -D hw:Device sset PCM 0% mute",
    ]
    assert desk.take() == ["volume 90 by mixer", "volume 0 by mixer"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            "echo 'Unable to find simple control' >&2; exit 1",
            "Unable to find simple control; `amixer -D CARD scontrols`",
        ),
        ("sleep 5", "timed out"),
    ],
)
def test_a_mixer_that_is_not_there_is_told_and_the_samples_are_turned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, body: str, reason: str
) -> None:
    amixer(tmp_path, body, monkeypatch)
    desk = Desk(tmp_path, mixer=Mixer("default", "PCM", deadline_s=0.2))
    turn(desk, lambda: "volume 90" in desk.device.done)
    assert reason in caplog.records[0].__dict__["reason"]


def test_without_alsa_utils_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    desk = Desk(tmp_path, mixer=Mixer("default", "PCM"))
    turn(desk, lambda: "volume 90" in desk.device.done)
    assert "apt install alsa-utils" in caplog.records[0].__dict__["reason"]
