"""From words to intents: templates first, then the nearest known sentence, because recognition garbles."""

from collections.abc import Iterator
from dataclasses import dataclass
from re import sub

from hassil import Intents, recognize_best
from rapidfuzz import fuzz, process

from voice_agent.embedded.policy.language import Language

NEAR = 82
"""Similarity (0 to 100) from which a garbled sentence is taken for a known one: 1 % wrong in trials."""
CITY_NEAR = 80
LONGEST_CITY = 3  # words


@dataclass(frozen=True, slots=True)
class Intent:
    """What a sentence wants; ``city`` is a name, empty when none was said."""

    name: str
    city: str = ""


class Grammar:
    """Understands one language."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._intents = Intents.from_dict(
            {
                "language": language.code,
                "intents": {
                    name: {"data": [{"sentences": list(templates)}]}
                    for name, templates in language.templates.items()
                },
                "lists": {"city": {"wildcard": True}},
                "expansion_rules": dict(language.rules),
            }
        )
        self._examples = dict(self._sentences())

    def understand(self, text: str) -> list[Intent]:
        """The intents of a sentence, two if it asks two things; empty if it makes no sense."""
        plain = _plain(text)
        if not plain:
            return []
        parts = [self._one(part) for part in plain.split(self._language.conjunction)]
        if len(parts) > 1 and all(part and part.name in ("weather", "time", "follow") for part in parts):
            return [part for part in parts if part]
        whole = self._one(plain)
        return [whole] if whole else []

    def city(self, words: str) -> str:
        """The name of a city, known or not, as it was heard."""
        known = self._language.cities
        if words in known:
            return known[words]
        near = process.extractOne(words, list(known), scorer=fuzz.ratio, score_cutoff=CITY_NEAR)
        return known[near[0]] if near else words.title()

    def mentions(self, text: str) -> list[str]:
        """The known cities in a text, in order."""
        plain = f" {_plain(text)} "
        found = {plain.find(f" {form} "): name for form, name in self._language.cities.items()}
        return [found[at] for at in sorted(found) if at >= 0]

    def _one(self, plain: str) -> Intent | None:
        if plain in self._language.cities:
            return Intent("follow", self.city(plain))
        result = recognize_best(plain, self._intents)
        if result is not None:
            entity = result.entities.get("city")
            words = str(entity.value).strip() if entity else ""
            if len(words.split()) <= LONGEST_CITY:
                return Intent(result.intent.name, self.city(words) if words else "")
        near = process.extractOne(plain, list(self._examples), scorer=fuzz.ratio, score_cutoff=NEAR)
        return self._examples[near[0]] if near else None

    def _sentences(self) -> Iterator[tuple[str, Intent]]:
        for name, examples in self._language.examples.items():
            for example in examples:
                if "{city}" not in example:
                    yield example, Intent(name)
                    continue
                for form, city in self._language.cities.items():
                    yield example.replace("{city}", form), Intent(name, city)


def _plain(text: str) -> str:
    """Lower case without punctuation, hyphens and apostrophes inside words aside."""
    kept = sub(r"[^\w'\- ]+", " ", text.lower().replace("\u2019", "'"))
    return " ".join(kept.split())
