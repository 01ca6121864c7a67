"""How the daemon is: what it says about itself, why it would not be ready, and how that is shown."""

import asyncio
import json
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, get_args, get_origin, get_type_hints

import msgspec
import pytest

from voice_agent.agent import Agent
from voice_agent.audio.devices import Condition, DevicesState, DeviceState
from voice_agent.backoff import Backoff
from voice_agent.config import Config
from voice_agent.config.schema import Provider
from voice_agent.controls.status import as_text, lines
from voice_agent.dialogue import AnswerFailed, FirstSound, ServerFault, Silenced, Stuck, ToolAnswered
from voice_agent.errors import Cause, ConnectionLost, Unauthorized
from voice_agent.reconnect import Retry, Temper
from voice_agent.reporting import Reporter
from voice_agent.sessions import Live, Lost, Parked
from voice_agent.supervision import OVERDUE_LOOKS, Vital
from voice_agent.telemetry.recent import MAX_FAULTS, Recent
from voice_agent.telemetry.report import End, Health, Problem, Readiness, Report, hangs, problems
from voice_agent.telemetry.snapshot import STATES, State

DOCUMENT = Path(__file__).parents[2] / "docs" / "status.md"


def end(condition: str = "open", reason: str = "", age_s: float | None = 0.01) -> End:
    return End("USB Audio", condition, reason, 48_000, 1, True, age_s, 0, 0)


def found(
    state: State = "live",
    microphone: End | None = None,
    loudspeaker: End | None = None,
    *,
    muted: bool = False,
    **hanging: str,
) -> list[str]:
    """The parts that have a problem."""
    ends = {"microphone": microphone or end(), "loudspeaker": loudspeaker or end()}
    return [each.part for each in problems(state, "in words", ends, hanging, muted=muted)]


# ---------------------------------------------------------------------------------------- readiness


@pytest.mark.parametrize("state", STATES)
def test_only_a_session_or_the_wait_for_a_voice_is_a_conversation(state: State) -> None:
    assert found(state) == ([] if state in ("live", "parked") else ["session"])


@pytest.mark.parametrize("condition", ["closed", "absent", "failed", "muted"])
def test_a_device_that_is_not_open_is_a_problem_unless_it_is_muted_on_purpose(condition: str) -> None:
    shut = end(condition, "unplugged", None)
    assert found(microphone=shut) == ["microphone"]
    assert found(microphone=shut, muted=True) == []
    assert found(loudspeaker=shut) == ["loudspeaker"]
    assert found(loudspeaker=shut, muted=True) == ["loudspeaker"]


def test_a_device_that_is_open_and_still_is_a_problem() -> None:
    assert found(microphone=end(age_s=3.1)) == ["microphone"]
    assert found(microphone=end(age_s=2.9)) == found(microphone=end(age_s=None)) == []


def test_only_what_hangs_could_be_cured_by_a_restart() -> None:
    shut = {"microphone": end("absent", "unplugged"), "loudspeaker": end()}
    told = problems("refused", "no key", shut, {"ear": "no sign of life"}, muted=False)
    assert [(each.part, each.restart_helps) for each in told] == [
        ("ear", True),
        ("session", False),
        ("microphone", False),
    ]
    assert told[2].reason == "absent (unplugged)"
    assert all(each.advice for each in told)
    assert hangs({}) == ()


# ------------------------------------------------------------------------------------ what went wrong


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_faults_are_counted_and_the_newest_comes_first() -> None:
    clock = Clock()
    recent = Recent(clock)
    recent.lost("dns", 4.0)
    recent(AnswerFailed(1, "failed", "some words"))
    recent(Stuck(1, "no_audio", "abandoned"))
    recent(ServerFault("complaint", "code", "words of the server"))
    recent(ToolAnswered(1, "get_time", "timeout", 10.0))
    clock.now += 2
    recent.lost("dns", 4.0)
    assert [(each.kind, each.count, each.last_ago_s) for each in recent.faults] == [
        ("session dns", 2, 0.0),
        ("tool get_time timeout", 1, 2.0),
        ("server complaint", 1, 2.0),
        ("stuck no_audio, abandoned", 1, 2.0),
        ("answer failed", 1, 2.0),
    ]


def test_what_is_no_fault_of_ours_and_names_that_a_model_invents_are_not_kept() -> None:
    recent = Recent()
    recent(ServerFault("benign", "duplicate", ""))
    recent(ToolAnswered(1, "hunter2", "unknown", 0.0))
    recent(ToolAnswered(1, "get_time", "ok", 0.0))
    recent(ToolAnswered(1, "get_time", "cancelled", 0.0))
    assert recent.faults == ()


def test_the_list_is_bounded_whatever_a_server_invents() -> None:
    recent = Recent()
    for number in range(3 * MAX_FAULTS):
        recent(AnswerFailed(1, f"{number}" * 100, ""))
    assert len(recent.faults) == MAX_FAULTS
    assert recent.faults[0].kind.startswith(f"answer {3 * MAX_FAULTS - 1}")
    assert max(len(each.kind) for each in recent.faults) <= 60


def test_the_pause_until_the_next_attempt_runs_down_and_ends_with_a_session() -> None:
    clock = Clock()
    recent = Recent(clock)
    assert (recent.retry_s, recent.lost_ago_s) == (None, None)
    recent.lost("dns", 4.0)
    clock.now += 1
    assert (recent.retry_s, recent.lost_ago_s) == (3.0, 1.0)
    clock.now += 9
    assert recent.retry_s == 0.0, "it is under way"
    recent.settled()
    assert (recent.retry_s, recent.lost_ago_s) == (None, 10.0)


def test_a_device_that_stays_away_is_one_fault() -> None:
    recent = Recent()
    for condition in ("open", "failed", "failed", "absent", "open", "muted", "absent"):
        recent.device("microphone", condition)
    assert [(each.kind, each.count) for each in recent.faults] == [
        ("microphone absent", 2),
        ("microphone failed", 1),
    ]


def test_the_last_ten_answers_are_kept_newest_first() -> None:
    now = [100.0]
    recent = Recent(lambda: now[0])
    for number in range(12):
        recent(FirstSound(number, number / 10, number / 10))
        now[0] += 1
    assert [turn.model_s for turn in recent.turns] == [1.1, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2]
    assert [turn.ago_s for turn in recent.turns] == [*range(1, 11)]


def test_an_answer_that_was_spoken_over_says_so_and_the_one_before_does_not() -> None:
    recent = Recent()
    for fact in (FirstSound(1, 0.8, 0.7), FirstSound(2, 0.8, 0.7), Silenced(3, items=1, heard_ms=100)):
        recent(fact)
    assert [turn.interrupted for turn in recent.turns] == [True, False]
    recent(Silenced(5, items=1, heard_ms=0))
    assert [turn.interrupted for turn in recent.turns] == [True, False], "nothing of turn 4 had sounded"


# ----------------------------------------------------------------------------------------- the report

NOWHERE = Config(provider=Provider(kind="custom", url="ws://127.0.0.1:9/v1?token=hunter2"))


def play(scene: Callable[[Agent, Reporter], None]) -> None:
    async def run() -> None:
        agent = Agent(NOWHERE, lambda: None)
        scene(agent, Reporter(agent))

    asyncio.run(run())


def test_a_daemon_that_has_just_begun_says_why_it_is_not_ready() -> None:
    def scene(_: Agent, reporter: Reporter) -> None:
        status, body = reporter.readiness()[:2]
        told = msgspec.json.decode(body, type=Readiness)
        assert (status, told.ready) == (HTTPStatus.SERVICE_UNAVAILABLE, False)
        assert not reporter.figures().is_ready, "the metrics say the same"
        assert [each.part for each in told.problems] == ["session", "microphone", "loudspeaker"]
        status, body = reporter.health()[:2]
        assert (status, msgspec.json.decode(body, type=Health)) == (HTTPStatus.OK, Health(True, ()))
        status, body = reporter.everything()[:2]
        assert status == HTTPStatus.OK
        assert not msgspec.json.decode(body, type=Report).ready

    play(scene)


def test_what_hangs_is_unhealthy_and_what_only_waits_is_not() -> None:
    def scene(agent: Agent, reporter: Reporter) -> None:
        cures: list[str] = []
        with agent.supervisor.watching(Vital("ear", lambda: 9.0, 1.0, cures.append)):
            for _ in range(OVERDUE_LOOKS):
                agent.supervisor.look()
            status, body = reporter.health()[:2]
            (problem,) = msgspec.json.decode(body, type=Health).problems
            assert (status, problem.part, problem.restart_helps) == (503, "ear", True)
            assert not reporter.whole().healthy
            assert next(each for each in reporter.whole().components if each.name == "ear").up is False
        assert reporter.health()[0] == HTTPStatus.OK

    play(scene)


def test_what_is_restarted_already_makes_nothing_unhealthy() -> None:
    async def fails() -> None:
        raise OSError("the port is taken")

    async def run() -> None:
        agent = Agent(NOWHERE, lambda: None)
        backoff = Backoff(60.0, 60.0)
        serving = asyncio.create_task(agent.supervisor.restarting("telemetry", fails, backoff))
        reporter = Reporter(agent)
        async with asyncio.timeout(5):
            while all(each.up for each in reporter.whole().components):
                await asyncio.sleep(0)
        assert [each.name for each in reporter.whole().components if not each.up] == ["telemetry"]
        assert reporter.health()[0] == HTTPStatus.OK
        serving.cancel()
        await asyncio.wait([serving])

    asyncio.run(run())


def test_what_the_agent_sees_is_in_the_report() -> None:
    def scene(agent: Agent, reporter: Reporter) -> None:
        agent.observe(FirstSound(1, 0.8, 0.5, hold_s=0.125, device_s=0.1))
        shut = DeviceState(Condition.FAILED, "USB Audio", "it has gone")
        well = DeviceState(Condition.OPEN, "HDMI")
        assert agent.ports.devices.on_change is not None
        agent.ports.devices.on_change(DevicesState(well, shut, 1, 0))
        (turn,) = reporter.whole().conversation.turns
        assert (turn.model_s, turn.client_s, turn.device_s) == (0.5, 0.2, 0.1), "they add up"
        assert [each.kind for each in reporter.whole().faults] == ["microphone failed"]

    play(scene)


def test_the_report_follows_the_session_and_says_when_the_next_attempt_is_due() -> None:
    def scene(agent: Agent, reporter: Reporter) -> None:
        agent.sessions._tell(Lost(ConnectionLost("gone", cause=Cause.DNS), Retry(30.0, Temper.OFFLINE, 1)))
        link = reporter.whole().session
        assert (reporter.whole().state, link.last_disconnect, link.provider) == ("waiting", "dns", "custom")
        assert link.retry_s is not None
        assert 29 < link.retry_s <= 30
        refusal = Unauthorized("HTTP 401", cause=Cause.UNAUTHORIZED)
        agent.sessions._tell(Lost(refusal, Retry(90.0, Temper.REFUSED, 1)))
        assert reporter.whole().problems[0].advice.startswith("Check key")
        agent.sessions._tell(Live(1.0, renewed=False))
        assert (reporter.whole().state, reporter.whole().session.retry_s) == ("live", None)
        agent.sessions._tell(Parked())
        assert [each.part for each in reporter.whole().problems] == ["microphone", "loudspeaker"]

    play(scene)


def test_a_muted_microphone_is_no_problem_and_said_first() -> None:
    def scene(agent: Agent, reporter: Reporter) -> None:
        agent.controls.mute(muted=True)
        assert [each.part for each in reporter.whole().problems] == ["session", "loudspeaker"]

    play(scene)


def test_the_report_holds_no_query_of_the_provider_s_address() -> None:
    def scene(_: Agent, reporter: Reporter) -> None:
        assert b"hunter2" not in reporter.everything()[1]

    play(scene)


# ---------------------------------------------------------------------------------------- for people


def report() -> Report:
    """Of a daemon that is well."""
    made: list[Report] = []
    play(lambda _, reporter: made.append(reporter.whole()))
    well = msgspec.structs.replace(made[0], ready=True, problems=(), state="live")
    return msgspec.structs.replace(well, microphone=end(), loudspeaker=end(), uptime_s=90_061.0)


def test_what_is_wrong_comes_first_and_what_to_do_about_it() -> None:
    wrong = (Problem("microphone", "absent (unplugged)", "Plug it in"),)
    head, problem, advice, *rest = lines(msgspec.structs.replace(report(), ready=False, problems=wrong))
    assert head.endswith("NOT READY")
    assert (problem, advice) == ("  microphone: absent (unplugged)", "      -> Plug it in")
    assert rest[0] == ""


def test_a_name_does_not_command_the_terminal() -> None:
    device = msgspec.structs.replace(end(), device="\x1b[2JUSB\n")
    shown = as_text(msgspec.structs.replace(report(), microphone=device))
    assert "open: ?[2JUSB?" in shown


def test_a_daemon_that_is_well_fits_on_a_screen() -> None:
    shown = list(lines(report()))
    assert shown[0].endswith(": ready")
    assert len(shown) < 24
    assert "state         live, up 1 d 1 h" in shown
    assert "microphone    open: USB Audio, 48000 Hz (converted)" in shown


@pytest.mark.parametrize(("field", "value", "cure"), [("muted", True, "unmute"), ("volume", 0, "volume 60")])
def test_a_daemon_that_is_ready_and_of_no_use_says_so(field: str, value: object, cure: str) -> None:
    now = report()
    set_so = msgspec.structs.replace(now.controls, **{field: value})
    shown = next(lines(msgspec.structs.replace(now, controls=set_so)))
    assert shown.endswith(f"voice-agent {cure}")


# ------------------------------------------------------------------------------------------ document


def fields(shape: type[msgspec.Struct], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Name, type and meaning of every field, in order."""
    for name, hint in get_type_hints(shape, include_extras=True).items():
        kind, meta = get_args(hint)
        assert get_origin(hint) is Annotated
        yield prefix + name, words(kind), meta.description
        inner = get_args(kind)[0] if get_origin(kind) is tuple else kind
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            yield from fields(inner, f"{prefix}{name}{'[]' if inner is not kind else ''}.")


def words(kind: object) -> str:
    """A type as JSON has it."""
    if get_origin(kind) is tuple:
        return "array"
    known: dict[object, str] = {
        str: "string",
        bool: "true or false",
        int: "number",
        float: "number",
        type(None): "null",
    }
    known |= {State: "string", dict[str, int]: "object"}
    if kind in known:
        return known[kind]
    return " or ".join(words(each) for each in get_args(kind)) or "object"


def test_the_document_lists_exactly_the_fields_of_the_report() -> None:
    rows = [
        line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `") and "`/" not in line[:5]
    ]
    assert rows == [f"| `{name}` | {kind} | {meaning} |" for name, kind, meaning in fields(Report)]


def test_the_report_is_plain_json() -> None:
    told: list[bytes] = []
    play(lambda _, reporter: told.append(reporter.everything()[1]))
    whole = json.loads(told[0])
    assert list(whole) == list(Report.__struct_fields__)
    assert whole["timers"] == {"timer": 0, "alarm": 0}
