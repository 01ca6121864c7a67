"""What a language brings to the policy: templates to understand with and words to answer with. Data only."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

CYRILLIC = r"[\u0400-\u04ff]"
"""What tells Russian from English."""


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
    can_story: str
    no_tool: str
    which_city: str
    no_city_yet: str
    first_city: str
    nothing_said: str
    repeat: str
    nothing_left: str
    failed: str
    weather: str
    temperature: str
    degrees: Callable[[int], str]
    """The word that a number of degrees takes."""
    condition: str
    wind: str
    time: str
    time_here: str
    date: str
    minus: str
    kmh: str
    mps: str
    story: str
    words: Mapping[str, str] = field(default_factory=dict)
    """What tools say in English (lower case) -> how it is said."""


@dataclass(frozen=True, slots=True)
class Language:
    """One language.

    ``templates``: hassil sentences for each intent, ``rules`` their shared parts. ``examples``: plain
    sentences for each intent, which rescue what recognition garbled; ``{city}`` stands for every known
    city. ``cities``: how a known city sounds in a sentence (lower case) -> its name. ``english``: that name
    -> the one that time zones know.
    """

    code: str
    templates: Mapping[str, tuple[str, ...]]
    rules: Mapping[str, str]
    examples: Mapping[str, tuple[str, ...]]
    cities: Mapping[str, str]
    conjunction: str
    recap: str
    phrases: Phrases
    english: Mapping[str, str] = field(default_factory=dict)
