"""Volume as people set it, and the tool that sets it for them."""

import asyncio
import json

import pytest

from voice_agent.audio.volume import bounded, decibels, gain_of
from voice_agent.tools.base import Toolbox
from voice_agent.tools.volume import volume_tool


def test_the_curve_is_silent_at_0_and_exact_at_100() -> None:
    assert gain_of(0) == 0.0
    assert gain_of(100) == 1.0
    assert decibels(1) == -50.0
    assert decibels(130) == 12.0
    assert bounded(-3) == 0
    assert bounded(131) == 130


def test_every_step_is_louder_by_less_than_a_decibel() -> None:
    steps = [decibels(level + 1) - decibels(level) for level in range(1, 130)]
    assert min(steps) > 0.3
    assert max(steps) < 0.6


class Device:
    """Something with a volume."""

    def __init__(self, volume: int) -> None:
        self.volume = volume

    def set_volume(self, level: int) -> int:
        self.volume = bounded(level)
        return self.volume


@pytest.mark.parametrize(
    ("before", "arguments", "after"),
    [
        (50, {"level": 80}, 80),
        (50, {"level": 0}, 0),
        (50, {"level": 70.0}, 70),
        (50, {"change": 10}, 60),
        (50, {"change": -70}, 0),
        (95, {"change": 10}, 100),
        (120, {"change": 5}, 120),
        (120, {"change": -5}, 115),
    ],
)
def test_the_tool_sets_a_level_or_takes_a_step_within_what_is_sensible(
    before: int, arguments: dict[str, int], after: int
) -> None:
    device = Device(before)
    output, outcome = asyncio.run(Toolbox([volume_tool(device)]).run("set_volume", json.dumps(arguments)))
    assert outcome == "ok"
    assert json.loads(output) == {"volume": after, "before": before}
    assert device.volume == after


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "give either level or change"),
        ({"level": 5, "change": 5}, "give either level or change"),
        ({"level": "loud"}, "'loud' is not of type 'integer'"),
        ({"level": 5.5}, "5.5 is not of type 'integer'"),
        ({"level": True}, "not of type 'integer'"),
        ({"level": 900}, "900 is greater than the maximum of 100"),
    ],
)
def test_the_tool_says_what_it_takes(arguments: dict[str, object], words: str) -> None:
    device = Device(50)
    output, outcome = asyncio.run(Toolbox([volume_tool(device)]).run("set_volume", json.dumps(arguments)))
    assert outcome != "ok"
    assert words in json.loads(output)["error"]
    assert device.volume == 50
