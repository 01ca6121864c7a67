"""The server's ears and mind in the chaos suite: it answers an utterance by what was in it, not by a script.

So an answer shows which utterance it belongs to, however often and in whatever pieces that was sent, and a
restored text is answered as the spoken one would have been.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos.voices import Recogniser, answer
from voice_agent.embedded.engines import Engines
from voice_agent.embedded.mind import Action, Call, End, Line, Returned, Said, Say, Tool
from voice_agent.embedded.script import Decimator, EnergyVad, ToneTts

NUMBER = re.compile(r"utterance (\d+)")
TOOL = "get_weather"
DELTA_BYTES = (4800,)
"""100 ms."""


@dataclass
class Plan:
    """How an utterance is to be answered.

    ``calls``: tools and arguments, before anything else. ``spoils``: how often its answer goes wrong first,
    as ``spoil``.
    """

    ms: int = 200
    tool: bool = False
    spoil: str = ""
    spoils: int = 0
    calls: Sequence[tuple[str, str]] = ()


class Hearer:
    """Speech to text: the numbers of the utterances that are in it."""

    def __init__(self, recogniser: Recogniser, merged: dict[int, int]) -> None:
        self._recogniser = recogniser
        self._merged = merged

    def transcribe(self, pcm: bytes, /) -> str:
        """``utterance 7``, and nothing for noise."""
        numbers = self._recogniser.recognise(pcm)
        self._merged.update(dict.fromkeys(numbers[:-1], numbers[-1] if numbers else 0))
        return " ".join(f"utterance {number}." for number in numbers)


class Thinker:
    """The dialogue policy: a tool first if the plan says so, then the answer that counts."""

    def __init__(self, plans: dict[int, Plan]) -> None:
        self._plans = plans

    def answer(
        self, lines: Sequence[Line], _tools: Sequence[Tool], _instructions: str, /
    ) -> Sequence[Action]:
        """What to do about the last utterance."""
        number, since = _last_utterance(lines)
        plan = self._plans.get(number, Plan())
        if plan.spoils > 0:
            plan.spoils -= 1
            return _spoilt(plan.spoil, number)
        if plan.calls and not any(isinstance(line, Returned) for line in since):
            return [Call(name, arguments) for name, arguments in plan.calls]
        if plan.tool and not any(isinstance(line, Returned) for line in since):
            return [Call(TOOL, f'{{"city": "Moscow {number}"}}')]  # a city of its own: answers are kept
        return [Say(f"answer {number}", answer(number, plan.ms), DELTA_BYTES)]


def _last_utterance(lines: Sequence[Line]) -> tuple[int, Sequence[Line]]:
    """Its number (-1: none), and what came after it."""
    for at in range(len(lines) - 1, -1, -1):
        line = lines[at]
        if isinstance(line, Said) and line.role == "user" and (numbers := NUMBER.findall(line.text)):
            return int(numbers[-1]), lines[at + 1 :]
    return -1, lines


def _spoilt(how: str, number: int) -> Sequence[Action]:
    if how == "written":
        return [Say(f"answer {number}", written=True)]
    return [End(how, "server_error")]


class Heads:
    """Makes the engines of each connection; what they share outlives connections.

    ``merged``: utterances that were heard together with a later one, which alone is answered.
    """

    def __init__(self) -> None:
        self.recogniser = Recogniser()
        self.plans: dict[int, Plan] = {}
        self.merged: dict[int, int] = {}

    def __call__(self) -> Engines:
        """Engines for a new connection."""
        return Engines(
            vad=EnergyVad(),
            stt=Hearer(self.recogniser, self.merged),
            tts=ToneTts(),
            mind=Thinker(self.plans),
            new_resampler=Decimator,
        )
