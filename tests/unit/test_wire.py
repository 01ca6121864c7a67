"""The socket's failures, against real servers: what they are called and whose turn it is."""

import asyncio
import errno
import socket
import ssl
import struct
from asyncio import StreamReader, StreamWriter
from pathlib import Path

import pytest

from tests.fakes.certificates import certificate, needs_openssl
from tests.fakes.half_open import half_open
from tests.fakes.raw_server import (
    BINARY,
    CLOSE,
    CONTINUATION,
    TEXT,
    Serve,
    answering,
    closing,
    frame,
    raw_server,
    speaking,
    upgrade,
)
from voice_agent.embedded import Fault, Script, ServerOptions, running
from voice_agent.errors import (
    Cause,
    ConnectFailed,
    ConnectionLost,
    RemoteProtocolError,
    SessionError,
    Unauthorized,
)
from voice_agent.wire import Endpoint, connect, failures

SECRET = "AQVN-very-secret"
KEY = {"Authorization": f"Bearer {SECRET}", "api-key": SECRET}


async def _fail(endpoint: Endpoint) -> SessionError:
    """Connect and read to the end; the reason of the end."""
    try:
        async with connect(endpoint) as line, asyncio.timeout(5):
            while True:
                await line.receive()
    except SessionError as error:
        return error
    raise AssertionError("the connection did not end")


def _failure_of(script: Script, *, key: str | None = None) -> SessionError:
    async def run() -> SessionError:
        async with running(ServerOptions(script=script, api_key=key)) as server:
            return await _fail(Endpoint(server.url + "?model=gpt://b1g/x", KEY))

    return asyncio.run(run())


def _failure_at(serve: Serve) -> SessionError:
    async def run() -> SessionError:
        async with raw_server(serve) as url:
            return await _fail(Endpoint(url, KEY))

    return asyncio.run(run())


# -------------------------------------------------------------------------------- not even an answer


def test_a_port_where_nobody_listens_is_a_refused_connection() -> None:
    error = asyncio.run(_fail(Endpoint("ws://127.0.0.1:9/v1/realtime")))
    assert (type(error), error.cause) == (ConnectFailed, Cause.REFUSED)


def test_a_name_that_does_not_exist_is_a_matter_of_dns() -> None:
    error = asyncio.run(_fail(Endpoint("ws://no-such-host.invalid/v1/realtime")))
    assert (type(error), error.cause) == (ConnectFailed, Cause.DNS)


def test_a_name_that_can_be_none_is_a_matter_of_dns() -> None:
    assert asyncio.run(_fail(Endpoint(f"ws://{'a' * 70}.example/"))).cause is Cause.DNS


@pytest.mark.parametrize("url", ["ws://:0:x/", "nonsense", "ftp://127.0.0.1/"])
def test_an_address_that_is_none_is_for_people_to_cure(url: str) -> None:
    error = asyncio.run(_fail(Endpoint(url)))
    assert (type(error), error.cause) == (Unauthorized, Cause.SETTINGS)


def test_a_host_that_swallows_packets_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voice_agent.wire.connection.CONNECT_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener, half_open(listener):
        error = asyncio.run(_fail(Endpoint(f"ws://127.0.0.1:{listener.getsockname()[1]}/")))
    assert (type(error), error.cause) == (ConnectFailed, Cause.TIMEOUT)


def test_a_server_that_never_answers_the_upgrade_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voice_agent.wire.connection.UPGRADE_TIMEOUT_S", 0.1)

    async def say_nothing(reader: StreamReader, _writer: StreamWriter) -> None:
        await reader.read()

    error = _failure_at(say_nothing)
    assert (type(error), error.cause) == (ConnectFailed, Cause.HANDSHAKE)
    assert "no answer" in str(error)


def test_a_server_that_hangs_up_on_the_upgrade_is_a_dropped_connection_and_asked_only_once() -> None:
    asked: list[bytes] = []

    async def hang_up(reader: StreamReader, _writer: StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))

    error = _failure_at(hang_up)
    assert (type(error), error.cause) == (ConnectFailed, Cause.DROPPED)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (OSError(errno.ENETUNREACH, "Network is unreachable"), Cause.UNREACHABLE),
        (OSError(errno.EHOSTUNREACH, "No route to host"), Cause.UNREACHABLE),
        (OSError(errno.EPERM, "Operation not permitted"), Cause.UNREACHABLE),
        (OSError(errno.ETIMEDOUT, "Connection timed out"), Cause.TIMEOUT),
        (OSError("Multiple exceptions: [Errno 101] one way, [Errno 111] the other way"), Cause.REFUSED),
        (OSError(errno.EMFILE, "Too many open files"), Cause.UNKNOWN),
    ],
)
def test_the_kernels_word_is_understood(error: OSError, cause: Cause) -> None:
    assert failures.at_upgrade(error, "ws://x/").cause is cause


# --------------------------------------------------------------------------------------------- TLS


def _secure_failure(shown: ssl.SSLContext, trust: ssl.SSLContext | None) -> SessionError:
    async def run() -> SessionError:
        async with raw_server(speaking(closing(1001)), tls=shown) as url:
            return await _fail(Endpoint(url, KEY, tls=trust))

    return asyncio.run(run())


@needs_openssl
def test_a_trusted_certificate_opens_a_secure_connection(tmp_path: Path) -> None:
    shown, trust = certificate(tmp_path, "IP:127.0.0.1")
    assert _secure_failure(shown, trust).cause is Cause.GOING_AWAY


@needs_openssl
@pytest.mark.parametrize(
    ("name", "dates", "trusted", "words"),
    [
        ("IP:127.0.0.1", (), False, "not trusted"),
        ("DNS:elsewhere.example", (), True, "not for this address"),
        (
            "IP:127.0.0.1",
            ("-startdate", "20900101000000Z", "-enddate", "20910101000000Z"),
            True,
            "clock right",
        ),
        (
            "IP:127.0.0.1",
            ("-startdate", "20000101000000Z", "-enddate", "20010101000000Z"),
            True,
            "has expired",
        ),
    ],
)
def test_a_certificate_that_does_not_fit_is_said_in_words(
    tmp_path: Path, name: str, dates: tuple[str, ...], trusted: bool, words: str
) -> None:
    shown, trust = certificate(tmp_path, name, *dates)
    error = _secure_failure(shown, trust if trusted else None)
    assert (type(error), error.cause) == (ConnectFailed, Cause.TLS)
    assert words in str(error)


def test_a_server_that_does_not_speak_tls_is_a_matter_of_tls() -> None:
    async def speak_http(_reader: StreamReader, writer: StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async def run() -> SessionError:
        async with raw_server(speak_http) as url:
            return await _fail(Endpoint(url.replace("ws:", "wss:"), KEY))

    assert asyncio.run(run()).cause is Cause.TLS


# ------------------------------------------------------------------------- an answer, but no session


@pytest.mark.parametrize(
    ("status", "kind", "cause"),
    [
        (400, Unauthorized, Cause.BAD_REQUEST),
        (401, Unauthorized, Cause.UNAUTHORIZED),
        (402, Unauthorized, Cause.QUOTA),
        (403, Unauthorized, Cause.FORBIDDEN),
        (404, Unauthorized, Cause.NOT_FOUND),
        (408, ConnectFailed, Cause.REJECTED),
        (429, ConnectFailed, Cause.RATE_LIMITED),
        (500, ConnectFailed, Cause.SERVER_ERROR),
        (503, ConnectFailed, Cause.SERVER_ERROR),
        (511, ConnectFailed, Cause.PORTAL),
        (200, ConnectFailed, Cause.PORTAL),
    ],
)
def test_a_refused_upgrade_is_named_by_what_could_cure_it(
    status: int, kind: type[SessionError], cause: Cause
) -> None:
    error = _failure_of(Script(refuse=(status,)))
    assert (type(error), error.cause) == (kind, cause)
    assert str(status) in str(error)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_a_portal_and_the_key_never_follows_it(status: int) -> None:
    strangers: list[bytes] = []

    async def stranger(reader: StreamReader, _writer: StreamWriter) -> None:
        strangers.append(await reader.readuntil(b"\r\n\r\n"))

    async def run() -> SessionError:
        async with raw_server(stranger) as elsewhere:
            target = elsewhere.replace("ws:", "http:") + "/login?secret=1"
            async with raw_server(answering(f"HTTP/1.1 {status} Moved\nLocation: {target}")) as url:
                return await _fail(Endpoint(url, KEY))

    error = asyncio.run(run())
    assert (type(error), error.cause) == (ConnectFailed, Cause.PORTAL)
    assert strangers == []
    assert "/login'" in str(error)


def test_a_portal_that_sends_a_page_is_a_portal() -> None:
    assert _failure_at(answering("HTTP/1.1 200 OK\nContent-Type: text/html")).cause is Cause.PORTAL


def test_half_an_upgrade_is_a_broken_protocol() -> None:
    error = _failure_at(
        answering("HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\nConnection: Upgrade")
    )
    assert (type(error), error.cause) == (RemoteProtocolError, Cause.PROTOCOL)


def test_an_answer_that_is_not_http_is_a_failed_connection() -> None:
    error = _failure_at(answering("SSH-2.0-OpenSSH_9.2"))
    assert isinstance(error, ConnectFailed)


def test_a_busy_server_can_say_for_how_long() -> None:
    error = _failure_at(answering("HTTP/1.1 429 Too Many Requests\nRetry-After: 7"))
    assert (error.cause, error.retry_after_s) == (Cause.RATE_LIMITED, 7.0)


@pytest.mark.parametrize(
    ("wanted", "date", "pause_s"),
    [
        ("120", "", 120.0),
        (" 0 ", "", 0.0),
        ("9" * 5000, "", 3600.0),
        ("Wed, 21 Oct 2026 07:28:30 GMT", "Wed, 21 Oct 2026 07:28:00 GMT", 30.0),
        ("Wed, 21 Oct 2026 07:28:30 GMT", "Wed, 21 Oct 2026 09:28:00 +0200", 30.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:28:30 GMT", 0.0),
        ("Wed, 21 Oct 2099 07:28:00 GMT", "Wed, 21 Oct 2026 07:28:00 -0000", 3600.0),
        ("Wed, 21 Oct 2026 07:28:30 GMT", "", 60.0),
        ("Wed, 21 Oct 2026 07:28:30 GMT", "yesterday", 60.0),
        ("", "", None),
        ("soon", "", None),
        ("-5", "", None),
        ("nan", "", None),
        ("٣", "", None),
    ],
)
def test_the_wish_for_a_pause_is_read_in_both_forms(wanted: str, date: str, pause_s: float | None) -> None:
    assert failures.retry_after_s({"Retry-After": wanted, "Date": date}) == pause_s


# --------------------------------------------------------------------------------- an open connection


@pytest.mark.parametrize(
    ("code", "kind", "cause"),
    [
        (1000, ConnectionLost, Cause.CLOSED),
        (1001, ConnectionLost, Cause.GOING_AWAY),
        (1008, Unauthorized, Cause.POLICY),
        (1009, ConnectionLost, Cause.TOO_BIG),
        (1011, ConnectionLost, Cause.INTERNAL),
        (1012, ConnectionLost, Cause.RESTARTING),
        (1013, ConnectionLost, Cause.TRY_LATER),
        (3000, Unauthorized, Cause.BAD_KEY),
        (4000, Unauthorized, Cause.BAD_INTENT),
        (4001, ConnectionLost, Cause.CLOSED_OTHERWISE),
        (4429, ConnectionLost, Cause.OVERLOADED),
    ],
)
def test_a_closing_code_is_named_by_what_could_cure_it(
    code: int, kind: type[SessionError], cause: Cause
) -> None:
    error = _failure_at(speaking(closing(code, "because")))
    assert (type(error), error.cause) == (kind, cause)
    assert f"code {code}" in str(error)
    assert "because" in str(error)


def test_a_closing_frame_without_a_code_is_another_closing() -> None:
    assert _failure_at(speaking(frame(CLOSE))).cause is Cause.CLOSED_OTHERWISE


def test_a_cut_line_is_a_dropped_connection() -> None:
    error = _failure_of(Script(faults=(Fault(after="session.created", do="drop"),)))
    assert (type(error), error.cause) == (ConnectionLost, Cause.DROPPED)


@pytest.mark.parametrize("linger", [None, struct.pack("ii", 1, 0)], ids=["FIN", "RST"])
def test_an_end_without_a_closing_frame_is_a_dropped_connection(linger: bytes | None) -> None:
    async def hang_up(reader: StreamReader, writer: StreamWriter) -> None:
        await upgrade(reader, writer)
        await writer.drain()
        if linger:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.close()

    error = _failure_at(hang_up)
    assert (type(error), error.cause) == (ConnectionLost, Cause.DROPPED)
    assert ("reset" in str(error)) is bool(linger)


@pytest.mark.parametrize(
    "nonsense",
    [
        frame(CONTINUATION, b"of nothing"),
        frame(3, b"no such opcode"),
        frame(TEXT, b"\xff\xfe"),
        frame(TEXT | 0x40, b"compressed, as nobody agreed"),
        frame(TEXT, b"a", last=False) + frame(BINARY, b"b"),
        frame(CLOSE, b"\x03"),
        closing(1004),
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)
def test_what_is_no_websocket_is_a_broken_protocol(nonsense: bytes) -> None:
    error = _failure_at(speaking(nonsense))
    assert (type(error), error.cause) == (RemoteProtocolError, Cause.PROTOCOL)


def test_a_frame_beyond_the_limit_is_an_error_not_a_crash() -> None:
    async def run() -> SessionError:
        async with running(ServerOptions(script=Script())) as server:
            return await _fail(Endpoint(server.url, max_frame_bytes=100))

    error = asyncio.run(run())
    assert (type(error), error.cause) == (RemoteProtocolError, Cause.PROTOCOL)


@pytest.mark.parametrize("number", [errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH])
def test_bytes_that_nobody_acknowledged_are_silence(number: int) -> None:
    assert failures.at_break(OSError(number, "…")).cause is Cause.SILENT


# ---------------------------------------------------------------------------------------- no secrets


def test_no_error_shows_the_key_or_the_query() -> None:
    error = _failure_of(Script(), key="another")
    assert isinstance(error, Unauthorized)
    assert SECRET not in f"{error!r} {error.__cause__!r} {error.__context__!r}"
    assert "gpt://" not in str(error)
    assert SECRET not in repr(Endpoint("ws://x", {"Authorization": SECRET}))


def test_a_refused_redirect_does_not_show_the_key_or_the_query() -> None:
    error = _failure_at(answering("HTTP/1.1 302 Found\nLocation: http://127.0.0.1:9/?token=stolen"))
    assert SECRET not in f"{error!r} {error.__cause__!r} {error.__context__!r}"
    assert "stolen" not in str(error)
