"""What to answer: one look at the conversation, one decision."""

from collections.abc import Callable, Mapping, Sequence
from re import IGNORECASE, escape, search

import msgspec

from voice_agent.embedded.mind import Action, Call, Called, Line, Returned, Said, Say, Tool
from voice_agent.embedded.policy.english import ENGLISH
from voice_agent.embedded.policy.grammar import Grammar, Intent
from voice_agent.embedded.policy.language import CYRILLIC, Language, Phrases
from voice_agent.embedded.policy.render import rendered
from voice_agent.embedded.policy.russian import RUSSIAN

_ASKED_BY_TOOL = ("weather", "time", "date")
_TOOL_OF: Mapping[str, str] = {
    "weather": r"weather|forecast",
    "time": r"(^|_)time($|_)|clock",
    "date": r"(^|_)time($|_)|clock|date",
}
"""Which declared tool serves an intent, by its name."""
_CITY_PROPERTIES = ("city", "location", "place", "name", "query")
_ZONE_PROPERTIES = ("timezone", "time_zone", "tz")
_ZONES: Mapping[str, str] = {
    "Moscow": "Europe/Moscow",
    "Saint Petersburg": "Europe/Moscow",
    "London": "Europe/London",
    "Paris": "Europe/Paris",
    "Berlin": "Europe/Berlin",
    "Rome": "Europe/Rome",
    "Madrid": "Europe/Madrid",
    "Tokyo": "Asia/Tokyo",
    "New York": "America/New_York",
    "Sydney": "Australia/Sydney",
    "Cairo": "Africa/Cairo",
    "Mumbai": "Asia/Kolkata",
    "Dubai": "Asia/Dubai",
}


class Rules:
    """The rule-based mind; stateless, so one serves all connections."""

    def __init__(self) -> None:
        self._english = _Speaker(ENGLISH)
        self._russian = _Speaker(RUSSIAN)

    def answer(self, lines: Sequence[Line], tools: Sequence[Tool], instructions: str) -> Sequence[Action]:
        """Answer the last line in the language of the user's last words."""
        words = next((_text(line) for line in reversed(lines) if _by_user(line)), instructions)
        speaker = self._russian if search(CYRILLIC, words) else self._english
        return speaker.answer(lines, tools, instructions)


def _by_user(line: Line) -> bool:
    return isinstance(line, Said) and line.role == "user"


class _Speaker:
    """The rules in one language."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._phrases: Phrases = language.phrases
        self._grammar = Grammar(language)

    def answer(self, lines: Sequence[Line], tools: Sequence[Tool], instructions: str) -> Sequence[Action]:
        match lines[-1] if lines else None:
            case Returned():
                return [Say(self._report(lines))]
            case Said(role="user", text=text):
                return self._reply(text, lines[:-1], tools, instructions)
            case _:
                return [Say(self._phrases.greeting)]

    def _report(self, lines: Sequence[Line]) -> str:
        """Say what the tools found since the last answer."""
        spoken = [i for i, line in enumerate(lines) if isinstance(line, Said) and line.role == "assistant"]
        fresh = lines[spoken[-1] + 1 :] if spoken else lines
        asked = [intent.name for line in fresh if _by_user(line) for intent in self._understand(line)]
        outputs = [line.output for line in fresh if isinstance(line, Returned)]
        return " ".join(rendered(output, self._phrases, date="date" in asked) for output in outputs)

    def _reply(
        self, text: str, before: Sequence[Line], tools: Sequence[Tool], instructions: str
    ) -> Sequence[Action]:
        if not text:
            return [Say(self._phrases.not_heard)]
        intents = self._grammar.understand(text)
        if not intents:
            return [Say(f"{self._phrases.not_understood} {self._abilities(tools)}")]
        actions: list[Action] = []
        topic = self._topic(before)
        for intent in intents:
            if intent.name == "follow" and topic:
                actions.append(self._ask_tool(Intent(topic, intent.city), tools))
            elif intent.name in _ASKED_BY_TOOL:
                topic = intent.name
                actions.append(self._ask_tool(intent, tools))
            else:
                actions.append(Say(self._talk(intent, before, tools, instructions)))
        return actions

    # --------------------------------------------------------------------------------------- tools

    def _ask_tool(self, intent: Intent, tools: Sequence[Tool]) -> Action:
        pattern = _TOOL_OF[intent.name]
        tool = next((tool for tool in tools if search(pattern, tool.name, IGNORECASE)), None)
        if tool is None:
            return Say(self._phrases.no_tool)
        arguments = _arguments(self._name_for(intent), tool)
        if any(name not in arguments for name in tool.required):
            return Say(self._phrases.which_city)
        return Call(tool.name, msgspec.json.encode(arguments).decode())

    def _name_for(self, intent: Intent) -> str:
        """Geocoders know a city in any language; time zones are named in English."""
        if intent.name == "weather":
            return intent.city
        return self._language.english.get(intent.city, intent.city)

    def _abilities(self, tools: Sequence[Tool]) -> str:
        able = [
            phrase
            for intent, phrase in (("weather", self._phrases.can_weather), ("time", self._phrases.can_time))
            if any(search(_TOOL_OF[intent], tool.name) for tool in tools)
        ]
        return " ".join([*able, self._phrases.can_story])

    # ---------------------------------------------------------------------------------- small talk

    def _talk(self, intent: Intent, before: Sequence[Line], tools: Sequence[Tool], instructions: str) -> str:
        phrases = self._phrases
        special: Mapping[str, Callable[[], str]] = {
            "who": lambda: f"{phrases.who} {self._abilities(tools)}",
            "first_city": lambda: self._first_city(before, instructions),
            "repeat": lambda: _repeat(before, phrases),
            "continue": lambda: self._rest_of_story(before),
            "follow": lambda: f"{phrases.not_understood} {self._abilities(tools)}",
        }
        if intent.name in special:
            return special[intent.name]()
        simple: Mapping[str, str] = {
            "greeting": phrases.greeting,
            "how_are_you": phrases.fine,
            "thanks": phrases.thanks,
            "bye": phrases.bye,
            "stop": phrases.stopped,
            "story": phrases.story,
        }
        return simple[intent.name]

    def _topic(self, before: Sequence[Line]) -> str:
        """What the user asked last that a tool can answer."""
        for line in reversed(before):
            if _by_user(line):
                for intent in reversed(self._understand(line)):
                    if intent.name in _ASKED_BY_TOOL:
                        return intent.name
            elif isinstance(line, Called):
                for name, pattern in _TOOL_OF.items():
                    if search(pattern, line.name, IGNORECASE):
                        return name
        return ""

    def _first_city(self, before: Sequence[Line], instructions: str) -> str:
        recap = search(self._language.recap, instructions, IGNORECASE)
        cities = self._grammar.mentions(instructions[recap.start() :]) if recap else []
        for line in before:
            if _by_user(line):
                cities += [intent.city for intent in self._understand(line) if intent.city]
                cities += self._grammar.mentions(_text(line))
        if not cities:
            return self._phrases.no_city_yet
        return self._phrases.first_city.format(city=cities[0])

    def _rest_of_story(self, before: Sequence[Line]) -> str:
        """The story from where the user stopped hearing it."""
        story = self._phrases.story
        for line in reversed(before):
            heard = _text(line) if isinstance(line, Said) and line.role == "assistant" else ""
            last_words = " ".join(heard.split()[-5:])
            at = search(escape(last_words), story) if last_words else None
            if at:
                return story[at.end() :].lstrip(" ,.") or self._phrases.nothing_left
        return story

    def _understand(self, line: Line) -> list[Intent]:
        return self._grammar.understand(_text(line))


def _text(line: Line) -> str:
    return line.text if isinstance(line, Said) else ""


def _repeat(before: Sequence[Line], phrases: Phrases) -> str:
    said = [line.text for line in before if isinstance(line, Said) and line.role == "assistant" and line.text]
    return phrases.repeat.format(text=said[-1]) if said else phrases.nothing_said


def _arguments(city: str, tool: Tool) -> dict[str, str]:
    """Only what the tool declares, only what was said."""
    if not city:
        return {}
    for name in tool.properties:
        if name in _CITY_PROPERTIES:
            return {name: city}
        if name in _ZONE_PROPERTIES and city in _ZONES:
            return {name: _ZONES[city]}
    return {}
