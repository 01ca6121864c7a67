"""What is said in a language: sentences, words, and how things are counted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from re import IGNORECASE, fullmatch

Forms = tuple[str, ...]
"""A word as its number asks: English has two forms, Russian three."""


@dataclass(frozen=True, slots=True)
class Phrases:
    """What is said; the braces name what is filled in."""

    greeting: str
    thanks: str
    bye: str
    fine: str
    who: str
    stopped: str
    not_heard: str
    not_understood: str
    can_weather: str
    can_time: str
    can_timer: str
    can_story: str
    no_tool: str
    no_skill: str
    no_forecast: str
    which_city: str
    how_long: str
    what_time: str
    too_long: str
    no_city_yet: str
    first_city: str
    nothing_said: str
    repeat: str
    nothing_left: str
    done: str
    failed: str
    failed_somehow: str
    weather: str
    weather_on: str
    temperature: str
    between: str
    up_to: Forms
    """Degrees behind the second number of ``between``."""
    condition: str
    precipitation: str
    wind: str
    age: str
    time: str
    time_here: str
    date: str
    clock_unset: str
    minus: str
    kmh: str
    mps: str
    timer_set: str
    alarm_set: str
    forgets: str
    at: str
    at_on: str
    no_timers: str
    timer_left: str
    alarm_at: str
    missed: str
    rings: str
    cancelled: str
    none_cancelled: str
    volume: str
    muted: str
    unmuted: str
    unmute_by: str
    connected: str
    connected_for: str
    disconnected: str
    round_trip: str
    reconnects: str
    wifi: str
    mic_muted: str
    trouble: str
    conjunction: str
    every_day: str
    every: str
    story: str
    plural: Callable[[int], int]
    """Which form a number asks for."""
    counted: Mapping[str, Forms]
    """``degree``, ``percent``, ``millisecond`` to ``day``, ``time``."""
    days: Mapping[str, str]
    """``today``, ``tomorrow`` and weekdays, as an answer to "when"."""
    repeats: Mapping[str, str]
    """Weekdays on which something happens each week."""
    words: Mapping[str, str] = field(default_factory=dict)
    """What tools say in English (lower case) -> how it is said."""
    reasons: tuple[tuple[str, str], ...] | None = None
    """Why tools fail, in English (regular expressions) -> how that is said; ``None``: as the tool says it."""

    def count(self, number: int, unit: str) -> str:
        """A number with its word: 1 minute, 5 minutes."""
        return f"{number} {self.counted[unit][self.plural(number)]}"

    def reason(self, said: str) -> str:
        """Why a tool failed, empty if there are no words for it."""
        said = said.strip().rstrip(".")
        if self.reasons is None:
            return said
        for pattern, words in self.reasons:
            if found := fullmatch(pattern, said, IGNORECASE):
                return found.expand(words)
        return ""

    def duration(self, seconds: int, *, roughly: bool = False) -> str:
        """1 hour 30 minutes; what is zero is left out. ``roughly``: 1 hour."""
        minutes, seconds = divmod(max(seconds, 0), 60)
        hours, minutes = divmod(minutes, 60)
        days, hours = divmod(hours, 24)
        parts = (("day", days), ("hour", hours), ("minute", minutes), ("second", seconds))
        told = [self.count(number, unit) for unit, number in parts if number] or [self.count(0, "second")]
        return " ".join(told[:1] if roughly else told)
