"""The rules and all tools that are built in: how they are asked for, what is called, what is said."""
# ruff: noqa: RUF001 - Russian letters are meant

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.wishes import ENGLISH_CALLS, EVERY_DAY, RUSSIAN_CALLS
from voice_agent.assembly import toolbox_for
from voice_agent.config import Config
from voice_agent.embedded.mind import Call, Called, Line, Returned, Said, Say, Tool
from voice_agent.embedded.policy import Rules
from voice_agent.embedded.policy.english import ENGLISH
from voice_agent.embedded.policy.quantities import digits
from voice_agent.embedded.policy.render import rendered
from voice_agent.embedded.policy.russian import RUSSIAN
from voice_agent.realtime.events import known
from voice_agent.tools.schema import Checker

MONDAY = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
RULES = Rules(lambda: MONDAY)
SCHEMAS: dict[str, dict[str, Any]] = {
    known(spec.name): json.loads(bytes(spec.parameters or b"{}")) for spec in toolbox_for(Config()).specs()
}
TOOLS = tuple(
    Tool(name, tuple(schema["properties"]), tuple(schema.get("required", ())))
    for name, schema in SCHEMAS.items()
)


def calls(*said: str, tools: tuple[Tool, ...] = TOOLS) -> list[tuple[str, dict[str, Any]]]:
    """What the last of these sentences of a user makes the rules call."""
    made = RULES.answer([Said("user", text) for text in said], tools, "")
    return [(call.name, json.loads(call.arguments)) for call in made if isinstance(call, Call)]


def words(*said: str, tools: tuple[Tool, ...] = TOOLS) -> str:
    """What it makes them say, calls aside."""
    made = RULES.answer([Said("user", text) for text in said], tools, "")
    return " ".join(each.text for each in made if isinstance(each, Say))


TABLE = [
    pytest.param(text, tool, arguments, id=text)
    for language in (ENGLISH_CALLS, RUSSIAN_CALLS)
    for tool, sentences in language.items()
    for text, arguments in sentences.items()
]


def test_every_tool_that_is_built_in_is_asked_for_in_both_languages_in_six_ways() -> None:
    for language in (ENGLISH_CALLS, RUSSIAN_CALLS):
        assert language.keys() == SCHEMAS.keys()
        assert all(len(sentences) >= 6 for sentences in language.values())


@pytest.mark.parametrize(("text", "tool", "arguments"), TABLE)
def test_a_sentence_calls_the_tool_that_it_asks_for(text: str, tool: str, arguments: dict[str, Any]) -> None:
    assert calls(text) == [(tool, arguments)]


@pytest.mark.parametrize(("text", "tool", "_"), TABLE)
def test_without_its_tool_nothing_is_called_and_something_said(text: str, tool: str, _: object) -> None:
    others = tuple(each for each in TOOLS if each.name != tool)
    assert calls(text, tools=others) == []
    assert words(text, tools=others)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        (
            "Turn the volume down and set a timer for five minutes.",
            [("set_volume", {"change": -20}), ("set_timer", {"minutes": 5})],
        ),
        (
            "Set a timer for one hour and five minutes and turn the volume up.",
            [("set_timer", {"hours": 1, "minutes": 5}), ("set_volume", {"change": 20})],
        ),
        (
            "Set a timer for five minutes and an alarm for seven.",
            [("set_timer", {"minutes": 5}), ("set_alarm", {"time": "07:00"})],
        ),
        (
            "Сделай тише и поставь таймер на пять минут.",
            [("set_volume", {"change": -20}), ("set_timer", {"minutes": 5})],
        ),
        ("Поставь таймер на час и пять минут", [("set_timer", {"hours": 1, "minutes": 5})]),
    ],
)
def test_two_wishes_in_one_sentence_are_two_calls(text: str, made: list[tuple[str, object]]) -> None:
    assert calls(text) == made


@pytest.mark.parametrize(
    ("first", "asked", "then", "made"),
    [
        ("Set a timer", ENGLISH.phrases.how_long, "Five minutes.", ("set_timer", {"minutes": 5})),
        ("Wake me up.", ENGLISH.phrases.what_time, "At seven tomorrow.",
         ("set_alarm", {"time": "07:00", "date": "2026-11-24"})),
        ("What is the weather?", ENGLISH.phrases.which_city, "In Rome.", ("get_weather", {"city": "Rome"})),
        ("Поставь таймер", RUSSIAN.phrases.how_long, "на пять минут", ("set_timer", {"minutes": 5})),
        ("Поставь будильник", RUSSIAN.phrases.what_time, "в семь", ("set_alarm", {"time": "07:00"})),
    ],
)  # fmt: skip
def test_what_is_missing_is_asked_for_and_then_used(
    first: str, asked: str, then: str, made: tuple[str, object]
) -> None:
    assert (words(first), calls(first)) == (asked, [])
    assert calls(first, then) == [made]


def test_a_follow_up_keeps_what_it_does_not_change() -> None:
    question = "What is the weather in Moscow?"
    assert calls(question, "And tomorrow?") == [("get_weather", {"city": "Moscow", "day": 1})]
    assert calls(question, "And in Paris?", "And on Friday?") == [
        ("get_weather", {"city": "Paris", "day": 4})
    ]
    assert calls("Какая погода завтра в Москве?", "А в Париже?") == [
        ("get_weather", {"city": "Париж", "day": 1})
    ]


def test_half_a_sentence_means_nothing_out_of_the_blue() -> None:
    for text in ("Five minutes.", "At seven.", "And tomorrow?", "пять минут"):
        assert calls(text) == []


def test_a_goodbye_is_said_before_the_conversation_is_ended() -> None:
    assert RULES.answer([Said("user", "Thank you and goodbye.")], TOOLS, "") == [
        Say(f"{ENGLISH.phrases.thanks} {ENGLISH.phrases.bye}"),
        Call("end_conversation", "{}"),
    ]


def test_a_timer_for_longer_than_there_are_timers_is_refused_in_words() -> None:
    assert calls("Set a timer for 169 hours") == []
    assert words("Set a timer for 169 hours") == ENGLISH.phrases.too_long
    assert calls("Set a timer for 168 hours") == [("set_timer", {"hours": 168})]


def test_what_a_tool_does_not_take_is_left_out() -> None:
    nameless = (Tool("set_timer", ("minutes",)),)
    assert calls("Set a timer for 10 minutes called eggs.", tools=nameless) == [
        ("set_timer", {"minutes": 10})
    ]


def test_weather_of_another_day_is_not_answered_with_the_weather_of_this_one() -> None:
    now_only = (Tool("get_weather", ("city",), ("city",)),)
    assert words("What is the weather in Rome tomorrow?", tools=now_only) == ENGLISH.phrases.no_forecast


# ------------------------------------------------------------------------------------------ spoken


def spoken(question: str, tool: str, **facts: object) -> str:
    """What is said when the tool has answered."""
    lines: list[Line] = [Said("user", question), Called("1", tool, "{}"), Returned("1", json.dumps(facts))]
    (say,) = RULES.answer(lines, TOOLS, "")
    assert isinstance(say, Say)
    return say.text


STATUS = {
    "connection": "connected",
    "connected_s": 3725,
    "round_trip_ms": 48,
    "reconnects": 2,
    "microphone": "open",
    "loudspeaker": "absent",
    "muted": False,
    "volume": 80,
    "temperature_c": 51,
}
FORECAST = {
    "city": "Moscow",
    "date": "2026-11-24",
    "condition": "snow",
    "temperature_min_c": -5,
    "temperature_max_c": 1,
    "precipitation_percent": 41,
}


@pytest.mark.parametrize(
    ("tool", "facts", "english", "russian"),
    [
        ("set_timer", {"name": "timer 1", "seconds": 300, "ends_at": "14:05"},
         "Timer 1 is set: 5 minutes.", "Таймер 1 поставлен: 5 минут."),
        ("set_timer", {"name": "eggs", "seconds": 5461, "forgotten_at_restart": True},
         "Eggs is set: 1 hour 31 minutes 1 second. It will be forgotten if the device restarts.",
         "Eggs поставлен: 1 час 31 минута 1 секунда. После перезапуска устройства он забудется."),
        ("set_alarm", {"name": "alarm 1", "time": "07:00", "date": "2026-11-24", "weekday": "Tuesday"},
         "Alarm 1 is set for 07:00 tomorrow.", "Будильник 1 поставлен: 07:00, завтра."),
        ("set_alarm", {"name": "alarm 2", "time": "07:00", "repeat": ["monday", "friday"]},
         "Alarm 2 is set for 07:00 every Monday, Friday.",
         "Будильник 2 поставлен: 07:00, по понедельникам, по пятницам."),
        ("set_alarm", {"name": "alarm 1", "time": "07:00", "repeat": EVERY_DAY},
         "Alarm 1 is set for 07:00 every day.", "Будильник 1 поставлен: 07:00, каждый день."),
        ("get_timers", {"timers": []}, "No timers or alarms are set.", "Таймеров и будильников нет."),
        ("get_timers",
         {"timers": [{"name": "timer 1", "kind": "timer", "seconds_left": 122},
                     {"name": "alarm 1", "kind": "alarm", "time": "07:00", "date": "2026-11-27"},
                     {"name": "timer 2", "kind": "timer", "seconds_left": 0, "ringing": True}],
          "missed": [{"name": "tea", "kind": "timer"}]},
         "Timer 1: 2 minutes 2 seconds left. Alarm 1: 07:00 on Friday. Timer 2 is ringing. Tea was missed.",
         ("Таймер 1: осталось 2 минуты 2 секунды. Будильник 1: 07:00, в пятницу. Таймер 2 звонит."
         " Tea: пропущено.")),
        ("cancel_timer", {"cancelled": ["timer 1", "eggs"]},
         "Timer 1, eggs: cancelled.", "Таймер 1, eggs: отменено."),
        ("set_volume", {"volume": 21, "before": 41}, "The volume is 21 percent.", "Громкость 21 процент."),
        ("mute_microphone", {"muted": True, "unmute_by": "pressing the button"},
         "The microphone is off. To switch it on again: pressing the button.",
         "Микрофон выключен. Голосом его не включить: нужна кнопка или команда."),
        ("stop", {"stopped": True}, "Okay.", "Хорошо."),
        ("repeat_answer", {"text": "It is 9.", "cut_off": True}, "It is 9.", "It is 9."),
        ("get_device_status", STATUS,
         ("I have been connected for 1 hour."
         " An answer from the server takes 48 milliseconds."
         " I have had to connect again 2 times. The loudspeaker has trouble."),
         ("Связь есть, уже 1 час. Ответ сервера: 48 миллисекунд."
         " Связь приходилось восстанавливать 2 раза. Неполадка: динамик.")),
        ("end_conversation", {"ends_when_quiet": True, "begin_again_by": "?"}, "Goodbye!", "До свидания!"),
        ("get_weather", FORECAST,
         "In Moscow tomorrow: minus 5 to 1 degree, snow, precipitation 41 percent.",
         "Москва, завтра: от минус 5 до 1 градуса, снег, вероятность осадков 41 процент."),
        ("get_weather", {"city": "Rome", "temperature_c": 2, "minutes_old": 21},
         "In Rome it is 2 degrees. That was 21 minutes ago.", "Рим: 2 градуса. Так было 21 минута назад."),
        ("get_time", {"place": "here", "time": "14:05", "date": "2026-11-23"},
         "It is 14:05.", "Сейчас 14:05."),
        ("get_time", {"place": "here", "time": "00:05", "date": "1970-01-01", "clock_set": False},
         "Sorry, my clock is not set yet.", "Извините, мои часы ещё не поставлены."),
    ],
)  # fmt: skip
def test_what_a_tool_did_is_said_in_both_languages(
    tool: str, facts: dict[str, object], english: str, russian: str
) -> None:
    assert spoken("Hello", tool, **facts) == english
    assert spoken("Привет", tool, **facts) == russian


def test_an_answer_to_older_words_is_not_told_again() -> None:
    lines = (
        Said("user", "What is the weather in Rome?"),
        Called("1", "get_weather", "{}"),
        Said("user", "What time is it?"),
        Returned("1", '{"error": "cancelled, as the user went on to something else"}'),
        Called("2", "get_time", "{}"),
        Returned("2", '{"time": "14:05"}'),
    )
    assert RULES.answer(lines, TOOLS, "") == [Say("It is 14:05.")]


@pytest.mark.parametrize(
    ("reason", "russian"),
    [
        ("no city named 'Нарния' is known", "Извините, не получилось: город Нарния не найден."),
        ("the weather service cannot be reached; the network seems to be down",
         "Извините, не получилось: служба погоды недоступна, похоже, нет сети."),
        ("nothing is set that is called 'яйца'; set are: none",
         "Извините, не получилось: яйца: такого нет, и ничего не поставлено."),
        ("several are set: чай, торт; ask which",
         "Извините, не получилось: поставлено несколько: чай, торт; скажите, что именно."),
        ("get_weather gave no answer within 10 s", "Извините, не получилось: ответа не было слишком долго."),
        ("gremlins", "Извините, не получилось."),
    ],
)  # fmt: skip
def test_a_failure_is_told_in_the_users_language(reason: str, russian: str) -> None:
    assert rendered(json.dumps({"error": reason}), RUSSIAN.phrases) == russian
    assert rendered(json.dumps({"error": reason}), ENGLISH.phrases) == f"Sorry, that did not work: {reason}."


@pytest.mark.parametrize(
    ("text", "number"),
    [("twenty-five", "25"), ("one hundred", "100"), ("fifty nine", "59"), ("seven thirty", "7 30"),
     ("two hundred and five", "200 and 5"), ("new-york", "new-york")],
)  # fmt: skip
def test_number_words_become_digits(text: str, number: str) -> None:
    assert digits(text, ENGLISH.numerals.words) == number


# ---------------------------------------------------------------------------------------- any words

VOCABULARY = sorted(
    {word for language in (ENGLISH_CALLS, RUSSIAN_CALLS) for each in language.values() for text in each
     for word in text.split()}
    | {"0", "7", "30", "99", "100", "1000", "12345678901234567890", "25:61", "half", "minus", "and", "и"}
    | {"_duration_", "{city}", "\u200b", "%", "hours", "часов", "тысяча", "hundred", "-"}
)  # fmt: skip
SENTENCES = st.one_of(
    st.text(max_size=80), st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=10).map(" ".join)
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
KEYS = st.sampled_from(
    [
        "timers",
        "missed",
        "cancelled",
        "connection",
        "name",
        "seconds",
        "time",
        "muted",
        "volume",
        "text",
        "temperature_c",
        "temperature_min_c",
        "date",
        "repeat",
        "error",
        "result",
        "minutes_old",
        "precipitation_percent",
        "connected_s",
        "ringing",
        "seconds_left",
    ]
)


OBJECTS = st.dictionaries(KEYS, SCALARS, max_size=4)
VALUES = SCALARS | OBJECTS | st.lists(SCALARS | OBJECTS, max_size=3)


@settings(max_examples=100, deadline=None)
@given(
    lines=st.lists(SENTENCES, min_size=1, max_size=3),
    declared=st.sets(st.sampled_from(TOOLS)),
)
def test_whatever_is_said_only_declared_tools_are_called_and_only_as_they_ask(
    lines: list[str], declared: set[Tool]
) -> None:
    made = RULES.answer([Said("user", text) for text in lines], tuple(declared), "")
    assert made
    for call in (each for each in made if isinstance(each, Call)):
        assert call.name in {tool.name for tool in declared}
        Checker(SCHEMAS[call.name]).check(json.loads(call.arguments))


@settings(max_examples=150, deadline=None)
@given(
    facts=st.dictionaries(KEYS, VALUES, max_size=5),
    tool=st.sampled_from([tool.name for tool in TOOLS]),
    greeting=st.sampled_from(["Hello", "Привет"]),
)
def test_whatever_a_tool_answers_something_is_said(
    facts: dict[str, object], tool: str, greeting: str
) -> None:
    lines: list[Line] = [Said("user", greeting), Called("1", tool, "{}"), Returned("1", json.dumps(facts))]
    (say,) = RULES.answer(lines, TOOLS, "")
    assert isinstance(say, Say)
