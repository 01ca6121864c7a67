"""The port of the metrics when it is open to others: TLS, password, certificates of clients."""

import asyncio
import logging
import os
import ssl
import subprocess
import warnings
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

import aiohttp
import pytest

from tests.fakes.certificates import certificate, needs_openssl
from voice_agent.cli import main
from voice_agent.config.schema import Metrics
from voice_agent.credentials import METRICS_PASSWORD, Secret, find_password
from voice_agent.errors import ConfigError
from voice_agent.telemetry import certificates, http, watchers
from voice_agent.telemetry.access import Door, Lock
from voice_agent.telemetry.certificates import Certificate, Files, context_of, doubt_of
from voice_agent.telemetry.exchange import Answer, Caller, Request
from voice_agent.telemetry.http import Client, HttpServer
from voice_agent.telemetry.opening import carelessness, door_for, exposed
from voice_agent.telemetry.site import Site
from voice_agent.telemetry.watchers import Watchers

PAST = ("-startdate", "20200101000000Z", "-enddate", "20200102000000Z")
NAME = "IP:127.0.0.1"

SITE = Site(
    lambda _: ("text/plain", b"up 1\n"),
    {"/status": lambda: Answer(HTTPStatus.OK, b"{}")},
    lambda _path, _query: (HTTPStatus.OK, b"{}"),
    Watchers(lambda: b"{}"),
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "PACE_S", 0.001)


def basic(text: str, scheme: str = "Basic") -> str:
    return f"Authorization: {scheme} {b64encode(text.encode()).decode()}\r\n"


ALICE = basic("alice:hunter2")


def lock() -> Lock:
    return Lock("alice", Secret("hunter2"))


def files(folder: Path, client_ca: Path | None = None) -> Files:
    return Files(folder / "cert", folder / "key", client_ca)


@asynccontextmanager
async def serving(door: Door) -> AsyncIterator[int]:
    """A server's port."""
    server = HttpServer("127.0.0.1", 0, SITE, door)
    task = asyncio.create_task(server.run())
    while server.address is None:
        await asyncio.sleep(0)
    try:
        yield server.address[1]
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled(), task.exception()


def play(door: Door, scene: Callable[[int], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(30), serving(door) as port:
            await scene(port)

    asyncio.run(run())


async def scraped(
    port: int,
    trust: ssl.SSLContext | bool = True,
    header: str = "",
    path: str = "/metrics",
) -> tuple[int, str]:
    """Status and body, as a scraper gets them."""
    scheme = "http" if trust is True else "https"
    name, _, value = header.strip().partition(": ")
    url = f"{scheme}://127.0.0.1:{port}{path}"
    async with (
        aiohttp.ClientSession(headers={name: value} if name else None) as client,
        client.get(url, ssl=trust) as answer,
    ):
        return answer.status, await answer.text()


async def said(port: int, text: str) -> str:
    """The answer to a request in the clear, until its end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(text.encode())
        return (await reader.read()).decode()
    finally:
        writer.close()


# ------------------------------------------------------------------------------------------ password


def test_a_password_lets_in_whatever_the_host_is_called() -> None:
    async def scene(port: int) -> None:
        assert await scraped(port, header=ALICE) == (200, "up 1\n")
        for scheme in ("Basic", "basic"):
            request = f"GET /status HTTP/1.1\r\nHost: kitchen.example\r\n{basic('alice:hunter2', scheme)}\r\n"
            assert (await said(port, request)).startswith("HTTP/1.1 200 ")

    play(Door(lock()), scene)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Authorization: Basic\r\n",
        basic("alice:hunter3"),
        basic("bob:hunter2"),
        basic("alice"),
        basic("alice:hunter2", "Bearer"),
        "Authorization: Basic ????\r\n",
        "Authorization: Basic \xe4\r\n",
        basic("alice:hunter3") + basic("alice:hunter2"),
    ],
)
def test_nobody_else_is_let_in(monkeypatch: pytest.MonkeyPatch, header: str) -> None:
    monkeypatch.setattr(http, "REFUSED_S", 0.0)

    async def scene(port: int) -> None:
        answer = await said(port, f"GET /metrics HTTP/1.1\r\n{header}\r\n")
        assert answer.startswith("HTTP/1.1 401 ")
        assert 'WWW-Authenticate: Basic realm="voice-agent"' in answer
        assert "up 1" not in answer

    play(Door(lock()), scene)


def test_no_path_is_open_without_the_password() -> None:
    lines = [
        *(
            f"GET {path}"
            for path in ("/", "/metrics", "/healthz", "/readyz", "/status", "/events", "/control")
        ),
        "POST /control/mute",
        "HEAD /status",
        "OPTIONS *",
        "nonsense",
    ]

    async def scene(port: int) -> None:
        for line in lines:
            ours = "Host: 127.0.0.1\r\nX-Voice-Agent: 1\r\n"
            assert (await said(port, f"{line} HTTP/1.1\r\n{ours}\r\n")).startswith("HTTP/1.1 401 "), line

    play(Door(lock()), scene)


def test_a_wrong_password_waits_and_is_news_once_and_then_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(http, "REFUSED_S", 0.2)
    refusals: list[None] = []
    door = Door(Lock("alice", Secret("hunter2"), lambda: refusals.append(None)))

    async def scene(port: int) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await said(port, "GET /metrics HTTP/1.1\r\n\r\n")
        asked = loop.time() - began
        for _ in range(2):
            began = loop.time()
            await said(port, f"GET /metrics HTTP/1.1\r\n{basic('alice:swordfish')}\r\n")
            assert loop.time() - began >= 0.2
        assert asked < 0.2, "who only asks what is needed is told at once"

    caplog.set_level(logging.DEBUG)
    play(door, scene)
    told = [each for each in caplog.records if "wrong user or password" in each.getMessage()]
    assert [each.levelname for each in told] == ["WARNING", "DEBUG"]
    assert told[0].__dict__["host"] == "127.0.0.1"
    assert len(refusals) == 2
    assert "swordfish" not in caplog.text


def test_the_password_is_found_where_the_operator_put_it(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("from-file\n")
    (tmp_path / METRICS_PASSWORD).write_text("from-credential\n")
    given = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert find_password(str(file), given).secret.reveal() == "from-credential"
    assert find_password(str(file), {}).secret.reveal() == "from-file"
    variable = {"VOICE_AGENT_CREDENTIAL_VOICE_AGENT_METRICS_PASSWORD": "from-environment"}
    assert find_password("", variable).secret.reveal() == "from-environment"
    with pytest.raises(ConfigError, match=r"metrics.user is set.*systemd credential"):
        find_password("", {})


# ----------------------------------------------------------------------------------------------- TLS


@needs_openssl
def test_it_is_scraped_over_tls_with_a_password(tmp_path: Path) -> None:
    _, trust = certificate(tmp_path, NAME)

    async def scene(port: int) -> None:
        assert await scraped(port, trust, ALICE) == (200, "up 1\n")
        assert (await scraped(port, trust))[0] == 401
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await scraped(port, ssl.create_default_context(), ALICE)

    play(Door(lock(), Certificate(files(tmp_path))), scene)


@needs_openssl
def test_events_come_through_tls_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchers, "EVERY_S", 0.05)
    monkeypatch.setattr(watchers, "SLOW_S", 1.0)
    _, trust = certificate(tmp_path, NAME)

    async def scene(port: int) -> None:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=trust, server_hostname="127.0.0.1"
        )
        writer.write(f"GET /events HTTP/1.1\r\n{ALICE}\r\n".encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        for _ in range(30):
            assert await reader.readuntil(b"\n\n") == b"event: report\ndata: {}\n\n"
        writer.close()

    play(Door(lock(), Certificate(files(tmp_path))), scene)


@needs_openssl
def test_what_is_not_tls_of_our_days_gets_nothing_and_harms_nobody(tmp_path: Path) -> None:
    _, trust = certificate(tmp_path, NAME)
    old = ssl.create_default_context(cafile=str(tmp_path / "cert"))
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1

    async def scene(port: int) -> None:
        assert "up 1" not in await said(port, f"GET /metrics HTTP/1.1\r\n{basic('alice:hunter2')}\r\n")
        with pytest.raises(aiohttp.ClientOSError):
            await scraped(port, old, ALICE)
        assert (await scraped(port, trust, ALICE))[0] == 200

    play(Door(lock(), Certificate(files(tmp_path))), scene)


@needs_openssl
@pytest.mark.parametrize("shaken", [False, True])
def test_a_client_that_is_slow_behind_tls_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, shaken: bool
) -> None:
    monkeypatch.setattr(http, "REQUEST_S", 0.3)
    _, trust = certificate(tmp_path, NAME)

    async def drip(port: int) -> None:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=trust if shaken else None, server_hostname="127.0.0.1" if shaken else None
        )
        try:
            for each in (
                b"GET /metrics HTTP/1.1\r\n" * 100 if shaken else b"\x16\x03\x01\x02\x00" + b"\x01" * 500
            ):
                writer.write(bytes([each]))
                await writer.drain()
                await asyncio.sleep(0.01)
        except (OSError, ssl.SSLError):
            pass
        finally:
            assert b"up 1" not in await reader.read(1000)
            writer.transport.abort()

    async def scene(port: int) -> None:
        loop = asyncio.get_running_loop()
        slow = [asyncio.create_task(drip(port)) for _ in range(http.MAX_CONNECTIONS)]
        await asyncio.sleep(0.1)
        began = loop.time()
        assert (await scraped(port, trust, ALICE))[0] == 200
        assert loop.time() - began < 3
        for task in slow:
            task.cancel()
        await asyncio.wait(slow)

    play(Door(lock(), Certificate(files(tmp_path))), scene)


@needs_openssl
def test_a_client_s_certificate_will_do_instead_of_a_password(tmp_path: Path) -> None:
    server, client, stranger = (tmp_path / name for name in ("server", "client", "stranger"))
    for folder in (server, client, stranger):
        folder.mkdir()
    trusts = {
        folder: certificate(server if folder == server else folder, NAME)[1] for folder in (client, stranger)
    }
    certificate(server, NAME)
    for folder in trusts:
        trust = ssl.create_default_context(cafile=str(server / "cert"))
        trust.load_cert_chain(folder / "cert", folder / "key")
        trusts[folder] = trust

    async def scene(port: int) -> None:
        assert (await scraped(port, trusts[client], path="/status"))[0] == 200
        for wrong in (trusts[stranger], ssl.create_default_context(cafile=str(server / "cert"))):
            with pytest.raises((aiohttp.ClientError, OSError)):
                await scraped(port, wrong)

    door = Door(None, Certificate(files(server, client / "cert")))
    assert door.knows_who
    play(door, scene)


@needs_openssl
def test_a_renewed_certificate_is_taken_and_one_of_no_use_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(certificates, "LOOK_S", 0.02)
    _, before = certificate(tmp_path, NAME)
    own = Certificate(files(tmp_path))

    async def scene(port: int) -> None:
        assert (await scraped(port, before))[0] == 200
        _, after = await asyncio.to_thread(certificate, tmp_path, NAME)
        while True:
            try:
                assert (await scraped(port, after))[0] == 200
                break
            except aiohttp.ClientConnectorCertificateError:
                await asyncio.sleep(0.02)
        told = caplog.text.count("cannot be used")  # it may have been looked at half written
        (tmp_path / "key").write_text("half a k")
        while caplog.text.count("cannot be used") == told:
            await asyncio.sleep(0.02)
        assert (await scraped(port, after))[0] == 200
        told = caplog.text.count("cannot be used")
        await asyncio.sleep(0.15)
        assert caplog.text.count("cannot be used") == told, "one that stays bad is no news"
        await asyncio.to_thread(certificate, tmp_path, NAME)
        while caplog.text.count("was renewed") < 2:
            await asyncio.sleep(0.02)

    caplog.set_level(logging.INFO)
    play(Door(None, own), scene)


@needs_openssl
def test_an_expired_certificate_is_served_and_complained_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(certificates, "LOOK_S", 0.02)
    certificate(tmp_path, NAME, *PAST)
    blind = ssl.create_default_context()
    blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE

    async def scene(port: int) -> None:
        while "will not believe" not in caplog.text:
            await asyncio.sleep(0.01)
        assert (await scraped(port, blind))[0] == 200
        await asyncio.sleep(0.1)

    play(Door(None, Certificate(files(tmp_path))), scene)
    (told,) = caplog.records
    assert told.__dict__["reason"] == f"{tmp_path}/cert: certificate has expired"


@needs_openssl
def test_a_good_certificate_is_not_doubted_whether_clients_show_one_or_not(tmp_path: Path) -> None:
    certificate(tmp_path, NAME)
    assert doubt_of(files(tmp_path)) == ""
    assert Certificate(files(tmp_path, tmp_path / "cert")).doubt == ""


def spoil_key(folder: Path) -> None:
    other = folder / "other"
    other.mkdir()
    certificate(other, NAME)
    (folder / "key").write_bytes((other / "key").read_bytes())


def lock_key(folder: Path) -> None:
    new = folder / "new"
    locked = ["openssl", "pkey", "-in", f"{folder}/key", "-aes256", "-passout", "pass:x", "-out", f"{new}"]
    subprocess.run(locked, check=True, capture_output=True)
    new.rename(folder / "key")


def wear_out(file: Path) -> None:
    """It can be opened, and not be read: as on a card whose time has come."""
    file.unlink()
    file.symlink_to("/proc/self/mem")


@needs_openssl
@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (spoil_key, "metrics.tls_cert_file.*no pair of certificate and key"),
        (lock_key, "metrics.tls_key_file.*asks for a passphrase; .*openssl pkey"),
        (lambda folder: (folder / "key").unlink(), "metrics.tls_key_file.*cannot read .*/key"),
        (lambda folder: (folder / "cert").unlink(), "metrics.tls_cert_file.*cannot read .*/cert"),
        (lambda folder: (folder / "cert").write_text("no"), "metrics.tls_cert_file.*no pair"),
        (lambda folder: (folder / "ca").write_text("no"), "metrics.tls_client_ca_file.*holds no certificate"),
        (lambda folder: (folder / "ca").unlink(), "metrics.tls_client_ca_file.*cannot read"),
        (
            lambda folder: wear_out(folder / "cert"),
            "metrics.tls_cert_file.*cannot read .*/cert.*Input/output",
        ),
        (lambda folder: wear_out(folder / "key"), "metrics.tls_key_file.*cannot read .*/key.*Input/output"),
        (lambda folder: wear_out(folder / "ca"), "metrics.tls_client_ca_file.*cannot read .*Input/output"),
    ],
)
def test_files_of_no_use_are_named_with_their_setting(
    tmp_path: Path, spoil: Callable[[Path], None], told: str
) -> None:
    certificate(tmp_path, NAME)
    (tmp_path / "ca").write_bytes((tmp_path / "cert").read_bytes())
    context_of(files(tmp_path, tmp_path / "ca"))
    spoil(tmp_path)
    with pytest.raises(ConfigError, match=told):
        context_of(files(tmp_path, tmp_path / "ca"))


# ------------------------------------------------------------------------------- from other machines


@pytest.mark.parametrize("path", ["/control/mute", "/control"])
@pytest.mark.parametrize("is_known", [False, True])
def test_nothing_is_controlled_from_another_machine(path: str, *, is_known: bool) -> None:
    method = "GET" if path == "/control" else "POST"
    request = Request(method, path, {}, {"host": "127.0.0.1", "x-voice-agent": "1"})
    assert SITE.answer(request, Caller(is_local=True, is_known=is_known)).status == 200
    assert SITE.answer(request, Caller(is_local=False, is_known=is_known)).status in (404, 405)


class Elsewhere(asyncio.Transport):
    """A connection of which only the other end is known."""

    def is_closing(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("::1", 200),
        ("127.8.8.8", 200),
        ("192.0.2.7", 405),
        ("fe80::1%eth0", 405),
        ("", 405),
    ],
)
def test_where_a_request_comes_from_decides_about_controls(host: str, status: int) -> None:
    async def run() -> Answer:
        reader = asyncio.StreamReader()
        transport = Elsewhere({"peername": (host, 4711)} if host else {})
        loop = asyncio.get_running_loop()
        writer = asyncio.StreamWriter(transport, asyncio.StreamReaderProtocol(reader), reader, loop)
        request = Request("POST", "/control/mute", {}, {"host": "127.0.0.1", "x-voice-agent": "1"})
        server = HttpServer("127.0.0.1", 0, SITE)
        return await server._answer(request, Client(reader, writer), asyncio.timeout(None))

    assert asyncio.run(run()).status == status


def test_a_proxy_does_not_pass_controls_on() -> None:
    fields = {"host": "127.0.0.1", "x-voice-agent": "1", "x-forwarded-for": "192.0.2.7"}
    assert SITE.answer(Request("POST", "/control/mute", {}, fields), Caller(True, True)).status == 403


# ------------------------------------------------------------------------------------ from the start


def test_what_others_can_see_is_said_plainly() -> None:
    everywhere = Metrics(address="0.0.0.0", insecure=True)
    assert "nobody is asked" in exposed(everywhere)
    assert "sees the password" in exposed(Metrics(address="::", insecure=True, user="alice"))
    assert exposed(Metrics(address="127.0.0.1", insecure=True)) == ""
    assert exposed(Metrics(address="::", insecure=True, user="a", tls_cert_file="/c")) == ""
    assert list(carelessness(everywhere)) == [exposed(everywhere)]


def test_secrets_that_everybody_can_read_are_warned_of(tmp_path: Path) -> None:
    for name, mode in (("key", 0o644), ("password", 0o604)):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(mode)
    careless = Metrics(
        tls_cert_file="/c",
        tls_key_file=f"{tmp_path}/key",
        user="alice",
        password_file=f"{tmp_path}/password",
    )
    assert [each.split(";")[0].split()[-1] for each in carelessness(careless)] == [
        f"{tmp_path}/key",
        f"{tmp_path}/password",
    ]


def test_nothing_configured_is_a_door_that_stands_open() -> None:
    assert door_for(Metrics()) == Door()


def run(folder: Path, *lines: str, command: Sequence[str] = ("run", "--config")) -> int:
    file = folder / "config.toml"
    file.write_text("\n".join(["[metrics]", *lines]))
    return main([*command, str(file)])


def test_a_daemon_without_the_password_does_not_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, 'user = "alice"') == os.EX_CONFIG
    assert "metrics.password_file: metrics.user is set" in capsys.readouterr().err


def test_an_address_for_others_takes_protection_or_the_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, 'address = "0.0.0.0"') == os.EX_CONFIG
    told = capsys.readouterr().err
    assert "set tls_cert_file and user or tls_client_ca_file (docs/serving.md)" in told
    assert run(tmp_path, 'address = "0.0.0.0"', "insecure = true", command=["check"]) == os.EX_OK
    assert "warning: metrics.insecure is set" in capsys.readouterr().err


@needs_openssl
def test_a_check_warns_of_an_expired_certificate_and_of_a_password_that_is_not_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    certificate(tmp_path, NAME, *PAST)
    paths = (f'tls_cert_file = "{tmp_path}/cert"', f'tls_key_file = "{tmp_path}/key"')
    assert run(tmp_path, *paths, command=["check"]) == os.EX_OK
    assert f"warning: clients will not believe {tmp_path}/cert: certificate has expired" in (
        capsys.readouterr().err
    )
    assert run(tmp_path, *paths, 'user = "alice"', command=["check"]) == os.EX_OK
    assert "warning: as far as can be seen from here, metrics.password_file" in capsys.readouterr().err
