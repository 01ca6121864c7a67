"""Russian: how it is spoken."""
# ruff: noqa: RUF001 - these letters look Latin because they are Cyrillic

from voice_agent.embedded.policy.phrases import Phrases
from voice_agent.embedded.policy.quantities import WEEKDAYS

STORY = (
    "Жил-был на краю длинного серого берега маяк. "
    "Смотрительницу звали Марфа, и сорок лет подряд она каждый вечер зажигала лампу. "
    "Однажды осенью пришла буря, какой ещё не бывало. "
    "Волны взбирались на скалы, а ветер сорвал с крыши три черепицы. "
    "Посреди ночи лампа погасла. "
    "Марфа поднялась по двумстам ступеням со свечой в руке, и четыре раза ветер задувал её. "
    "Наверху она нашла маленькую белую птицу, которая влетела в разбитое окно, чтобы согреться. "
    "Марфа завернула птицу в платок, налила в лампу масла и чиркнула последней спичкой. "
    "Свет побежал над водой, и далеко в море корабль медленно повернул к гавани. "
    "Утром моряки принесли на холм хлеб, мёд и новое стекло. "
    "Они спросили, чего она желает, а она ответила, что у неё всё есть. "
    "Но птица осталась на всю зиму и каждый вечер пела, сидя возле лампы. "
    "С тех пор на том берегу говорят: и маленький гость может сберечь большой свет."
)

ENGLISH_NAMES = {
    "Москва": "Moscow",
    "Санкт-Петербург": "Saint Petersburg",
    "Лондон": "London",
    "Париж": "Paris",
    "Берлин": "Berlin",
    "Рим": "Rome",
    "Мадрид": "Madrid",
    "Токио": "Tokyo",
    "Нью-Йорк": "New York",
    "Сидней": "Sydney",
    "Каир": "Cairo",
    "Мумбаи": "Mumbai",
    "Дубай": "Dubai",
}

CONDITIONS = {
    "clear sky": "ясно",
    "mostly clear": "почти ясно",
    "partly cloudy": "переменная облачность",
    "overcast": "пасмурно",
    "fog": "туман",
    "freezing fog": "туман с изморозью",
    "light drizzle": "лёгкая морось",
    "drizzle": "морось",
    "heavy drizzle": "сильная морось",
    "freezing drizzle": "ледяная морось",
    "light rain": "небольшой дождь",
    "rain": "дождь",
    "heavy rain": "сильный дождь",
    "freezing rain": "ледяной дождь",
    "light snow": "небольшой снег",
    "snow": "снег",
    "heavy snow": "сильный снег",
    "snow grains": "снежная крупа",
    "light showers": "небольшой ливень",
    "showers": "ливень",
    "heavy showers": "сильный ливень",
    "snow showers": "снежные заряды",
    "heavy snow showers": "сильные снежные заряды",
    "thunderstorm": "гроза",
    "thunderstorm with hail": "гроза с градом",
}
"""The words of Open-Meteo's weather codes (WMO 4677)."""

REASONS = (
    (r"no city named '(.+)' is known", r"город \1 не найден"),
    (r"the weather service cannot be reached.*", "служба погоды недоступна, похоже, нет сети"),
    (r"there is no safe connection to the weather service.*", "нет надёжной связи со службой погоды"),
    (r"the weather service did not answer in time.*", "служба погоды не ответила вовремя"),
    (r"the weather service.*", "служба погоды отвечает не так, как надо"),
    (r"there is no forecast for .*", "прогноза на этот день нет"),
    (r"no time zone is known for '(.+)'.*", r"часовой пояс места \1 неизвестен"),
    (r"this device has no time zone data.*", "устройство знает только собственное время"),
    (
        r"nothing is set that is called '(.+)'; set are: none",
        r"\1: такого нет, и ничего не поставлено",
    ),
    (r"nothing is set that is called '(.+)'; set are: (.+)", r"\1: такого нет, а есть \2"),
    (r"'.+' may be one of several: (.+); ask which", r"подходят несколько: \1; скажите, что именно"),
    (r"several are set: (.+); ask which", r"поставлено несколько: \1; скажите, что именно"),
    (r"no timer or alarm is set", "ничего не поставлено"),
    (r"a timer takes from .*", "таймер ставится на время от одной секунды до семи дней"),
    (r"the device does not know what time it is yet.*", "устройство ещё не знает, который час"),
    (r"that has passed.*", "это время уже прошло"),
    (r"an alarm is set for at most a year ahead", "будильник ставится не больше чем на год вперёд"),
    (r"there are \d+ timers and alarms already.*", "таймеров и будильников слишком много"),
    (r"the name is too long.*", "название слишком длинное"),
    (r"nothing could unmute it again.*", "включить его снова было бы нечем"),
    (r"nothing has been said yet", "ещё ничего не было сказано"),
    (r"there is no conversation that could end", "разговора и так нет"),
    (r"this works only inside the running daemon", "это умеет только работающее устройство"),
    (r"too many .*", "слишком много сразу"),
    (r"the tool gave no answer in time", "ответа не было слишком долго"),
    (r"\w+ (?:gave no answer within|waited too long for) .*", "ответа не было слишком долго"),
    (r".*\bcancelled\b.*", "это было отменено"),
    (r"(?:say how long|give either|.+ must be)\b.*", "просьба неполна или непонятна"),
)
"""Why our own tools fail."""


def _plural(number: int) -> int:
    """CLDR: 1 градус, 2 градуса, 5 градусов."""
    ones, tens = abs(number) % 10, abs(number) % 100
    if ones == 1 and tens != 11:
        return 0
    return 1 if 2 <= ones <= 4 and not 12 <= tens <= 14 else 2


PHRASES = Phrases(
    greeting="Здравствуйте! Чем помочь?",
    thanks="Пожалуйста.",
    bye="До свидания!",
    fine="Спасибо, хорошо. Чем помочь?",
    who="Я маленький голосовой помощник, который работает прямо на этой машине.",
    stopped="Хорошо.",
    not_heard="Извините, я плохо вас расслышала.",
    not_understood="Извините, я не поняла.",
    can_weather="Можно спросить о погоде в городе.",
    can_time="Можно спросить, который час.",
    can_timer="Я умею ставить таймеры и будильники.",
    can_story="Ещё я умею рассказывать сказку.",
    no_tool="Извините, мне нечем это узнать.",
    no_skill="Извините, здесь мне нечем это сделать.",
    no_forecast="Извините, я знаю только погоду сейчас.",
    which_city="Для какого города?",
    how_long="На какое время?",
    what_time="На который час?",
    too_long="Извините, таймер ставится не больше чем на семь дней.",
    no_city_yet="Вы ещё не спрашивали о городе.",
    first_city="Сначала вы спросили про город {city}.",
    nothing_said="Я ещё ничего не говорила.",
    repeat="Вы услышали: {text}",
    nothing_left="Это всё.",
    done="Готово.",
    failed="Извините, не получилось: {reason}.",
    failed_somehow="Извините, не получилось.",
    weather="{place}: {what}.",
    weather_on="{place}, {day}: {what}.",
    temperature="{number} {degrees}",
    between="от {low} до {high} {degrees}",
    up_to=("градуса", "градусов", "градусов"),
    condition="{temperature}, {condition}",
    precipitation=", вероятность осадков {percent}",
    wind=" Ветер {speed}.",
    age=" Так было {minutes} назад.",
    time="{place}: {time}.",
    time_here="Сейчас {time}.",
    date="Сегодня {date}.",
    clock_unset="Извините, мои часы ещё не поставлены.",
    minus="минус {number}",
    kmh="{number} км/ч",
    mps="{number} м/с",
    timer_set="{name} поставлен: {duration}.",
    alarm_set="{name} поставлен: {when}.",
    forgets=" После перезапуска устройства он забудется.",
    at="{time}",
    at_on="{time}, {day}",
    no_timers="Таймеров и будильников нет.",
    timer_left="{name}: осталось {duration}.",
    alarm_at="{name}: {when}.",
    missed="{name}: пропущено.",
    rings="{name} звонит.",
    cancelled="{names}: отменено.",
    none_cancelled="Отменять было нечего.",
    volume="Громкость {percent}.",
    muted="Микрофон выключен.",
    unmuted="Микрофон включён.",
    unmute_by=" Голосом его не включить: нужна кнопка или команда.",
    connected="Связь есть.",
    connected_for="Связь есть, уже {duration}.",
    disconnected="Связи нет.",
    round_trip=" Ответ сервера: {time}.",
    reconnects=" Связь приходилось восстанавливать {times}.",
    wifi=" Сигнал вай-фай {number} децибел.",
    mic_muted=" Микрофон выключен.",
    trouble=" Неполадка: {what}.",
    conjunction=" и ",
    every_day="каждый день",
    every="{days}",
    story=STORY,
    plural=_plural,
    counted={
        "degree": ("градус", "градуса", "градусов"),
        "percent": ("процент", "процента", "процентов"),
        "millisecond": ("миллисекунда", "миллисекунды", "миллисекунд"),
        "second": ("секунда", "секунды", "секунд"),
        "minute": ("минута", "минуты", "минут"),
        "hour": ("час", "часа", "часов"),
        "day": ("день", "дня", "дней"),
        "time": ("раз", "раза", "раз"),
    },
    days={"today": "сегодня", "tomorrow": "завтра"}
    | dict(
        zip(
            WEEKDAYS,
            (
                "в понедельник",
                "во вторник",
                "в среду",
                "в четверг",
                "в пятницу",
                "в субботу",
                "в воскресенье",
            ),
            strict=True,
        )
    ),
    repeats=dict(
        zip(
            WEEKDAYS,
            (
                "по понедельникам",
                "по вторникам",
                "по средам",
                "по четвергам",
                "по пятницам",
                "по субботам",
                "по воскресеньям",
            ),
            strict=True,
        )
    ),
    words={english.lower(): russian for russian, english in ENGLISH_NAMES.items()}
    | CONDITIONS
    | {"timer": "таймер", "alarm": "будильник", "microphone": "микрофон", "loudspeaker": "динамик"},
    reasons=REASONS,
)
