"""What to answer: one look at the conversation, one decision."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from re import IGNORECASE, escape, search

from voice_agent.embedded.mind import Action, Called, Line, Returned, Said, Say, Tool
from voice_agent.embedded.policy.english import ENGLISH
from voice_agent.embedded.policy.grammar import Grammar, Intent
from voice_agent.embedded.policy.language import CYRILLIC, Language
from voice_agent.embedded.policy.phrases import Phrases
from voice_agent.embedded.policy.render import rendered
from voice_agent.embedded.policy.requests import ASKED_BY_TOOL, Requests, tool_for
from voice_agent.embedded.policy.russian import RUSSIAN

_OF_A_PLACE = ("weather", "time", "date")


def _now() -> datetime:
    """The day that people mean by today."""
    return datetime.now().astimezone()


class Rules:
    """The rule-based mind; stateless, so one serves all connections. ``now``: local time, for "tomorrow"."""

    def __init__(self, now: Callable[[], datetime] = _now) -> None:
        self._english = _Speaker(ENGLISH, now)
        self._russian = _Speaker(RUSSIAN, now)

    def answer(self, lines: Sequence[Line], tools: Sequence[Tool], instructions: str) -> Sequence[Action]:
        """Answer the last line in the language of the user's last words."""
        words = next((_text(line) for line in reversed(lines) if _by_user(line)), instructions)
        speaker = self._russian if search(CYRILLIC, words) else self._english
        return speaker.answer(lines, tools, instructions)


def _by_user(line: Line) -> bool:
    return isinstance(line, Said) and line.role == "user"


class _Speaker:
    """The rules in one language."""

    def __init__(self, language: Language, now: Callable[[], datetime]) -> None:
        self._language = language
        self._phrases: Phrases = language.phrases
        self._grammar = Grammar(language)
        self._now = now

    def answer(self, lines: Sequence[Line], tools: Sequence[Tool], instructions: str) -> Sequence[Action]:
        match lines[-1] if lines else None:
            case Returned():
                return [Say(self._report(lines))]
            case Said(role="user", text=text):
                return _in_order(self._reply(text, lines[:-1], tools, instructions))
            case _:
                return [Say(self._phrases.greeting)]

    def _report(self, lines: Sequence[Line]) -> str:
        """Say what the tools answered to the user's last words; what came of older calls is past."""
        asked_at = max((i for i, line in enumerate(lines) if _by_user(line)), default=0)
        fresh = lines[asked_at:]
        names = {line.call_id: line.name for line in fresh if isinstance(line, Called)}
        outputs = [line for line in fresh if isinstance(line, Returned)]
        spoken = [i for i, line in enumerate(fresh) if isinstance(line, Said) and line.role == "assistant"]
        late = fresh[spoken[-1] :] if spoken else fresh
        mine = [line for line in outputs if line.call_id in names and line in late] or outputs[-1:]
        mine.sort(key=lambda line: [*names].index(line.call_id) if line.call_id in names else 0)
        is_date = any(intent.name == "date" for intent in self._understand(lines[asked_at]))
        today = self._now().date()
        said = (
            rendered(line.output, self._phrases, names.get(line.call_id, ""), today=today, date=is_date)
            for line in mine
        )
        return " ".join(said)

    def _reply(
        self, text: str, before: Sequence[Line], tools: Sequence[Tool], instructions: str
    ) -> Sequence[Action]:
        if not text:
            return [Say(self._phrases.not_heard)]
        actions: list[Action] = []
        topic = self._topic(before)
        for intent in self._grammar.understand(text):
            meant = _in_context(intent, topic)
            if meant is not None and meant.name in ASKED_BY_TOOL:
                topic = meant
                actions += self._ask_tool(meant, before, tools)
            elif meant is not None:
                actions.append(Say(self._talk(meant, before, tools, instructions)))
        return actions or [Say(f"{self._phrases.not_understood} {self._abilities(tools)}")]

    # --------------------------------------------------------------------------------------- tools

    def _ask_tool(self, intent: Intent, before: Sequence[Line], tools: Sequence[Tool]) -> list[Action]:
        """The call that the intent asks for, or words instead of it; words before the call of a goodbye."""
        tool = tool_for(intent.name, tools)
        words = self._small_talk(before).get(intent.name)
        if tool is None:
            missing = self._phrases.no_tool if intent.name in _OF_A_PLACE else self._phrases.no_skill
            return [Say(words or missing)]
        call = Requests(self._language, self._now()).asked(intent, tool)
        return [Say(self._phrases.bye), call] if intent.name == "bye" else [call]

    def _small_talk(self, before: Sequence[Line]) -> Mapping[str, str]:
        """What can be said where there is no tool for it."""
        phrases = self._phrases
        return {"bye": phrases.bye, "stop": phrases.stopped, "repeat": _repeat(before, phrases)}

    def _abilities(self, tools: Sequence[Tool]) -> str:
        phrases = self._phrases
        known = (
            ("weather", phrases.can_weather),
            ("time", phrases.can_time),
            ("timer", phrases.can_timer),
        )
        return " ".join([*(phrase for name, phrase in known if tool_for(name, tools)), phrases.can_story])

    # ---------------------------------------------------------------------------------- small talk

    def _talk(self, intent: Intent, before: Sequence[Line], tools: Sequence[Tool], instructions: str) -> str:
        phrases = self._phrases
        special: Mapping[str, Callable[[], str]] = {
            "who": lambda: f"{phrases.who} {self._abilities(tools)}",
            "first_city": lambda: self._first_city(before, instructions),
            "continue": lambda: self._rest_of_story(before),
        }
        if intent.name in special:
            return special[intent.name]()
        simple: Mapping[str, str] = {
            "greeting": phrases.greeting,
            "how_are_you": phrases.fine,
            "thanks": phrases.thanks,
            "story": phrases.story,
        }
        return simple[intent.name]

    def _topic(self, before: Sequence[Line]) -> Intent | None:
        """What the user asked last that a tool can answer, with what was said to it since."""
        later: list[Intent] = []
        for line in reversed(before):
            for intent in reversed(self._understand(line) if _by_user(line) else ()):
                if intent.name in ASKED_BY_TOOL:
                    return _continued(intent, later)
                later.insert(0, intent)
        called = [line.name for line in reversed(before) if isinstance(line, Called)]
        topics = (name for tool in called for name in _OF_A_PLACE if tool_for(name, [Tool(tool)]))
        topic = next(topics, "")
        return _continued(Intent(topic), later) if topic else None

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

    def _understand(self, line: Line) -> Sequence[Intent]:
        return self._grammar.understand(_text(line))


def _in_context(intent: Intent, topic: Intent | None) -> Intent | None:
    """What half a sentence means after the last question; ``None`` if it means nothing there."""
    if intent.name not in ("follow", "span", "moment"):
        return intent
    if topic is None:
        return None
    match intent.name, topic.name:
        case "follow", ("weather" | "time" | "date"):
            return replace(topic, city=intent.city or topic.city, day=intent.day or topic.day)
        case "span", "timer":
            return replace(topic, seconds=intent.seconds)
        case "moment", "alarm":
            day, repeat = intent.day or topic.day, intent.repeat or topic.repeat
            return replace(topic, time=intent.time, day=day, repeat=repeat)
    return None


def _continued(topic: Intent, later: Sequence[Intent]) -> Intent:
    """The topic after what was added to it."""
    for intent in later:
        if intent.name == "follow":
            topic = _in_context(intent, topic) or topic
    return topic


def _in_order(actions: Sequence[Action]) -> Sequence[Action]:
    """One message first and calls after it, as models put them."""
    said = " ".join(dict.fromkeys(action.text for action in actions if isinstance(action, Say)))
    calls = [action for action in actions if not isinstance(action, Say)]
    return [*([Say(said)] if said else []), *calls]


def _text(line: Line) -> str:
    return line.text if isinstance(line, Said) else ""


def _repeat(before: Sequence[Line], phrases: Phrases) -> str:
    said = [line.text for line in before if isinstance(line, Said) and line.role == "assistant" and line.text]
    return phrases.repeat.format(text=said[-1]) if said else phrases.nothing_said
