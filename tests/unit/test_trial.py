"""The self-test: it waits until somebody is free to answer, and for what is heard then."""

import asyncio
from collections.abc import Callable

from tests.fakes.talk import Conversation, audio, begun, done, sent
from voice_agent.controls import trial as module
from voice_agent.controls.desk import Desk
from voice_agent.controls.trial import Trial, Tried
from voice_agent.dialogue import AgentSaid, AnswerFailed, Fact, State
from voice_agent.realtime.events import CreateItem, CreateResponse, SessionUpdated, SpeechStarted
from voice_agent.tools.base import Toolbox

module.LOOK_S = 0.001
HEARD = AgentSaid(1, "a", "Ready.", 400, 400)


class House:
    """Whose model is free after so many attempts, and then says what these facts tell."""

    def __init__(self, *facts: Fact, busy: int = 0) -> None:
        self.trial = Trial(self._ask, lambda: self.noted.append("wake"))
        self.noted: list[str] = []
        self._facts = facts
        self._busy = busy

    def _ask(self, text: str) -> bool:
        if len(self.noted) < self._busy:
            return False
        self.noted.append(text)
        for fact in self._facts:
            asyncio.get_running_loop().call_soon(self.trial, fact)
        return True


def tried(house: House, limit_s: float = 5.0) -> Tried:
    return asyncio.run(house.trial.run(limit_s))


def test_what_is_heard_is_told_and_what_follows_does_not_matter() -> None:
    ended = tried(House(AgentSaid(1, "a", "Re", 0, 200), HEARD, AnswerFailed(1, "failed", "late")))
    assert (ended.heard_ms, ended.reason) == (400, "")


def test_a_parked_session_is_woken_until_it_is_free() -> None:
    house = House(HEARD, busy=3)
    assert tried(house).heard_ms == 400
    assert house.noted == ["wake"] * 3 + [module.TEXT]


def test_an_answer_that_fails_tells_why() -> None:
    assert tried(House(AnswerFailed(1, "failed", "no money"))).reason == "the answer failed: no money"


def test_its_time_is_limited_and_it_says_for_what_it_waited() -> None:
    assert "asked" in tried(House(), 0.05).reason
    assert "nobody was free" in tried(House(busy=10**9), 0.05).reason


def test_there_is_one_at_a_time() -> None:
    async def scene() -> tuple[Tried, Tried]:
        house = House(HEARD)
        return await asyncio.gather(house.trial.run(5), house.trial.run(5))

    first, second = asyncio.run(scene())
    assert (first.heard_ms, second.reason) == (400, "a self-test is under way")


def test_without_a_daemon_nobody_speaks() -> None:
    assert b"nobody is here" in asyncio.run(Desk(Toolbox()).tried(5))


# -------------------------------------------------------------------------------------- in the core


def asked(talk: Conversation) -> Callable[[], list[object]]:
    commands = list(talk.dialogue.ask("Say: ready.", talk.speaker.moment()))
    talk._obey(commands)
    return lambda: [type(event) for event in sent(commands)]


def test_the_model_answers_what_nobody_spoke_and_is_heard() -> None:
    talk = Conversation()
    talk.hears(SessionUpdated())
    talk.goes_live()
    turn = talk.dialogue.turn
    assert asked(talk)() == [CreateItem, CreateResponse]
    assert talk.dialogue.state is State.THINKING
    talk.hears(begun(), audio(400), done())
    assert (talk.dialogue.state, talk.dialogue.turn) == (State.SPEAKING, turn), "it is no turn of the user's"


def test_a_user_who_speaks_meanwhile_is_not_interrupted() -> None:
    talk = Conversation()
    talk.hears(SessionUpdated())
    talk.goes_live()
    talk.hears(SpeechStarted(item_id="u"))
    assert asked(talk)() == [CreateItem]
