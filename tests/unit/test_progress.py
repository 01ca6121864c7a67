"""Sound that should move and does not: the net below those who look after it."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

from voice_agent.agent import Agent
from voice_agent.audio.states import Condition, DeviceState
from voice_agent.config import Config
from voice_agent.errors import Cause, SessionError
from voice_agent.health import PLAYOUT_LIMIT_S, UPLINK_LIMIT_S, Progress, vitals
from voice_agent.supervision import OVERDUE_LOOKS, RECURE_LOOKS, Hang, Supervisor, Vital


def test_only_what_has_work_and_does_not_move_grows_old() -> None:
    now, busy, mark = [0.0], [False], [0]
    progress = Progress(lambda: busy[0], lambda: mark[0], lambda: now[0])

    def later(seconds: float) -> float:
        now[0] += seconds
        return progress.age()

    assert later(100) == 0, "nothing to do"
    busy[0] = True
    assert later(5) == 5
    assert later(5) == 10
    mark[0] += 1
    assert later(5) == 0, "it moved"
    assert later(5) == 5
    busy[0] = False
    assert later(5) == 0


class World:
    """An agent that does not run, its vitals, and a clock of their own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(Progress.__init__, "__defaults__", (lambda: self.now,))

    def play(self, scene: Callable[[Agent, Mapping[str, Vital]], None]) -> None:
        async def run() -> None:
            agent = Agent(Config(), lambda: None)
            found = vitals(agent.ports, agent.sessions, agent.tools, agent.clockwork)
            scene(agent, {vital.name: vital for vital in found})

        asyncio.run(run())


def test_a_playout_that_is_held_and_forgotten_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    world, supervisor = World(monkeypatch), Supervisor()

    def look(times: int) -> None:
        for _ in range(times):
            supervisor.look()

    def scene(agent: Agent, found: Mapping[str, Vital]) -> None:
        speaker = agent.ports.speaker
        agent.ports.devices._output.state = DeviceState(Condition.OPEN, "x", "")
        speaker.play(bytes(48_000), starts=True)
        speaker.hold()
        with supervisor.watching(found["playout-progress"]):
            look(1)
            world.now += PLAYOUT_LIMIT_S + 1
            look(OVERDUE_LOOKS - 1)
            assert speaker.held
            look(1)
            assert not speaker.held
            with pytest.raises(Hang):  # it still does not move: a fresh process may
                look(3 * RECURE_LOOKS)

    world.play(scene)


def test_without_a_loudspeaker_or_a_session_nothing_is_owed(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)

    def scene(agent: Agent, found: Mapping[str, Vital]) -> None:
        agent.ports.speaker.play(bytes(48_000), starts=True)
        ages = [found[name].age for name in ("playout-progress", "uplink-progress")]
        world.now += 3600
        assert [age() for age in ages] == [0, 0]

    world.play(scene)


def test_sound_that_a_live_session_does_not_take_ends_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    world, given_up = World(monkeypatch), []

    class Deaf:
        """A session whose uplink has forgotten to go on."""

        def give_up(self, reason: SessionError) -> None:
            given_up.append(reason.cause)

    def scene(agent: Agent, found: Mapping[str, Vital]) -> None:
        vital, line, deaf = found["uplink-progress"], object(), Deaf()
        agent.sessions._live = (line, deaf)  # type: ignore[assignment]
        agent.ports.microphone.callback(bytes(960), 480, {}, 0)
        agent.ports.ear._gather()
        assert vital.age() == 0
        world.now += UPLINK_LIMIT_S + 1
        assert vital.age() > UPLINK_LIMIT_S
        vital.cure("it does")
        reader = agent.ports.ear.listen()
        assert reader.take() is not None
        assert vital.age() == 0

    world.play(scene)
    assert given_up == [Cause.STALLED]
