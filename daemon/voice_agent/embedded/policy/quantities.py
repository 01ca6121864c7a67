"""Numbers, durations, times of day and days in a sentence: found, valued, and replaced by the name of their
kind.

Templates then see ``set a timer for _duration_``, whatever the numbers were. A number may be read in more
than one way ("for 7" is a time in one sentence and a level in another), so a sentence has several readings,
and the templates choose. A language brings its words as data; nothing here knows one.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from re import Match, Pattern
from re import compile as compiled

from rapidfuzz import fuzz, process

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
NOON_H = 12
DAY_H = 24
HOUR_MIN = 60
NIGHT_BEGINS_H = 6
"""Ten at night is 22:00, two at night is 02:00."""
HUNDRED = 100
LONG = 5
NEARLY = 85
"""Similarity (0 to 100) from which a word of so many letters is taken for another."""

Value = int | str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Numerals:
    """A language's words for quantities.

    ``words``: number words, tens and ones apart. ``rewrites``: regular expressions with what replaces them,
    in order, over a sentence whose numbers are digits already; they bring what is said in many ways into the
    few forms below. ``units``: a unit in all its forms -> seconds. ``joint``: words
    between two parts of one duration. ``time``: a time of day, groups ``hour``, ``minute``, ``to`` (minutes
    before the hour) and ``part``. ``parts``: parts of the day -> ``am``, ``pm`` or ``night``. ``number``: a
    bare number, group 1. ``days``: a day -> ``tomorrow``, ``overmorrow`` or a weekday in English.
    ``repeats``: what happens again and again -> the weekdays. ``every``: what makes a list of weekdays such a
    thing.
    """

    words: Mapping[str, int]
    rewrites: tuple[tuple[str, str], ...]
    units: Mapping[str, int]
    joint: str
    time: str
    parts: Mapping[str, str]
    number: str
    days: Mapping[str, str]
    repeats: Mapping[str, tuple[str, ...]]
    every: str


@dataclass(frozen=True, slots=True)
class Reading:
    """A sentence with the names of kinds in the places of ``values``."""

    text: str
    values: Mapping[str, Value] = field(default_factory=dict)


def slot(kind: str) -> str:
    """What stands in the place of a value: no word of any language."""
    return f"_{kind}_"


class Spotter:
    """Finds one language's quantities."""

    def __init__(self, numerals: Numerals) -> None:
        self._numerals = numerals
        self._rewrites = [(compiled(pattern), new) for pattern, new in numerals.rewrites]
        unit = "|".join(sorted(numerals.units, key=len, reverse=True))
        part = rf"\d+ (?:{unit})"
        self._duration = compiled(rf"\b{part}(?:(?: {numerals.joint})? {part})*(?: \d+(?! ?\w))?\b")
        self._part = compiled(rf"(\d+)(?: ({unit}))?\b")
        self._time, self._number = compiled(numerals.time), compiled(numerals.number)
        days = "|".join(sorted(numerals.days, key=len, reverse=True))
        self._day = compiled(rf"\b(?:{days})\b")
        regular = "|".join(sorted(numerals.repeats, key=len, reverse=True))
        listed = rf"(?:{numerals.every}) (?:{days})(?:(?: {numerals.joint})? (?:{days}))*"
        known = {*numerals.words, *numerals.units, *" ".join(numerals.days).split()}
        self._vocabulary = sorted(word for word in known if len(word) >= LONG)
        self._repeat = compiled(rf"\b(?:{regular}|{listed})\b")

    def repaired(self, plain: str) -> str:
        """The sentence with every word that is nearly one of a quantity taken for it."""
        return " ".join(self._repaired(word) for word in plain.split())

    def _repaired(self, word: str) -> str:
        if len(word) < LONG:
            return word
        near = process.extractOne(word, self._vocabulary, scorer=fuzz.ratio, score_cutoff=NEARLY)
        return str(near[0]) if near else word

    def readings(self, plain: str) -> Iterator[Reading]:
        """How a sentence may be read, the likeliest first."""
        text = digits(plain, self._numerals.words)
        for pattern, new in self._rewrites:
            text = pattern.sub(new, text)
        dated = self._spot(Reading(text), "repeat", self._repeat, self._repeat_of)
        dated = self._spot(dated, "day", self._day, lambda found: self._numerals.days[found.group()])
        timed = self._spot(dated, "time", self._time, self._time_of)
        lasting = self._spot(dated, "duration", self._duration, self._duration_of)
        for reading in dict.fromkeys((timed.text, lasting.text)):
            chosen = timed if reading == timed.text else lasting
            yield self._spot(chosen, "number", self._number, lambda found: int(found.group(1)))

    def _spot(
        self,
        reading: Reading,
        kind: str,
        pattern: Pattern[str],
        value_of: Callable[[Match[str]], Value | None],
    ) -> Reading:
        """The reading with the first ``kind`` in it replaced."""
        for found in pattern.finditer(reading.text):
            value = value_of(found)
            if value is None:
                continue
            text = f"{reading.text[: found.start()]}{slot(kind)}{reading.text[found.end() :]}"
            return Reading(text, {**reading.values, kind: value})
        return reading

    def _repeat_of(self, found: Match[str]) -> tuple[str, ...] | None:
        regular = self._numerals.repeats.get(found.group())
        if regular is not None:
            return regular
        named = {self._numerals.days[day.group()] for day in self._day.finditer(found.group())}
        return tuple(day for day in WEEKDAYS if day in named) or None

    def _duration_of(self, found: Match[str]) -> int:
        """Seconds; a number without a unit counts in the next smaller unit: one minute thirty."""
        total, seconds = 0, 0
        for part in self._part.finditer(found.group()):
            unit = part.group(2)
            seconds = self._numerals.units[unit] if unit else max(seconds // HOUR_MIN, 1)
            total += int(part.group(1)) * seconds
        return total

    def _time_of(self, found: Match[str]) -> str | None:
        hour, minute = int(found["hour"]), int(found["minute"] or 0)
        if hour > DAY_H or minute >= HOUR_MIN or int(found["to"] or 0) >= HOUR_MIN:
            return None
        hour = _hour(hour, self._numerals.parts.get(found["part"] or "", ""))
        total = (hour * HOUR_MIN + minute - int(found["to"] or 0)) % (DAY_H * HOUR_MIN)
        return f"{total // HOUR_MIN:02}:{total % HOUR_MIN:02}"


def _hour(hour: int, part: str) -> int:
    """Of 24."""
    match part:
        case "am":
            return hour % NOON_H if hour <= NOON_H else hour
        case "pm":
            return hour % NOON_H + NOON_H if hour <= NOON_H else hour
        case "night":
            return hour % NOON_H + (NOON_H if hour % NOON_H >= NIGHT_BEGINS_H else 0)
    return hour


def digits(plain: str, words: Mapping[str, int]) -> str:
    """The sentence with its number words as digits; tens and ones, hundreds and what follows add up."""
    kept: list[str] = []
    before: int | None = None  # the number word that another one may add to
    for token in _tokens(plain, words):
        number = words.get(token)
        joined = None if number is None or before is None else _joined(before, number)
        if joined is not None:
            kept[-1] = str(joined)
        else:
            kept.append(token if number is None else str(number))
        before = number if joined is None else joined
    return " ".join(kept)


def _tokens(plain: str, words: Mapping[str, int]) -> Iterator[str]:
    """Words; "twenty-five" and "five-minute" are two, "saint-petersburg" is one."""
    for token in plain.split():
        pieces = token.split("-")
        yield from pieces if pieces[0] in words else [token]


def _joined(before: int, number: int) -> int | None:
    """Two number words that are one number."""
    if number == HUNDRED and 0 < before < 10:
        return before * HUNDRED
    is_tens = 20 <= before < HUNDRED and before % 10 == 0
    if is_tens and 0 < number < 10:
        return before + number
    return before + number if before >= HUNDRED and before % HUNDRED == 0 and number < HUNDRED else None
