"""Who is not who he says he is is told nothing: by no client of ours, whatever the environment says."""

import asyncio
import os
import re
import ssl
import subprocess
import sys
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.fakes.certificates import certificate, needs_openssl
from tests.fakes.raw_server import raw_server
from voice_agent import cli, config, terms
from voice_agent.config import HttpTool
from voice_agent.credentials import Secret
from voice_agent.dialogue import Memory
from voice_agent.doctor import network, settings
from voice_agent.doctor.case import Case
from voice_agent.doctor.findings import Level
from voice_agent.embedded import Script, ServerOptions, running
from voice_agent.errors import Cause, ConfigError, SessionError, ToolError, Unauthorized
from voice_agent.judging import careless, judged
from voice_agent.terms import Terms
from voice_agent.tools.base import Toolbox
from voice_agent.tools.mcp.keeper import Keeper
from voice_agent.tools.mcp.settings import ServerSettings, Site
from voice_agent.tools.weather import WeatherService
from voice_agent.tools.web import web_tool
from voice_agent.trust import changed, cleared, outdated, trusting
from voice_agent.wire.resolver import SYSTEM

PACKAGE = Path(cli.__file__).parent
PAST = ("-startdate", "20000101000000Z", "-enddate", "20010101000000Z")
HERE = "IP:127.0.0.1"
SYSTEMS = "aiohttp.connector._SSL_CONTEXT_VERIFIED"
"""Who trusts the system's authorities."""

Client = Callable[[str, str], Awaitable[str]]
"""Asks the host and port, believing the authorities in a file; why it was not answered, empty if it was."""


# -------------------------------------------------------------------------------------- all clients


async def session(place: str, ca_file: str) -> str:
    """What the daemon does at every connection."""
    text = f'[provider]\nkind = "custom"\nurl = "wss://{place}/"\nca_file = "{ca_file}"\n'
    wanted, problems = config.parse(text)
    assert not problems
    try:
        async with Terms(wanted, lambda: None, Toolbox([]), Memory()).connect():
            return ""
    except SessionError as error:
        return f"{error.cause.value}: {error}"


async def examination(place: str, ca_file: str) -> str:
    file = Path(ca_file).with_name("config.toml")
    file.write_text(f'[provider]\nkind = "custom"\nurl = "wss://{place}/"\nca_file = "{ca_file}"\n')
    case = Case(file)
    findings = [*await settings.config(case), *await network.dns(case), *await network.tls(case)]
    assert findings[0].level is not Level.FAIL
    return "" if case.reached else findings[-1].seen


async def declared(place: str, ca_file: str) -> str:
    wanted = HttpTool(name="probe", description="Probes.", url=f"https://{place}/", ca_file=ca_file)
    try:
        await web_tool(wanted, SYSTEM).handler({})  # type: ignore[misc]
    except ToolError as error:
        return str(error)
    return ""


async def served(place: str, ca_file: str) -> str:
    site = Site(f"https://{place}/", ca_file=ca_file)
    keeper = Keeper(ServerSettings("probe", site, start_timeout_s=2.0), lambda _source, _tools: None)
    running = asyncio.create_task(keeper.run())
    try:
        await asyncio.wait_for(keeper.decided.wait(), 20)
        return keeper.state().reason
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def weather(place: str, _ca_file: str) -> str:
    """It has no setting for authorities: the test makes those of the file the system's."""
    try:
        await WeatherService(f"https://{place}/", f"https://{place}/", 2.0, SYSTEM).find("Rome", "en")
    except ToolError as error:
        return str(error)
    return ""


CLIENTS = {each.__name__: each for each in (session, examination, declared, served, weather)}


def asked(client: Client, shown: ssl.SSLContext, ca_file: Path) -> tuple[str, bytes]:
    """Why the client got no answer, and what it said to a server that shows this."""
    heard = bytearray()

    async def listen(reader: StreamReader, writer: StreamWriter) -> None:
        heard.extend(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async def scene() -> str:
        async with raw_server(listen, tls=shown) as url:
            return await client(url.partition("//")[2].partition("/")[0], str(ca_file))

    return asyncio.run(scene()), bytes(heard)


@needs_openssl
@pytest.mark.parametrize("name", CLIENTS)
def test_who_proves_that_he_is_the_right_one_is_asked(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, trust = certificate(tmp_path, HERE)
    if name == "weather":
        monkeypatch.setattr(SYSTEMS, trust)
    reason, heard = asked(CLIENTS[name], shown, tmp_path / "cert")
    assert heard.startswith((b"GET", b"POST", b"HEAD")), reason


@needs_openssl
@pytest.mark.parametrize(
    ("host", "dates", "known"),
    [(HERE, (), False), ("DNS:elsewhere.example", (), True), (HERE, PAST, True)],
    ids=["a stranger", "another host", "one whose time is over"],
)
@pytest.mark.parametrize("name", CLIENTS)
def test_nobody_else_is_told_anything(
    name: str, host: str, dates: tuple[str, ...], known: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    _, trust = certificate(other, HERE)
    shown, own = certificate(tmp_path, host, *dates)
    if name == "weather":
        monkeypatch.setattr(SYSTEMS, own if known else trust)
    reason, heard = asked(CLIENTS[name], shown, tmp_path / "cert" if known else other / "cert")
    assert not heard
    assert re.search("certificate|safe connection", reason), reason


# -------------------------------------------------------------------------------------------- the file


@needs_openssl
def test_a_file_of_authorities_stands_instead_of_the_systems(tmp_path: Path) -> None:
    certificate(tmp_path, HERE)
    context = trusting(str(tmp_path / "cert"))
    assert context is not None
    assert context.cert_store_stats()["x509"] == 1
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert trusting("") is None


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot read"), ("", "holds no certificates"), ("-----BEGIN X509 CRL-----\n", "holds no")],
)
def test_a_file_without_authorities_is_a_fault_and_never_means_the_systems(
    content: str | None, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=said):
        trusting(str(file))
    settings_file = tmp_path / "config.toml"
    settings_file.write_text(f'[provider]\nca_file = "{file}"\n')
    with pytest.raises(ConfigError, match=said):
        judged(settings_file)
    assert cli.main(["check", str(settings_file)]) == os.EX_CONFIG


def test_a_file_that_has_gone_is_a_matter_of_settings_at_the_next_connection() -> None:
    wanted, _ = config.parse('[provider]\nurl = "wss://127.0.0.1:1/"\nca_file = "/nowhere/ca.pem"\n')

    async def scene() -> None:
        async with Terms(wanted, lambda: None, Toolbox([]), Memory()).connect():
            raise AssertionError

    with pytest.raises(Unauthorized, match=r"ca\.pem") as refused:
        asyncio.run(scene())
    assert refused.value.cause is Cause.SETTINGS


def test_a_key_that_the_disk_does_not_give_away_holds_up_nothing_but_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(terms, "READING_S", 0.05)
    wanted, _ = config.parse('[provider]\nurl = "wss://127.0.0.1:1/"\n')
    over = threading.Event()

    def key() -> None:
        over.wait(5)

    async def scene() -> None:
        async with Terms(wanted, key, Toolbox([]), Memory()).connect():
            raise AssertionError

    try:
        with pytest.raises(Unauthorized, match=r"the key: cannot be read within 0\.05 s") as refused:
            asyncio.run(scene())
    finally:
        over.set()
    assert refused.value.cause is Cause.KEY


def test_a_key_is_not_sent_to_the_server_of_another_configuration() -> None:
    async def scene() -> None:
        async with running(ServerOptions(script=Script())) as server:
            told = [Secret("first"), Secret("second")]

            def key() -> Secret:
                wanted, _ = config.parse(f'[provider]\nkind = "custom"\nurl = "{server.url}"\n')
                if len(told) == 2:  # a reload takes another server while the key is read
                    mine.take(wanted, None)
                return told.pop(0)

            first, _ = config.parse('[provider]\nurl = "wss://127.0.0.1:1/"\n')
            mine = Terms(first, key, Toolbox([]), Memory())
            async with mine.connect():
                assert server.headers[-1]["Authorization"] == "Bearer second"

    asyncio.run(scene())


@needs_openssl
def test_an_authority_whose_time_is_over_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    certificate(tmp_path, HERE, *PAST)
    [doubt] = outdated(str(tmp_path / "cert"))
    assert "2000-01-01 to 2001-01-01" in doubt
    file = tmp_path / "config.toml"
    file.write_text(f'[provider]\nca_file = "{tmp_path}/cert"\n')
    assert cli.main(["check", str(file)]) == os.EX_OK
    assert doubt in capsys.readouterr().err


@pytest.mark.parametrize("table", ["[provider]", "[[tools.http]]", "[[tools.mcp]]"])
def test_a_relative_file_of_authorities_is_a_problem(table: str) -> None:
    more = 'name = "a"\ndescription = "b"\nurl = "https://example.org/"\n' if "tools" in table else ""
    more = more.replace('description = "b"\n', "") if "mcp" in table else more
    _, problems = config.parse(f'{table}\n{more}ca_file = "ca.pem"\n')
    assert [problem.what for problem in problems] == ["is not an absolute path"]


# ----------------------------------------------------------------------------- what is not silently done


def test_a_key_in_the_clear_is_told_even_if_it_is_allowed() -> None:
    wanted, problems = config.parse('[provider]\nkind = "custom"\nurl = "ws://10.0.0.7/"\ninsecure = true\n')
    assert not problems
    assert "10.0.0.7 in the clear" in next(iter(careless(wanted)))
    here, _ = config.parse('[provider]\nkind = "custom"\nurl = "ws://127.0.0.1/"\n')
    assert not list(careless(here))


@pytest.mark.parametrize(
    ("url", "told"),
    [("http://hub.local/", True), ("http://localhost:80/", False), ("https://hub.local/", False)],
)
def test_a_tools_credential_in_the_clear_is_told_even_at_home(url: str, told: bool) -> None:
    text = f'[[tools.mcp]]\nname = "hub"\nurl = "{url}"\nkey_from = "token"\n'
    wanted, problems = config.parse(text)
    assert not problems
    assert any("the credential token of hub goes to hub.local" in each for each in careless(wanted)) == told
    unused, _ = config.parse(text + "enabled = false\n")
    assert not list(careless(unused))


def test_the_environment_writes_down_no_keys_and_what_it_changes_is_told() -> None:
    environ = {"SSLKEYLOGFILE": "/tmp/keys", "SSL_CERT_FILE": "/etc/own.pem", "PYTHONHTTPSVERIFY": "0"}
    (warned,) = cleared(environ)
    assert "SSLKEYLOGFILE is set, and not obeyed" in warned
    assert "SSLKEYLOGFILE" not in environ
    (told,) = changed(environ)
    assert "'/etc/own.pem'" in told


def test_no_keys_are_written_down_by_a_process_that_was_told_to(tmp_path: Path) -> None:
    """From the command line to the moment at which a connection would be made: a refused one is enough."""
    keys, file = tmp_path / "keys", tmp_path / "config.toml"
    file.write_text('[provider]\nkind = "custom"\nurl = "wss://127.0.0.1:1/"\n')
    command = [sys.executable, "-m", "voice_agent", "doctor", "--only", "tls", "--config", str(file)]
    environ = os.environ | {"SSLKEYLOGFILE": str(keys), "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=50, check=False)
    assert "SSLKEYLOGFILE is set, and not obeyed" in done.stderr
    assert not keys.exists()  # a context that obeys makes the file at once


BLIND = re.compile(
    r"CERT_NONE|check_hostname = False|ssl=False|verify=False|_create_unverified|trust_env=True"
)


def test_nothing_believes_everybody_but_what_looks_at_a_certificate_and_says_nothing_to_its_owner() -> None:
    found = {
        str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if BLIND.search(path.read_text())
    }
    assert found == {"doctor/certificate.py", "telemetry/certificates.py"}
