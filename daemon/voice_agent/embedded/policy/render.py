"""From a tool's output to a sentence. Tolerant: JSON of several shapes, plain text, errors."""

from collections.abc import Mapping
from re import search
from typing import Any

import msgspec

from voice_agent.embedded.policy.language import Phrases

_PLACE = ("city", "place", "location", "name", "timezone")
_TEMPERATURE = ("temperature_c", "temperature", "temp_c", "temp", "temperature_2m")
_CONDITION = ("condition", "conditions", "description", "summary", "weather")
_KMH = ("wind_kmh", "wind_speed_kmh", "wind_kph", "wind_speed_10m")
_MPS = ("wind_ms", "wind_mps", "wind_speed_ms", "wind_speed_mps")


def rendered(output: str, phrases: Phrases, *, date: bool = False) -> str:
    """What to say about a tool's output; with ``date`` about the day rather than the hour."""
    facts = _facts(output)
    if isinstance(facts, str):
        return _sentence(facts) or phrases.nothing_left
    if facts.get("error"):
        return phrases.failed.format(reason=_reason(facts["error"]).rstrip(" ."))
    if _first(facts, _TEMPERATURE) is not None:
        return _weather(facts, phrases)
    if _first(facts, ("time", "datetime", "local_time")) is not None:
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


def _weather(facts: Mapping[str, Any], phrases: Phrases) -> str:
    degrees = _first(facts, _TEMPERATURE)
    number = _number(degrees, phrases)
    what = phrases.temperature.format(number=number, degrees=phrases.degrees(_whole(degrees)))
    condition = _first(facts, _CONDITION)
    if isinstance(condition, str) and condition:
        what = phrases.condition.format(temperature=what, condition=_said(condition, phrases))
    place = _first(facts, _PLACE)
    said = phrases.weather.format(place=_said(place, phrases), what=what) if place else _sentence(what)
    return said + _wind(facts, phrases)


def _wind(facts: Mapping[str, Any], phrases: Phrases) -> str:
    for keys, unit in ((_KMH, phrases.kmh), (_MPS, phrases.mps)):
        speed = _first(facts, keys)
        if speed is not None:
            return phrases.wind.format(speed=unit.format(number=_number(speed, phrases)))
    return ""


def _time(facts: Mapping[str, Any], phrases: Phrases, *, date: bool) -> str:
    stated = str(_first(facts, ("time", "datetime", "local_time")))
    day = facts.get("date") or stated[:10]
    if date and search(r"\d{4}-\d\d-\d\d", str(day)):
        return phrases.date.format(date=day)
    clock = search(r"\d{1,2}:\d\d", stated)
    time = clock.group() if clock else stated
    place = _first(facts, _PLACE)
    name = _said(str(place).rpartition("/")[2].replace("_", " "), phrases)
    return phrases.time.format(place=name, time=time) if place else phrases.time_here.format(time=time)


def _first(facts: Mapping[str, Any], keys: tuple[str, ...]) -> Any:  # noqa: ANN401 - any JSON value
    return next((facts[key] for key in keys if facts.get(key) is not None), None)


def _said(name: object, phrases: Phrases) -> str:
    """A name in the language of the phrases, if that has a word of its own for it."""
    return phrases.words.get(str(name).lower(), str(name))


def _whole(value: object) -> int:
    """The number that a noun agrees with; anything that is none counts as many."""
    try:
        return abs(round(float(str(value))))
    except ValueError:
        return 0


def _number(value: object, phrases: Phrases) -> str:
    try:
        rounded = round(float(str(value)))
    except ValueError:
        return str(value)
    return phrases.minus.format(number=-rounded) if rounded < 0 else str(rounded)


def _reason(error: object) -> str:
    return str(error.get("message", error)) if isinstance(error, dict) else str(error)


def _sentence(text: str) -> str:
    text = text.strip()
    return text if not text or text[-1] in ".!?…" else f"{text}."
