"""What a language brings to the policy: templates to understand with and words to answer with. Data only."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from voice_agent.embedded.policy.phrases import Phrases
from voice_agent.embedded.policy.quantities import Numerals

CYRILLIC = r"[\u0400-\u04ff]"
"""What tells Russian from English."""
ALONE = frozenset(
    ("stop", "repeat", "continue", "story", "who", "first_city", "greeting", "how_are_you", "span", "moment")
)
"""What is not asked in one breath with something else."""


@dataclass(frozen=True, slots=True)
class Language:
    """One language.

    ``templates``: hassil sentences for each intent, ``rules`` their shared parts. ``examples``: plain
    sentences for each intent, which rescue what recognition garbled; ``{city}`` stands for every known
    city, the name of another kind for any value of it. ``cities``: how a known city sounds in a sentence
    (lower case) -> its name. ``english``: that name -> the one that time zones know. ``signs``: letters and
    signs that are read as others.
    """

    code: str
    templates: Mapping[str, tuple[str, ...]]
    rules: Mapping[str, str]
    examples: Mapping[str, tuple[str, ...]]
    numerals: Numerals
    cities: Mapping[str, str]
    conjunction: str
    recap: str
    phrases: Phrases
    signs: Mapping[str, str] = field(default_factory=dict)
    english: Mapping[str, str] = field(default_factory=dict)
