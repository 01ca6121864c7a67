"""The doctor's checks against real servers, files and certificates; what it says, and how it ends."""

import asyncio
import json
import os
import re
import socket
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.fakes.certificates import certificate, needs_openssl
from tests.fakes.raw_server import answering, raw_server, read_frame, upgrade
from voice_agent import cli
from voice_agent.audio.portaudio import Direction, Shape
from voice_agent.controls.panel import Status
from voice_agent.credentials import VARIABLE
from voice_agent.doctor import (
    clock,
    command,
    devices,
    instance,
    machine,
    network,
    provider,
    remedies,
    settings,
)
from voice_agent.doctor.case import Case, Check
from voice_agent.doctor.certificate import Certificate, Greeting
from voice_agent.doctor.course import examined
from voice_agent.doctor.findings import Finding, Level, NotChecked, exit_code, fail, ok, warn
from voice_agent.doctor.holders import Holder, holders
from voice_agent.doctor.provider import judged_round_trip
from voice_agent.doctor.report import Examination, as_json, line
from voice_agent.embedded import Fault, Script, ServerOptions, running
from voice_agent.errors import Cause, ConnectFailed

KEY = "AQVN-the-key-that-nobody-may-see"
SHOWN = datetime(2026, 11, 22, 12, tzinfo=UTC)
DOCS = Path(__file__).parents[2] / "docs"


def case_of(folder: Path, text: str, *, trust: ssl.SSLContext | None = None) -> Case:
    file = folder / "config.toml"
    file.write_text(text)
    return Case(file, trust=trust)


def custom(url: str) -> str:
    return f'[provider]\nkind = "custom"\nurl = "{url}"\n'


Examine = Callable[[Case], Awaitable[Sequence[Finding]]]


async def found(case: Case, *checks: Examine) -> list[Finding]:
    return [finding for check in checks for finding in await check(case)]


NETWORK = (settings.config, settings.credentials, network.dns, network.tls, provider.handshake)


# -------------------------------------------------------------------------------- config and key


def one(case: Case, *checks: Examine) -> Finding:
    """What the last of the checks found."""
    return asyncio.run(found(case, *checks))[-1]


def test_a_sound_configuration_is_named(tmp_path: Path) -> None:
    finding = one(case_of(tmp_path, ""), settings.config)
    assert (finding.level, str(tmp_path / "config.toml") in finding.seen) == (Level.OK, True)


def test_a_configuration_that_is_not_there_leaves_the_devices_to_be_tried(tmp_path: Path) -> None:
    case = Case(tmp_path / "nowhere.toml")
    finding = one(case, settings.config)
    assert (finding.level, "voice-agent config >" in finding.remedy) == (Level.FAIL, True)
    assert {"dns", "tls", "handshake", "credentials"} <= case.blocked.keys()
    assert case.settings.audio.input.device == "default"


def test_problems_are_told_and_what_is_sound_is_still_used(tmp_path: Path) -> None:
    case = case_of(tmp_path, '[audio.input]\ndevice = "USB"\nbuffer_s = 1000\n[nonsense]\n')
    finding = one(case, settings.config)
    assert (finding.level, finding.figures["problems"]) == (Level.FAIL, 2)
    assert case.settings.audio.input.device == "USB"
    assert not case.blocked


def test_nobody_is_asked_where_the_configuration_does_not_say_who(tmp_path: Path) -> None:
    case = case_of(tmp_path, '[provider]\nkind = "yandex"\n')
    assert one(case, settings.config).level is Level.FAIL
    assert {"dns", "tls", "handshake"} <= case.blocked.keys()


def test_a_key_is_found_and_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    case = case_of(tmp_path, '[provider]\nkind = "openai"\n')
    finding = one(case, settings.config, settings.credentials)
    assert (finding.level, VARIABLE in finding.seen) == (Level.OK, True)
    assert KEY not in str(finding) + repr(case)


def test_a_key_that_everybody_can_read_is_a_warning(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(KEY)
    key.chmod(0o644)
    case = case_of(tmp_path, f'[provider]\nkind = "openai"\nkey_file = "{key}"\n')
    finding = one(case, settings.config, settings.credentials)
    assert (finding.level, "chmod o-r" in finding.remedy) == (Level.WARN, True)


@pytest.mark.parametrize("key_file", ["", 'key_file = "/nonexistent/key"\n'])
def test_without_a_key_there_is_no_handshake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key_file: str
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    case = case_of(tmp_path, f'[provider]\nkind = "openai"\n{key_file}')
    finding = one(case, settings.config, settings.credentials)
    assert (finding.level, VARIABLE in finding.remedy) == (Level.FAIL, True)
    assert "handshake" in case.blocked


# -------------------------------------------------------------------------------- clock


@pytest.mark.parametrize(
    ("shown", "synchronised", "level"),
    [
        (SHOWN, True, Level.OK),
        (SHOWN, None, Level.OK),
        (SHOWN, False, Level.WARN),
        (datetime(1970, 1, 1, tzinfo=UTC), True, Level.FAIL),
        (datetime(2026, 10, 31, tzinfo=UTC), False, Level.FAIL),
        (datetime(2124, 1, 1, tzinfo=UTC), True, Level.FAIL),
    ],
)
def test_a_clock_before_this_program_was_written_is_wrong(
    shown: datetime, synchronised: bool | None, level: Level
) -> None:
    finding = clock.judged_clock(shown, synchronised)
    assert (finding.level, bool(finding.remedy)) == (level, level is not Level.OK)


def test_this_machines_clock_can_be_judged() -> None:
    assert clock.is_synchronised() in {True, False, None}
    assert clock.now().year >= 2026


# -------------------------------------------------------------------------------- name, connection


def test_a_name_without_an_address_is_a_matter_of_dns(tmp_path: Path) -> None:
    case = case_of(tmp_path, custom("wss://no-such-host.invalid/v1"))
    finding = one(case, settings.config, network.dns)
    assert (finding.level, finding.remedy) == (Level.FAIL, remedies.NETWORK)
    assert {"tls", "handshake"} <= case.blocked.keys()


def test_a_port_where_nobody_listens_is_named_with_its_remedy(tmp_path: Path) -> None:
    case = case_of(tmp_path, custom("ws://127.0.0.1:9/v1"))
    finding = one(case, settings.config, network.dns, network.tls)
    assert (finding.level, finding.figures["cause"]) == (Level.FAIL, "connection_refused")
    assert "Connection refused" in finding.seen
    assert not case.reached


def test_the_local_server_is_to_be_started() -> None:
    error = ConnectFailed(cause=Cause.REFUSED)
    assert "voice-agent serve" in remedies.remedy_for(error, "local")


def secured(folder: Path, name: str, *dates: str, trusted: bool = True) -> Finding:
    """What the check finds at a TLS server with such a certificate."""
    shown, trust = certificate(folder, name, *dates)

    async def answer(reader: StreamReader, writer: StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\nDate: {clock.now():%a, %d %b %Y %H:%M:%S} GMT\r\n\r\n".encode())
        await writer.drain()

    async def run() -> Finding:
        async with raw_server(answer, tls=shown) as url:
            case = case_of(folder, custom(url), trust=trust if trusted else None)
            return (await found(case, settings.config, network.dns, network.tls))[-1]

    return asyncio.run(run())


@needs_openssl
def test_a_certificate_that_will_do_for_long_is_fine(tmp_path: Path) -> None:
    finding = secured(tmp_path, "IP:127.0.0.1", "-days", "90")
    assert (finding.level, finding.figures["days_left"]) == (Level.OK, 89)
    assert abs(float(finding.figures["clock_ahead_s"] or 0)) < 60


@needs_openssl
def test_a_certificate_that_ends_soon_is_a_warning(tmp_path: Path) -> None:
    assert secured(tmp_path, "IP:127.0.0.1", "-days", "5").level is Level.WARN


@needs_openssl
@pytest.mark.parametrize(
    ("name", "dates", "trusted", "seen", "remedy"),
    [
        ("IP:127.0.0.1", ("-days", "90"), False, "signed by 'test'", "intercepting proxy"),
        ("DNS:elsewhere.example", ("-days", "90"), True, "certificate of 'test'", "captive portal"),
        (
            "IP:127.0.0.1",
            ("-startdate", "20900101000000Z", "-enddate", "20910101000000Z"),
            True,
            "begins 2090-01-01",
            "timedatectl",
        ),
        (
            "IP:127.0.0.1",
            ("-startdate", "20000101000000Z", "-enddate", "20010101000000Z"),
            True,
            "expired 2001-01-01",
            "set the clock",
        ),
    ],
)
def test_a_certificate_that_is_not_believed_is_told_by_what_stands_in_it(
    tmp_path: Path, name: str, dates: tuple[str, ...], trusted: bool, seen: str, remedy: str
) -> None:
    finding = secured(tmp_path, name, *dates, trusted=trusted)
    assert finding.level is Level.FAIL
    assert seen in finding.seen
    assert remedy in finding.remedy


def test_a_server_without_tls_is_said_so(tmp_path: Path) -> None:
    async def speak_http(_reader: StreamReader, writer: StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async def run() -> Finding:
        async with raw_server(speak_http) as url:
            case = case_of(tmp_path, custom(url.replace("ws:", "wss:")))
            return (await found(case, settings.config, network.dns, network.tls))[-1]

    finding = asyncio.run(run())
    assert (finding.level, "does not speak TLS" in finding.seen) == (Level.FAIL, True)


@pytest.mark.parametrize(
    ("ahead", "level"),
    [
        (timedelta(seconds=20), Level.OK),
        (timedelta(minutes=10), Level.WARN),
        (timedelta(days=-3), Level.FAIL),
    ],
)
def test_the_servers_clock_is_a_witness_against_ours(ahead: timedelta, level: Level) -> None:
    shown = Certificate("s", "i", SHOWN - timedelta(days=10), SHOWN + timedelta(days=50))
    theirs = f"{SHOWN - ahead:%a, %d %b %Y %H:%M:%S} GMT"
    [finding] = network.judged_greeting(Greeting(shown, theirs), SHOWN, 0.1)
    assert (finding.level, finding.figures["clock_ahead_s"]) == (level, ahead.total_seconds())


# -------------------------------------------------------------------------------- a session


def asked(folder: Path, script: Script, *, key: str | None = None) -> list[Finding]:
    """Handshake and round trip at the embedded server."""

    async def run() -> list[Finding]:
        async with running(ServerOptions(script=script, api_key=key)) as server:
            findings = await found(case_of(folder, custom(server.url)), *NETWORK)
            return findings[NETWORK.index(provider.handshake) :]

    return asyncio.run(run())


def test_a_session_is_opened_confirmed_and_timed(tmp_path: Path) -> None:
    handshake, round_trip = asked(tmp_path, Script())
    assert (handshake.level, handshake.figures["input_rate"]) == (Level.OK, 24_000)
    assert (round_trip.level, round_trip.figures["by_ping"]) == (Level.OK, True)


def test_a_server_that_answers_no_pings_is_timed_by_a_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider, "PONG_S", 0.1)
    _, round_trip = asked(tmp_path, Script(pongs=False))
    assert (round_trip.level, round_trip.figures["by_ping"]) == (Level.OK, False)


@pytest.mark.parametrize(
    ("status", "cause"), [(401, "http_401"), (403, "http_403"), (404, "http_404"), (429, "http_429")]
)
def test_a_refused_upgrade_is_named_with_the_remedy_of_the_table(
    tmp_path: Path, status: int, cause: str
) -> None:
    [finding] = asked(tmp_path, Script(refuse=(status,)))
    assert (finding.level, finding.figures["cause"]) == (Level.FAIL, cause)
    assert finding.remedy == remedies.REMEDIES[Cause(cause)]


def test_a_wrong_key_is_refused_and_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    [finding] = asked(tmp_path, Script(), key="another")
    assert (finding.level, finding.remedy) == (Level.FAIL, remedies.KEY)
    assert KEY not in str(finding)


def test_an_error_event_that_ends_a_session_is_named(tmp_path: Path) -> None:
    broke = Fault(after="session.created", do="error", error="insufficient_quota", code=1008)
    [finding] = asked(tmp_path, Script(faults=(broke,)))
    assert (finding.level, finding.figures["cause"], finding.remedy) == (Level.FAIL, "quota", remedies.PAY)


def test_a_server_that_never_confirms_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "CONFIRM_S", 0.2)
    [finding] = asked(tmp_path, Script(faults=(Fault(after="session.updated", do="swallow", times=None),)))
    assert (finding.level, finding.figures["cause"]) == (Level.FAIL, "handshake")


def test_a_portal_is_named_by_where_it_points_to(tmp_path: Path) -> None:
    portal = answering("HTTP/1.1 302 Found\nLocation: http://login.hotel.example/?user=1")

    async def run() -> list[Finding]:
        async with raw_server(portal) as url:
            return await found(case_of(tmp_path, custom(url)), *NETWORK)

    finding = asyncio.run(run())[-1]
    assert (finding.figures["cause"], "login.hotel.example" in finding.seen) == ("captive_portal", True)


@pytest.mark.parametrize(("took_ms", "level"), [(12.0, Level.OK), (900.0, Level.WARN), (None, Level.WARN)])
def test_a_far_server_is_a_warning(took_ms: float | None, level: Level) -> None:
    assert judged_round_trip(took_ms, by_ping=True).level is level


def test_no_sound_is_sent_and_no_answer_asked_for(tmp_path: Path) -> None:
    sent: list[bytes] = []

    async def listen(reader: StreamReader, writer: StreamWriter) -> None:
        await upgrade(reader, writer)
        writer.write(b"\x81\x1a" + b'{"type":"session.created"}')
        while (received := await read_frame(reader))[0] != 8:
            sent.append(received[1])
            writer.write(b"\x81\x1a" + b'{"type":"session.updated"}')

    async def run() -> None:
        async with raw_server(listen) as url:
            await found(case_of(tmp_path, custom(url)), *NETWORK)

    asyncio.run(run())
    types = {json.loads(frame)["type"] for frame in sent if frame.startswith(b"{")}
    assert types == {"session.update"}


# -------------------------------------------------------------------------------- the machine


def test_a_state_directory_is_written_to_and_left_as_it_was(tmp_path: Path) -> None:
    assert machine.judged_directory(tmp_path).level is Level.OK
    assert list(tmp_path.iterdir()) == []


def test_a_state_directory_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    assert machine.judged_directory(tmp_path / "a" / "b").level is Level.OK
    assert not (tmp_path / "a").exists()


def test_a_state_directory_that_cannot_be_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert machine.judged_directory(tmp_path / "file").level is Level.FAIL


@pytest.mark.parametrize(("mib", "level"), [(500, Level.OK), (60, Level.WARN), (10, Level.FAIL)])
def test_memory_is_judged_by_what_the_daemon_needs(mib: int, level: Level, tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text(f"MemTotal: 1 kB\nMemAvailable:   {mib * 1024} kB\n")
    [finding] = asyncio.run(machine.memory(Case(tmp_path, proc=tmp_path)))
    assert finding.level is level


def test_missing_extras_are_told_with_what_they_cost() -> None:
    finding = machine.judged_extras({"aec": False, "vad": True})
    assert (finding.level, "voice-agent[aec]" in finding.remedy) == (Level.WARN, True)
    assert machine.judged_extras({"aec": True, "vad": True}).level is Level.OK


def metrics_at(folder: Path, port: int) -> Case:
    return case_of(folder, f'[metrics]\nport = {port}\n[control]\nsocket = ""\n')


def test_a_free_port_means_no_other_daemon(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert one(metrics_at(tmp_path, port), settings.config, instance.instance).level is Level.OK


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (b"voice_agent_build_info 1\n", "a daemon is running"),
        (b"other 1\n", "another program"),
        (b"", "another"),
    ],
)
def test_a_running_daemon_is_known_by_its_figures(tmp_path: Path, page: bytes, words: str) -> None:
    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + page)

    async def run() -> Finding:
        async with raw_server(serve) as url:
            case = metrics_at(tmp_path, int(url.split(":")[2].partition("/")[0]))
            return (await found(case, settings.config, instance.instance))[-1]

    finding = asyncio.run(run())
    assert (finding.level, words in finding.seen) == (Level.WARN, True)


@pytest.mark.parametrize(("muted", "remedy"), [(True, "voice-agent unmute"), (False, "systemctl stop")])
def test_a_muted_daemon_explains_the_silence(muted: bool, remedy: str) -> None:
    status = Status(muted=muted, volume=40, mode="always", talking=False, connection="connected to yandex")
    finding = instance.judged_daemon(instance.Daemon("/run/x", status))
    assert (finding.level, remedy in finding.remedy) == (Level.WARN, True)
    assert ("muted" in finding.seen, "connected to yandex, volume 40" in finding.seen) == (muted, True)


def test_with_neither_socket_nor_port_no_daemon_can_be_known(tmp_path: Path) -> None:
    case = case_of(tmp_path, '[metrics]\nenabled = false\n[control]\nsocket = ""\n')
    with pytest.raises(NotChecked, match="neither"):
        one(case, settings.config, instance.instance)


def test_nothing_is_played_while_the_daemon_would_hear_it(tmp_path: Path) -> None:
    from voice_agent.doctor import sound

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nvoice_agent_up 1\n")

    async def run() -> None:
        async with raw_server(serve) as url:
            case = metrics_at(tmp_path, int(url.split(":")[2].partition("/")[0]))
            await found(case, settings.config, sound.loudspeaker)

    with pytest.raises(NotChecked, match="running daemon"):
        asyncio.run(run())


# -------------------------------------------------------------------------------- who holds a card


def kernel(folder: Path, owner: str, command_line: str) -> Path:
    """A /proc with one card, whose microphone is open."""
    stream = folder / "asound" / "card1" / "pcm0c" / "sub0"
    stream.mkdir(parents=True)
    (stream / "status").write_text(f"state: RUNNING\nowner_pid   : {owner}\n")
    idle = folder / "asound" / "card0" / "pcm0c" / "sub0"
    idle.mkdir(parents=True)
    (idle / "status").write_text("closed\n")
    (folder / owner).mkdir()
    (folder / owner / "cmdline").write_text(command_line.replace(" ", "\0") + "\0")
    (folder / owner / "status").write_text("Name:\tx\nTgid:\t812\n")
    return folder


def test_the_holder_of_a_card_is_named(tmp_path: Path) -> None:
    proc = kernel(tmp_path, "815", "/usr/bin/arecord -D hw:1 x.wav")
    assert holders(Direction.INPUT, proc, "USB: Audio (hw:1,0)") == [Holder(812, "arecord -D hw:1 x.wav")]
    assert holders(Direction.INPUT, proc, "default") == [Holder(812, "arecord -D hw:1 x.wav")]
    assert holders(Direction.INPUT, proc, "Other (hw:0,0)") == []
    assert holders(Direction.OUTPUT, proc, "USB: Audio (hw:1,0)") == []


@pytest.mark.parametrize(
    "command_line",
    [
        "/opt/voice-agent/bin/python /opt/voice-agent/bin/voice-agent run --config x",
        "python3 -m voice_agent run",
    ],
)
def test_the_daemon_itself_is_not_called_a_stranger(tmp_path: Path, command_line: str) -> None:
    [holder] = holders(Direction.INPUT, kernel(tmp_path, "815", command_line))
    finding = devices.judged_unopened(Direction.INPUT, "input x does not open", [holder], daemon_runs=False)
    assert (finding.level, "the daemon itself (pid 812)" in finding.seen) == (Level.WARN, True)
    assert "systemctl stop" in finding.remedy


def test_a_stranger_who_holds_the_card_is_a_failure() -> None:
    held = [Holder(7, "arecord x.wav")]
    finding = devices.judged_unopened(Direction.INPUT, "busy", held, daemon_runs=True)
    assert (finding.level, "held by arecord x.wav (pid 7)" in finding.seen) == (Level.FAIL, True)


def test_a_device_that_does_not_open_beside_a_running_daemon_is_its() -> None:
    finding = devices.judged_unopened(Direction.INPUT, "busy", [], daemon_runs=True)
    assert (finding.level, "running daemon" in finding.seen) == (Level.WARN, True)


def test_a_device_that_cannot_do_the_sessions_rate_is_fine_and_said_so() -> None:
    finding = devices.judged_stream("input", "USB", 24_000, Shape(48_000, 2), 0.02)
    assert (finding.level, finding.figures["rate"], finding.figures["channels"]) == (Level.OK, 48_000, 2)
    assert "48000 Hz 2 channels, resampled to 24000" in finding.seen


def test_a_user_who_may_not_use_sound_is_told_the_group() -> None:
    finding = devices.judged_missing(Direction.INPUT, "no device", may_use=False)
    assert "usermod -aG audio" in finding.remedy


# -------------------------------------------------------------------------------- the advice


def test_the_advice_is_that_of_the_page_about_sessions() -> None:
    rows = re.findall(r"^\| (`.+?) \| .+ \| .+ \| (.+) \|$", (DOCS / "sessions.md").read_text(), re.MULTILINE)
    written = {
        cause: remedy.replace("*", "").replace("`", "")
        for causes, remedy in rows
        for cause in re.findall(r"`(\w+)`", causes)
        if cause in set(Cause)
    }
    assert written == {cause.value: remedy for cause, remedy in remedies.REMEDIES.items()}


def test_every_check_and_finding_stands_on_its_page() -> None:
    page = (DOCS / "doctor.md").read_text()
    assert [name for name in command.NAMES if f"`{name}`" not in page] == []


# -------------------------------------------------------------------------------- course and report


def course(*checks: Check, wanted: set[str] | None = None) -> tuple[Examination, list[Finding], list[str]]:
    shown: list[Finding] = []
    said: list[str] = []
    names = {check.name for check in checks} if wanted is None else wanted
    done = asyncio.run(examined(Case(Path()), checks, names, shown.append, said.append))
    return done, shown, said


async def _good(_case: Case) -> list[Finding]:
    return [ok("good", "well")]


async def _bad(case: Case) -> list[Finding]:
    case.blocked["later"] = "bad went wrong"
    return [fail("bad", "ill", "rest")]


async def _hanging(_case: Case) -> list[Finding]:
    await asyncio.Event().wait()
    return []


def test_what_makes_no_sense_after_a_failure_is_left_out_with_the_reason() -> None:
    done, shown, _ = course(Check("bad", _bad, ""), Check("later", _good, ""), Check("good", _good, ""))
    assert [finding.name for finding in shown] == ["bad", "good"]
    assert [tuple(each) for each in done.skipped] == [("later", "bad went wrong")]


def test_a_check_that_hangs_is_a_failure_and_the_next_one_is_made() -> None:
    _, shown, _ = course(Check("hanging", _hanging, "", limit_s=0.05), Check("good", _good, ""))
    assert [(finding.name, finding.level) for finding in shown] == [
        ("hanging", Level.FAIL),
        ("good", Level.OK),
    ]


def test_people_are_told_what_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voice_agent.doctor.course.TELL_AFTER_S", 0.01)
    _, _, said = course(Check("hanging", _hanging, "thinking", limit_s=0.1))
    assert said == ["...   hanging: thinking"]


def test_of_what_was_only_needed_nothing_but_failures_is_shown() -> None:
    _, shown, _ = course(Check("good", _good, ""), Check("bad", _bad, ""), wanted=set())
    assert [finding.name for finding in shown] == ["bad"]


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        ([ok("a", "")], os.EX_OK),
        ([ok("a", ""), warn("b", "", "x")], os.EX_OK),
        ([fail("tls", "", "x")], os.EX_UNAVAILABLE),
        ([fail("tls", "", "x"), fail("credentials", "", "x")], os.EX_CONFIG),
        ([fail("config", "", "x")], os.EX_CONFIG),
    ],
)
def test_the_exit_code_says_who_has_to_act(findings: list[Finding], code: int) -> None:
    assert exit_code(findings) == code


def test_a_finding_is_one_line_whatever_a_server_says() -> None:
    assert line(fail("tls", "two\nlines\x1b[31m", "one\r\nmore")).isprintable()
    assert line(fail("tls", "seen", "remedy")) == "fail  tls            seen  -> remedy"
    assert line(ok("tls", "seen")) == "ok    tls            seen"


def test_the_json_holds_everything() -> None:
    examination = Examination([warn("a", "seen", "remedy", db=1.5, known=None)], [], 1.25)
    assert json.loads(as_json(examination)) == {
        "ok": True,
        "exit_code": 0,
        "seconds": 1.25,
        "counts": {"ok": 0, "warn": 1, "fail": 0},
        "findings": [
            {
                "name": "a",
                "level": "warn",
                "seen": "seen",
                "remedy": "remedy",
                "figures": {"db": 1.5, "known": None},
            }
        ],
        "not_checked": [],
    }


def test_needs_stand_before_those_who_have_them() -> None:
    names = [check.name for check in command.CHECKS]
    assert all(names.index(need) < names.index(each.name) for each in command.CHECKS for need in each.needs)


# -------------------------------------------------------------------------------- the command


@pytest.mark.parametrize("argv", [["--only", "nonsense"], ["extra"], ["--config"]])
def test_wrong_usage_ends_with_64(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        cli.main(["doctor", *argv])
    assert leaving.value.code == os.EX_USAGE
    assert "usage: voice-agent doctor" in capsys.readouterr().err
