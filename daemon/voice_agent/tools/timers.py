"""The tools that set timers and alarms, list them and cancel them. ``alarms`` keeps them and rings."""

import re
from collections.abc import Mapping
from datetime import date

import msgspec

from voice_agent.alarms.clockwork import Clockwork
from voice_agent.alarms.entries import WEEKDAYS, Alarm, weekday_names
from voice_agent.dialogue import Manners
from voice_agent.errors import ToolError
from voice_agent.tools.base import Arguments, Tool

SURE = Manners(parallel=False, cancellable=False)
"""What was set is set, though the user speaks on; and of two that are set, the first comes first."""

UNITS = {"hours": 3600.0, "minutes": 60.0, "seconds": 1.0}
FORGOTTEN = {"forgotten_at_restart": True}

NAME = {"type": "string", "description": "What it is for, in the user's words: eggs, laundry."}
TIMER = {
    "type": "object",
    "properties": {unit: {"type": "number", "minimum": 0} for unit in UNITS} | {"name": NAME},
    "additionalProperties": False,
}
ALARM = {
    "type": "object",
    "properties": {
        "time": {"type": "string", "description": "Local time of day, HH:MM, 24 hours: 07:00, 18:30."},
        "date": {
            "type": "string",
            "description": "YYYY-MM-DD. Leave out for the next time the clock shows it.",
        },
        "repeat": {
            "type": "array",
            "items": {"type": "string", "enum": list(WEEKDAYS)},
            "description": "Days of the week on which it rings again and again. Leave out for once.",
        },
        "name": NAME,
    },
    "required": ["time"],
    "additionalProperties": False,
}
NOTHING: Mapping[str, object] = {"type": "object", "properties": {}, "additionalProperties": False}
CANCEL = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "description": "Which; leave out if only one is set, or one rings."},
        "all": {"type": "boolean", "description": "All timers and alarms."},
    },
    "additionalProperties": False,
}


def timer_tools(clockwork: Clockwork | None) -> tuple[Tool, ...]:
    """``set_timer``, ``set_alarm``, ``get_timers`` and ``cancel_timer``; without a clockwork, they refuse."""

    def there() -> Clockwork:
        if clockwork is None:
            raise ToolError("this works only inside the running daemon")
        return clockwork

    async def set_timer(arguments: Arguments) -> Mapping[str, object]:
        timer = there().set_timer(_seconds(arguments), _text(arguments, "name"))
        now = there().now()
        ends_at = {"ends_at": f"{timer.due_at(now):%H:%M}"} if now.is_plausible else {}
        answer: Mapping[str, object] = {"name": timer.name, "seconds": round(timer.seconds), **ends_at}
        return {**answer, **await _warning(there())}

    async def set_alarm(arguments: Arguments) -> Mapping[str, object]:
        at, day = _time(_text(arguments, "time")), _day(_text(arguments, "date"))
        alarm = there().set_alarm(at, day, _repeat(arguments), _text(arguments, "name"))
        return {**_described(alarm, there(), given=day), **await _warning(there())}

    async def get_timers(_arguments: Arguments) -> Mapping[str, object]:
        listing: Mapping[str, object] = msgspec.to_builtins(there().listing())
        there().tell_missed()
        return listing

    async def cancel_timer(arguments: Arguments) -> Mapping[str, object]:
        everything = arguments.get("all") is True
        return {"cancelled": cancel(there(), _text(arguments, "name"), everything=everything)}

    return (
        Tool("set_timer", "Set a timer, which rings on this device.", TIMER, set_timer, SURE),
        Tool("set_alarm", "Set an alarm, which rings at a time of day.", ALARM, set_alarm, SURE),
        Tool("get_timers", "List the timers and alarms that are set.", NOTHING, get_timers),
        Tool(
            "cancel_timer", "Cancel timers or alarms; also stops one that rings.", CANCEL, cancel_timer, SURE
        ),
    )


def cancel(clockwork: Clockwork, name: str, *, everything: bool) -> list[str]:
    """Cancel what is meant; the names of what was cancelled. A ``ToolError`` if it is not clear."""
    if everything:
        entries = clockwork.entries
    elif name:
        entries = (clockwork.find(name),)
    else:
        entries = clockwork.ringing or clockwork.entries
        if len(entries) > 1 and not clockwork.ringing:
            raise ToolError(f"several are set: {', '.join(each.name for each in entries)}; ask which")
    if not entries:
        raise ToolError("no timer or alarm is set")
    clockwork.cancel(entries)
    return [entry.name for entry in entries]


async def _warning(clockwork: Clockwork) -> Mapping[str, object]:
    return {} if await clockwork.is_kept() else FORGOTTEN


def _described(alarm: Alarm, clockwork: Clockwork, *, given: date | None) -> Mapping[str, object]:
    """An alarm that was set, in words; says so if today's time had passed."""
    said: dict[str, object] = {"name": alarm.name, "time": alarm.at}
    if alarm.repeat:
        return said | {"repeat": weekday_names(alarm.repeat), "first": str(alarm.day)}
    said |= {"date": str(alarm.day), "weekday": f"{alarm.day:%A}"}
    if given is None and alarm.day > clockwork.now().local.date():
        said["note"] = "that time has passed today: tomorrow was taken"
    return said


# ------------------------------------------------------------------------------------- arguments


def _seconds(arguments: Arguments) -> float:
    amounts = {unit: arguments[unit] for unit in UNITS if arguments.get(unit) is not None}
    if not amounts:
        raise ToolError("say how long: hours, minutes, seconds")
    seconds = 0.0
    for unit, amount in amounts.items():
        if isinstance(amount, bool) or not isinstance(amount, (int, float)) or amount < 0:
            raise ToolError(f"{unit} must be a number of at least 0")
        seconds += amount * UNITS[unit]
    return seconds


def _time(text: str) -> str:
    if not (found := re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", text)):
        raise ToolError("time must be HH:MM, from 00:00 to 23:59")
    return f"{int(found[1]):02}:{found[2]}"


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise ToolError("date must be YYYY-MM-DD") from error


def _repeat(arguments: Arguments) -> list[int]:
    days = arguments.get("repeat") or []
    if not isinstance(days, list) or not all(str(day).lower() in WEEKDAYS for day in days):
        raise ToolError(f"repeat must be a list of {', '.join(WEEKDAYS)}")
    return [WEEKDAYS.index(str(day).lower()) for day in days]


def _text(arguments: Arguments, name: str) -> str:
    """An optional text."""
    value = arguments.get(name)
    if value is not None and not isinstance(value, str):
        raise ToolError(f"{name} must be a text")
    return (value or "").strip()
