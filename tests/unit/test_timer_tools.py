"""Timers and alarms as the model and the command line see them."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.unit.test_alarms import World, unix
from tests.unit.test_bell import House, store
from voice_agent.alarms.clockwork import Listing
from voice_agent.assembly import toolbox_for
from voice_agent.config import Config
from voice_agent.controls import command
from voice_agent.controls.requests import timers_reply
from voice_agent.dialogue import Reply
from voice_agent.tools.base import Toolbox
from voice_agent.tools.timers import timer_tools

KEPT_IN_MEMORY = {"forgotten_at_restart": True}


class Desk(House):
    """A house with somebody who asks for things."""

    def ask(self, name: str, arguments: Mapping[str, object] | None = None) -> dict[str, object]:
        answer = asyncio.run(Toolbox(timer_tools(self.clockwork)).run(name, json.dumps(arguments or {})))
        found: dict[str, object] = json.loads(answer.output)
        assert answer.ok == ("error" not in found)
        return found

    def fails(self, name: str, arguments: Mapping[str, object]) -> str:
        return str(self.ask(name, arguments)["error"])

    def control(self, path: str, **query: str) -> tuple[int, dict[str, object]]:
        reply = timers_reply(self.clockwork, path, query)
        assert reply is not None
        return reply.status, json.loads(reply.body)


def test_a_timer_that_is_set_is_told_with_its_end(tmp_path: Path) -> None:
    desk = Desk(store=store(tmp_path))
    told = desk.ask("set_timer", {"minutes": 5, "name": "eggs"})
    assert told == {"name": "eggs", "seconds": 300, "ends_at": "12:05"}
    told = desk.ask("set_timer", {"hours": 1, "minutes": 0.5, "seconds": 1})
    assert told == {"name": "timer 1", "seconds": 3631, "ends_at": "13:00"}


def test_whoever_sets_a_timer_is_told_if_a_restart_would_forget_it_and_of_no_end_that_is_not_known() -> None:
    assert Desk().ask("set_timer", {"seconds": 90}) == {
        "name": "timer 1", "seconds": 90, "ends_at": "12:01", **KEPT_IN_MEMORY
    }  # fmt: skip
    assert "ends_at" not in Desk(World(wall_s=86_400.0)).ask("set_timer", {"seconds": 90})


def test_an_alarm_that_is_set_is_told_with_its_day_and_whether_that_is_tomorrow(tmp_path: Path) -> None:
    desk = Desk(store=store(tmp_path))
    note = "that time has passed today: tomorrow was taken"
    told = {"time": "07:00", "date": "2026-11-24", "weekday": "Tuesday", "note": note}
    assert desk.ask("set_alarm", {"time": "7:00"}) == {"name": "alarm 1", **told}
    told = {"time": "18:30", "date": "2026-11-23", "weekday": "Monday"}
    assert desk.ask("set_alarm", {"time": "18:30", "name": "tea"}) == {"name": "tea", **told}
    told = {"time": "07:00", "date": "2026-12-24", "weekday": "Thursday"}
    assert desk.ask("set_alarm", {"time": "07:00", "date": "2026-12-24"}) == {"name": "alarm 2", **told}
    days = ["friday", "monday"]
    assert desk.ask("set_alarm", {"time": "07:00", "repeat": days, "name": "work"}) == {
        "name": "work", "time": "07:00", "repeat": ["monday", "friday"], "first": "2026-11-27"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("set_timer", {}, "say how long"),
        ("set_timer", {"seconds": 0}, "1 second to 7 days"),
        ("set_timer", {"hours": 169}, "1 second to 7 days"),
        ("set_alarm", {"time": "24:00"}, "HH:MM"),
        ("set_alarm", {"time": "seven"}, "HH:MM"),
        ("set_alarm", {"time": "07:00", "date": "tomorrow"}, "YYYY-MM-DD"),
        ("cancel_timer", {}, "no timer or alarm is set"),
        ("cancel_timer", {"all": True}, "no timer or alarm is set"),
        ("cancel_timer", {"name": "eggs"}, "nothing is set that is called 'eggs'; set are: none"),
    ],
)
def test_what_cannot_be_done_is_answered_in_words(
    name: str, arguments: Mapping[str, object], words: str
) -> None:
    assert words in Desk().fails(name, arguments)


def test_the_list_says_of_each_when_it_is_due_and_tells_what_was_missed_once() -> None:
    desk = Desk(World(unix("2026-11-23 06:00")))
    desk.ask("set_timer", {"minutes": 2, "name": "eggs"})
    desk.ask("set_alarm", {"time": "07:00", "repeat": ["monday"], "name": "work"})
    desk.ask("set_alarm", {"time": "23:00"})
    desk.later(1.5)
    work = {"name": "work", "kind": "alarm", "time": "07:00", "repeat": ["monday"]}
    alarm = {"name": "alarm 1", "kind": "alarm", "time": "23:00", "date": "2026-11-23"}
    eggs = {"name": "eggs", "kind": "timer", "seconds_left": 119, "ends_at": "06:02"}
    assert desk.ask("get_timers") == {"timers": [eggs, work, alarm]}
    desk.later(2 * 3600)
    desk.clockwork.look()
    missed = [
        {"name": "eggs", "kind": "timer", "time": "06:02", "date": "2026-11-23"},
        {"name": "work", "kind": "alarm", "time": "07:00", "date": "2026-11-23"},
    ]
    assert desk.ask("get_timers") == {"timers": [work, alarm], "missed": missed}
    assert desk.ask("get_timers") == {"timers": [work, alarm]}


def test_without_a_name_the_only_one_is_cancelled_or_what_rings_and_else_it_is_asked_which() -> None:
    desk = Desk()
    desk.ask("set_timer", {"minutes": 2, "name": "eggs"})
    desk.ask("set_alarm", {"time": "07:00"})
    assert desk.fails("cancel_timer", {}) == "several are set: eggs, alarm 1; ask which"
    desk.later(120)
    desk.clockwork.rings(desk.clockwork.look())
    assert desk.ask("cancel_timer") == {"cancelled": ["eggs"]}
    assert desk.ask("cancel_timer") == {"cancelled": ["alarm 1"]}
    desk.ask("set_timer", {"minutes": 2})
    desk.ask("set_timer", {"minutes": 2})
    assert desk.ask("cancel_timer", {"all": True}) == {"cancelled": ["timer 1", "timer 2"]}


def test_what_is_set_stays_set_though_the_user_speaks_on() -> None:
    box = Toolbox(timer_tools(None))
    for name in ("set_timer", "set_alarm", "cancel_timer"):
        assert not box.manners(name).cancellable
        assert box.manners(name).reply is Reply.ALWAYS


def test_without_a_daemon_nothing_pretends_to_be_set() -> None:
    answer = asyncio.run(toolbox_for(Config()).run("set_timer", '{"seconds": 5}'))
    assert json.loads(answer.output) == {"error": "this works only inside the running daemon"}


# ---------------------------------------------------------------------------------- from outside


def test_the_control_socket_lists_and_cancels() -> None:
    desk = Desk()
    desk.ask("set_timer", {"minutes": 2, "name": "eggs"})
    desk.ask("set_timer", {"minutes": 3, "name": "pasta"})
    desk.ask("set_timer", {"minutes": 4})
    assert [each["name"] for each in listed(desk.control("timers"))] == ["eggs", "pasta", "timer 1"]
    assert [each["name"] for each in listed(desk.control("timers/cancel", name="egg"))] == [
        "pasta",
        "timer 1",
    ]
    status, body = desk.control("timers/cancel", name="laundry")
    assert (status, "nothing is set" in str(body["error"])) == (409, True)
    assert desk.control("timers/cancel")[0] == 400, "all of them only if that is said"
    assert len(desk.clockwork.entries) == 2
    assert listed(desk.control("timers/cancel", all="1")) == []
    assert timers_reply(desk.clockwork, "timers/set", {}) is None


def listed(reply: tuple[int, dict[str, object]]) -> list[dict[str, object]]:
    assert reply[0] == 200
    timers = reply[1]["timers"]
    assert isinstance(timers, list)
    return timers


def test_the_command_line_shows_them_in_columns() -> None:
    desk = Desk(World(unix("2026-11-23 06:00")))
    desk.ask("set_timer", {"minutes": 2, "name": "eggs"})
    desk.ask("set_timer", {"hours": 2})
    desk.later(2 * 3600)
    desk.clockwork.rings(desk.clockwork.look())
    desk.ask("set_timer", {"seconds": 3661, "name": "tea"})
    desk.ask("set_alarm", {"time": "07:00", "repeat": ["monday", "friday"]})
    desk.ask("set_alarm", {"time": "09:00"})
    assert command.as_text(desk.clockwork.listing()).splitlines() == [
        "timer 1                  timer  rings",
        "tea                      timer  in 1:01:01, at 09:01",
        "alarm 1                  alarm  07:00 mon fri",
        "alarm 2                  alarm  09:00 2026-11-23",
        "eggs                     timer  missed: 2026-11-23 06:02",
    ]
    assert command.as_text(Listing([])) == "no timer or alarm is set"
