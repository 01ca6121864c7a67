"""The rules: what is understood, what is called, what is said."""
# ruff: noqa: RUF001 - Russian letters are meant

import json
from collections.abc import Sequence

import pytest

from voice_agent.embedded.mind import Action, Call, Called, Line, Returned, Said, Say, Tool
from voice_agent.embedded.policy import Rules
from voice_agent.embedded.policy.english import ENGLISH
from voice_agent.embedded.policy.english_phrases import STORY
from voice_agent.embedded.policy.grammar import Grammar, Intent
from voice_agent.embedded.policy.render import rendered
from voice_agent.embedded.policy.russian import RUSSIAN

RULES = Rules()
ENGLISH_GRAMMAR, RUSSIAN_GRAMMAR = Grammar(ENGLISH), Grammar(RUSSIAN)
WEATHER = Tool("get_weather", ("city",), ("city",))
TIME = Tool("get_time", ("city",))
TOOLS = (WEATHER, TIME)


def user(text: str) -> Said:
    return Said("user", text)


def answer(*lines: Line, tools: Sequence[Tool] = TOOLS, instructions: str = "") -> Sequence[Action]:
    return RULES.answer(lines, tools, instructions)


def said(*lines: Line, tools: Sequence[Tool] = TOOLS, instructions: str = "") -> str:
    (say,) = answer(*lines, tools=tools, instructions=instructions)
    assert isinstance(say, Say)
    return say.text


def calls(*lines: Line, tools: Sequence[Tool] = TOOLS) -> list[tuple[str, dict[str, str]]]:
    made = [action for action in answer(*lines, tools=tools) if isinstance(action, Call)]
    return [(call.name, json.loads(call.arguments)) for call in made]


@pytest.mark.parametrize(
    ("text", "intents"),
    [
        ("What is the weather in Moscow?", [Intent("weather", "Moscow")]),
        ("What's the weather like in New York today?", [Intent("weather", "New York")]),
        ("How cold is it in Saint Petersburg right now?", [Intent("weather", "Saint Petersburg")]),
        ("Is it raining in London?", [Intent("weather", "London")]),
        ("What time is it in Tokyo?", [Intent("time", "Tokyo")]),
        ("What time is it?", [Intent("time")]),
        ("Watt is the wether in Moscow", [Intent("weather", "Moscow")]),
        ("What is the weather in Moscou?", [Intent("weather", "Moscow")]),
        ("What is the weather in Vladivostok?", [Intent("weather", "Vladivostok")]),
        ("And in Paris?", [Intent("follow", "Paris")]),
        ("Paris.", [Intent("follow", "Paris")]),
        ("Which city did I ask about first?", [Intent("first_city")]),
        (
            "What is the weather in London and what time is it in Tokyo?",
            [Intent("weather", "London"), Intent("time", "Tokyo")],
        ),
        ("What is the weather in Rome and Berlin?", [Intent("weather", "Rome"), Intent("follow", "Berlin")]),
        ("Tell me a long story.", [Intent("story")]),
        ("Please stop!", [Intent("stop")]),
        ("Hello there.", [Intent("greeting")]),
        ("Colourless green ideas sleep furiously.", []),
        ("", []),
    ],
)
def test_english_is_understood(text: str, intents: list[Intent]) -> None:
    assert list(ENGLISH_GRAMMAR.understand(text)) == intents


@pytest.mark.parametrize(
    ("text", "intents"),
    [
        ("Какая погода в Москве?", [Intent("weather", "Москва")]),
        ("Какая сейчас погода в Санкт-Петербурге?", [Intent("weather", "Санкт-Петербург")]),
        ("А в Париже?", [Intent("follow", "Париж")]),
        ("Сколько времени в Токио?", [Intent("time", "Токио")]),
        (
            "Какая погода в Лондоне и который час в Токио?",
            [Intent("weather", "Лондон"), Intent("time", "Токио")],
        ),
        ("Расскажи длинную сказку", [Intent("story")]),
        ("Стоп!", [Intent("stop")]),
        ("Какая пагода в москве", [Intent("weather", "Москва")]),
    ],
)
def test_russian_is_understood(text: str, intents: list[Intent]) -> None:
    assert list(RUSSIAN_GRAMMAR.understand(text)) == intents


def test_a_question_calls_the_declared_tool() -> None:
    assert calls(user("What is the weather in Moscow?")) == [("get_weather", {"city": "Moscow"})]


def test_an_undeclared_tool_is_never_called() -> None:
    assert calls(user("What is the weather in Moscow?"), tools=[TIME]) == []
    assert said(user("What is the weather in Moscow?"), tools=[]) == ENGLISH.phrases.no_tool


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        (Tool("current_weather", ("units", "location")), {"location": "Moscow"}),
        (Tool("weather", ()), {}),
        (Tool("weather_at", ("latitude", "longitude")), {}),
    ],
)
def test_only_declared_properties_are_filled(tool: Tool, arguments: dict[str, str]) -> None:
    assert calls(user("What is the weather in Moscow?"), tools=[tool]) == [(tool.name, arguments)]


def test_a_timezone_is_filled_for_a_known_city() -> None:
    tool = Tool("get_time", ("timezone",), ("timezone",))
    assert calls(user("What time is it in Tokyo?"), tools=[tool]) == [
        ("get_time", {"timezone": "Asia/Tokyo"})
    ]


def test_a_missing_city_is_asked_for_and_then_used() -> None:
    question = user("What is the weather?")
    assert said(question) == ENGLISH.phrases.which_city
    after = (question, Said("assistant", ENGLISH.phrases.which_city), user("Tokyo."))
    assert calls(*after) == [("get_weather", {"city": "Tokyo"})]


def test_a_follow_up_repeats_the_last_kind_of_question() -> None:
    before = (user("What time is it in Rome?"), Said("assistant", "In Rome it is 14:05."))
    assert calls(*before, user("And in Paris?")) == [("get_time", {"city": "Paris"})]
    assert calls(Called("1", "get_weather", "{}"), user("And in Paris?")) == [
        ("get_weather", {"city": "Paris"})
    ]


def test_two_questions_are_two_calls_and_two_outputs_one_answer() -> None:
    question = user("What is the weather in London and what time is it in Tokyo?")
    assert calls(question) == [("get_weather", {"city": "London"}), ("get_time", {"city": "Tokyo"})]
    outputs = (
        Returned("1", '{"city": "London", "temperature_c": 9.1, "condition": "rain"}'),
        Returned("2", '{"place": "Tokyo", "time": "14:05", "date": "2026-11-22"}'),
    )
    assert said(question, Called("1", "w", ""), Called("2", "t", ""), *outputs) == (
        "In London it is 9 degrees, rain. In Tokyo it is 14:05."
    )


def test_an_output_that_was_spoken_of_is_not_repeated() -> None:
    lines = (
        user("What is the weather in London?"),
        Called("1", "w", ""),
        Returned("1", "Rain"),
        Said("assistant", "Rain."),
        user("What time is it?"),
        Called("2", "t", ""),
        Returned("2", '{"time": "14:05"}'),
    )
    assert said(*lines) == "It is 14:05."


def test_the_first_city_comes_from_the_conversation() -> None:
    question = user("Which city did I ask about first?")
    assert said(question) == ENGLISH.phrases.no_city_yet
    lines = (user("What is the weather in Moscow?"), user("And in Paris?"))
    assert said(*lines, question) == "You asked about Moscow first."
    assert said(*lines[1:], question) == "You asked about Paris first."


def test_a_recap_restores_the_first_city() -> None:
    question = user("Which city did I ask about first?")
    recap = "Conversation so far: the user asked for the weather in Moscow, then in Paris."
    assert said(question, instructions=f"You live in Dubai. {recap}") == "You asked about Moscow first."
    assert said(user(recap), question) == "You asked about Moscow first."


def test_the_story_goes_on_where_the_listener_stopped() -> None:
    heard = STORY[:300].rsplit(" ", 1)[0]
    lines = (user("Tell me a story"), Said("assistant", heard), user("Stop."), Said("assistant", "Okay."))
    rest = said(*lines, user("Continue."))
    assert f"{heard} {rest}" == STORY


def test_repeating_is_about_what_was_heard() -> None:
    assert said(user("What did you say?")) == ENGLISH.phrases.nothing_said
    assert said(Said("assistant", "one two"), user("What did you say?")) == "You heard me say: one two"


def test_the_answer_is_in_the_users_language() -> None:
    assert calls(user("Какая погода в Москве?")) == [("get_weather", {"city": "Москва"})]
    assert said(user("Спасибо!")) == RUSSIAN.phrases.thanks


def test_nonsense_is_admitted_with_what_would_be_sense() -> None:
    text = said(user("Colourless green ideas."), tools=[TIME])
    assert text.startswith(ENGLISH.phrases.not_understood)
    assert ENGLISH.phrases.can_time in text
    assert ENGLISH.phrases.can_weather not in text


def test_silence_is_admitted() -> None:
    assert said(user("")) == ENGLISH.phrases.not_heard


def test_without_a_question_the_user_is_greeted() -> None:
    assert said() == ENGLISH.phrases.greeting
    assert said(instructions="Говори по-русски.") == RUSSIAN.phrases.greeting


def test_the_story_is_long_enough_to_be_interrupted() -> None:
    assert len(STORY) / 17 > 35  # characters per second of a brisk voice


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (
            '{"city": "Moscow", "temperature_c": -3.4, "condition": "light snow"}',
            "In Moscow it is minus 3 degrees, light snow.",
        ),
        ('{"location": "Rome", "temp": 16.8}', "In Rome it is 17 degrees."),
        ('{"temperature": 5, "wind_kmh": 12.2}', "5 degrees. The wind is 12 kilometers per hour."),
        ('{"result": {"place": "Oslo", "temperature_2m": 0}}', "In Oslo it is 0 degrees."),
        ('{"timezone": "America/New_York", "time": "2026-11-22T09:07:00"}', "In New York it is 09:07."),
        ('{"error": "no such city."}', "Sorry, that did not work: no such city."),
        ('{"error": {"message": "timed out", "code": 7}}', "Sorry, that did not work: timed out."),
        ("It is warm", "It is warm."),
        ('"It is warm"', "It is warm."),
        ('{"water_level": 3}', "water level: 3."),
        ("", "That was all."),
    ],
)
def test_an_output_of_any_shape_is_spoken(output: str, text: str) -> None:
    assert rendered(output, ENGLISH.phrases) == text


def test_a_question_for_the_day_is_answered_with_the_day() -> None:
    lines = (
        user("What day is it in Tokyo?"),
        Called("1", "get_time", ""),
        Returned("1", '{"time": "14:05", "date": "2026-11-22"}'),
    )
    assert said(*lines) == "Today is 2026-11-22."
