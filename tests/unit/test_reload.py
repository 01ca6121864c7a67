"""A reload in its parts: what differs, what can be taken, what follows from it; and how systemd is told."""

import asyncio
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from voice_agent.agent import Agent
from voice_agent.assembly import cues_for, tools_for
from voice_agent.audio.states import Condition, DeviceState
from voice_agent.config import Config, parse
from voice_agent.config.changes import LIVE, differences, takeable
from voice_agent.config.schema import Log
from voice_agent.config.shapes import settings
from voice_agent.controls.desk import Reloaded
from voice_agent.credentials import Secret
from voice_agent.errors import Cause, Unauthorized
from voice_agent.lifetime import Lifetime, Step
from voice_agent.reconnect import Retry, Temper
from voice_agent.reloading import Reloader
from voice_agent.service import Service
from voice_agent.sessions import Exhausted, Live, Lost, Parked, Unprepared
from voice_agent.supervision import OVERDUE_LOOKS, Vital
from voice_agent.telemetry.systemd import LAST_WORDS_S, ServiceManager


def config(text: str = "") -> Config:
    found, problems = parse(text)
    assert not problems
    return found


# ------------------------------------------------------------------------------------ what differs

LOCAL = '[provider]\nkind = "local"\n'
ONE = '[session]\ninstructions = "Be brief."\n[audio.output]\nblock_ms = 20\n[metrics]\nport = 9000\n'
OTHER = '[session]\ninstructions = "Be kind."\n[audio.input]\ndevice = "usb"\n[log]\nlevel = "debug"\n'


def test_settings_that_differ_are_named_by_their_whole_path() -> None:
    assert list(differences(config(ONE), config(ONE))) == []
    assert list(differences(config(ONE), config(OTHER))) == [
        "session.instructions",
        "audio.input.device",
        "audio.output.block_ms",
        "metrics.port",
        "log.level",
    ]


def test_what_takes_a_restart_stays_as_it_is_to_the_last_setting() -> None:
    taken, left = takeable(config(ONE), config(OTHER))
    assert left == ["audio.input.device", "audio.output.block_ms", "metrics.port"]
    assert list(differences(config(ONE), taken)) == ["session.instructions", "log.level"]
    again, still = takeable(taken, config(OTHER))
    assert (again, still) == (taken, left), "it is still due"


def test_a_file_that_returns_to_what_runs_leaves_nothing_due() -> None:
    taken, _ = takeable(config(ONE), config(OTHER))
    assert takeable(taken, config(ONE)) == (config(ONE), [])


def test_every_live_setting_exists_and_new_ones_take_a_restart_until_somebody_says_otherwise() -> None:
    paths = [path.replace("[]", "") for path, _ in settings(Config)]
    for live in LIVE:
        if live == "tools.provider":  # free tables
            continue
        assert any(path == live or path.startswith(f"{live}.") for path in paths), live
    restart = {path.split(".")[0] for path in paths} - {live.split(".")[0] for live in LIVE}
    assert restart == {"audio", "gate", "control", "button", "metrics"}


# --------------------------------------------------------------------------- what becomes of the agent


def with_agent(scene: Callable[[Agent], None], text: str = "") -> None:
    async def run() -> None:
        scene(Agent(config(text), lambda: None))

    asyncio.run(run())


def take(agent: Agent, text: str, key: Secret | None = None) -> None:
    wanted, _ = takeable(agent.config, config(text))
    agent.take(wanted, key, cues_for(wanted), tools_for(wanted, agent.handle, agent.clockwork))


def test_each_part_follows_the_configuration() -> None:
    def scene(agent: Agent) -> None:
        provider = '[provider]\nkind = "openai"\n'
        session = '[session]\ninstructions = "Be kind."\nturn_detection.silence_duration_ms = 900\n'
        rest = '[memory]\nturns = 3\n[budget]\ntokens = 5\n[tools]\nenabled = ["get_time"]\n'
        take(agent, provider + session + rest + "[log]\ntranscripts = true\n")
        assert agent.terms.settings.instructions == "Be kind."
        detection = agent.terms.settings.turn_detection
        assert detection is not None
        assert detection.silence_duration_ms == 900
        assert (agent.herald.provider, agent.terms.provider.name) == ("openai", "openai")
        assert agent.budget.cap_tokens == 5
        assert list(agent.tools) == ["get_time"]
        assert agent.clockwork.names_in_log
        assert agent.config.memory.turns == 3

    with_agent(scene)


def test_only_what_a_server_is_told_makes_a_session_outdated() -> None:
    def scene(agent: Agent) -> None:
        def outdated(text: str) -> bool:
            wanted, _ = takeable(agent.config, config(text))
            return agent.terms.take(wanted, None)

        assert not outdated("[memory]\nturns = 3\n[cues]\nenabled = false\n[reconnect]\ncap_s = 9\n")
        assert not outdated('[tools]\nenabled = ["get_time"]\n'), "our tools are told to the live one"
        assert outdated('[session]\nvoice = "alloy"\n')
        assert not outdated('[session]\nvoice = "alloy"\n')
        assert outdated("")

    with_agent(scene)


# ------------------------------------------------------------------------------------- its lifetime


def test_an_outdated_session_is_renewed_in_a_quiet_moment_and_prepared_for_until_then() -> None:
    lifetime = Lifetime(limit_s=None)
    assert lifetime.step(5.0, None, outdated=True) is Step.PREPARE
    assert lifetime.step(5.0, 0.5, outdated=True) is Step.PREPARE
    assert lifetime.step(5.0, 2.0, outdated=True) is Step.RENEW
    assert lifetime.step(5.0, 2.0, outdated=True, farewell=True) is Step.PARK
    assert lifetime.step(5.0, 2.0) is Step.SERVE


# ------------------------------------------------------------------------------------- the reloader


class Systemd:
    """Reads only when it is asked to."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(directory / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(directory / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "30000000")

    def heard(self) -> list[str]:
        found: list[str] = []
        while True:
            try:
                found.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return found

    def close(self) -> None:
        self._socket.close()


def test_a_manager_that_is_busy_is_not_waited_for_and_hears_everything_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemd = Systemd(tmp_path, monkeypatch)
    manager = ServiceManager()
    manager.ready()
    wanted = [f"STATUS={number}" for number in range(40)]  # a socket of this kind holds ten
    for text in wanted:
        manager.status(text.removeprefix("STATUS="))
    for _ in range(30):
        manager.alive()
    heard = systemd.heard()
    while len(heard) < 42:
        manager.alive()
        heard += systemd.heard()
    assert [each for each in heard if each != "WATCHDOG=1"] == ["READY=1", *wanted]
    assert heard.count("WATCHDOG=1") < 30, "beats that nobody took are not repeated"
    manager.close()
    systemd.close()


def test_last_words_wait_for_a_busy_manager_but_not_for_a_dead_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemd = Systemd(tmp_path, monkeypatch)
    wanted = [*(f"STATUS={number}" for number in range(40)), "STOPPING=1"]
    heard: list[str] = []
    for reads in (True, False):
        manager = ServiceManager()
        for text in wanted[:-1]:
            manager.status(text.removeprefix("STATUS="))
        manager.stopping()
        closing = threading.Thread(target=manager.close)
        closing.start()
        while reads and len(heard) < len(wanted):
            heard += systemd.heard()
        closing.join(10 * LAST_WORDS_S)
        assert not closing.is_alive()
    assert heard == wanted
    systemd.close()


def test_no_beat_while_a_part_hangs_that_a_restart_could_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemd = Systemd(tmp_path, monkeypatch)
    owed_s = 0.0

    async def scene() -> list[list[str]]:
        service = Service(config(), tmp_path / "config.toml", lambda: None)
        supervisor, told = service.agent.supervisor, []
        with supervisor.watching(Vital("part", lambda: owed_s, 1.0, cure=lambda _reason: None)):
            nonlocal owed_s
            for seconds in (0.0, 2.0, 0.0):
                owed_s = seconds
                for _ in range(OVERDUE_LOOKS):
                    supervisor.look()
                systemd.heard()
                service.look()
                told.append(systemd.heard())
        service.manager.close()
        return told

    assert asyncio.run(scene()) == [["WATCHDOG=1"], [], ["WATCHDOG=1"]]
    systemd.close()


def test_whoever_asks_waits_for_a_reload_that_has_seen_his_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemd = Systemd(tmp_path, monkeypatch)
    file = tmp_path / "config.toml"

    async def scene() -> None:
        service = Service(config(LOCAL), file, lambda: None)
        running = asyncio.create_task(service.reloader.run())
        file.write_text(LOCAL + "[metrics]\nport = 9000\n")
        assert await service.agent.reload() == Reloaded(due=("metrics.port",))
        early = asyncio.ensure_future(service.agent.reload())
        await asyncio.sleep(0)
        file.write_text(LOCAL + "[metrics]\nprot = 9000\n")
        late = await service.agent.reload()
        assert len(late.problems) == 1
        assert "metrics.prot" in late.problems[0]
        await early
        running.cancel()
        service.manager.close()

    asyncio.run(scene())
    systemd.close()


def test_who_leaves_does_not_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    systemd = Systemd(tmp_path, monkeypatch)
    manager = ServiceManager()
    manager.stopping()
    manager.reloading()
    manager.ready()
    assert systemd.heard() == ["STOPPING=1"]
    manager.close()
    systemd.close()


class Scene:
    """An agent that does not run, a file, and what became of both."""

    def __init__(self, file: Path, text: str) -> None:
        file.write_text(text)
        self.file = file
        self.statuses: list[str] = []
        self.logs: list[Log] = []
        self.agent = Agent(config(text), lambda: None, on_status=self.statuses.append)
        self.manager = ServiceManager()
        self.reloader = Reloader(file, self.agent, self.manager, self.logs.append)

    async def reload(self, text: str | None = None) -> None:
        if text is not None:
            self.file.write_text(text)
        told = len(self.statuses)
        running = asyncio.create_task(self.reloader.run())
        self.reloader.ask()
        async with asyncio.timeout(10):
            while len(self.statuses) == told:
                await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])
        self.manager.close()


def reloads(tmp_path: Path, first: str, *texts: str) -> Scene:
    async def run() -> Scene:
        scene = Scene(tmp_path / "config.toml", first)
        for text in texts:
            await scene.reload(text)
        return scene

    return asyncio.run(run())


def test_every_problem_is_named_and_nothing_is_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scene = reloads(tmp_path, "", '[log]\nlevel = "loud"\n[session]\nvioce = "a"\n')
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "log.level" in str(record.__dict__["problems"])
    assert "session.vioce" in str(record.__dict__["problems"])
    assert scene.agent.config == Config()
    assert scene.logs == []
    assert "; configuration not taken: 2 problems (log.level" in scene.statuses[-1]


def test_of_thousands_of_problems_the_log_gets_some(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    scene = reloads(tmp_path, "", "\n".join(f"x{number} = 1" for number in range(1000)))
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.__dict__["count"] == 1000
    assert len(str(record.__dict__["problems"])) < 10_000
    assert "configuration not taken: 1000 problems (x0" in scene.statuses[-1]


NO_SCHEMA = """
[[tools.command]]
name = "a"
description = "b"
argv = ["/bin/true"]
parameters.properties.x.type = "nonsense"
"""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[", "is not TOML"),
        ('[provider]\nkind = "openai"\n', "needs a key"),
        (NO_SCHEMA, "is no JSON Schema"),
        ('[session]\nvoice = "AQVNabcdefghijklmnop1234"\n', "holds a secret"),
    ],
)
def test_what_check_would_refuse_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, problem: str
) -> None:
    monkeypatch.delenv("VOICE_AGENT_API_KEY", raising=False)
    scene = reloads(tmp_path, "", text)
    assert problem in scene.statuses[-1]
    assert "AQVN" not in scene.statuses[-1]
    assert scene.agent.config == Config()


def test_a_file_that_has_gone_is_not_taken_and_a_good_one_mends_the_status(tmp_path: Path) -> None:
    async def run() -> Scene:
        scene = Scene(tmp_path / "config.toml", "")
        scene.file.unlink()
        await scene.reload()
        assert "configuration not taken: 1 problem (" in scene.statuses[-1]
        await scene.reload('[log]\nlevel = "debug"\n')
        return scene

    scene = asyncio.run(run())
    assert "not taken" not in scene.statuses[-1]
    assert scene.agent.config.log.level == "debug"
    assert scene.logs == [scene.agent.config.log]


def test_what_takes_a_restart_is_due_in_the_status_until_the_file_asks_for_it_no_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scene = reloads(tmp_path, "", '[metrics]\nport = 9000\n[gate]\nmode = "voice"\n', "")
    assert "; takes a restart: gate.mode, metrics.port" in scene.statuses[-2]
    assert "takes a restart" not in scene.statuses[-1]
    assert scene.agent.config == Config()
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == ["takes a restart: gate.mode, metrics.port"]


# ------------------------------------------------------------------------------------- the status


def test_the_service_manager_is_told_at_once_of_every_change_of_state() -> None:
    told: list[str] = []

    async def run() -> None:
        agent = Agent(config(), lambda: None, on_status=told.append)

        def says(words: str) -> None:
            assert words in told[-1], told
            told.append("")  # nobody has to tell it twice

        agent.controls.mute(muted=True)
        says("microphone muted")
        agent.controls.mute(muted=False)
        assert "muted" not in told[-1]
        agent.ports.devices._output._tell(DeviceState(Condition.ABSENT, "x", "unplugged"))
        says("no loudspeaker (unplugged)")
        agent._news(Parked())
        says("parked: waiting for speech")
        refused = Lost(Unauthorized("wrong key", cause=Cause.KEY), Retry(60.0, Temper.REFUSED, 1))
        agent._news(refused)
        says("no session: wrong key")
        agent._news(Exhausted())
        says("the day's allowance is used up")
        agent._news(Live(0.0, renewed=False))
        says("in session with")
        agent.note("takes a restart: metrics.port")
        says("takes a restart: metrics.port")

    asyncio.run(run())


def test_the_old_session_outlives_a_successor_that_is_refused_and_that_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[str] = []

    async def run() -> None:
        agent = Agent(config(), lambda: None, on_status=told.append)
        agent._news(Live(0.0, renewed=False))
        for _ in range(3):
            agent._news(Unprepared(Unauthorized("no such voice", cause=Cause.SETTINGS)))

    asyncio.run(run())
    assert "in session" in told[-1]
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert [record.__dict__["reason"] for record in warnings] == ["no such voice"]
