"""Open-Meteo's weather codes (WMO 4677) in words."""

from collections.abc import Mapping
from typing import Literal

Language = Literal["en", "ru"]

_WORDS: Mapping[int, Mapping[Language, str]] = {
    0: {"en": "clear sky", "ru": "ясно"},
    1: {"en": "mostly clear", "ru": "преимущественно ясно"},
    2: {"en": "partly cloudy", "ru": "переменная облачность"},
    3: {"en": "overcast", "ru": "пасмурно"},
    45: {"en": "fog", "ru": "туман"},
    48: {"en": "freezing fog", "ru": "туман с изморозью"},
    51: {"en": "light drizzle", "ru": "лёгкая морось"},
    53: {"en": "drizzle", "ru": "морось"},
    55: {"en": "heavy drizzle", "ru": "сильная морось"},
    56: {"en": "freezing drizzle", "ru": "ледяная морось"},
    57: {"en": "freezing drizzle", "ru": "ледяная морось"},
    61: {"en": "light rain", "ru": "небольшой дождь"},
    63: {"en": "rain", "ru": "дождь"},
    65: {"en": "heavy rain", "ru": "сильный дождь"},
    66: {"en": "freezing rain", "ru": "ледяной дождь"},
    67: {"en": "freezing rain", "ru": "ледяной дождь"},
    71: {"en": "light snow", "ru": "небольшой снег"},
    73: {"en": "snow", "ru": "снег"},
    75: {"en": "heavy snow", "ru": "сильный снег"},
    77: {"en": "snow grains", "ru": "снежная крупа"},
    80: {"en": "light showers", "ru": "небольшой ливень"},
    81: {"en": "showers", "ru": "ливень"},
    82: {"en": "heavy showers", "ru": "сильный ливень"},
    85: {"en": "snow showers", "ru": "снежные заряды"},
    86: {"en": "heavy snow showers", "ru": "сильные снежные заряды"},
    95: {"en": "thunderstorm", "ru": "гроза"},
    96: {"en": "thunderstorm with hail", "ru": "гроза с градом"},
    99: {"en": "thunderstorm with hail", "ru": "гроза с градом"},
}


def condition(code: int | None, language: Language) -> str | None:
    """The words for a code; ``None`` for one that nobody has explained."""
    words = _WORDS.get(code) if code is not None else None
    return words[language] if words else None
