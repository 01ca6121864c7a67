"""From a tool's output to a sentence. Tolerant: JSON of several shapes, plain text, errors."""

from collections.abc import Mapping
from datetime import date as Date  # noqa: N812 - `date` is a question here
from re import search
from typing import Any

import msgspec

from voice_agent.embedded.policy.deeds import deed
from voice_agent.embedded.policy.phrases import Phrases
from voice_agent.embedded.policy.words import day_word, first, percent, said, signed, whole

_PLACE = ("city", "place", "location", "name", "timezone")
_TEMPERATURE = ("temperature_c", "temperature_f", "temperature", "temp_c", "temp", "temperature_2m")
_LOWEST, _HIGHEST = ("temperature_min_c", "temperature_min_f"), ("temperature_max_c", "temperature_max_f")
_CONDITION = ("condition", "conditions", "description", "summary", "weather")
_KMH = ("wind_kmh", "wind_speed_kmh", "wind_kph", "wind_speed_10m")
_MPS = ("wind_ms", "wind_mps", "wind_speed_ms", "wind_speed_mps")


def rendered(
    output: str, phrases: Phrases, tool: str = "", *, today: Date | None = None, date: bool = False
) -> str:
    """What to say about the output of ``tool``; with ``date`` about the day rather than the hour."""
    facts = _facts(output)
    if isinstance(facts, str):
        return _sentence(facts) or phrases.nothing_left
    if facts.get("error"):
        reason = phrases.reason(_reason(facts["error"]))
        return phrases.failed.format(reason=reason) if reason else phrases.failed_somehow
    done = deed(facts, phrases, tool, today)
    return done if done is not None else _found(facts, phrases, today, date=date)


def _found(facts: Mapping[str, Any], phrases: Phrases, today: Date | None, *, date: bool) -> str:
    """What was looked up."""
    if first(facts, _TEMPERATURE) is not None:
        return _weather(facts, phrases)
    if first(facts, _LOWEST) is not None or first(facts, _HIGHEST) is not None:
        return _forecast(facts, phrases, today)
    if first(facts, ("time", "datetime", "local_time")) is not None:
        return _time(facts, phrases, date=date)
    return _sentence(", ".join(f"{key}: {value}".replace("_", " ") for key, value in facts.items()))


def _facts(output: str) -> Mapping[str, Any] | str:
    try:
        decoded = msgspec.json.decode(output)
    except msgspec.DecodeError:
        return output.strip()
    match decoded:
        case {"result": dict() as inner}:
            return inner
        case dict():
            return decoded
        case _:
            return str(decoded)


# ------------------------------------------------------------------------------------------ weather


def _weather(facts: Mapping[str, Any], phrases: Phrases) -> str:
    degrees = first(facts, _TEMPERATURE)
    forms = phrases.counted["degree"]
    what = phrases.temperature.format(
        number=signed(degrees, phrases), degrees=forms[phrases.plural(whole(degrees))]
    )
    what = _with_condition(what, facts, phrases)
    place = first(facts, _PLACE)
    told = phrases.weather.format(place=said(place, phrases), what=what) if place else _sentence(what)
    return told + _wind(facts, phrases) + _age(facts, phrases)


def _forecast(facts: Mapping[str, Any], phrases: Phrases, today: Date | None) -> str:
    low, high = first(facts, _LOWEST), first(facts, _HIGHEST)
    last = high if high is not None else low
    what = phrases.between.format(
        low=signed(low if low is not None else last, phrases),
        high=signed(last, phrases),
        degrees=phrases.up_to[phrases.plural(whole(last))],
    )
    what = _with_condition(what, facts, phrases)
    rain = facts.get("precipitation_percent")
    if rain is not None:
        what += phrases.precipitation.format(percent=percent(rain, phrases))
    place = said(first(facts, _PLACE) or "", phrases)
    day = day_word(facts.get("date"), phrases, today)
    return phrases.weather_on.format(place=place, day=day, what=what) + _age(facts, phrases)


def _with_condition(what: str, facts: Mapping[str, Any], phrases: Phrases) -> str:
    condition = first(facts, _CONDITION)
    if not isinstance(condition, str) or not condition:
        return what
    return phrases.condition.format(temperature=what, condition=said(condition, phrases))


def _wind(facts: Mapping[str, Any], phrases: Phrases) -> str:
    for keys, unit in ((_KMH, phrases.kmh), (_MPS, phrases.mps)):
        speed = first(facts, keys)
        if speed is not None:
            return phrases.wind.format(speed=unit.format(number=signed(speed, phrases)))
    return ""


def _age(facts: Mapping[str, Any], phrases: Phrases) -> str:
    """How old a forecast is that could not be renewed."""
    minutes = whole(facts.get("minutes_old"))
    return phrases.age.format(minutes=phrases.count(minutes, "minute")) if minutes else ""


# --------------------------------------------------------------------------------------------- time


def _time(facts: Mapping[str, Any], phrases: Phrases, *, date: bool) -> str:
    if facts.get("clock_set") is False:
        return phrases.clock_unset
    stated = str(first(facts, ("time", "datetime", "local_time")))
    day = facts.get("date") or stated[:10]
    if date and search(r"\d{4}-\d\d-\d\d", str(day)):
        return phrases.date.format(date=day)
    clock = search(r"\d{1,2}:\d\d", stated)
    time = clock.group() if clock else stated
    place = first(facts, _PLACE)
    if not place or place == "here":
        return phrases.time_here.format(time=time)
    name = said(str(place).rpartition("/")[2].replace("_", " "), phrases)
    return phrases.time.format(place=name, time=time)


def _reason(error: object) -> str:
    return str(error.get("message", error)) if isinstance(error, dict) else str(error)


def _sentence(text: str) -> str:
    text = text.strip()
    return text if not text or text[-1] in ".!?…" else f"{text}."
