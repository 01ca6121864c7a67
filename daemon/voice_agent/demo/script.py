"""What the virtual user says, when, and what ought to come of it. Data only.

The Russian script is the English one in Russian; ``light`` speaks English through smaller models.
"""
# ruff: noqa: RUF001 - these letters look Latin because they are Cyrillic

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wanted:
    """A tool call that ought to be made, with these letters somewhere in its arguments."""

    tool: str
    about: str


@dataclass(frozen=True, slots=True)
class Line:
    """One utterance of the user.

    ``interrupts_after_s``: spoken when the answer before it has been sounding for so long; without it the
    user waits for silence. ``stops_ring``: spoken when a timer has begun to ring. ``words``: what
    recognition must not miss. ``calls``: all the calls of the answer, and no others. ``answer``: what the
    answer must say, in any case of letters; empty if there must be none.
    """

    topic: str
    text: str
    words: tuple[str, ...]
    answer: tuple[str, ...]
    calls: tuple[Wanted, ...] = ()
    interrupts_after_s: float | None = None
    stops_ring: bool = False

    @property
    def ends(self) -> bool:
        """Whether the conversation is over after the answer."""
        return any(call.tool == "end_conversation" for call in self.calls)


ENGLISH = (
    Line(
        "weather in Moscow",
        "What is the weather in Moscow?",
        words=("weather", "moscow"),
        calls=(Wanted("get_weather", "Moscow"),),
        answer=("moscow", "minus 3", "snow"),
    ),
    Line(
        "two questions at once",
        "What is the weather in London and what time is it in Tokyo?",
        words=("weather", "london", "time", "tokyo"),
        calls=(Wanted("get_weather", "London"), Wanted("get_time", "Tokyo")),
        answer=("london", "9 degrees", "tokyo"),
    ),
    Line(
        "a long story",
        "Tell me a long story.",
        words=("story",),
        answer=("lighthouse",),
    ),
    Line(
        "weather in Paris",
        "What is the weather in Paris?",
        words=("weather", "paris"),
        calls=(Wanted("get_weather", "Paris"),),
        answer=("paris", "11 degrees"),
        interrupts_after_s=3.0,
    ),
    Line(
        "and in Berlin",
        "And in Berlin?",
        words=("berlin",),
        calls=(Wanted("get_weather", "Berlin"),),
        answer=("berlin", "5 degrees"),
    ),
    Line(
        "the first city",
        "Which city did I ask about first?",
        words=("city", "first"),
        answer=("moscow",),
    ),
    Line(
        "quieter, and a timer",
        "Turn the volume down and set a timer for fifteen seconds.",
        words=("volume", "timer", "seconds"),
        calls=(Wanted("set_volume", "-20"), Wanted("set_timer", '"seconds":15')),
        answer=("volume is 80 percent", "timer 1 is set", "15 seconds"),
    ),
    Line(
        "what timers there are",
        "What timers are there?",
        words=("timers",),
        calls=(Wanted("get_timers", ""),),
        answer=("timer 1", "seconds left"),
    ),
    Line(
        "stop it",
        "Please stop.",
        words=("stop",),
        calls=(Wanted("stop", ""),),
        answer=(),
        stops_ring=True,
    ),
    Line(
        "the connection",
        "How is your connection?",
        words=("connection",),
        calls=(Wanted("get_device_status", ""),),
        answer=("connected for",),
    ),
    Line(
        "goodbye",
        "Goodbye.",
        words=("bye",),
        calls=(Wanted("end_conversation", ""),),
        answer=("goodbye",),
    ),
)

RUSSIAN = (
    Line(
        "погода в Москве",
        "Какая погода в Москве?",
        words=("погода", "москве"),
        calls=(Wanted("get_weather", "Москва"),),
        answer=("москва", "минус 3", "снег"),
    ),
    Line(
        "два вопроса сразу",
        "Какая погода в Лондоне и сколько времени в Токио?",
        words=("погода", "лондоне", "времени", "токио"),
        calls=(Wanted("get_weather", "Лондон"), Wanted("get_time", "Tokyo")),
        answer=("лондон", "9 градусов", "токио"),
    ),
    Line(
        "длинная сказка",
        "Расскажи длинную сказку.",
        words=("сказку",),
        answer=("маяк",),
    ),
    Line(
        "погода в Париже",
        "Какая погода в Париже?",
        words=("погода", "париже"),
        calls=(Wanted("get_weather", "Париж"),),
        answer=("париж", "11 градусов"),
        interrupts_after_s=3.0,
    ),
    Line(
        "а в Берлине",
        "А в Берлине?",
        words=("берлине",),
        calls=(Wanted("get_weather", "Берлин"),),
        answer=("берлин", "5 градусов"),
    ),
    Line(
        "первый город",
        "Про какой город я спросил сначала?",
        words=("город", "сначала"),
        answer=("москва",),
    ),
    Line(
        "тише, и таймер",
        "Сделай тише и поставь таймер на пятнадцать секунд.",
        words=("тише", "таймер", "секунд"),
        calls=(Wanted("set_volume", "-20"), Wanted("set_timer", '"seconds":15')),
        answer=("громкость 80 процентов", "таймер 1 поставлен", "15 секунд"),
    ),
    Line(
        "какие есть таймеры",
        "Какие есть таймеры?",
        words=("таймеры",),
        calls=(Wanted("get_timers", ""),),
        answer=("таймер 1", "осталось", "секунд"),
    ),
    Line(
        "хватит",
        "Хватит.",
        words=("хватит",),
        calls=(Wanted("stop", ""),),
        answer=(),
        stops_ring=True,
    ),
    Line(
        "связь",
        "Как твоя связь?",
        words=("связь",),
        calls=(Wanted("get_device_status", ""),),
        answer=("связь есть",),
    ),
    Line(
        "прощание",
        "До свидания.",
        words=("до свидания",),
        calls=(Wanted("end_conversation", ""),),
        answer=("до свидания",),
    ),
)

SCRIPTS: Mapping[str, tuple[Line, ...]] = {"en": ENGLISH, "light": ENGLISH, "ru": RUSSIAN}
