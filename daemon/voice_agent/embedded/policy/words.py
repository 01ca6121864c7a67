"""Values of a tool's output as words of a language. Any JSON value may come."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from voice_agent.embedded.policy.phrases import Phrases
from voice_agent.embedded.policy.quantities import WEEKDAYS


def first(facts: Mapping[str, Any], keys: tuple[str, ...]) -> Any:  # noqa: ANN401 - any JSON value
    """The first of these that is there."""
    return next((facts[key] for key in keys if facts.get(key) is not None), None)


def said(name: object, phrases: Phrases) -> str:
    """A name in the language of the phrases, if that has a word of its own for it."""
    return phrases.words.get(str(name).lower(), str(name))


def whole(value: object) -> int:
    """The number that a noun agrees with; anything that is none counts as many."""
    try:
        return abs(round(float(str(value))))
    except (ValueError, OverflowError):
        return 0


def signed(value: object, phrases: Phrases) -> str:
    """A number, below zero in words; anything that is none stays what it is."""
    try:
        rounded = round(float(str(value)))
    except (ValueError, OverflowError):
        return str(value)
    return phrases.minus.format(number=-rounded) if rounded < 0 else str(rounded)


def percent(value: object, phrases: Phrases) -> str:
    """30 percent."""
    return phrases.count(whole(value), "percent")


def texts(value: object) -> list[str]:
    """A list of names, or nothing."""
    return [str(each) for each in value] if isinstance(value, list) else []


def day_word(stated: object, phrases: Phrases, today: date | None) -> str:
    """A date as people say it: today, tomorrow, on Monday, or the date itself if it is far away."""
    try:
        day = date.fromisoformat(str(stated))
    except ValueError:
        return "" if stated is None else str(stated)
    ahead = (day - today).days if today else len(WEEKDAYS)
    if ahead in (0, 1):
        return phrases.days["tomorrow" if ahead else "today"]
    return phrases.days[WEEKDAYS[day.weekday()]] if 1 < ahead < len(WEEKDAYS) else str(stated)


def repeat_words(days: list[str], phrases: Phrases) -> str:
    """Weekdays on which something happens again and again."""
    known = [phrases.repeats[day] for day in WEEKDAYS if day in days]
    if len(known) == len(WEEKDAYS):
        return phrases.every_day
    return phrases.every.format(days=", ".join(known)) if known else ""
