"""From words to intents: templates first, then the nearest known sentence, because recognition garbles."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from re import findall, sub

from hassil import Intents, recognize_best
from rapidfuzz import fuzz, process

from voice_agent.embedded.policy.language import ALONE, Language
from voice_agent.embedded.policy.quantities import Reading, Spotter, Value, slot

NEAR = 82
"""Similarity (0 to 100) from which a garbled sentence is taken for a known one: 1 % wrong in trials."""
CITY_NEAR = 80
LONGEST_NAME = 3  # words
NAME_CHARS = range(2, 61)
KINDS = ("duration", "time", "day", "repeat", "number")
REMEMBERED = 256
"""Sentences understood lately: a conversation is read again and again."""


@dataclass(frozen=True, slots=True)
class Intent:
    """What a sentence wants; what was not said is empty.

    ``city``, ``label`` (of a timer): names; ``seconds``: a duration; ``time``: HH:MM; ``day``: ``today``,
    ``tomorrow``, ``overmorrow`` or a weekday; ``repeat``: weekdays; ``number``: a level, or a change of one.
    """

    name: str
    city: str = ""
    label: str = ""
    seconds: int = 0
    time: str = ""
    day: str = ""
    repeat: tuple[str, ...] = ()
    number: int | None = None


class Grammar:
    """Understands one language."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._spotter = Spotter(language.numerals)
        self._intents = Intents.from_dict(
            {
                "language": language.code,
                "intents": {
                    name: {"data": [{"sentences": list(templates)}]}
                    for name, templates in language.templates.items()
                },
                "lists": {"city": {"wildcard": True}, "label": {"wildcard": True}}
                | {kind: {"values": [slot(kind)]} for kind in KINDS},
                "expansion_rules": dict(language.rules),
            }
        )
        self._examples: dict[str, dict[str, Intent]] = {}
        for sentence, intent in self._sentences():
            self._examples.setdefault(_kinds(sentence), {})[sentence] = intent
        self.understand: Callable[[str], tuple[Intent, ...]] = lru_cache(REMEMBERED)(self._understand)
        """The intents of a sentence, several if it asks several things; none if it makes no sense."""

    def _understand(self, text: str) -> tuple[Intent, ...]:
        plain = self._plain(text)
        if not plain:
            return ()
        several = self._several(plain.split(self._language.conjunction))
        if several:
            return several
        whole = self._one(plain)
        return (whole,) if whole else ()

    def _several(self, parts: list[str]) -> tuple[Intent, ...]:
        """What is asked in one breath; a part that is none of its own belongs to the one before."""
        found: list[tuple[str, Intent]] = []
        for part in parts:
            text, intent = part, self._one(part)
            if found and not _stands(intent):
                text = f"{found.pop()[0]}{self._language.conjunction}{part}"
                intent = self._one(text)
            if intent is None or not _stands(intent):
                return ()
            found.append((text, intent))
        return tuple(intent for _, intent in found)

    def city(self, words: str) -> str:
        """The name of a city, known or not, as it was heard."""
        known = self._language.cities
        if words in known:
            return known[words]
        near = process.extractOne(words, list(known), scorer=fuzz.ratio, score_cutoff=CITY_NEAR)
        return known[near[0]] if near else words.title()

    def mentions(self, text: str) -> list[str]:
        """The known cities in a text, in order."""
        plain = f" {self._plain(text)} "
        found = {plain.find(f" {form} "): name for form, name in self._language.cities.items()}
        return [found[at] for at in sorted(found) if at >= 0]

    def _one(self, plain: str) -> Intent | None:
        if plain in self._language.cities:
            return Intent("follow", self.city(plain))
        readings = list(self._spotter.readings(plain))
        repaired = list(self._spotter.readings(self._spotter.repaired(plain)))
        exact = (self._exact(reading) for reading in (*readings, *repaired))
        found = next((intent for intent in exact if intent is not None), None)
        return found or self._nearest([*readings, *repaired])

    def _exact(self, reading: Reading) -> Intent | None:
        result = recognize_best(reading.text, self._intents)
        if result is None:
            return None
        names = {name: str(entity.value).strip() for name, entity in result.entities.items()}
        said = {name: names.get(name, "") for name in ("city", "label")}
        if not all(words == "" or _is_name(words) for words in said.values()):
            return None
        intent = Intent(result.intent.name, self.city(said["city"]) if said["city"] else "", said["label"])
        return _filled(intent, {kind: reading.values[kind] for kind in KINDS if kind in names})

    def _nearest(self, readings: list[Reading]) -> Intent | None:
        """Of the known sentences with the same kinds of values in them the most similar one."""
        best, found = 0.0, None
        for reading in readings:
            examples = self._examples.get(_kinds(reading.text), {})
            near = process.extractOne(reading.text, list(examples), scorer=fuzz.ratio, score_cutoff=NEAR)
            if near and near[1] > best:
                best, found = near[1], _filled(examples[near[0]], reading.values)
        return found

    def _sentences(self) -> Iterator[tuple[str, Intent]]:
        for name, examples in self._language.examples.items():
            for example in examples:
                sentence = example
                for kind in KINDS:
                    sentence = sentence.replace(f"{{{kind}}}", slot(kind))
                if "{city}" not in sentence:
                    yield sentence, Intent(name)
                    continue
                for form, city in self._language.cities.items():
                    yield sentence.replace("{city}", form), Intent(name, city)

    def _plain(self, text: str) -> str:
        """Lower case without punctuation, hyphens and apostrophes inside words aside."""
        lower = text.lower().replace("\u2019", "'")
        for sign, word in self._language.signs.items():
            lower = lower.replace(sign, word)
        kept = sub(r"[^\w'\- ]+", " ", lower.replace("_", " "))
        return " ".join(kept.split())


def _stands(intent: Intent | None) -> bool:
    """Whether something may be asked beside other things."""
    return intent is not None and intent.name not in ALONE


def _is_name(words: str) -> bool:
    """Not what was rather a quantity, nor half a sentence."""
    return len(words.split()) <= LONGEST_NAME and len(words) in NAME_CHARS and "_" not in words


def _kinds(text: str) -> str:
    """Which kinds of values a sentence holds."""
    return " ".join(sorted(findall(r"_[a-z]+_", text)))


def _filled(intent: Intent, values: Mapping[str, Value]) -> Intent:
    """The intent with the values that were said."""
    for kind, value in values.items():
        match kind, value:
            case "duration", int():
                intent = replace(intent, seconds=value)
            case "number", int():
                intent = replace(intent, number=value)
            case "time", str():
                intent = replace(intent, time=value)
            case "day", str():
                intent = replace(intent, day=value)
            case "repeat", tuple():
                intent = replace(intent, repeat=value)
    return intent
