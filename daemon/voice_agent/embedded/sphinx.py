"""English speech to text by PocketSphinx with a closed grammar: small, right inside it and wrong outside."""

from collections.abc import Iterable

from pocketsphinx import Decoder

from voice_agent.embedded.policy.english import ENGLISH


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


def grammar(cities: Iterable[str]) -> str:
    """The policy's examples, and two questions in one breath, as JSGF."""
    plain = [s for examples in ENGLISH.examples.values() for s in examples if "{city}" not in s]
    about = {name: [s.replace("{city}", "<city>") for s in examples if "{city}" in s]
             for name, examples in ENGLISH.examples.items()}  # fmt: skip
    question = " | ".join(about["weather"] + about["time"])
    return (
        "#JSGF V1.0;\ngrammar demo;\n"
        f"<city> = {' | '.join(cities)};\n"
        f"<question> = {question};\n"
        f"public <sentence> = {' | '.join(plain + about['follow'])} | <question> [and <question>];\n"
    )
