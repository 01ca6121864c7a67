"""English speech to text by PocketSphinx with a closed grammar: small, right inside it and wrong outside."""

from collections.abc import Iterable

from pocketsphinx import Decoder

from voice_agent.embedded.policy.english import ENGLISH, ONES, TENS
from voice_agent.embedded.policy.quantities import WEEKDAYS


class SphinxStt:
    """Hears the policy's example sentences and nothing else."""

    def __init__(self) -> None:
        self._decoder = Decoder(lm=None, loglevel="FATAL")
        self._decoder.add_jsgf_string("demo", grammar(self._words()))
        self._decoder.activate_search("demo")

    def transcribe(self, pcm: bytes) -> str:
        """The grammar's sentence that is nearest to PCM16 at 16 kHz."""
        self._decoder.start_utt()
        self._decoder.process_raw(pcm, full_utt=True)
        self._decoder.end_utt()
        heard = self._decoder.hyp()
        return str(heard.hypstr) if heard is not None else ""

    def _words(self) -> list[str]:
        """The cities that the pronunciation dictionary knows."""
        return [city for city in ENGLISH.cities if all(map(self._decoder.lookup_word, city.split()))]


WISHES = ("louder", "quieter", "timer", "alarm", "cancel_all")
"""What may be asked in one breath, cities aside: the more, the less is each of them understood."""
SLOTS = ("city", "duration", "time", "day", "repeat", "number")


def grammar(cities: Iterable[str]) -> str:
    """The policy's examples, and two questions in one breath, as JSGF."""
    sentences = {name: [_with_rules(s) for s in examples] for name, examples in ENGLISH.examples.items()}
    about_a_city = [s for name in ("weather", "time") for s in sentences[name] if "<city>" in s]
    return (
        "#JSGF V1.0;\ngrammar demo;\n"
        f"<city> = {' | '.join(cities)};\n"
        f"<ones> = {' | '.join(ONES[1:])};\n"
        f"<tens> = {' | '.join(TENS[:4])};\n"
        f"<number> = <ones> | {' | '.join(TENS[:-1])} | one hundred;\n"
        "<small> = <ones> | <tens> [<ones>];\n"
        "<duration> = <small> (second | seconds | minute | minutes | hour | hours);\n"
        f"<time> = ({' | '.join(ONES[1:13])}) [<tens> [<ones>] | fifteen] [a m | p m];\n"
        f"<day> = tomorrow | on ({' | '.join(WEEKDAYS)});\n"
        "<repeat> = every day | on weekdays;\n"
        f"<wish> = {' | '.join(s for name in WISHES for s in sentences[name])};\n"
        f"<question> = {' | '.join(about_a_city)};\n"
        f"public <sentence> = {' | '.join(s for each in sentences.values() for s in each)}"
        " | <question> and <question> | <wish> and <wish>;\n"
    )


def _with_rules(example: str) -> str:
    """A slot is a rule of the grammar."""
    for slot in SLOTS:
        example = example.replace(f"{{{slot}}}", f"<{slot}>")
    return example
