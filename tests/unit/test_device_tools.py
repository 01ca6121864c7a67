"""The tools about the device itself, and what they get hold of."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from voice_agent.agent import Agent
from voice_agent.assembly import toolbox_for
from voice_agent.config import parse
from voice_agent.dialogue import Reply
from voice_agent.dialogue.memory import AgentLine, Memory, UserLine
from voice_agent.errors import Cause, ToolError
from voice_agent.handle import Handle
from voice_agent.tools.base import Toolbox
from voice_agent.tools.device import Elsewhere, Said, device_tools
from voice_agent.tools.machine import figures


class Device(Elsewhere):
    """A device that does what it is told."""

    def __init__(self) -> None:
        self.said: Said | None = None
        self.done: list[str] = []

    def mute(self) -> str:
        self.done.append("mute")
        return "the switch on its back"

    def stop(self) -> None:
        self.done.append("stop")

    def last_answer(self) -> Said | None:
        return self.said

    def status(self) -> Mapping[str, object]:
        return {"connection": "connected"}

    def end(self) -> str:
        self.done.append("end")
        return "speaking"


def call(box: Toolbox, name: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(asyncio.run(box.run(name, "{}"))[0])
    return answer


def test_each_tool_does_its_deed_and_says_so() -> None:
    device = Device()
    box = Toolbox(device_tools(device, machine=lambda: {"cpu_temperature_c": 48}))
    assert call(box, "mute_microphone") == {"muted": True, "unmute_by": "the switch on its back"}
    assert call(box, "stop") == {"stopped": True}
    assert call(box, "end_conversation") == {"ends_when_quiet": True, "begin_again_by": "speaking"}
    assert call(box, "get_device_status") == {"connection": "connected", "cpu_temperature_c": 48}
    assert device.done == ["mute", "stop", "end"]


def test_an_answer_is_repeated_as_far_as_it_was_heard() -> None:
    device = Device()
    box = Toolbox(device_tools(device))
    assert call(box, "repeat_answer") == {"error": "nothing has been said yet"}
    device.said = Said("It is raining", cut=False)
    assert call(box, "repeat_answer") == {"text": "It is raining"}
    device.said = Said("It is", cut=True)
    assert call(box, "repeat_answer") == {"text": "It is", "cut_off": True}


def test_who_only_lists_the_tools_commands_no_device() -> None:
    box = toolbox_for(parse("")[0])
    for name in ("mute_microphone", "stop", "repeat_answer", "get_device_status", "end_conversation"):
        assert "running daemon" in call(box, name)["error"]
    answer = asyncio.run(box.run("set_volume", '{"level": 5}'))
    assert "running daemon" in answer[0]


def test_what_is_done_at_once_is_not_given_up_and_only_stop_is_answered_by_silence() -> None:
    box = toolbox_for(parse("")[0])
    for name in ("mute_microphone", "stop", "end_conversation", "set_volume"):
        assert not box.manners(name).cancellable
        assert not box.manners(name).parallel
    silent = {name for name in parse("")[0].tools.enabled if box.manners(name).reply is Reply.NEVER}
    assert silent == {"stop"}
    brief = {name for name in parse("")[0].tools.enabled if box.manners(name).reply is Reply.IF_SILENT}
    assert brief >= {"set_volume", "end_conversation"}


# ---------------------------------------------------------------------------------------- the handle


def agent(settings: str = "", control: Path | None = None) -> Agent:
    return Agent(parse(settings)[0], lambda: None, control=control)


def handle(memory: Memory, *, unmute_by: str = "a switch", settings: str = "") -> Handle:
    return Handle(agent(settings), memory, unmute_by=unmute_by)


def remembered(*lines: UserLine | AgentLine) -> Memory:
    memory = Memory()
    for number, line in enumerate(lines):
        memory.enter((1, str(number)), line)
    return memory


def test_the_last_answer_is_all_that_was_heard_in_its_turn() -> None:
    async def scene() -> None:
        assert handle(Memory()).last_answer() is None
        assert handle(remembered(UserLine(1, "Hello"))).last_answer() is None
        lines = (
            AgentLine(1, "Hello."),
            UserLine(2, "And?"),
            AgentLine(2, "One moment."),
            AgentLine(2, "It is"),
        )
        assert handle(remembered(*lines)).last_answer() == Said("One moment. It is", cut=False)
        cut = AgentLine(2, "It is", cut=True)
        assert handle(remembered(*lines[:3], cut)).last_answer() == Said("One moment. It is", cut=True)

    asyncio.run(scene())


def test_a_microphone_that_nothing_could_unmute_is_not_muted() -> None:
    async def scene() -> None:
        deaf = agent('[control]\nsocket = ""\n')
        with pytest.raises(ToolError, match="nothing could unmute"):
            Handle(deaf, Memory(), unmute_by="").mute()
        assert not deaf.controls.muted
        assert Handle(deaf, Memory(), unmute_by="a switch").mute() == "a switch"
        assert deaf.controls.muted
        assert deaf.ports.muted

    asyncio.run(scene())


def test_the_status_is_flat_small_and_tells_no_secrets() -> None:
    async def scene() -> None:
        of = agent()
        status = Handle(of, Memory(), unmute_by="").status()
        assert status == {
            "connection": "connecting",
            "reconnects": 0,
            "microphone": "closed",
            "loudspeaker": "closed",
            "muted": False,
            "volume": 100,
            "uptime_s": 0,
        }
        counters = of.counters
        for cause in (Cause.DNS, Cause.TIMEOUT):
            counters.lost(cause)
        for _ in range(4):
            counters.live(1.0, renewed=False)
        counters.live(1.0, renewed=True)
        counters.parked()
        status = Handle(of, Memory(), unmute_by="").status()
        assert (status["reconnects"], status["last_disconnect"]) == (2, "connect timeout")

    asyncio.run(scene())


def test_nobody_takes_leave_without_a_conversation() -> None:
    async def scene() -> None:
        with pytest.raises(ToolError, match="no conversation"):
            handle(Memory()).end()

    asyncio.run(scene())


# --------------------------------------------------------------------------------------- the machine


def test_the_kernel_is_believed_about_wifi_and_temperature(tmp_path: Path) -> None:
    assert figures(tmp_path) == {}
    wireless = tmp_path / "proc/net/wireless"
    wireless.parent.mkdir(parents=True)
    heading = "Inter-| sta-|   Quality        |\n face | tus | link level noise |\n"
    wireless.write_text(heading)
    assert figures(tmp_path) == {}, "no interface"
    wireless.write_text(f"{heading} wlan0: 0000   54.  -56.  -256        0      0      0\n")
    assert figures(tmp_path) == {"wifi_quality_percent": 77, "wifi_signal_dbm": -56}
    for number, text in enumerate(("41250\n", "nonsense", "56000\n")):
        zone = tmp_path / f"sys/class/thermal/thermal_zone{number}"
        zone.mkdir(parents=True)
        (zone / "temp").write_text(text)
    assert figures(tmp_path)["cpu_temperature_c"] == 56
    wireless.write_text("\udcff rubbish", errors="surrogateescape")
    assert figures(tmp_path) == {"cpu_temperature_c": 56}
